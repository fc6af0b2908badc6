"""The verb that shows what was recorded inside a run: watch."""

from dataclasses import asdict
from typing import Annotated, Any

import typer

from qa_research.cli.options import (
    DEFAULT_RUNS,
    AsJson,
    Out,
    Run,
    Runs,
    opened_recording,
    print_json,
)


def watch(
    run: Run,
    question: Annotated[
        str | None,
        typer.Option(
            metavar="ID",
            help="a watched question: its id or a part of it",
            show_default="the first",
        ),
    ] = None,
    out: Out = None,
    figures: Annotated[
        bool, typer.Option("--figures", help="also draw every recorded quantity, as PNG")
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="read the whole recording and report damage")
    ] = False,
    runs: Runs = DEFAULT_RUNS,
    as_json: AsJson = False,
) -> None:
    """The film of one question over a training.

    As one HTML file with a slider over the steps, and as a strip in a PNG; also during the training.
    """
    from qa_research.console import start_logging
    from qa_research.runs.directory import find_run

    start_logging()
    directory = find_run(run, runs)
    from qa_research.watch.watching import (
        figures_of,
        film_of,
        find_question,
        save,
        story_of,
        write_film,
    )

    recording = opened_recording(directory)
    if check and (damage := recording.damage()):
        # No film is made of a damaged recording.
        if as_json:
            print_json({"damage": damage})
        else:
            print("\n".join(damage))
        raise typer.Exit(1)
    index = find_question(recording, question)
    try:
        film = film_of(recording, index)
    except (ValueError, RuntimeError) as error:
        if check or not recording.damage():
            raise
        raise ValueError(
            f"{recording.path} is damaged ({error}); qa-research watch {run} --check shows what is damaged"
        ) from error
    folder = (out or directory / "films").expanduser()
    page, strip = write_film(film, folder, directory.name)
    drawn = []
    if figures:
        for title, figure in figures_of(recording, index, directory / "metrics.csv"):
            drawn.append(page.with_suffix("") / f"{title}.png")
            save(figure, drawn[-1])
    stories = [story_of(recording, i) for i in range(len(recording.questions))]
    if as_json:
        shown: dict[str, Any] = {
            "recording": str(recording.path),
            "step": recording.step,
            "recorders": recording.recorders,
            "left_out": recording.thinned,
            "questions": [asdict(story) for story in stories],
            "page": str(page),
            "strip": str(strip),
            "figures": [str(path) for path in drawn],
        }
        print_json(shown | ({"damage": []} if check else {}))
        return
    from qa_research.watch.watching import show_watched

    show_watched(recording, stories, index)
    if check:
        print("Every array was read; none is damaged.")
    print(f"\nPage     {page}\nStrip    {strip}")
    if drawn:
        print(f"Figures  {len(drawn)} in {page.with_suffix('')}")
