"""The verb that shows which words made an answer: attribute."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from qa_research.cli.options import (
    DEFAULT_CHECKPOINT,
    DEFAULT_ENCODING,
    DEFAULT_FORMAT,
    DEFAULT_RUNS,
    DEFAULT_SEED,
    NO_DATA,
    AsJson,
    Checkpoint,
    Context,
    ContextFile,
    Encoding,
    Model,
    Out,
    PictureFormat,
    Runs,
    Seed,
    Threads,
    checked_format,
    given_text,
    is_id,
    opened_model,
    opened_recording,
)
from qa_research.text import print_json, print_line
from qa_research.threads import use_threads

if TYPE_CHECKING:
    from qa_research.explain.words.attribute import AttributionRequest
    from qa_research.tasks.answering.trained import TrainedAnswerer

Question = Annotated[
    str | None,
    typer.Option(
        metavar="TEXT|ID",
        help="what to ask; without a text to ask, the id of one of the run's questions; with --watched "
        "the id or the text of a watched question, or a part of it",
    ),
]
Watched = Annotated[
    bool,
    typer.Option(
        "--watched", help="explain the watched questions of the run, at each kept checkpoint"
    ),
]
Method = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME",
        help="gradients, erasure or lime; also several, with commas",
        show_default="all; with --watched gradients,erasure",
    ),
]
Samples = Annotated[
    int, typer.Option(metavar="N", min=2, help="LIME masks in each of its three repeats")
]
Top = Annotated[int, typer.Option(metavar="N", min=1, help="how many words count as the top")]
KeepAnswer = Annotated[
    bool, typer.Option("--keep-answer", help="never mask the words of the answer itself")
]


def attribute(
    run: Model,
    question: Question = None,
    context: Context = None,
    context_file: ContextFile = None,
    encoding: Encoding = DEFAULT_ENCODING,
    watched: Watched = False,
    checkpoint: Checkpoint = DEFAULT_CHECKPOINT,
    method: Method = None,
    samples: Samples = 500,
    seed: Seed = DEFAULT_SEED,
    top: Top = 5,
    keep_answer: KeepAnswer = False,
    out: Out = None,
    picture_format: PictureFormat = DEFAULT_FORMAT,
    runs: Runs = DEFAULT_RUNS,
    threads: Threads = None,
    as_json: AsJson = False,
) -> None:
    """Show which words made an answer.

    Integrated gradients, word erasure and LIME side by side, and how faithful each of them is compared
    with random orders of the words; as a page, a picture and attribution.json.
    """
    from qa_research.explain.words.result import METHODS, USUAL_OVER_STEPS, methods_of

    methods = methods_of(method or [], USUAL_OVER_STEPS if watched else METHODS)
    if watched:
        _check_watched(context, context_file, checkpoint, keep_answer)
    checked_format(picture_format)
    text = None if watched else _checked_text(question, context, context_file, encoding)

    from qa_research.console import start_logging
    from qa_research.runs.directory import find_run

    start_logging()
    if watched:
        directory = find_run(run, runs)
        use_threads(threads)
    else:
        data = None if text is None else NO_DATA
        opened = opened_model(run, checkpoint, runs, threads, data)
    from qa_research.explain.words.attribute import AttributionRequest

    request = AttributionRequest(methods, samples, seed, top, keep_answer)
    if watched:
        _attribute_watched(directory, question, request, out, picture_format, as_json)
    else:
        asked = (question or "", text)
        _attribute_one(opened, asked, request, out, picture_format, as_json)


def _attribute_one(
    opened: "TrainedAnswerer",
    asked: tuple[str, str | None],
    request: "AttributionRequest",
    out: Path | None,
    picture_format: str,
    as_json: bool,
) -> None:
    """Explain the answer to one question about a text, write the files and show the words.

    `asked`: the question and the text; no text if the question is the id of one of the run's.
    """
    from qa_research.explain.words.attribute import attribute as attributed
    from qa_research.explain.words.page import folder_name, write_attribution
    from qa_research.runs.directory import check_writable

    question, text = asked
    if text is None:
        question, text = opened.question(question)
    name = folder_name(question, opened.label, [question, text, repr(request)])
    folder = (out or opened.results / "attributions" / name).expanduser()
    check_writable(folder, "--out DIR")
    result = attributed(opened, question, text, request)
    files = write_attribution(result, folder, picture_format)
    if as_json:
        print_json(result.as_json() | {"files": files.as_json()})
        return
    from qa_research.explain.words.show import show_attribution

    show_attribution(result)
    print_line(f"\nPage     {files.page}\nPicture  {files.picture}\nNumbers  {files.numbers}")


def _check_watched(
    context: str | None, context_file: Path | None, checkpoint: str, keep_answer: bool
) -> None:
    """Refuse options that have no effect on the watched questions."""
    given = {
        "--context": context is not None,
        "--context-file": context_file is not None,
        "--checkpoint": checkpoint != DEFAULT_CHECKPOINT,
        "--keep-answer": keep_answer,
    }
    for name, is_given in given.items():
        if is_given:
            raise ValueError(
                f"--watched takes question, text and checkpoints from the run; remove {name}"
            )


def _checked_text(
    question: str | None, context: str | None, context_file: Path | None, encoding: str
) -> str | None:
    """The text that is asked about, once it and the question are known to be usable; None with an id."""
    if question is None:
        raise ValueError(
            "say what to ask with --question, or use --watched for the watched questions"
        )
    if is_id(question, context, context_file):
        return None
    text = given_text(context, context_file, encoding)
    for name, value in (("--question", question), ("the text", text)):
        if not value.strip():
            raise ValueError(f"{name} is empty")
    return text


def _attribute_watched(
    directory: Path,
    question: str | None,
    request: "AttributionRequest",
    out: Path | None,
    picture_format: str,
    as_json: bool,
) -> None:
    from qa_research.runs.checkpoints import kept_steps
    from qa_research.runs.directory import check_writable

    kept_steps(directory)
    folder = (out or directory / "attributions").expanduser()
    check_writable(folder, "--out DIR")
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
        files = write_attribution(result, folder / name, picture_format)
        shown.append(result.as_json() | {"files": files.as_json()})
        if not as_json:
            show_steps(result, request.top)
            print_line(
                f"Page     {files.page}\nPicture  {files.picture}\nNumbers  {files.numbers}\n"
            )
    if as_json:
        print_json({"questions": shown})
