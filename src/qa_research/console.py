"""What people read while something runs, on stderr and in a run's train.log."""

import logging
import os
import sys
import time
from collections.abc import Iterator, Sequence
from logging.handlers import MemoryHandler
from pathlib import Path
from typing import TextIO, TypeVar

from rich.console import Console
from rich.logging import RichHandler
from rich.progress import track

screen = Console(stderr=True, highlight=False)
SECONDS_BEFORE_A_LINE = 2.0
SECONDS_BETWEEN_LINES = 10.0
_LOGGER = logging.getLogger("qa_research")
Item = TypeVar("Item")


class _ToStderr(logging.StreamHandler[TextIO]):
    """Writes to the current stderr; the one of the start may have been replaced and closed."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:  # type: ignore[override]
        return sys.stderr


def start_logging() -> None:
    """Show our log messages on stderr, and only warnings of other libraries. May be called again."""
    # No telemetry, and no progress bars or hints of libraries.
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("HF_HUB_VERBOSITY", "error")
    for old in list(_LOGGER.handlers):
        _LOGGER.removeHandler(old)
        old.close()
    handler: logging.Handler
    if screen.is_terminal:
        handler = RichHandler(console=screen, show_time=False, show_level=False, show_path=False)
    else:
        handler = _ToStderr()
    handler.addFilter(lambda record: not getattr(record, "file_only", False))
    _LOGGER.addHandler(handler)
    # Without a target it keeps all records, for the log file to come.
    _LOGGER.addHandler(MemoryHandler(capacity=0))
    _LOGGER.setLevel(logging.INFO)
    _LOGGER.propagate = False


def tracked(items: Sequence[Item], what: str) -> Iterator[Item]:
    """The items, with a progress bar on a terminal and an occasional line elsewhere; one item has neither."""
    if len(items) < 2:
        yield from items
        return
    if screen.is_terminal:
        yield from track(items, what, console=screen, transient=True)
        return
    next_line = time.monotonic() + SECONDS_BEFORE_A_LINE
    for done, item in enumerate(items):
        if time.monotonic() > next_line:
            next_line = time.monotonic() + SECONDS_BETWEEN_LINES
            _LOGGER.info("%s: %d %%", what, 100 * done // len(items))
        yield item


def log_to_file(path: Path) -> None:
    """From now on also log to `path`, starting with everything logged so far."""
    file = logging.FileHandler(path, encoding="utf-8")
    file.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%Y-%m-%d %H:%M:%S"))
    for handler in list(_LOGGER.handlers):
        if isinstance(handler, MemoryHandler):
            handler.setTarget(file)
            handler.close()
            _LOGGER.removeHandler(handler)
    _LOGGER.addHandler(file)


def close_log_file() -> None:
    """Stop logging to files."""
    for handler in list(_LOGGER.handlers):
        if isinstance(handler, logging.FileHandler):
            _LOGGER.removeHandler(handler)
            handler.close()


def readable_size(size_bytes: int) -> str:
    """Bytes in decimal units: 1,234,567 is "1.2 MB"."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6)):
        if size_bytes >= factor:
            return f"{size_bytes / factor:.1f} {unit}"
    return f"{size_bytes / 1e3:.1f} kB"
