"""Captures of one training: which steps, what is recorded, where it goes. Knows no Lightning."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qa_research.capture.arrays import Array, Coordinate
from qa_research.capture.board import Board
from qa_research.capture.disk import RECORDING
from qa_research.capture.forward import Forward, look
from qa_research.capture.labels import about, shared_coordinates
from qa_research.capture.places import FINAL
from qa_research.capture.recorders.recorder import Recorder, Subject
from qa_research.capture.recording import RecordingWriter
from qa_research.capture.schedule import planned_steps, within_budget

log = logging.getLogger(__name__)

Captured = Mapping[str, Mapping[str, Array]]


@dataclass(frozen=True)
class Schedule:
    """When, and how much in all; the meaning of each is told in capture.callback.Capture."""

    every_n_steps: int
    at_steps: Sequence[int] | None
    log_spaced: int | None
    max_mb: float | None


class Capturing:
    """`begin` or `go_on`, then `take` at each step that is due, and `sync` before a checkpoint is saved.

    `board`: what TensorBoard is told, None for nothing.
    """

    def __init__(
        self,
        recorders: Mapping[str, Recorder],
        subject: Subject,
        schedule: Schedule,
        directory: Path,
        board: Board | None,
    ) -> None:
        self.recorders = recorders
        self.subject = subject
        self.schedule = schedule
        self.path = directory / RECORDING
        self.board = board
        self.writer: RecordingWriter | None = None
        self.steps: frozenset[int] = frozenset()
        self.bytes_each = 0
        self.count = 0
        self.latest: int | None = None

    def begin(self, step: int, total: int) -> None:
        """The first capture of a training of `total` steps, and a new recording.

        Raises:
            ValueError: the budget is too small for the first and the last one.
        """
        forward, captured = self._record(step)
        self.bytes_each = _size(captured)
        sentence = self._plan(total)
        about_them = about(self.subject.watched)
        self.writer = RecordingWriter(self.path, about_them, self._coordinates(captured))
        if sentence:
            self.note(sentence)
        self._keep(forward, captured)

    def go_on(self, step: int, total: int) -> None:
        """Cut the recording back to `step`, which a checkpoint was gone on from, and append to it."""
        before = self.state()
        captured = self._record(step)[1]
        if self.board and self.latest == step:
            self.board.show(step, self.count - 1, self.recorders, captured, again=True)
        # That look is not a capture.
        self.set_state(before)
        self._plan(total)
        try:
            self.writer = RecordingWriter.go_on(
                self.path, about(self.subject.watched), self._coordinates(captured), step
            )
        except FileNotFoundError:
            log.warning("There is no %s any more; what is captured begins anew here", self.path)
            self.begin(step, total)

    def take(self, step: int) -> None:
        """One capture."""
        self._keep(*self._record(step))

    def finish(self, step: int) -> None:
        """The last capture, where it is not made yet, and the vectors for TensorBoard's projector."""
        if self.latest != step:
            for recorder in self.recorders.values():
                recorder.forget_step()
            self.take(step)
        if self.board:
            self.board.project(look(self.subject.network, self.subject.watched, step, [FINAL]))
        self.sync()

    def note(self, sentence: str) -> None:
        """Say that something was left out, here and in the recording."""
        log.warning("%s", sentence)
        if self.writer:
            self.writer.note(sentence)

    def flush(self) -> None:
        """Let readers see all captures."""
        if self.writer:
            self.writer.flush()

    def sync(self) -> None:
        """Have all captures on the disk."""
        if self.writer:
            self.writer.sync()

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps, as tensors and plain types."""
        return {
            "bytes_each": self.bytes_each,
            "count": self.count,
            "latest": self.latest,
            "curves": dict(self.board.curves) if self.board else {},
            "recorders": {name: recorder.state() for name, recorder in self.recorders.items()},
        }

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Put back what `state` gave."""
        self.bytes_each, self.count, self.latest = (
            state[name] for name in ("bytes_each", "count", "latest")
        )
        if self.board:
            self.board.curves = dict(state["curves"])
        for name, recorder in self.recorders.items():
            recorder.set_state(state["recorders"][name])

    def _plan(self, total: int) -> str | None:
        plan = self.schedule
        steps = planned_steps(plan.every_n_steps, plan.at_steps, plan.log_spaced, total)
        found = within_budget(steps, self.bytes_each, plan.max_mb)
        self.steps = found.steps
        return found.sentence

    def _record(self, step: int) -> tuple[Forward, Captured]:
        every = self.recorders.values()
        forward = look(
            self.subject.network,
            self.subject.watched,
            step,
            [site for recorder in every for site in recorder.sites],
            [site for recorder in every for site in recorder.span_sites],
        )
        return forward, {name: r.record(forward) for name, r in self.recorders.items()}

    def _keep(self, forward: Forward, captured: Captured) -> None:
        if self.writer:
            self.writer.append(forward.step, captured)
        if self.board:
            self.board.show(forward.step, self.count, self.recorders, captured)
        self.count += 1
        self.latest = forward.step

    def _coordinates(self, captured: Captured) -> dict[str, dict[str, Coordinate]]:
        found = {}
        for name, arrays in captured.items():
            axes = {axis for array in arrays.values() for axis in array.axes}
            shared = shared_coordinates(self.subject.watched, axes)
            found[name] = {**shared, **self.recorders[name].coordinates()}
        return found


def _size(captured: Captured) -> int:
    return sum(a.values.nbytes for arrays in captured.values() for a in arrays.values())
