"""The verbs of `qa-research`. Nothing heavy is imported until a verb runs."""

import json
import shlex
import sys
from typing import Annotated

import typer

from qa_research.cli.answers import ask, evaluate, export, score
from qa_research.cli.attribute import attribute
from qa_research.cli.efficacy import efficacy
from qa_research.cli.ledger import ledger_app
from qa_research.cli.options import DEFAULT_RUNS, AsJson, Run, Runs
from qa_research.cli.runs import runs_app
from qa_research.cli.squad import squad
from qa_research.cli.watch import watch
from qa_research.signals import Signals, Stopped, leave

app = typer.Typer(
    name="qa-research",
    help="Watch BERT learn to answer questions, and trust what you see.",
    epilog="RUN is a run's directory or a part of its name that only it has. "
    "--debug shows a traceback where there would be one sentence.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

app.add_typer(runs_app, name="runs")
app.add_typer(ledger_app, name="ledger")


def main() -> None:
    """Run the verb of the command line; a bad request is one sentence and exit code 2."""
    debug = "--debug" in sys.argv
    sys.argv = [word for word in sys.argv if word != "--debug"]
    if sys.argv[1:2] == ["explain"]:
        from qa_research.launch.explain import main as launch_explain

        sys.argv = ["qa-research explain", *sys.argv[2:], *(["--debug"] if debug else [])]
        sys.exit(launch_explain())
    if sys.argv[1:2] == ["train"]:
        from qa_research.launch.train import CHILD
        from qa_research.launch.train import main as launch

        # Lightning starts further processes of a distributed training as `python sys.argv[0]`.
        sys.argv = [str(CHILD), *sys.argv[2:], *(["--debug"] if debug else [])]
        sys.exit(launch())
    try:
        app()
    except Stopped as stopped:
        command = shlex.join(["qa-research", *sys.argv[1:]])
        print(f"Stopped by {stopped}. Go on with: {command}", file=sys.stderr)
        leave(stopped.exit_code)
    except (ValueError, OSError) as error:
        if debug:
            raise
        text = str(error)
        if isinstance(error, OSError) and error.strerror and error.filename:
            text = f"{error.strerror}: {error.filename}"
        print(f"qa-research: {' '.join(text.split())}", file=sys.stderr)
        sys.exit(2)


@app.command(add_help_option=False, context_settings={"ignore_unknown_options": True})
def train(
    overrides: Annotated[list[str] | None, typer.Argument(metavar="[KEY=VALUE]...")] = None,
) -> None:
    """Train; train --help lists every key.

    The same function as python train.py.
    """
    raise AssertionError(f"main() hands this verb to the launcher, with {overrides}")


@app.command(add_help_option=False, context_settings={"ignore_unknown_options": True})
def explain(
    overrides: Annotated[list[str] | None, typer.Argument(metavar="[KEY=VALUE]...")] = None,
) -> None:
    """Explain an image classifier by LIME; explain --help lists every key.

    And say how far the explanation can be trusted; counterfactual.top=4 blanks the top segments.
    """
    raise AssertionError(f"main() hands this verb to its launcher, with {overrides}")


@app.command()
def resume(
    run: Run,
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KEY=VALUE]...", help="settings that cannot change the result"),
    ] = None,
    runs: Runs = DEFAULT_RUNS,
) -> None:
    """Go on with a run.

    From its own config and its last checkpoint, bit for bit.
    """
    from qa_research.console import start_logging

    start_logging()
    with Signals():
        from qa_research.launch.resume import resume as go_on

        go_on(run, overrides or [], runs)


for verb in (watch, attribute, evaluate, efficacy, score, ask, squad, export):
    app.command()(verb)


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """What this machine has and lacks."""
    from qa_research.cli.doctor import examine, show

    findings = examine()
    if as_json:
        print(json.dumps(findings, ensure_ascii=False, indent=2))
    else:
        show(findings)
