"""The verb that asks a run random questions until it knows one: efficacy."""

import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from qa_research.cli.options import DEFAULT_RUNS, AsJson, Runs, print_json

if TYPE_CHECKING:
    from qa_research.efficacy.ask import AskRequest


def efficacy(
    run: Annotated[
        str | None,
        typer.Argument(metavar="[RUN]", help="who is asked; --table and --plot take all without"),
    ] = None,
    rounds: Annotated[
        int | None, typer.Option(min=1, help="so many searches, each until one answer is right")
    ] = None,
    questions: Annotated[
        int | None, typer.Option(min=1, help="ask so many, whatever is answered")
    ] = None,
    until_width: Annotated[
        float | None,
        typer.Option(
            metavar="POINTS",
            help="ask until the 95 % interval is no wider, with what was asked before",
        ),
    ] = None,
    max_questions: Annotated[
        int | None,
        typer.Option(min=1, help="most in one search", show_default="1000, or the whole split"),
    ] = None,
    max_minutes: Annotated[
        float | None, typer.Option(help="most for all of it", show_default="30")
    ] = None,
    checkpoint: Annotated[
        str | None, typer.Option(help="best, last, a step number, or a path", show_default="best")
    ] = None,
    all_checkpoints: Annotated[
        bool, typer.Option("--all-checkpoints", help="every kept step: a curve over training")
    ] = False,
    split: Annotated[
        str | None,
        typer.Option(help="validation or train, the run's own", show_default="validation"),
    ] = None,
    data: Annotated[Path | None, typer.Option(help="a SQuAD file instead", metavar="FILE")] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="of the questions' order", show_default="1")
    ] = None,
    round_size: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="questions asked at once",
            show_default="8; 64 until a width, 256 of a number",
        ),
    ] = None,
    table: Annotated[
        bool, typer.Option("--table", help="ask nothing: every state that was ever asked")
    ] = False,
    plot: Annotated[
        bool, typer.Option("--plot", help="draw what was asked over training steps")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="of the plot: .png, .svg or .pdf", show_default="RUNS/efficacy.png"
        ),
    ] = None,
    runs: Runs = DEFAULT_RUNS,
    as_json: AsJson = False,
) -> None:
    """Ask random questions until one answer is right.

    In rounds, without replacement; each question, its answer and what it earned go to the ledger. Asking
    the same run again goes on in the same order. The ratio of right answers has an exact 95 % interval.
    """
    from qa_research.console import start_logging

    start_logging()
    goals = {"--rounds": rounds, "--questions": questions, "--until-width": until_width}
    given = [name for name, value in goals.items() if value is not None]
    if len(given) > 1:
        raise ValueError(f"{given[0]} and {given[1]} are two different goals; give one")
    if table or plot:
        asking: dict[str, object] = {
            **goals,
            "--max-questions": max_questions,
            "--max-minutes": max_minutes,
        }
        asking |= {"--checkpoint": checkpoint, "--all-checkpoints": all_checkpoints or None}
        asking |= {"--split": split, "--data": data, "--seed": seed, "--round-size": round_size}
        if useless := [name for name, value in asking.items() if value is not None]:
            raise ValueError(f"--table and --plot ask nothing; leave {useless[0]} away")
        if out is not None and not plot:
            raise ValueError("--out names the file of --plot, which is not given")
        _show_all(run, table, plot, out, runs, as_json)
        return
    if run is None:
        raise ValueError("name the RUN to ask; --table and --plot show what was asked of all")
    if out is not None:
        raise ValueError("--out names the file of --plot, which is not given")
    if split is not None and data is not None:
        raise ValueError(
            f"--split {split} belongs to the run's own questions, and --data is a file"
        )
    if all_checkpoints and checkpoint is not None:
        raise ValueError(f"--all-checkpoints asks more than --checkpoint {checkpoint}; give one")
    if split not in (None, "validation", "train"):
        raise ValueError(f"--split must be validation or train, got {split!r}; --data names a file")
    if until_width is not None and not 0 < until_width <= 100:
        raise ValueError(
            f"--until-width must be more than 0 and at most 100 points, got {until_width}"
        )
    max_minutes = 30.0 if max_minutes is None else max_minutes
    if not 0 < max_minutes < float("inf"):
        raise ValueError(f"--max-minutes must be a number above 0, got {max_minutes}")
    from qa_research.efficacy.ask import AskRequest
    from qa_research.runs.checkpoints import kept_steps
    from qa_research.runs.index import ledger_path
    from qa_research.runs.store import find

    directory = find(run, runs)
    ledger = ledger_path(directory)
    if ledger.parent != Path(os.path.abspath(runs.expanduser())):
        print(f"What is asked goes to {ledger} (--runs {ledger.parent} shows it)", file=sys.stderr)
    wish = AskRequest(
        # Not a bare name: a file may be called as a split is.
        data=os.path.join(".", data) if data else split or "validation",
        seed=1 if seed is None else seed,
        searches=rounds or 1,
        questions=questions,
        width=until_width,
        max_questions=max_questions,
        max_minutes=max_minutes,
        round_size=round_size,
    )
    checkpoints = kept_steps(directory) if all_checkpoints else [checkpoint or "best"]
    _ask(directory, checkpoints, all_checkpoints, wish, as_json)


def _ask(
    directory: Path, checkpoints: list[str], is_curve: bool, wish: "AskRequest", as_json: bool
) -> None:
    """Ask the checkpoints and show what came of it: of a curve a table."""
    from qa_research.efficacy.ask import ask_run
    from qa_research.efficacy.show import AskingScreen, show_standing, show_table
    from qa_research.signals import Signals

    screen = AskingScreen(questions=wish.searches == 1 and not is_curve, quiet=as_json)
    with Signals() as signals:
        with signals.deferred():
            results = ask_run(
                directory, checkpoints, wish, screen, lambda: signals.stop is not None
            )
        if as_json:
            print_json(
                [
                    standing.as_json() | {"found": [asdict(found) for found in founds]}
                    for standing, founds in results
                ]
            )
        elif is_curve:
            show_table([standing for standing, _ in results])
        else:
            show_standing(results[0][0])
        signals.check()
    if any(found.ending == "failed" for _, founds in results for found in founds):
        raise typer.Exit(1)


def _show_all(
    run: str | None, table: bool, plot: bool, out: Path | None, runs: Path, as_json: bool
) -> None:
    from qa_research.efficacy.show import show_table
    from qa_research.efficacy.standings import standings
    from qa_research.ledger.runs import LEDGER, Ledger

    with Ledger(runs.expanduser() / LEDGER, read_only=True) as ledger:
        found = standings(ledger)
    if run is not None:
        part = run.rstrip("/")
        if Path(part).is_dir():
            part = "/".join(Path(part).resolve().parts[-2:])
        named = [s for s in found if part in (s.state.run, s.state.run.rsplit("/", 1)[-1])]
        named = named or [s for s in found if part in s.state.run]
        if not named:
            raise ValueError(f"{run} was not asked yet; qa-research efficacy {run} asks")
        found = named
    path = None
    if plot:
        from qa_research.efficacy.figure import efficacy_figure, save_figure

        path = (out or runs / "efficacy.png").expanduser()
        if path.suffix not in (".png", ".svg", ".pdf"):
            raise ValueError(f"--out must end in .png, .svg or .pdf, got {path}")
        save_figure(efficacy_figure(found), path)
    if as_json:
        shown: dict[str, Any] = {"states": [standing.as_json() for standing in found]}
        print_json(shown | ({"plot": str(path)} if path else {}))
        return
    if table:
        show_table(found)
    if path:
        print(f"plot: {path}")
