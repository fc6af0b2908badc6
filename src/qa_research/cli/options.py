"""Options and output that verbs share."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from qa_research.capture.recording.reader import Recording


Run = Annotated[
    str, typer.Argument(metavar="RUN", help="a directory, or a unique part of its name")
]
Runs = Annotated[Path, typer.Option("--runs", help="where runs lie", metavar="DIR")]
AsJson = Annotated[bool, typer.Option("--json", help="print JSON and nothing else on stdout")]
DEFAULT_RUNS = Path("runs")


def print_json(value: Any) -> None:
    """What --json prints, for every verb."""
    print(json.dumps(value, ensure_ascii=False, indent=2))


def given_text(context: str | None, context_file: Path | None) -> str:
    """The text of --context, or of the file of --context-file; - is stdin."""
    if (context is None) == (context_file is None):
        raise ValueError("give the text with either --context or --context-file")
    if context_file is None:
        return context or ""
    return (
        sys.stdin.read() if str(context_file) == "-" else context_file.read_text(encoding="utf-8")
    )


def opened_recording(directory: Path) -> "Recording":
    """What was seen inside a run.

    Raises:
        FileNotFoundError: nothing was recorded.
    """
    from qa_research.capture.recording.files import RECORDING
    from qa_research.capture.recording.reader import Recording

    try:
        return Recording(directory / RECORDING)
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"{directory.name} has no {RECORDING}: it was trained without looking inside (capture=none), or "
            "has not begun"
        ) from error
