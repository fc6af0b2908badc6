"""When a training is looked into: the Lightning callback, and the session that plans and writes captures."""

import logging
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import lightning.pytorch as pl
from annotated_types import Ge, Gt, Le
from torch import Tensor

from qa_research.capture.budget import TimeBudget, planned_steps, within_budget
from qa_research.capture.forward import Forward, HookPoint, forward_watched, tap
from qa_research.capture.recorders.recorder import Captured, Recorder, Subject, coordinates_of
from qa_research.capture.recording.arrays import Coordinate
from qa_research.capture.recording.files import RECORDING
from qa_research.capture.recording.writer import RecordingWriter
from qa_research.capture.sites import FINAL, Site, module_of
from qa_research.capture.tracked import CaptureTracker
from qa_research.capture.watched import describe
from qa_research.tasks.task import Task
from qa_research.trackers.tracker import Tracker

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Schedule:
    """At which steps, and how much in all; see the arguments of `Capture`."""

    every_n_steps: int
    at_steps: Sequence[int] | None
    log_spaced: int | None
    max_mb: float | None


class CaptureSession:
    """The captures of one training: `start` or `resume`, then `capture` at each due step, then `finish`.

    Knows nothing of Lightning. `sync` before a checkpoint is saved. `tracked`: None shows nothing of them.
    """

    def __init__(
        self,
        recorders: Mapping[str, Recorder],
        subject: Subject,
        schedule: Schedule,
        directory: Path,
        tracked: CaptureTracker | None,
    ) -> None:
        self.recorders = recorders
        self.subject = subject
        self.schedule = schedule
        self.path = directory / RECORDING
        self.tracked = tracked
        self.writer: RecordingWriter | None = None
        self.steps: frozenset[int] = frozenset()
        self.bytes_each = 0
        self.count = 0
        self.latest: int | None = None
        # The latest capture, if it is to be drawn and is not yet.
        self.undrawn: tuple[int, Captured] | None = None

    def start(self, step: int, total: int) -> None:
        """Start a recording of a training of `total` steps with its first capture.

        Raises:
            ValueError: the budget is too small for the first and the last one.
        """
        forward, captured = self._record(step)
        self.bytes_each = sum(
            a.values.nbytes for group in captured.values() for a in group.values()
        )
        skipped = self._plan(total)
        self.writer = RecordingWriter(
            self.path, describe(self.subject.watched), self._coordinates(captured)
        )
        if skipped:
            self.note(skipped)
        self._keep(forward, captured)
        self.draw()

    def resume(self, step: int, total: int) -> None:
        """Cut the recording back to `step`, the resumed checkpoint's, and append to it from there."""
        before = self.state()
        captured = self._record(step)[1]
        if self.tracked and self.latest == step:
            self.tracked.write(step, self.recorders, captured, again=True)
            if self.tracked.drawn_step == step:
                self.tracked.draw(step, self.recorders, captured, self.count - 1)
        # This forward pass was for the coordinates and for the tracker; it is not a capture.
        self.set_state(before)
        self._plan(total)
        try:
            self.writer = RecordingWriter(
                self.path, describe(self.subject.watched), self._coordinates(captured), step
            )
        except FileNotFoundError:
            log.warning("%s no longer exists; starting a new recording at step %d", self.path, step)
            self.start(step, total)

    def capture(self, step: int) -> None:
        """One capture, without its pictures."""
        self._keep(*self._record(step))

    def draw(self) -> None:
        """The pictures of the latest capture, if it has any; apart, as they take longer than the capture."""
        if self.tracked and self.undrawn:
            step, captured = self.undrawn
            self.tracked.draw(step, self.recorders, captured, self.count - 1)
        self.undrawn = None

    def finish(self, step: int) -> None:
        """The last capture, unless it has been made, and the vectors for TensorBoard's projector."""
        if self.latest != step:
            for recorder in self.recorders.values():
                recorder.forget_step()
            self.capture(step)
        self.draw()
        if self.tracked:
            network, watched = self.subject.network, self.subject.watched
            if self.tracked.drawn_step != step:
                self._draw_last(step, self.tracked)
            self.tracked.write_projector(forward_watched(network, watched, step, [FINAL]))
        self.sync()

    def _draw_last(self, step: int, tracked: CaptureTracker) -> None:
        """Draw what was captured without pictures, from a forward pass that is not a capture."""
        before = self.state()
        tracked.draw(step, self.recorders, self._record(step)[1], self.count - 1)
        self.set_state(before)

    def note(self, sentence: str) -> None:
        """Say that something was skipped, in the log and in the recording."""
        log.warning("%s", sentence)
        if self.writer:
            self.writer.note(sentence)

    def flush(self) -> None:
        """Let readers see all captures."""
        if self.writer:
            self.writer.flush()

    def sync(self) -> None:
        """Make all captures durable."""
        if self.writer:
            self.writer.sync()

    def state(self) -> dict[str, Any]:
        """What a checkpoint stores, as tensors and plain types."""
        return {
            "bytes_each": self.bytes_each,
            "count": self.count,
            "latest": self.latest,
            "curves": dict(self.tracked.curves) if self.tracked else {},
            "drawn": self.tracked.drawn if self.tracked else None,
            "recorders": {name: recorder.state() for name, recorder in self.recorders.items()},
        }

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Restore what `state` returned."""
        self.bytes_each, self.count, self.latest = (
            state[name] for name in ("bytes_each", "count", "latest")
        )
        if self.tracked:
            self.tracked.curves = dict(state["curves"])
            # Checkpoints of version 0.2 and before do not say when the latest pictures were drawn.
            self.tracked.drawn = state.get("drawn") or {"count": self.count}
        for name, recorder in self.recorders.items():
            recorder.set_state(state["recorders"][name])

    def _plan(self, total: int) -> str | None:
        """Decide on the steps; what is skipped, as a sentence."""
        schedule = self.schedule
        steps = planned_steps(schedule.every_n_steps, schedule.at_steps, schedule.log_spaced, total)
        plan = within_budget(steps, self.bytes_each, schedule.max_mb)
        self.steps = plan.steps
        return plan.sentence

    def _record(self, step: int) -> tuple[Forward, Captured]:
        recorders = self.recorders.values()
        forward = forward_watched(
            self.subject.network,
            self.subject.watched,
            step,
            [site for recorder in recorders for site in recorder.sites],
            [site for recorder in recorders for site in recorder.span_sites],
        )
        return forward, {name: r.record(forward) for name, r in self.recorders.items()}

    def _keep(self, forward: Forward, captured: Captured) -> None:
        if self.writer:
            self.writer.append(forward.step, captured)
        if self.tracked:
            self.tracked.write(forward.step, self.recorders, captured)
            is_last = forward.step == max(self.steps)
            is_drawn = is_last or self.tracked.has_pictures(self.count)
            self.undrawn = (forward.step, captured) if is_drawn else None
        self.count += 1
        self.latest = forward.step

    def _coordinates(self, captured: Captured) -> dict[str, dict[str, Coordinate]]:
        return coordinates_of(self.recorders, self.subject.watched, captured)


class Capture(pl.Callback):
    """Runs the watched examples through the network at the planned steps, and has recorders write it down.

    Training itself is not touched: a run with capture is bit-identical to one without. Of several processes
    only the first one captures. Must precede the callback that saves checkpoints.

    `questions`: how many examples (half from training, half from validation, alternating between kinds), or
    their ids, or a file. `every_n_steps`, or instead of it `at_steps` or `log_spaced` (how many). Step 0 and
    the last one are always captured. `max_mb`: of the whole recording, before compression; if that is too
    little, one step in 2, 4, 8 ... is captured. `max_step_fraction`: of the training's time; a due capture
    is skipped while captures have taken more, and pictures wait while everything together has. Null: no
    limit.
    """

    def __init__(
        self,
        questions: Annotated[int, Ge(1)] | str | list[str | int],
        every_n_steps: Annotated[int, Ge(1)],
        at_steps: list[Annotated[int, Ge(0)]] | None,
        log_spaced: Annotated[int, Ge(1)] | None,
        max_mb: Annotated[float, Gt(0)] | None,
        max_step_fraction: Annotated[float, Gt(0), Le(1)] | None,
        tensorboard: bool,
        recorders: dict[str, Recorder],
    ) -> None:
        for name, recorder in recorders.items():
            if not isinstance(recorder, Recorder):
                raise ValueError(
                    f"capture.{name} must be a recorder, got a {type(recorder).__name__}"
                )
        if at_steps is not None and log_spaced is not None:
            raise ValueError("capture.at_steps and capture.log_spaced are two schedules; set one")
        if not recorders:
            raise ValueError("capture has no recorder; capture=none trains without looking inside")
        self.questions = questions
        self.schedule = Schedule(every_n_steps, at_steps, log_spaced, max_mb)
        self.budget = TimeBudget(max_step_fraction)
        self.tensorboard = tensorboard
        self.recorders = recorders
        self.step = 0
        self.decided = 0
        self.is_due = False
        self.is_finished = False
        self.skipped = 0
        self.is_first = False
        self.hooks = ExitStack()
        self.batch_values: dict[Site, Tensor] = {}

    def watch(self, task: Task, gradients_are_scaled: bool) -> None:
        """Choose the watched examples of a task; every recorder sees its network with the initial weights.

        Raises:
            ValueError: the task cannot be looked into, or has not what a recorder asks for.
        """
        self.subject = Subject(
            task.network, task.watching(self.questions), is_scaled=gradients_are_scaled
        )
        for name, recorder in self.recorders.items():
            recorder.check_task(f"capture.{name}", self.subject)
            recorder.prepare(f"capture.{name}", self.subject)

    def write_to(self, directory: Path, tracker: Tracker) -> None:
        """Set where the recording goes, and what shows captures while they are made."""
        is_shown = self.tensorboard and tracker.shows_captures
        tracked = CaptureTracker(tracker, self.subject.watched) if is_shown else None
        self.session = CaptureSession(
            self.recorders, self.subject, self.schedule, directory, tracked
        )

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.is_first = trainer.is_global_zero
        if self.is_first:
            self._start(trainer)

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        if not self.is_first:
            return
        self._decide(self.step + 1)
        sites = {site for recorder in self.recorders.values() for site in recorder.batch_sites}
        if sites and self.is_due:
            points = {site: HookPoint(*module_of(self.subject.network, site)) for site in sites}
            self.batch_values = self.hooks.enter_context(tap(points))

    def on_before_optimizer_step(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: Any
    ) -> None:
        if self.is_first:
            # Skipping captures does not reduce what recorders do at every step, so it does not count.
            with self.budget.spending(counts=False):
                for recorder in self.recorders.values():
                    recorder.before_step(self.subject.network, self.step + 1, self.is_due)

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Mapping[str, Tensor],
        batch_idx: int,
    ) -> None:
        self.hooks.close()
        if not self.is_first or trainer.global_step == self.step:
            return
        self.step = trainer.global_step
        if self.is_due:
            with self.budget.spending(counts=True):
                for recorder in self.recorders.values():
                    if recorder.batch_sites:
                        recorder.after_batch(self.batch_values, batch)
                self.session.capture(self.step)
            if self.budget.has_room:
                with self.budget.spending(counts=False):
                    self.session.draw()

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.budget.pause()

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self.is_first and not self.is_finished:
            self.budget.resume()

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self.is_first:
            self._finish()

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        # Lightning neither starts nor ends a training that was stopped after its very last step.
        if trainer.is_global_zero and not self.is_finished:
            self._start(trainer)
            self._finish()

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        self.hooks.close()
        if self.is_first:
            try:
                self.session.flush()
            except OSError as error:
                log.warning("Could not write the latest captures: %s", error)

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        if self.is_first:
            with self.budget.spending(counts=True):
                self.session.sync()

    def state_dict(self) -> dict[str, Any]:
        # These keys are in every checkpoint, also of earlier versions.
        return {
            "left_out": self.skipped,
            "budget": self.budget.state(),
            "capturing": self.session.state(),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.skipped = state_dict["left_out"]
        self.budget.set_state(state_dict["budget"])
        self.session.set_state(state_dict["capturing"])

    def cost(self) -> dict[str, float]:
        """What captures took: how many, seconds, percent of the training's time, MB before compression."""
        return {
            "captures": self.session.count,
            "left_out": self.skipped,
            "seconds": round(self.budget.captures_s, 2),
            "percent_of_training": round(100 * self.budget.share, 2),
            "mb": round(self.session.count * self.session.bytes_each / 1e6, 2),
        }

    def _start(self, trainer: pl.Trainer) -> None:
        self.step = trainer.global_step
        # A fork that records what the run before it did not has no captures yet.
        goes_on = self.step and self.session.latest is not None
        start = self.session.resume if goes_on else self.session.start
        self.budget.resume()
        with self.budget.spending(counts=False):
            start(self.step, int(trainer.estimated_stepping_batches))

    def _decide(self, step: int) -> None:
        """Decide whether the coming step is captured, once for all of its batches."""
        if step == self.decided:
            return
        self.decided = step
        steps = self.session.steps
        self.is_due = step in steps
        if self.is_due and step < max(steps) and self.budget.is_exceeded:
            self.is_due = False
            self.skipped += 1
            if self.skipped == 1:
                self.session.note(
                    f"From step {step} on some captures are skipped, because all of them would take more "
                    f"than {self.budget.fraction:.3g} of the training's time (capture.max_step_fraction)"
                )

    def _finish(self) -> None:
        with self.budget.spending(counts=False):
            if self.skipped:
                self.session.note(f"{self.skipped} of the planned captures were skipped")
            self.session.finish(self.step)
        self.budget.pause()
        self.is_finished = True
