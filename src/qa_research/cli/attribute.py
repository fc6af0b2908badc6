"""The verb that shows which words led to an answer: attribute."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from qa_research.cli.examples import named_inputs, not_asked_with
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
    First,
    Inputs,
    Model,
    OneSequence,
    Out,
    PictureFormat,
    Runs,
    Second,
    Seed,
    Threads,
    as_answerer,
    check_encoding_has_a_file,
    checked_format,
    given_text,
    is_id,
    opened_of_any_task,
    opened_recording,
)
from qa_research.text import print_json, print_line
from qa_research.threads import use_threads

if TYPE_CHECKING:
    from qa_research.explain.words.attribute import AttributionRequest
    from qa_research.explain.words.result import Attribution
    from qa_research.tasks.answering.trained import TrainedAnswerer
    from qa_research.tasks.opened import Opened

Question = Annotated[
    str | None,
    typer.Option(
        "--question",
        "--example",
        metavar="TEXT|ID",
        help="what to ask; without a text to ask, the id of one of the run's questions, or of its "
        "examples of another task; with --watched the id or the text of a watched one, or a part of it",
    ),
]
Watched = Annotated[
    bool,
    typer.Option(
        "--watched",
        help="explain the watched questions of the run, or examples of another task, at each kept "
        "checkpoint",
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
    first: First = None,
    second: Second = None,
    sequence: OneSequence = None,
    inputs: Inputs = None,
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
    """Show which words led to an answer, or to another prediction.

    Integrated gradients, word erasure and LIME side by side, and how faithful each of them is compared
    with random orders of the words; as a page, a picture and attribution.json.
    """
    from qa_research.explain.words.result import METHODS, USUAL_OVER_STEPS, methods_of

    methods = methods_of(method or [], USUAL_OVER_STEPS if watched else METHODS)
    typed = {"first": first, "second": second, "sequence": sequence}
    example = {n: text for n, text in typed.items() if text is not None} | named_inputs(inputs)
    if watched:
        _check_watched(context, context_file, checkpoint, keep_answer, example)
    checked_format(picture_format)
    text = None
    if example and not watched:
        _check_typed(question, context, context_file, encoding)
    elif not watched:
        text = _checked_text(question, context, context_file, encoding)

    from qa_research.console import start_logging
    from qa_research.runs.directory import find_run

    start_logging()
    if watched:
        directory = find_run(run, runs)
        use_threads(threads)
    else:
        is_own = text is None and not example
        opened = opened_of_any_task(run, checkpoint, runs, threads, None if is_own else NO_DATA)
    from qa_research.explain.words.attribute import AttributionRequest
    from qa_research.explain.words.page import folder_name

    request = AttributionRequest(methods, samples, seed, top, keep_answer)
    if watched:
        _attribute_watched(directory, question, request, out, picture_format, as_json)
        return
    if text is None and (example or as_answerer(opened) is None):
        row = _example(opened, question or "", example)
        words = [opened.told(row).text]
        make = _explained_example(opened, row, request)
    else:
        from qa_research.tasks.answering.trained import answerer_of

        answerer = answerer_of(opened)
        words = list(answerer.question(question or "") if text is None else (question or "", text))
        make = _explained_answer(answerer, words, request)
    name = folder_name(words[0], opened.label, [*words, repr(request)])
    folder = (out or opened.results / "attributions" / name).expanduser()
    _attribute_one(make, folder, picture_format, as_json)


def _explained_answer(
    opened: "TrainedAnswerer", asked: Sequence[str], request: "AttributionRequest"
) -> "Callable[[], Attribution]":
    from qa_research.explain.words.attribute import attribute as attributed

    question, text = asked
    return lambda: attributed(opened, question, text, request)


def _explained_example(
    opened: "Opened[Any]", row: Any, request: "AttributionRequest"
) -> "Callable[[], Attribution]":
    from qa_research.explain.words.attribute import attribute_example

    return lambda: attribute_example(opened, row, request)


def _check_typed(
    question: str | None, context: str | None, context_file: Path | None, encoding: str
) -> None:
    """Refuse options of questions where another example was typed.

    Raises:
        ValueError: there is one.
    """
    given = {"--question": question, "--context": context, "--context-file": context_file}
    for name, value in given.items():
        if value is not None:
            raise ValueError(
                f"{name} is of questions, and another example was typed; use one of them"
            )
    check_encoding_has_a_file(encoding, False, "--context-file FILE")


def _example(opened: "Opened[Any]", identity: str, typed: Mapping[str, str]) -> Any:
    """The example that was typed, or one of the run's own, by its id.

    Raises:
        ValueError: the run is asked with something else, or has no such example.
    """
    if typed:
        if typed.keys() != set(opened.asked_with):
            raise not_asked_with(opened, typed)
        return opened.example(typed)
    return opened.by_id(identity)


def _attribute_one(
    make: "Callable[[], Attribution]", folder: Path, picture_format: str, as_json: bool
) -> None:
    """Explain one answer, or what is said of one example, write the files and show the words."""
    from qa_research.explain.words.page import write_attribution
    from qa_research.runs.directory import check_writable

    check_writable(folder, "--out DIR")
    result = make()
    files = write_attribution(result, folder, picture_format)
    if as_json:
        print_json(result.as_json() | {"files": files.as_json()})
        return
    from qa_research.explain.words.show import show_attribution

    show_attribution(result)
    print_line(f"\nPage     {files.page}\nPicture  {files.picture}\nNumbers  {files.numbers}")


def _check_watched(
    context: str | None,
    context_file: Path | None,
    checkpoint: str,
    keep_answer: bool,
    typed: Mapping[str, str],
) -> None:
    """Refuse options that have no effect on the watched questions."""
    given = {
        **{f"--{name}": True for name in typed},
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
    from qa_research.explain.words.page import folder_name, write_attribution
    from qa_research.explain.words.show import show_steps
    from qa_research.explain.words.steps import examples_over_steps, over_steps

    numbers = range(len(recording.questions))
    chosen = [recording.find_question(question)] if question is not None else list(numbers)
    shown: list[dict[str, Any]] = []
    explained = over_steps if recording.outputs is None else examples_over_steps
    for result in explained(directory, recording, chosen, request):
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
        print_json({"questions" if recording.outputs is None else "examples": shown})
