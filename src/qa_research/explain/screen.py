"""Progress of an explanation: a bar on a terminal, a line now and then elsewhere, on stderr."""

import logging
import time
from types import TracebackType
from typing import Self

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from qa_research.console import SECONDS_BEFORE_A_LINE, SECONDS_BETWEEN_LINES, screen

log = logging.getLogger(__name__)


class ExplainingScreen:
    """Told of every part of an explanation and of every masked picture that was predicted in it."""

    def __init__(self) -> None:
        self._bar = (
            Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("masks at most"),
                TimeRemainingColumn(),
                console=screen,
                transient=True,
            )
            if screen.is_terminal
            else None
        )
        self._what, self._most, self._done = "", 0, 0
        self._begun = self._next_line = 0.0

    def __enter__(self) -> Self:
        if self._bar:
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar:
            self._bar.stop()

    def part(self, what: str, most: int) -> None:
        """A part begins that predicts `most` masks at most."""
        self._what, self._most, self._done = what, most, 0
        self._begun = time.monotonic()
        self._next_line = self._begun + SECONDS_BEFORE_A_LINE
        if self._bar:
            for task in self._bar.task_ids:
                self._bar.remove_task(task)
            self._bar.add_task(what, total=most)

    def tick(self, n: int) -> None:
        """So many masked pictures were predicted just now."""
        self._done += n
        if self._bar:
            for task in self._bar.task_ids:
                self._bar.advance(task, n)
            return
        now = time.monotonic()
        if now < self._next_line:
            return
        self._next_line = now + SECONDS_BETWEEN_LINES
        speed = self._done / (now - self._begun)
        log.info(
            "%s: %d of at most %d masks, %.0f a second, %.0f s left at most",
            self._what,
            self._done,
            self._most,
            speed,
            (self._most - self._done) / speed,
        )

    def drawing(self) -> None:
        """The predictions are over."""
        if self._bar:
            for task in self._bar.task_ids:
                self._bar.remove_task(task)
            self._bar.add_task("Drawing", total=None)
