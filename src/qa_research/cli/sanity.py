"""The verb that checks whether a training is wired up correctly."""

from typing import Annotated

import typer

from qa_research.cli.options import AsJson


def sanity(
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="KEY=VALUE", help="the settings of the training, as train takes them"
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check, before it runs, that a training is wired up correctly.

    Each check is ok, red (with what was expected and where to look) or skipped (with the reason); a red one
    makes the exit code 1. Nothing is trained for good, and no run is written.
    """
    from qa_research.launch.sanity import launch

    raise typer.Exit(launch(overrides or [], as_json))
