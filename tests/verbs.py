"""Every verb of `qa-research`, as its command line finds it."""

from collections.abc import Iterator
from typing import Any

import typer

from qa_research.cli.verbs import app


def every_verb(group: Any, before: str = "") -> Iterator[tuple[str, Any]]:
    """Each verb by its words, such as `efficacy plot`; also a group that does something by itself."""
    for name, command in group.commands.items():
        if getattr(command, "invoke_without_command", False):
            yield before + name, command
        if hasattr(command, "commands"):
            yield from every_verb(command, f"{before}{name} ")
        else:
            yield before + name, command


VERBS = dict(every_verb(typer.main.get_command(app)))
