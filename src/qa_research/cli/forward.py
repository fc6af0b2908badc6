"""The verb that opens a forward pass."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from qa_research.cli.examples import named_inputs, not_asked_with
from qa_research.cli.options import (
    DEFAULT_CHECKPOINT,
    DEFAULT_ENCODING,
    DEFAULT_N_BEST,
    DEFAULT_RUNS,
    NO_DATA,
    AsJson,
    Checkpoint,
    Context,
    ContextFile,
    Encoding,
    First,
    Inputs,
    Model,
    NBest,
    OneSequence,
    Runs,
    Second,
    Threads,
    given_text,
    is_id,
    opened_of_any_task,
)
from qa_research.text import print_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from qa_research.tasks.opened import Opened


def forward(
    run: Model,
    question: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT|ID",
            help="what to ask; without a text to ask, the id of one of the run's examples",
        ),
    ] = None,
    context: Context = None,
    context_file: ContextFile = None,
    first: First = None,
    second: Second = None,
    sequence: OneSequence = None,
    inputs: Inputs = None,
    encoding: Encoding = DEFAULT_ENCODING,
    checkpoint: Checkpoint = DEFAULT_CHECKPOINT,
    n_best: NBest = DEFAULT_N_BEST,
    runs: Runs = DEFAULT_RUNS,
    threads: Threads = None,
    as_json: AsJson = False,
) -> None:
    """Open one forward pass: each stage from text to score.

    Tokens, ids, hidden states, logits and probabilities of one example, with their shapes and numbers, as the
    unmodified network computes them.
    """
    given: dict[str, str | None] = {"first": first, "second": second, "sequence": sequence}
    asked = {name: text for name, text in given.items() if text is not None} | named_inputs(inputs)
    by_id = not asked and is_id(question, context, context_file)
    if question is not None:
        asked["question"] = question
    if not by_id and (question or context or context_file):
        asked["context"] = given_text(context, context_file, encoding)
    data = None if by_id else NO_DATA
    opened = opened_of_any_task(run, checkpoint, runs, threads, data, is_quick=True)
    row = opened.by_id(asked["question"]) if by_id else _example(opened, asked)
    from qa_research.forward.opened import opened_pass
    from qa_research.forward.show import show_pass

    found = opened_pass(opened, row, n_best)
    if as_json:
        print_json(found.as_json())
    else:
        show_pass(found)


def _example(opened: "Opened[Any]", asked: "Mapping[str, str]") -> Any:
    """The example that was typed.

    Raises:
        ValueError: that is not what this run is asked with.
    """
    if asked.keys() != set(opened.asked_with):
        raise not_asked_with(opened, asked)
    return opened.example(asked)
