"""The verb that draws a map of the training data."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from qa_research.cli.findings import pass_on
from qa_research.cli.options import (
    DEFAULT_FORMAT,
    DEFAULT_RUNS,
    DEFAULT_SEED,
    AllKeptSteps,
    AsJson,
    MaxMinutes,
    Out,
    PictureFormat,
    Run,
    Runs,
    Seed,
    Threads,
    as_answerer,
    checked_format,
    checked_minutes,
    ids_in,
    number_or_ids,
    opened_recording,
)
from qa_research.text import command_line, names_in

if TYPE_CHECKING:
    from qa_research.interventions.data_map.measuring import DataMap
    from qa_research.interventions.data_map.show import Following
    from qa_research.tasks.opened import Opened

Questions = Annotated[
    str | None,
    typer.Option(
        metavar="N|ID|FILE",
        help="how many training examples to draw; or ids, with commas, or a file with one id a line",
        show_default="all",
    ),
]
Marked = Annotated[
    str | None,
    typer.Option(
        "--marked",
        metavar="ID|FILE",
        help="ids of odd examples, such as those with a wrong answer: are they found?",
    ),
]
Hard = Annotated[
    int, typer.Option("--hard", metavar="N", min=0, help="list so many of the lowest confidence")
]
Ambiguous = Annotated[
    int,
    typer.Option("--ambiguous", metavar="N", min=0, help="list so many of the highest variability"),
]
Easy = Annotated[
    int, typer.Option("--easy", metavar="N", min=0, help="list so many of the highest confidence")
]


def data_map(
    run: Run,
    questions: Questions = None,
    steps: AllKeptSteps = None,
    marked: Marked = None,
    hard: Hard = 5,
    ambiguous: Ambiguous = 0,
    easy: Easy = 0,
    max_minutes: MaxMinutes = 30,
    seed: Seed = DEFAULT_SEED,
    out: Out = None,
    picture_format: PictureFormat = DEFAULT_FORMAT,
    runs: Runs = DEFAULT_RUNS,
    threads: Threads = None,
    as_json: AsJson = False,
) -> None:
    """Map the training examples: easy, ambiguous and hard to learn.

    By how probable the truth of each was at the kept steps: its mean, its spread, when it was first right and
    how often forgotten. Wrong answers of the data tend to be hard to learn.
    """
    checked_format(picture_format)
    checked_minutes(max_minutes)
    from qa_research.console import start_logging
    from qa_research.interventions.data_map.choosing import MapRequest
    from qa_research.runs.checkpoints import kept_steps, steps_in
    from qa_research.runs.directory import check_writable, find_run
    from qa_research.threads import use_threads

    start_logging()
    directory = find_run(run, runs)
    folder = (out or directory / "data_map").expanduser()
    check_writable(folder, "--out DIR")
    request = MapRequest(
        None if questions is None else number_or_ids(questions, "--questions"),
        () if marked is None else ids_in(marked, "--marked"),
        max_minutes,
        seed,
    )
    from qa_research.interventions.data_map.measuring import map_of
    from qa_research.runs.open import open_run

    names = kept_steps(directory) if steps is None else names_in([steps])
    at = steps_in(directory, names)
    if ambiguous and len(at) == 1:
        raise ValueError(
            f"--ambiguous {ambiguous} needs the spread over two kept steps or more, and there is one"
        )
    use_threads(threads)
    opened = open_run(directory, next(iter(at.values())))
    watched = _watched(directory)
    found = map_of(opened, at, request)
    following = partial(_following, found, opened, watched)
    counts = {"hard": hard, "ambiguous": ambiguous, "easy": easy}
    _pass_on(found, following, counts, folder, picture_format, as_json)


def _pass_on(
    found: "DataMap",
    following: "Following",
    counts: dict[str, int],
    folder: Path,
    picture_format: str,
    as_json: bool,
) -> None:
    """Write the table, the figure and the page; show them, or print JSON."""
    from qa_research.files import write_text
    from qa_research.interventions.data_map.figure import map_figure
    from qa_research.interventions.data_map.page import map_page
    from qa_research.interventions.data_map.show import listed, show_map

    examples = listed(found, counts)
    page = folder / "data_map.html"
    write_text(page, map_page(found, following))
    values = found.as_json() | {
        "listed": {region: [one.id for one in own] for region, own in examples.items()}
    }
    show = None if as_json else partial(show_map, found, examples, following)
    table, picture = folder / "data_map.json", folder / f"data_map.{picture_format}"
    pass_on(values, map_figure(found), table, picture, show, page)


def _following(
    found: "DataMap", opened: "Opened[Any]", watched: frozenset[str], identity: str
) -> list[str]:
    """What to run next about an example: look at it, see its film, train without it."""
    from qa_research.runs.anchors import anchors_of

    run = opened.directory
    of_questions = ("squad", "show", "--run", run, "--split", "train")
    look = of_questions if as_answerer(opened) is not None else ("forward", run)
    commands: list[tuple[object, ...]] = [(*look, "--question", identity)]
    if identity in watched:
        commands.append(("watch", run, "--question", identity))
    # From a state that was kept, or else from the beginning.
    anchors = anchors_of(run)
    step = anchors[0].step if anchors else found.steps[0]
    start = () if anchors else ("--from-start",)
    commands.append(("fork", run, "--at", step, *start, "--without", identity))
    return [command_line("qa-research", *words) for words in commands]


def _watched(directory: Path) -> frozenset[str]:
    """The ids of the examples of which the run has a recording."""
    from qa_research.capture.recording.files import RECORDING

    if not (directory / RECORDING).exists():
        return frozenset()
    return frozenset(str(row["id"]) for row in opened_recording(directory).questions)
