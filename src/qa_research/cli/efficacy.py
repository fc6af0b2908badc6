"""`qa-research efficacy ...`: ask random questions until one answer is right, and show all that was asked."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

import typer

from qa_research.cli.options import (
    DEFAULT_CHECKPOINT,
    DEFAULT_ENCODING,
    DEFAULT_FORMAT,
    DEFAULT_RUNS,
    DEFAULT_SEED,
    OUT_HELP,
    PICTURE_FORMATS,
    AsJson,
    Checkpoint,
    Data,
    Encoding,
    Model,
    OnBadRows,
    PictureFormat,
    Runs,
    Seed,
    ShortForm,
    Split,
    Threads,
    check_options_of_file,
    checked_format,
    split_or_file,
    verb_group,
)
from qa_research.text import command_line, print_json, print_line, print_note
from qa_research.threads import use_threads

if TYPE_CHECKING:
    from qa_research.efficacy.ask import AskRequest
    from qa_research.efficacy.standings import Standing
    from qa_research.runs.named import NamedModel


class EfficacyVerbs(ShortForm):
    """`efficacy RUN` asks; --table and --plot were options once."""

    default = "ask"
    renamed: ClassVar[dict[str, str]] = {
        "--table": "efficacy table",
        "--plot": "efficacy plot",
        "--out": "efficacy plot --out DIR",
    }


efficacy_app = verb_group(
    "Ask random questions until one answer is right.\n\n"
    "efficacy RUN is short for efficacy ask RUN.",
    EfficacyVerbs,
)
SomeRuns = Annotated[
    str | None,
    typer.Argument(
        metavar="[RUN]",
        help="only this run: a directory, or a part of its name",
        show_default="all",
    ),
]


Rounds = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        min=1,
        help="number of searches, each until an answer is right",
        show_default="1",
    ),
]
Questions = Annotated[
    int | None, typer.Option(metavar="N", min=1, help="ask this many, right or wrong")
]
UntilWidth = Annotated[
    float | None,
    typer.Option(
        metavar="POINTS",
        help="ask until the 95 % interval is this narrow, counting what was asked before",
    ),
]
MaxQuestions = Annotated[
    int | None,
    typer.Option(
        metavar="N", min=1, help="limit of one search", show_default="1000, or the whole split"
    ),
]
MaxMinutes = Annotated[
    float, typer.Option(metavar="MINUTES", help="limit of all searches together")
]
AllCheckpoints = Annotated[
    bool, typer.Option("--all-checkpoints", help="every kept step: a curve over training")
]
RoundSize = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        min=1,
        help="questions asked at once",
        show_default="8; with --until-width 64, with --questions 256",
    ),
]


@efficacy_app.command()
def ask(
    run: Model,
    rounds: Rounds = None,
    questions: Questions = None,
    until_width: UntilWidth = None,
    max_questions: MaxQuestions = None,
    max_minutes: MaxMinutes = 30.0,
    checkpoint: Checkpoint = DEFAULT_CHECKPOINT,
    all_checkpoints: AllCheckpoints = False,
    split: Split = None,
    data: Data = None,
    encoding: Encoding = DEFAULT_ENCODING,
    on_bad_rows: OnBadRows = "error",
    seed: Seed = DEFAULT_SEED,
    round_size: RoundSize = None,
    runs: Runs = DEFAULT_RUNS,
    threads: Threads = None,
    as_json: AsJson = False,
) -> None:
    """Ask random questions until one answer is right.

    In rounds, without replacement. Each question, its answer and its score go to the ledger; asking the
    same run again continues in the same order. The ratio of right answers has an exact 95 % interval.
    """
    from qa_research.console import start_logging

    start_logging()
    _check_goals(
        {"--rounds": rounds, "--questions": questions, "--until-width": until_width}, until_width
    )
    if questions is not None and max_questions is not None and questions > max_questions:
        raise ValueError(f"--questions {questions} is more than --max-questions {max_questions}")
    asked = split_or_file(split, data)
    choice = check_options_of_file(data, encoding, on_bad_rows)
    if all_checkpoints and checkpoint != DEFAULT_CHECKPOINT:
        raise ValueError(
            f"--all-checkpoints asks more than --checkpoint {checkpoint}; use one of them"
        )
    if not 0 < max_minutes < float("inf"):
        raise ValueError(f"--max-minutes must be a number above 0, got {max_minutes}")
    from qa_research.runs.named import find_model

    named = find_model(run, runs)
    named.check_has_questions(are_named=data is not None)
    checkpoints = named.all_checkpoints() if all_checkpoints else [checkpoint]
    if not named.is_run:
        for name in checkpoints:
            named.chosen_weights(name)
    from qa_research.efficacy.ask import AskRequest

    request = AskRequest(
        data=asked,
        seed=seed,
        searches=rounds or 1,
        questions=questions,
        width=until_width,
        max_questions=max_questions,
        max_minutes=max_minutes,
        round_size=round_size,
        encoding=encoding,
        on_bad_rows=choice,
    )
    use_threads(threads)
    _ask(named, checkpoints, all_checkpoints, request, as_json, runs)


@efficacy_app.command()
def table(run: SomeRuns = None, runs: Runs = DEFAULT_RUNS, as_json: AsJson = False) -> None:
    """Show everything that was ever asked.

    A line for each run, step and set of questions; nothing is asked.
    """
    found = _standings(run, runs)
    if as_json:
        print_json({"states": [standing.as_json() for standing in found]})
        return
    from qa_research.efficacy.show import show_table

    show_table(found)


@efficacy_app.command()
def plot(
    run: SomeRuns = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help=OUT_HELP, show_default="the folder of the runs"),
    ] = None,
    picture_format: PictureFormat = DEFAULT_FORMAT,
    runs: Runs = DEFAULT_RUNS,
    as_json: AsJson = False,
) -> None:
    """Draw right answers over training steps.

    Of everything that was ever asked, with 95 % bands; nothing is asked.
    """
    folder = (out or runs).expanduser()
    if folder.suffix.removeprefix(".") in PICTURE_FORMATS and not folder.is_dir():
        raise ValueError(
            f"--out is a directory, got {folder}: --out {folder.parent} "
            f"--format {folder.suffix.removeprefix('.')} writes the plot there"
        )
    path = folder / f"efficacy.{checked_format(picture_format)}"
    from qa_research.efficacy.figure import efficacy_figure
    from qa_research.figures.saving import save_figure
    from qa_research.runs.directory import check_writable

    check_writable(folder, "--out DIR")
    found = _standings(run, runs)
    save_figure(efficacy_figure(found), path)
    if as_json:
        print_json({"states": [standing.as_json() for standing in found], "plot": str(path)})
    else:
        print_line(f"Plot     {path}")


def _check_goals(goals: dict[str, object], until_width: float | None) -> None:
    """Refuse two goals of one search, and an interval that no ratio can have."""
    given = [name for name, value in goals.items() if value is not None]
    if len(given) > 1:
        raise ValueError(f"{given[0]} and {given[1]} are two different goals; use one of them")
    if until_width is not None and not 0 < until_width <= 100:
        raise ValueError(
            f"--until-width must be more than 0 and at most 100 points, got {until_width}"
        )


def _ask(
    named: "NamedModel",
    checkpoints: list[str],
    is_curve: bool,
    request: "AskRequest",
    as_json: bool,
    runs: Path,
) -> None:
    """Ask the checkpoints and show what came of it: a table if they are a curve over training."""
    from qa_research.efficacy.ask import ask_run
    from qa_research.efficacy.show import AskingScreen, show_standing, show_table
    from qa_research.runs.named import remember
    from qa_research.signals import Signals

    screen = AskingScreen(questions=request.searches == 1 and not is_curve, quiet=as_json)
    with Signals() as signals:
        with signals.deferred():
            results = ask_run(named, checkpoints, request, screen, lambda: signals.stop is not None)
        place = named.ledger.parent
        remember(named.typed, runs)
        if named.directory.resolve().parent.parent != runs.expanduser().resolve():
            print_note(f"The answers are recorded in {named.ledger} (--runs {place} shows it)")
        if as_json:
            print_json([result.as_json() for result in results])
        elif is_curve:
            show_table([result.standing for result in results])
            elsewhere = () if place == DEFAULT_RUNS.absolute() else ("--runs", place)
            plot = command_line("qa-research", "efficacy", "plot", named.typed, *elsewhere)
            print_line(f"{plot} draws them over training steps")
        else:
            show_standing(results[0].standing)
        signals.check()
    if any(found.ending == "failed" for result in results for found in result.found):
        raise typer.Exit(1)


def _standings(run: str | None, runs: Path) -> "list[Standing]":
    """What is known of all runs, or of those with a name that contains `run`."""
    from qa_research.console import start_logging
    from qa_research.efficacy.standings import standings
    from qa_research.ledger.runs import LEDGER, Ledger

    start_logging()
    with Ledger(runs.expanduser() / LEDGER, read_only=True) as ledger:
        found = standings(ledger)
    if run is None:
        return found
    part = run.rstrip("/")
    if Path(part).is_dir():
        from qa_research.runs.named import model_place

        part = "/".join(model_place(Path(part)).parts[-2:])
    # A full name comes before parts of names: "tiny" means the run tiny, even if there is also a tiny-2.
    named = [s for s in found if part in (s.state.run, s.state.run.rsplit("/", 1)[-1])]
    named = named or [s for s in found if part in s.state.run]
    if not named:
        raise ValueError(
            f"{run} has not been asked anything yet; "
            f"{command_line('qa-research', 'efficacy', run, '--runs', runs)} asks it"
        )
    return named
