"""The verb that asks a run random questions until it knows one: efficacy."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from qa_research.cli_runs import DEFAULT_RUNS, AsJson, Runs

if TYPE_CHECKING:
    from qa_research.ledger.standings import Standing


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
    max_minutes: Annotated[float, typer.Option(help="most for all of it")] = 30.0,
    checkpoint: Annotated[str, typer.Option(help="best, last, a step number, or a path")] = "best",
    all_checkpoints: Annotated[
        bool, typer.Option("--all-checkpoints", help="every kept step: a curve over training")
    ] = False,
    split: Annotated[str, typer.Option(help="validation or train, the run's own")] = "validation",
    data: Annotated[Path | None, typer.Option(help="a SQuAD file instead", metavar="FILE")] = None,
    seed: Annotated[int, typer.Option(min=0, help="of the questions' order")] = 1,
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
    the same run again asks in another order. The ratio of right answers has an exact 95 % interval.
    """
    from qa_research.console import start_logging

    start_logging()
    goals = {"--rounds": rounds, "--questions": questions, "--until-width": until_width}
    given = [name for name, value in goals.items() if value is not None]
    if len(given) > 1:
        raise ValueError(f"{given[0]} and {given[1]} are two different goals; give one")
    if table or plot:
        if given or all_checkpoints:
            raise ValueError(
                f"--table and --plot ask nothing; leave {(given or ['--all-checkpoints'])[0]} away"
            )
        _show_all(run, table, plot, out, runs, as_json)
        return
    if run is None:
        raise ValueError("name the RUN to ask; --table and --plot show what was asked of all")
    if out is not None:
        raise ValueError("--out names the file of --plot, which is not given")
    if split not in ("validation", "train"):
        raise ValueError(f"--split must be validation or train, got {split!r}; --data names a file")
    if until_width is not None and not 0 < until_width <= 100:
        raise ValueError(
            f"--until-width must be more than 0 and at most 100 points, got {until_width}"
        )
    if max_minutes <= 0:
        raise ValueError(f"--max-minutes must be more than 0, got {max_minutes}")
    from qa_research.run.asking import Wish, ask_run, kept_steps
    from qa_research.run.runs import find
    from qa_research.run.show_asked import AskingScreen
    from qa_research.run.show_standings import show_standing, show_table
    from qa_research.run.stop import Signals

    directory = find(run, runs)
    checkpoints = kept_steps(directory) if all_checkpoints else [checkpoint]
    wish = Wish(
        data=str(data) if data else split,
        seed=seed,
        searches=rounds or 1,
        questions=questions,
        width=until_width,
        max_questions=max_questions,
        max_minutes=max_minutes,
        round_size=round_size,
    )
    screen = AskingScreen(questions=wish.searches == 1 and not all_checkpoints, quiet=as_json)
    with Signals() as signals:
        with signals.deferred():
            results = ask_run(
                directory, checkpoints, wish, screen, lambda: signals.stop is not None
            )
        if as_json:
            _print_json(
                [
                    _as_json(standing) | {"found": [asdict(found) for found in founds]}
                    for standing, founds in results
                ]
            )
        elif all_checkpoints:
            show_table([standing for standing, _ in results])
        else:
            show_standing(results[0][0])
        signals.check()


def _show_all(
    run: str | None, table: bool, plot: bool, out: Path | None, runs: Path, as_json: bool
) -> None:
    from qa_research.ledger.ledger import LEDGER, Ledger
    from qa_research.ledger.standings import standings
    from qa_research.run.show_standings import show_table

    with Ledger(runs.expanduser() / LEDGER, read_only=True) as ledger:
        found = standings(ledger)
    if run is not None:
        named = [s for s in found if run.rstrip("/") in s.state.run or s.state.run in run]
        if not named:
            raise ValueError(f"{run} was not asked yet; qa-research efficacy {run} asks")
        found = named
    path = None
    if plot:
        from qa_research.report.efficacy import efficacy_figure, save_figure

        path = (out or runs / "efficacy.png").expanduser()
        if path.suffix not in (".png", ".svg", ".pdf"):
            raise ValueError(f"--out must end in .png, .svg or .pdf, got {path}")
        save_figure(efficacy_figure(found), path)
    if as_json:
        shown: dict[str, Any] = {"states": [_as_json(standing) for standing in found]}
        _print_json(shown | ({"plot": str(path)} if path else {}))
        return
    if table:
        show_table(found)
    if path:
        print(f"plot: {path}")


def _as_json(standing: "Standing") -> dict[str, Any]:
    from qa_research.report.efficacy import as_json

    return as_json(standing)


def _print_json(value: Any) -> None:
    print(json.dumps(value, ensure_ascii=False, indent=2))
