"""The verbs of `stacks`: sample a program's Python stacks at random times, and look at what was sampled."""

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from qa_research.cli.options import DEFAULT_RUNS, DEFAULT_SEED, AsJson, Runs, Seed
from qa_research.cli.stacks_views import (
    Number,
    Sampled,
    compare,
    search,
    show_flame,
    speedscope,
    tree,
)
from qa_research.text import print_json, print_line

COMMAND = "command"


class Stacks(TyperGroup):
    """`stacks -- COMMAND` samples a command, in place of a verb."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        place = args.index("--") if "--" in args else 0
        # After a verb it only says that no option follows.
        if "--" in args and not set(args[:place]) & self.commands.keys():
            ctx.meta[COMMAND] = args[place + 1 :]
            args = args[:place]
        return list(super().parse_args(ctx, args))

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        return ["[OPTIONS] -- COMMAND", "|", *super().collect_usage_pieces(ctx)[1:]]


stacks_app = typer.Typer(
    cls=Stacks,
    invoke_without_command=True,
    subcommand_metavar="VERB ...",
    help="Sample what a program is doing, at random times.\n\n"
    "stacks -- python train.py ... starts a training and samples it; --pid N samples one that runs. "
    "Afterwards it says what bounds the training, and which phases take how much of its time.",
)


@stacks_app.callback()
def sample(
    context: typer.Context,
    pid: Annotated[
        int | None, typer.Option("--pid", metavar="N", min=1, help="sample this running training")
    ] = None,
    every: Annotated[
        float,
        typer.Option("--every", metavar="SECONDS", help="from one sample to the next, on average"),
    ] = 0.1,
    seconds: Annotated[
        float | None,
        typer.Option(
            "--seconds",
            metavar="N",
            help="of --pid: how long",
            show_default="until it ends, or Ctrl-C",
        ),
    ] = None,
    seed: Seed = DEFAULT_SEED,
    runs: Runs = DEFAULT_RUNS,
) -> None:
    """Sample a command or a running training."""
    if context.invoked_subcommand is not None:
        return
    words: list[str] | None = context.meta.get(COMMAND)
    if (pid is None) == (not words):
        raise ValueError(
            "stacks samples one thing: a command (stacks -- python train.py ...) or a running training "
            "(stacks --pid N)"
        )
    _check_seconds("--every", every)
    if seconds is not None:
        _check_seconds("--seconds", seconds)
    from qa_research.console import start_logging
    from qa_research.stacks.launching import (
        announcement_of,
        check_answered,
        own_folder,
        sample_command,
        sample_process,
    )

    start_logging()
    place = runs.expanduser()
    if pid is not None:
        sampler = sample_process(announcement_of(pid, place), every, seed, seconds)
        _tell(sampler, place)
        return
    assert words
    with own_folder() as folder:
        sampler, code = sample_command(words, every, seed, folder)
        # A command that failed has said why.
        if code == 0:
            check_answered(sampler, words)
        _tell(sampler, place)
    raise typer.Exit(code)


@stacks_app.command()
def show(
    run: Sampled, number: Number = None, runs: Runs = DEFAULT_RUNS, as_json: AsJson = False
) -> None:
    """Show the bottleneck of a training, and the time of each phase.

    The verdict with its evidence and what to try next; the share of each phase with its 95 % interval; and
    how far the samples can be trusted.
    """
    from qa_research.stacks.choosing import choose
    from qa_research.stacks.telling import lines_of, told_as_json

    chosen = choose(run, runs.expanduser(), number)
    if as_json:
        print_json(told_as_json(chosen.name, chosen.recordings))
        return
    print_line("\n".join([*lines_of(chosen.recordings), *chosen.caveats]).strip())


@stacks_app.command("list")
def list_all(runs: Runs = DEFAULT_RUNS, as_json: AsJson = False) -> None:
    """List what was sampled.

    These are the recordings in the ledger, each of one process.
    """
    from dataclasses import asdict

    from qa_research.console import Screen
    from qa_research.ledger.runs import LEDGER, Ledger
    from qa_research.ledger.stacks import list_recordings

    with Ledger(runs.expanduser() / LEDGER, read_only=True) as ledger:
        entries = list_recordings(ledger)
    if as_json:
        print_json([asdict(entry) for entry in entries])
        return
    if not entries:
        print_line(
            "Nothing has been sampled yet; qa-research stacks -- python train.py ... does it"
        )
        return
    rows = [
        (
            str(entry.number),
            entry.run,
            str(entry.rank),
            f"{entry.samples:,}",
            "imported" if entry.started is None else entry.started[:16].replace("T", " "),
        )
        for entry in entries
    ]
    Screen().table(("number", "run", "rank", "samples", "started"), rows, right=(0, 2, 3))


stacks_app.command("flame")(show_flame)
stacks_app.command()(tree)
stacks_app.command()(search)
stacks_app.command()(compare)
stacks_app.command()(speedscope)


def _check_seconds(option: str, value: float) -> None:
    if not 0 < value < float("inf"):
        raise ValueError(f"{option} must be a number of seconds above 0, got {value:g}")


def _tell(sampler: Any, runs: Path) -> None:
    # Slow to import, and only needed once all is sampled.
    from qa_research.stacks.collecting import collect
    from qa_research.stacks.telling import tell

    tell(collect(sampler, runs))
