"""The verb that shows what was seen inside a run: watch."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from qa_research.cli.options import DEFAULT_RUNS, AsJson, Run, Runs, opened_recording


def watch(
    run: Run,
    question: Annotated[
        str | None,
        typer.Option(
            metavar="ID", help="a watched question, by its id or a part of it; else the first"
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="where the files go", show_default="in the run"),
    ] = None,
    figures: Annotated[
        bool, typer.Option("--figures", help="also every figure of what was recorded, as PNG")
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="read all of the recording, and say what is damaged")
    ] = False,
    runs: Runs = DEFAULT_RUNS,
    as_json: AsJson = False,
) -> None:
    """The film of one question over a training.

    As a page with a slider over the steps, in one file, and as a strip in a PNG; also while it trains.
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
        # A film is made of what is whole; first this.
        print(json.dumps({"damage": damage}, indent=2) if as_json else "\n".join(damage))
        raise typer.Exit(1)
    index = find_question(recording, question)
    try:
        film = film_of(recording, index)
    except (ValueError, RuntimeError) as error:
        if check or not recording.damage():
            raise
        raise ValueError(
            f"{recording.path} is damaged ({error}); qa-research watch {run} --check says what is whole"
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
        print(json.dumps(shown | ({"damage": []} if check else {}), ensure_ascii=False, indent=2))
        return
    from qa_research.watch.watching import show_watched

    show_watched(recording, stories, index)
    if check:
        print("Every array was read, and is whole.")
    print(f"\nPage     {page}\nStrip    {strip}")
    if drawn:
        print(f"Figures  {len(drawn)} in {page.with_suffix('')}")
