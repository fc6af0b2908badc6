"""The verbs of `qa-research`. Nothing heavy is imported until a verb runs."""

from collections.abc import Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from qa_research.cli.answers import ask, evaluate, export, predict, score
from qa_research.cli.attribute import attribute
from qa_research.cli.bundle import bundle
from qa_research.cli.data_map import data_map
from qa_research.cli.doctor import doctor
from qa_research.cli.efficacy import efficacy_app
from qa_research.cli.forward import forward
from qa_research.cli.graft import graft
from qa_research.cli.influence import influence
from qa_research.cli.ledger import ledger_app
from qa_research.cli.options import DEFAULT_RUNS, Run, Runs
from qa_research.cli.patch import patch
from qa_research.cli.probe import probe
from qa_research.cli.replay import fork, replay
from qa_research.cli.report import report
from qa_research.cli.runs import runs_app
from qa_research.cli.sanity import sanity
from qa_research.cli.squad import squad_app
from qa_research.cli.stacks import stacks_app
from qa_research.cli.watch import watch
from qa_research.cli.weights import weights
from qa_research.cli.what_if import what_if
from qa_research.signals import Signals, exit_code_of, without_debug
from qa_research.text import command_line, print_line, print_note


class Verbs(TyperGroup):
    """Lists the verbs in the order in which they are needed; Typer would put groups of verbs last."""

    order = (
        "train sanity resume replay fork what-if runs evaluate predict ask forward efficacy squad "
        "watch report attribute probe weights data-map influence graft patch explain stacks score export "
        "bundle ledger doctor"
    )

    def list_commands(self, ctx: Any) -> list[str]:
        return sorted(self.commands, key=self.order.split().index)


app = typer.Typer(
    name="qa-research",
    cls=Verbs,
    epilog="RUN is the directory of a run, or a part of its name that no other run has; verbs that ask also "
    "take a Hugging Face question-answering directory or a hub id. "
    "With --debug an error shows its traceback instead of one sentence.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _show_version(is_asked: bool) -> None:
    if is_asked:
        from qa_research.runs.versions import version_line

        print_line(version_line())
        raise typer.Exit


@app.callback()
def of_all_verbs(
    _: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_show_version,
            is_eager=True,
            help="show the versions of qa_research, Python and torch, and exit",
        ),
    ] = False,
) -> None:
    """Watch BERT learn to answer questions, and trust what you see."""


# Hydra reads the words after such a verb, options and --help included.
WORDS_FOR_HYDRA = {"ignore_unknown_options": True, "allow_extra_args": True}
KEY_VALUE = "KEY=VALUE"


def run(typed: Sequence[str]) -> int:
    """Run the verb that the words of a command line name; the exit code.

    A request that cannot be carried out is one sentence, also where a word is missing or unknown. Every verb
    stops at Ctrl-C, SIGTERM and SIGHUP by unwinding, so that it leaves no half-written file.
    """
    words, debug = without_debug(typed)

    def work() -> int:
        _refuse_empty(words)
        try:
            code = app(words, prog_name="qa-research", obj=debug, standalone_mode=False)
        except typer.TyperException as error:
            return _show_usage_error(error)
        except typer.Abort as error:
            raise ValueError("nothing was done: the question was not answered") from error
        return int(code or 0)

    with Signals():
        return exit_code_of(work, debug, command_line("qa-research", *words))


def _refuse_empty(words: Sequence[str]) -> None:
    """Raise ValueError if a word is empty, or an option's value: nothing that a verb takes may be.

    `runs remove "$UNSET"` would otherwise be a part of every name, and `--runs ""` this directory.
    """
    for before, word in zip(["", *words], words, strict=False):
        is_assigned = word.startswith("--") and word.endswith("=")
        if is_assigned or not word.strip():
            option = word.removesuffix("=") if is_assigned else before
            after = f" after {option}" if option else ""
            raise ValueError(f"an argument is empty{after}; is a variable of the shell not set?")


def _show_usage_error(error: typer.TyperException) -> int:
    """One sentence on a word that is missing or unknown; without any words, the help. The exit code."""
    text = error.format_message()
    context = getattr(error, "ctx", None)
    if text.lstrip().startswith("Usage:"):
        print_note(text)
    elif context is None:
        print_note(f"qa-research: {text}")
    else:
        sentence = " ".join(text.split()).rstrip(".")
        print_note(
            f"qa-research: {sentence}; see {context.command_path} --help",
        )
    return 2


@app.command(
    add_help_option=False, options_metavar=f"[{KEY_VALUE}]...", context_settings=WORDS_FOR_HYDRA
)
def train(context: typer.Context) -> None:
    """Train a network; every key is in train --help.

    The same function as python train.py.
    """
    from qa_research.launch.train import launch

    raise typer.Exit(launch(context.args, debug=context.obj))


@app.command(
    add_help_option=False, options_metavar=f"[{KEY_VALUE}]...", context_settings=WORDS_FOR_HYDRA
)
def explain(context: typer.Context) -> None:
    """Explain an image by LIME; every key is in explain --help.

    Which segments made the classifier's answer, and how far the explanation can be trusted.
    """
    from qa_research.launch.explain import launch

    raise typer.Exit(launch(context.args, debug=context.obj))


@app.command()
def resume(
    run: Run,
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar=KEY_VALUE, help="settings that cannot change the result"),
    ] = None,
    runs: Runs = DEFAULT_RUNS,
) -> None:
    """Resume a run, bit for bit.

    From its own config and its last checkpoint.
    """
    from qa_research.console import start_logging

    start_logging()
    with Signals():
        from qa_research.launch.resume import resume as resume_run

        resume_run(run, overrides or [], runs)


app.command()(replay)
app.command()(fork)
app.command()(what_if)
app.command()(sanity)
app.command()(watch)
app.command()(report)
app.command()(attribute)
app.command()(probe)
app.command()(weights)
app.command()(data_map)
app.command()(influence)
app.command()(graft)
app.command()(patch)
app.command()(evaluate)
app.command()(predict)
app.add_typer(efficacy_app, name="efficacy")
app.command()(score)
app.command()(ask)
app.command()(forward)
app.add_typer(squad_app, name="squad")
app.command()(export)
app.command()(bundle)
app.add_typer(runs_app, name="runs")
app.add_typer(stacks_app, name="stacks")
app.add_typer(ledger_app, name="ledger")
app.command()(doctor)
