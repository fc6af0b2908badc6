"""The views of sampled stacks: the verbs flame, speedscope, tree, search and compare of `stacks`."""

from pathlib import Path
from typing import Annotated

import typer

from qa_research.cli.options import DEFAULT_RUNS, OUT_HELP, AsJson, Runs, a_number
from qa_research.text import print_json, print_line

RECORDING_HELP = "of the recordings of a run, this one"
Sampled = Annotated[
    str,
    typer.Argument(
        metavar="RUN",
        help="a directory, a unique part of its name, or the number of a recording",
    ),
]
Number = Annotated[
    int | None,
    typer.Option(
        "--recording", metavar="N", min=1, help=RECORDING_HELP, show_default="all of the latest"
    ),
]
OutOfRun = Annotated[
    Path | None,
    typer.Option(
        "--out",
        metavar="DIR",
        help=OUT_HELP,
        show_default="in the run, or DIR/stacks-N of --runs DIR",
    ),
]
MinShare = Annotated[
    float,
    typer.Option(
        "--min-share",
        metavar="PERCENT",
        min=0,
        max=100,
        callback=a_number,
        help="leave out smaller shares",
    ),
]


def show_flame(
    run: Sampled,
    out: OutOfRun = None,
    number: Number = None,
    runs: Runs = DEFAULT_RUNS,
    as_json: AsJson = False,
) -> None:
    """Draw a flame graph of where the time goes.

    One HTML file that works offline: search it, choose phases and ranks, widen a frame by a click or the
    keyboard, read its line of code; and a table of the lines that each phase runs.
    """
    from qa_research.files import write_text
    from qa_research.stacks.choosing import choose, folder_for
    from qa_research.stacks.flame import NAME, flame_page
    from qa_research.stacks.verdict import judge

    place = runs.expanduser()
    chosen = choose(run, place, number)
    folder = folder_for(chosen, place, out)
    # Only of a training there is one.
    is_training = any(recording.run_id for recording in chosen.recordings)
    verdict = judge(chosen.recordings).sentence if is_training else ""
    write_text(folder / NAME, flame_page(chosen, verdict))
    _tell_file("Page", folder / NAME, as_json)


def speedscope(
    run: Sampled,
    out: OutOfRun = None,
    number: Number = None,
    runs: Runs = DEFAULT_RUNS,
    as_json: AsJson = False,
) -> None:
    """Write the samples as a file for speedscope.

    https://www.speedscope.app opens it, also offline. A profile is a rank; each sample weighs the mean
    distance of two, so that shares in speedscope are those of the other views.
    """
    from qa_research.files import write_text
    from qa_research.stacks.choosing import choose, folder_for
    from qa_research.stacks.speedscope import NAME, speedscope_file
    from qa_research.text import json_text

    place = runs.expanduser()
    chosen = choose(run, place, number)
    folder = folder_for(chosen, place, out)
    write_text(folder / NAME, json_text(speedscope_file(chosen.name, chosen.recordings)))
    _tell_file("Profile", folder / NAME, as_json)


def tree(
    run: Sampled,
    start: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="NAME",
            help="a function, or FILE:NAME with the end of its file's path",
            show_default="Lightning's Trainer.fit",
        ),
    ] = None,
    depth: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="how deep the tree is shown", show_default="all"),
    ] = None,
    min_share: MinShare = 1.0,
    every_frame: Annotated[
        bool,
        typer.Option("--every-frame", help="a line for each frame, also for those of wrappers"),
    ] = False,
    number: Number = None,
    runs: Runs = DEFAULT_RUNS,
    as_json: AsJson = False,
) -> None:
    """Show what a training calls, from Trainer.fit to the model.

    With each call's share of the samples in which Trainer.fit was running, and its source line. A chain
    of calls that make no other is one line, and frames that only pass a call on are left out.
    """
    from qa_research.stacks.choosing import choose
    from qa_research.stacks.show import show_tree, tree_as_json
    from qa_research.stacks.tree import START, call_tree

    chosen = choose(run, runs.expanduser(), number)
    found = call_tree(chosen.samples, START if start is None else start, every_frame)
    if as_json:
        print_json(tree_as_json(found, chosen))
        return
    show_tree(found, chosen, depth, min_share / 100, every_frame)


def search(
    text: Annotated[
        str, typer.Argument(metavar="TEXT", help="a part of a function, a file or a line of code")
    ],
    run: Sampled,
    number: Number = None,
    runs: Runs = DEFAULT_RUNS,
    as_json: AsJson = False,
) -> None:
    """Find how much of the time a piece of code takes.

    The share of the samples with TEXT in a function's name, a file's path or a source line, with its 95 %
    interval; in which phases that is, which lines have it, and who calls them. Case is ignored.
    """
    from qa_research.stacks.choosing import choose
    from qa_research.stacks.searching import search_stacks
    from qa_research.stacks.show import found_as_json, show_found

    chosen = choose(run, runs.expanduser(), number)
    found = search_stacks(chosen.samples, text)
    if as_json:
        print_json(found_as_json(found, chosen))
        return
    show_found(found, chosen)


def compare(
    first: Annotated[str, typer.Argument(metavar="A", help="a run, as for the other views")],
    second: Annotated[str, typer.Argument(metavar="B", help="the run that is compared with A")],
    min_share: MinShare = 1.0,
    runs: Runs = DEFAULT_RUNS,
    as_json: AsJson = False,
) -> None:
    """Compare where two trainings spend their time.

    Which phases and which lines take a larger or a smaller share of B's time than of A's, and how many
    seconds of an optimizer step, with 95 % intervals (Newcombe) and p values corrected for their number
    (Holm).
    """
    from qa_research.stacks.choosing import choose
    from qa_research.stacks.comparing import compare_stacks
    from qa_research.stacks.show import compared_as_json, show_compared

    place = runs.expanduser()
    compared = compare_stacks(choose(first, place), choose(second, place), min_share / 100)
    if as_json:
        print_json(compared_as_json(compared))
        return
    show_compared(compared)


def _tell_file(what: str, path: Path, as_json: bool) -> None:
    if as_json:
        print_json({what.lower(): str(path)})
    else:
        print_line(f"{what}  {path}")
