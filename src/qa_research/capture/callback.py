"""Captures of one training: which steps, what is recorded, where it goes. Knows no Lightning.

When a training is looked into: the one Lightning callback. What is done then: capture.capturing.
"""

import logging
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import lightning.pytorch as pl
from annotated_types import Ge, Gt, Le
from lightning.pytorch.loggers import TensorBoardLogger
from torch import Tensor

from qa_research.capture.budget import TimeBudget, planned_steps, within_budget
from qa_research.capture.forward import FINAL, Forward, Point, Site, look, module_of, tap
from qa_research.capture.recorders.recorder import Recorder, Subject
from qa_research.capture.recording.arrays import Array, Coordinate
from qa_research.capture.recording.files import RECORDING
from qa_research.capture.recording.writer import RecordingWriter
from qa_research.capture.tensorboard import Board
from qa_research.capture.watched import about, choose, shared_coordinates, watch
from qa_research.tasks.answering.task import AnsweringTask
from qa_research.tasks.task import Task

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
            self.writer = RecordingWriter.resume(
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


class Capture(pl.Callback):
    """Runs the watched questions through the network at the planned steps, and has recorders write it down.

    Training itself is not touched: a run with capture is bit-identical to one without. Of several
    processes only the first one looks. Must come before the callback that saves checkpoints.

    `questions`: how many (half of training, half of validation, each kind in turn), or their ids, or a file.
    `every_n_steps`; `at_steps`, or `log_spaced` (so many), take its place. Step 0 and the last one are
    always taken. `max_mb`: of the whole recording, before compression; where it is too little, one step in
    2, 4, 8 ... is taken. `max_step_fraction`: of the training's time; a capture that is due while they have
    taken more is left out. Null: no limit.
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
                raise ValueError(f"capture.{name} is no recorder but a {type(recorder).__name__}")
        if at_steps is not None and log_spaced is not None:
            raise ValueError("capture.at_steps and capture.log_spaced are two schedules; give one")
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
        self.left_out = 0
        self.is_first = False
        self.hooks = ExitStack()
        self.passed: dict[Site, Tensor] = {}

    def watch(self, task: Task, gradients_are_scaled: bool) -> None:
        """Choose the watched questions of a task and prepare for its network.

        Raises:
            ValueError: the task has no questions, or what the recorders ask for is not in the network.
        """
        if not isinstance(task, AnsweringTask):
            raise ValueError(
                "capture only works with task=answering; capture=none trains without it"
            )
        data, module = task.data, task.module
        # Drawn with the seed of the data, so that runs of several seeds watch the same questions.
        chosen = choose(self.questions, data.train, data.validation, data.seed)
        self.prepare(
            Subject(
                network=module.network,
                watched=watch(chosen, module.tokenizer, data.max_tokens, data.stride_tokens),
                answering=task.answering,
                max_tokens=data.max_tokens,
                batch_size=data.batch_size,
                is_compiled=module.compiles,
                is_scaled=gradients_are_scaled,
            )
        )

    def prepare(self, subject: Subject) -> None:
        """Give every recorder its network, while that has its initial weights.

        Raises:
            ValueError: what is asked for is not in the network.
        """
        self.subject = subject
        for name, recorder in self.recorders.items():
            recorder.prepare(f"capture.{name}", subject)

    def write_to(self, directory: Path, logger: TensorBoardLogger) -> None:
        """Where the recording goes, and TensorBoard's events."""
        board = Board(logger, self.subject.watched) if self.tensorboard else None
        self.capturing = Capturing(self.recorders, self.subject, self.schedule, directory, board)

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
            points = {site: Point(*module_of(self.subject.network, site)) for site in sites}
            self.passed = self.hooks.enter_context(tap(points))

    def on_before_optimizer_step(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: Any
    ) -> None:
        if self.is_first:
            # What a recorder does at every step is not less where captures are left out.
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
                        recorder.after_batch(self.passed, batch)
                self.capturing.take(self.step)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.budget.pause()

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self.is_first and not self.is_finished:
            self.budget.go()

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
                self.capturing.flush()
            except OSError as error:
                log.warning("The latest captures could not be written: %s", error)

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        if self.is_first:
            with self.budget.spending(counts=True):
                self.capturing.sync()

    def state_dict(self) -> dict[str, Any]:
        return {
            "left_out": self.left_out,
            "budget": self.budget.state(),
            "capturing": self.capturing.state(),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.left_out = state_dict["left_out"]
        self.budget.set_state(state_dict["budget"])
        self.capturing.set_state(state_dict["capturing"])

    def cost(self) -> dict[str, float]:
        """What captures took: how many, seconds, percent of the training's time, MB before compression."""
        return {
            "captures": self.capturing.count,
            "left_out": self.left_out,
            "seconds": round(self.budget.captures_s, 2),
            "percent_of_training": round(100 * self.budget.share, 2),
            "mb": round(self.capturing.count * self.capturing.bytes_each / 1e6, 2),
        }

    def _start(self, trainer: pl.Trainer) -> None:
        self.step = trainer.global_step
        start = self.capturing.go_on if self.step else self.capturing.begin
        self.budget.go()
        with self.budget.spending(counts=False):
            start(self.step, int(trainer.estimated_stepping_batches))

    def _decide(self, step: int) -> None:
        """Whether the step about to be made is captured: once for all hooks of its batches."""
        if step == self.decided:
            return
        self.decided = step
        steps = self.capturing.steps
        self.is_due = step in steps
        if self.is_due and step < max(steps) and self.budget.is_exceeded:
            self.is_due = False
            self.left_out += 1
            if self.left_out == 1:
                self.capturing.note(
                    f"From step {step} on captures are left out where all would have taken more than "
                    f"{self.budget.fraction:.3g} of the training's time (capture.max_step_fraction)"
                )

    def _finish(self) -> None:
        with self.budget.spending(counts=False):
            if self.left_out:
                self.capturing.note(f"{self.left_out} captures were left out of the planned ones")
            self.capturing.finish(self.step)
        self.budget.pause()
        self.is_finished = True
