"""The verb that shows which words made an answer: attribute."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from qa_research.cli.options import (
    DEFAULT_CHECKPOINT,
    DEFAULT_RUNS,
    DEFAULT_SEED,
    AsJson,
    Checkpoint,
    Context,
    ContextFile,
    Out,
    Run,
    Runs,
    Seed,
    given_text,
    opened_recording,
    print_json,
)

if TYPE_CHECKING:
    from qa_research.explain.words.attribute import AttributionRequest


def attribute(
    run: Run,
    question: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT",
            help="what to ask; with --watched the id of a watched question, or a part of it",
        ),
    ] = None,
    context: Context = None,
    context_file: ContextFile = None,
    watched: Annotated[
        bool,
        typer.Option(
            "--watched", help="explain the watched questions of the run, at each kept checkpoint"
        ),
    ] = False,
    checkpoint: Checkpoint = DEFAULT_CHECKPOINT,
    method: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="gradients, erasure or lime; also several, with commas",
            show_default="all; with --watched gradients,erasure",
        ),
    ] = None,
    samples: Annotated[
        int, typer.Option(metavar="N", min=2, help="LIME masks in each of its three repeats")
    ] = 500,
    seed: Seed = DEFAULT_SEED,
    top: Annotated[
        int, typer.Option(metavar="N", min=1, help="how many words count as the top")
    ] = 5,
    keep_answer: Annotated[
        bool, typer.Option("--keep-answer", help="never mask the words of the answer itself")
    ] = False,
    out: Out = None,
    runs: Runs = DEFAULT_RUNS,
    as_json: AsJson = False,
) -> None:
    """Show which words made an answer.

    Integrated gradients, word erasure and LIME side by side, and how faithful each of them is compared
    with random orders of the words; as a page, a picture and attribution.json.
    """
    from qa_research.explain.words.result import METHODS, USUAL_OVER_STEPS, methods_of

    methods = methods_of(method or [], USUAL_OVER_STEPS if watched else METHODS)
    if watched:
        given = {
            "--context": context is not None,
            "--context-file": context_file is not None,
            "--checkpoint": checkpoint != DEFAULT_CHECKPOINT,
            "--keep-answer": keep_answer,
        }
        if without_effect := [name for name, is_given in given.items() if is_given]:
            raise ValueError(
                "--watched takes question, text and checkpoints from the run; remove "
                f"{without_effect[0]}"
            )
        text = ""
    else:
        text = _checked_text(question, context, context_file)

    from qa_research.console import start_logging

    start_logging()
    from qa_research.explain.words.attribute import AttributionRequest

    request = AttributionRequest(methods, samples, seed, top, keep_answer)
    if question is None or watched:
        _attribute_watched(run, runs, question, request, out, as_json)
        return
    from qa_research.explain.words.attribute import attribute as attributed
    from qa_research.explain.words.page import folder_name, write_attribution
    from qa_research.runs.open import open_run

    opened = open_run(run, checkpoint, runs)
    result = attributed(opened, question, text, request)
    name = folder_name(question, opened.checkpoint.stem, [question, text, repr(request)])
    files = write_attribution(
        result, (out or opened.directory / "attributions" / name).expanduser()
    )
    if as_json:
        print_json(result.as_json() | {"files": files.as_json()})
        return
    from qa_research.explain.words.show import show_attribution

    show_attribution(result)
    print(f"\nPage     {files.page}\nPicture  {files.picture}\nNumbers  {files.numbers}")


def _checked_text(question: str | None, context: str | None, context_file: Path | None) -> str:
    """The text that is asked about, once it and the question are known to be usable."""
    if question is None:
        raise ValueError(
            "say what to ask with --question, or use --watched for the watched questions"
        )
    text = given_text(context, context_file)
    for name, value in (("--question", question), ("the text", text)):
        if not value.strip():
            raise ValueError(f"{name} is empty")
    return text


def _attribute_watched(
    run: str,
    runs: Path,
    question: str | None,
    request: "AttributionRequest",
    out: Path | None,
    as_json: bool,
) -> None:
    from qa_research.runs.checkpoints import kept_steps
    from qa_research.runs.directory import find_run

    directory = find_run(run, runs)
    kept_steps(directory)
    recording = opened_recording(directory)
    from qa_research.explain.words.attribute import over_steps
    from qa_research.explain.words.page import folder_name, write_attribution
    from qa_research.explain.words.show import show_steps

    numbers = range(len(recording.questions))
    chosen = [recording.find_question(question)] if question is not None else list(numbers)
    shown: list[dict[str, Any]] = []
    for result in over_steps(directory, recording, chosen, request):
        parts = [result.question_id, repr(request)]
        name = folder_name(result.question_id, "watched", parts)
        folder = (out or directory / "attributions").expanduser() / name
        files = write_attribution(result, folder)
        shown.append(result.as_json() | {"files": files.as_json()})
        if not as_json:
            show_steps(result, request.top)
            print(f"Page     {files.page}\nPicture  {files.picture}\nNumbers  {files.numbers}\n")
    if as_json:
        print_json({"questions": shown})
