"""What people read while something runs: on stderr, and in a run's train.log."""

import logging
import os
import sys
from pathlib import Path

from rich.console import Console
from rich.logging import RichHandler

screen = Console(stderr=True, highlight=False)
_LOGGER = logging.getLogger("qa_research")


class _Kept(logging.Handler):
    """Holds records until there is a file for them."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


def start_logging() -> None:
    """Show what our loggers say on stderr; other libraries only warn. May be called again."""
    # Nothing leaves the machine unasked, and libraries keep their hints to themselves.
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    for old in list(_LOGGER.handlers):
        _LOGGER.removeHandler(old)
        old.close()
    handler: logging.Handler
    if screen.is_terminal:
        handler = RichHandler(console=screen, show_time=False, show_level=False, show_path=False)
    else:
        handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(lambda record: not getattr(record, "file_only", False))
    _LOGGER.addHandler(handler)
    _LOGGER.addHandler(_Kept())
    _LOGGER.setLevel(logging.INFO)
    _LOGGER.propagate = False


def log_to_file(path: Path) -> None:
    """From now on write everything to `path` too, beginning with what was said before."""
    file = logging.FileHandler(path, encoding="utf-8")
    file.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%Y-%m-%d %H:%M:%S"))
    for handler in list(_LOGGER.handlers):
        if isinstance(handler, _Kept):
            for record in handler.records:
                file.emit(record)
            _LOGGER.removeHandler(handler)
    _LOGGER.addHandler(file)
