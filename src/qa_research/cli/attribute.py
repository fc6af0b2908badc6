"""The verb that says which words made an answer: attribute."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from qa_research.cli.options import (
    DEFAULT_RUNS,
    AsJson,
    Run,
    Runs,
    given_text,
    opened_recording,
    print_json,
)

if TYPE_CHECKING:
    from qa_research.explain.words.attribute import AttributionRequest


SAMPLES = 500


def attribute(
    run: Run,
    question: Annotated[
        str | None,
        typer.Option(
            metavar="Q", help="what to ask; with --watched a watched question's ID or a part of it"
        ),
    ] = None,
    context: Annotated[
        str | None, typer.Option(metavar="C", help="the text that holds the answer")
    ] = None,
    context_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="a file with that text; - is stdin")
    ] = None,
    watched: Annotated[
        bool,
        typer.Option("--watched", help="the run's watched questions, at each kept checkpoint"),
    ] = False,
    checkpoint: Annotated[str, typer.Option(help="best, last, a step number, or a path")] = "best",
    method: Annotated[
        list[str] | None,
        typer.Option(
            metavar="M",
            help="gradients, erasure, lime; also with commas",
            show_default="all; with --watched gradients,erasure",
        ),
    ] = None,
    samples: Annotated[
        int, typer.Option(min=2, help="LIME's masks in each of its three repeats")
    ] = SAMPLES,
    seed: Annotated[int, typer.Option(help="of LIME's masks and the random orders")] = 1,
    top: Annotated[int, typer.Option(min=1, help="how many words count as the top")] = 5,
    keep_answer: Annotated[
        bool, typer.Option("--keep-answer", help="the answer's own words always stay on")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="where the files go", show_default="in the run"),
    ] = None,
    runs: Runs = DEFAULT_RUNS,
    as_json: AsJson = False,
) -> None:
    """Which words made the answer.

    Integrated gradients, word erasure and LIME side by side, and how faithful they are beside random
    orders of the words; as a page, a picture and attribution.json.
    """
    from qa_research.explain.words.result import METHODS, USUAL_OVER_STEPS, methods_of

    usual = USUAL_OVER_STEPS if watched else METHODS
    methods = methods_of(method or [], usual)
    if watched:
        given = {
            "--context": context is not None,
            "--context-file": context_file is not None,
            "--checkpoint": checkpoint != "best",
            "--keep-answer": keep_answer,
        }
        if without_effect := [name for name, is_given in given.items() if is_given]:
            raise ValueError(
                f"--watched takes question, text and checkpoints from the run; leave {without_effect[0]} away"
            )
        text = ""
    else:
        if question is None:
            raise ValueError(
                "say what to ask with --question, or --watched for the watched questions"
            )
        text = given_text(context, context_file)
        for name, value in (("--question", question), ("the text", text)):
            if not value.strip():
                raise ValueError(f"{name} is empty")

    from qa_research.console import start_logging

    start_logging()
    from qa_research.explain.words.attribute import AttributionRequest

    wish = AttributionRequest(methods, samples, seed, top, keep_answer)
    if watched:
        _watched(run, runs, question, wish, out, as_json)
        return
    assert question is not None
    from qa_research.explain.words.attribute import attribute as attributed
    from qa_research.explain.words.page import folder_name, write_attribution
    from qa_research.runs.open import open_run

    opened = open_run(run, checkpoint, runs)
    document = attributed(opened, question, text, wish).as_json()
    name = folder_name(question, opened.checkpoint.stem, [question, text, repr(wish)])
    files = write_attribution(
        document, (out or opened.directory / "attributions" / name).expanduser()
    )
    if as_json:
        print_json(document | {"files": files.as_json()})
        return
    from qa_research.explain.words.show import show_attribution

    show_attribution(document)
    print(f"\nPage     {files.page}\nPicture  {files.picture}\nNumbers  {files.numbers}")


def _watched(
    run: str,
    runs: Path,
    question: str | None,
    wish: "AttributionRequest",
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
    from qa_research.watch.watching import find_question

    numbers = range(len(recording.questions))
    chosen = [find_question(recording, question)] if question is not None else list(numbers)
    shown: list[dict[str, Any]] = []
    for found in over_steps(directory, recording, chosen, wish):
        document = found.as_json()
        name = folder_name(
            document["question_id"], "watched", [document["question_id"], repr(wish)]
        )
        folder = (out or directory / "attributions").expanduser() / name
        files = write_attribution(document, folder)
        shown.append(document | {"files": files.as_json()})
        if not as_json:
            show_steps(document, wish.top)
            print(f"Page     {files.page}\nPicture  {files.picture}\nNumbers  {files.numbers}\n")
    if as_json:
        print_json({"questions": shown})
