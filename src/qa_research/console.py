"""What people read: screens and tables, and, while something runs, messages, on stderr and in train.log.

A screen shows text and never obeys it: no markup, no emoji codes, no control characters.
"""

import logging
import os
import sys
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from logging.handlers import MemoryHandler
from pathlib import Path
from typing import TextIO, TypeVar

from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderResult
from rich.logging import RichHandler
from rich.progress import track
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from qa_research.text import aligned, disarmed

# Columns of a terminal that a text beside another one is given at least.
NARROWEST = 20


class _Disarmed:
    """A renderable whose text a terminal shows and does not obey; rich's own codes are not text."""

    def __init__(self, inside: ConsoleRenderable) -> None:
        self._inside = inside

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for text, style, control in console.render(self._inside, options):
            yield Segment(text if control else disarmed(text), style, control)


class _Disarming:
    """A hook of rich that every renderable passes before it is drawn."""

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        return [_Disarmed(renderable) for renderable in renderables]


class Screen(Console):
    """A terminal gets lines of its width, a pipe full ones; text is shown as it is.

    Style with `Text`; markup such as `[bold]` is text like any other.
    """

    def __init__(self, stderr: bool = False) -> None:
        super().__init__(stderr=stderr, highlight=False, markup=False, emoji=False)
        self.soft_wrap = not self.is_terminal
        self.push_render_hook(_Disarming())  # type: ignore[arg-type]

    def table(
        self,
        header: Sequence[str | Text],
        rows: Sequence[Sequence[str | Text]],
        right: Collection[int] = (),
        dim: Collection[int] = (),
        whole: Collection[int] = (),
    ) -> None:
        """Print columns: on a terminal long cells are folded, in a pipe a row is a line of any length.

        `right`: the columns that are aligned right; `dim`: the rows that matter less; `whole`: narrow
        columns, which are not folded as long as others can be.
        """
        cells = [[_cell(cell) for cell in row] for row in rows]
        names = [_cell(name) for name in header]
        if not self.is_terminal:
            plain = [
                [cell.plain for cell in row] for row in ([names] if any(names) else []) + cells
            ]
            for line in aligned(plain, right):
                self.print(line)
            return
        table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
        table.show_header = any(names)
        for place, name in enumerate(names):
            justify = "right" if place in right else "left"
            table.add_column(
                name,
                justify=justify,  # type: ignore[arg-type]
                overflow="fold",
                no_wrap=place in whole,
            )
        for number, row in enumerate(cells):
            table.add_row(*row, style="dim" if number in dim else None)
        self.print(table)

    def beside(self, left: Text, right: Text) -> None:
        """Print a line of two columns; on a terminal the right one is folded, and stays right of the left."""
        if self.is_terminal:
            room = max(self.width - left.cell_len, NARROWEST)
            lines = right.wrap(self, room)
            for line in lines:
                line.rstrip()
            right = Text("\n" + " " * left.cell_len).join(lines)
        self.print(left + right)


def styled(*parts: str | tuple[str, str], lines: bool = True) -> Text:
    """The parts, each a text or a text and its style, as one text of rich, disarmed before it is laid out."""
    pieces = [(part, "") if isinstance(part, str) else part for part in parts]
    return Text.assemble(*((disarmed(text, lines), style) for text, style in pieces))


def _cell(cell: str | Text) -> Text:
    return cell if isinstance(cell, Text) else styled(cell, lines=False)


screen = Screen(stderr=True)
SECONDS_BEFORE_A_LINE = 2.0
# Between the columns of a line that is laid out, as `See the curves     tensorboard --logdir ...`.
COLUMNS = "  "
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


class _OnTerminal(RichHandler):
    """Folds sentences at blanks; a line laid out in columns stays whole: it may hold a command to paste."""

    def emit(self, record: logging.LogRecord) -> None:
        text = self.format(record)
        if COLUMNS in text.strip():
            self.console.print(self.render_message(record, text), soft_wrap=True)
        else:
            super().emit(record)


class _DisarmedLines(logging.Formatter):
    """Messages hold names of files and questions: a line break in one would look like another message."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        return disarmed(super().formatMessage(record), lines=False)


class _LogFile(logging.FileHandler):
    """Ends at the first line that cannot be written; that alone must not end a training."""

    is_ended = False

    def emit(self, record: logging.LogRecord) -> None:
        if not self.is_ended:
            super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 (logging's name)
        reason = sys.exc_info()[1]
        if not isinstance(reason, OSError):
            super().handleError(record)
            return
        # It stays a handler: one that went while a message is passed on would hide it from the next one.
        self.is_ended = True
        with suppress(OSError):
            # What is left in its buffer cannot be written, either.
            self.close()
        _LOGGER.warning("%s could not be written: %s", self.baseFilename, reason)


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
        handler = _OnTerminal(console=screen, show_time=False, show_level=False, show_path=False)
    else:
        handler = _ToStderr()
    handler.setFormatter(_DisarmedLines("%(message)s"))
    handler.addFilter(lambda record: not getattr(record, "file_only", False))
    _LOGGER.addHandler(handler)
    # Without a target it keeps all records, for the log file to come.
    _LOGGER.addHandler(MemoryHandler(capacity=0))
    _LOGGER.setLevel(logging.INFO)
    _LOGGER.propagate = False


def tracked(items: Sequence[Item], what: str) -> Iterator[Item]:
    """The items, with a progress bar on a terminal and an occasional line elsewhere; one item has neither.

    Nor has a loop inside another one: what is shown is how far the outer one is.
    """
    if len(items) < 2 or _Shown.loops:
        yield from items
        return
    _Shown.loops += 1
    try:
        yield from _with_progress(items, what)
    finally:
        _Shown.loops -= 1


class _Shown:
    """How many loops show their progress now."""

    loops = 0


def _with_progress(items: Sequence[Item], what: str) -> Iterator[Item]:
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
    """From now on also log to `path` alone, starting with everything logged so far."""
    # That of a training before it in this process, such as one of a sweep.
    close_log_file()
    file = _LogFile(path, encoding="utf-8")
    file.setFormatter(_DisarmedLines("%(asctime)s %(message)s", "%Y-%m-%d %H:%M:%S"))
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
