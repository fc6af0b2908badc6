"""`qa-research runs ...`: what was run, what differs, which is better and how sure that is."""

import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from qa_research.ledger.runs import RunEntry
    from qa_research.stats import Interval
    from qa_research.tasks.task import Metric

from qa_research.cli.bundle import import_run
from qa_research.cli.options import DEFAULT_RUNS, AsJson, Run, Runs, verb_group
from qa_research.text import command_line, print_json, print_line, print_note

runs_app = verb_group("List, show, compare, import and remove runs.")


@runs_app.command("list")
def list_runs(
    sort: Annotated[
        str,
        typer.Option(metavar="KEY", help="started, run, status, steps, size, or a score: val/f1"),
    ] = "started",
    study: Annotated[
        str | None, typer.Option(metavar="NAME", help="only the runs of this study")
    ] = None,
    runs: Runs = DEFAULT_RUNS,
    as_json: AsJson = False,
) -> None:
    """List runs with their scores and sizes.

    The newest first, forks below their runs; sorted by a score, the best first; by steps or size, the
    largest.
    """
    from qa_research.console import start_logging
    from qa_research.runs.family import as_tree
    from qa_research.runs.listing import headline, sorted_runs
    from qa_research.runs.listing import list_runs as listed
    from qa_research.runs.show import show_list

    start_logging()
    listing = listed(runs.expanduser())
    found = listing.runs
    if study is not None:
        found = [run for run in found if run.entry.study == study]
        if not found and listing.runs:
            known = ", ".join(sorted({run.entry.study for run in listing.runs}))
            raise ValueError(f"--study {study} has no runs; these have: {known}")
    found = sorted_runs(found, sort)
    for note in listing.notes:
        print_note(note)
    if as_json:
        shown = [
            _as_json(run.entry) | {"status": run.status, "size_bytes": run.size_bytes}
            for run in found
        ]
        print_json({"runs": shown, "notes": listing.notes})
        return
    scores = headline(found)
    if "/" in sort and sort not in scores:
        scores.append(sort)
    tree = [(run, 0) for run in found]
    if sort == "started":
        tree = as_tree([(run, run.entry) for run in found])
    show_list(tree, scores)


@runs_app.command()
def show(run: Run, runs: Runs = DEFAULT_RUNS, as_json: AsJson = False) -> None:
    """Show all about one run.

    Scores, config, sizes, checkpoints, and what to type next.
    """
    from qa_research.runs.directory import no_weights
    from qa_research.runs.show import show_run
    from qa_research.runs.store import checkpoints_of, find, live_status, read_entry, size_by_part

    directory = find(run, runs)
    entry = read_entry(directory)
    _note_edit(directory)
    status = live_status(entry)
    verb = {"finished": "evaluate", "running": None}.get(status, "resume")
    if no_weights(directory):
        verb = "report"
    go_on = command_line("qa-research", verb, directory) if verb else ""
    intervals = _intervals(directory, entry.config["task"]["metrics"])
    if not as_json:
        show_run(directory, entry, status, go_on, intervals)
        return
    facts: dict[str, Any] = _as_json(entry) | {"status": status}
    facts["checkpoints"] = checkpoints_of(directory)
    facts["size_bytes"] = size_by_part(directory)
    facts["best_95"] = {name: asdict(found) for name, found in intervals.items()}
    print_json(facts | {"go_on": go_on})


def _intervals(directory: Path, metrics: "Sequence[Metric]") -> "dict[str, Interval]":
    """Those of the best scores; none before the first validation, and where its predictions are damaged."""
    from qa_research.runs.compare import best_intervals

    try:
        return best_intervals(directory, metrics)
    except FileNotFoundError:
        return {}
    except ValueError as error:
        print_note(f"the scores have no intervals: {error}")
        return {}


@runs_app.command()
def compare(
    wanted: Annotated[
        list[str],
        typer.Argument(
            metavar="A B [C...]",
            help="two or more runs: directories, or unique parts of their names",
        ),
    ],
    runs: Runs = DEFAULT_RUNS,
    as_json: AsJson = False,
) -> None:
    """Compare runs: what differs, and which is better.

    The scores side by side, and how sure the differences are: each run is compared with the first,
    on the validation examples that both were scored on.
    """
    from qa_research.runs.compare import side_by_side
    from qa_research.runs.store import find

    directories = [find(run, runs) for run in wanted]
    found = side_by_side(directories)
    for directory in directories:
        _note_edit(directory)
    if as_json:
        print_json(found.as_json())
    else:
        from qa_research.runs.show import show_pairs

        show_pairs(found)


runs_app.command("import")(import_run)


@runs_app.command()
def scan(runs: Runs = DEFAULT_RUNS, as_json: AsJson = False) -> None:
    """Rebuild the list of runs in the ledger.

    From each run.json, which is the truth; runs whose directory is gone are dropped.
    """
    from dataclasses import asdict

    from qa_research.console import start_logging
    from qa_research.ledger.runs import LEDGER
    from qa_research.runs.store import scan as read_all

    start_logging()
    found = read_all(runs.expanduser())
    for reason in found.damaged:
        print_note(f"skipped: {reason}")
    if as_json:
        print_json(asdict(found))
        return
    for name in found.gone:
        print_line(f"dropped, its directory is gone: {name}")
    print_line(f"{found.found} run{'' if found.found == 1 else 's'} in {runs / LEDGER}")


@runs_app.command()
def remove(
    run: Annotated[
        str,
        typer.Argument(metavar="RUN", help="a directory, or its name, whole: a part is not enough"),
    ],
    yes: Annotated[bool, typer.Option("--yes", help="do not ask")] = False,
    runs: Runs = DEFAULT_RUNS,
) -> None:
    """Delete a run.

    Its directory and its row in the ledger.
    """
    from qa_research.console import readable_size
    from qa_research.runs.store import find, size_by_part
    from qa_research.runs.store import remove as delete

    directory = find(run, runs, is_part_enough=False)
    size = readable_size(sum(size_by_part(directory).values()))
    if not yes:
        if not sys.stdin.isatty():
            raise ValueError(f"{directory} ({size}) is deleted only with --yes")
        typer.confirm(f"Delete {directory} ({size})?", abort=True)
    delete(directory)
    print_line(f"deleted {directory} ({size})")


def _note_edit(directory: Path) -> None:
    """Say on stderr that a run's config.yaml is not the one that it was started with."""
    from qa_research.runs.directory import edit_of, read_config, read_record

    if edit := edit_of(directory, read_config(directory), read_record(directory) or {}):
        print_note(edit)


def _as_json(entry: "RunEntry") -> dict[str, Any]:
    from dataclasses import asdict

    return {"run": entry.name} | asdict(entry) | {"directory": str(entry.directory)}
