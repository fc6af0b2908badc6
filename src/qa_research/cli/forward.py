"""The verb that opens a forward pass."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from qa_research.cli.examples import named_inputs, not_asked_with
from qa_research.cli.options import (
    DEFAULT_CHECKPOINT,
    DEFAULT_ENCODING,
    DEFAULT_FORMAT,
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
    Out,
    PictureFormat,
    Runs,
    Second,
    Threads,
    checked_format,
    given_text,
    is_id,
    opened_of_any_task,
)
from qa_research.text import aligned, print_json, print_line

if TYPE_CHECKING:
    from collections.abc import Mapping

    from qa_research.forward.opened import Pass
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
    figures: Annotated[
        bool,
        typer.Option(
            "--figures",
            help="also draw what attention each token receives, how far the network looks, and the steps "
            "that tokens took, as far as the network has them",
        ),
    ] = False,
    out: Out = None,
    picture_format: PictureFormat = DEFAULT_FORMAT,
    runs: Runs = DEFAULT_RUNS,
    threads: Threads = None,
    as_json: AsJson = False,
) -> None:
    """Open one forward pass: each stage from text to score.

    Tokens, ids, hidden states, logits and probabilities of one example, with their shapes and numbers, as the
    unmodified network computes them.
    """
    _check_figures(figures, out, picture_format)
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
    files = _drawn(opened, found, out, picture_format) if figures else {}
    if as_json:
        print_json(found.as_json() | ({"figures": files} if figures else {}))
        return
    show_pass(found)
    if files:
        print_line()
    for line in aligned([(name.capitalize(), path) for name, path in files.items()], set()):
        print_line(line)


def _check_figures(figures: bool, out: Path | None, picture_format: str) -> None:
    """Refuse options of pictures where none are asked for.

    Raises:
        ValueError: there is one, or no such format.
    """
    checked_format(picture_format)
    given = {"--out DIR": out is not None, "--format": picture_format != DEFAULT_FORMAT}
    for name, is_given in given.items():
        if is_given and not figures:
            raise ValueError(f"{name} is for the pictures of --figures; add --figures")


def _drawn(
    opened: "Opened[Any]", found: "Pass", out: Path | None, picture_format: str
) -> dict[str, str]:
    """Where the pictures of a pass are."""
    from qa_research.explain.words.page import folder_name
    from qa_research.forward.pictures import pictures_of, write_pictures

    text = found.watched.examples[0].text
    name = folder_name(text, opened.label, [text])
    folder = (out or opened.results / "forward" / name).expanduser()
    from qa_research.runs.directory import check_writable

    check_writable(folder, "--out DIR")
    written = write_pictures(pictures_of(found, opened.network), folder, picture_format)
    return {name: str(path) for name, path in written.items()}


def _example(opened: "Opened[Any]", asked: "Mapping[str, str]") -> Any:
    """The example that was typed.

    Raises:
        ValueError: that is not what this run is asked with.
    """
    if asked.keys() != set(opened.asked_with):
        raise not_asked_with(opened, asked)
    return opened.example(asked)
