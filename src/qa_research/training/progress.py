"""The progress of a training on the screen: a bar on a terminal, lines elsewhere. train.log has all lines."""

import logging
import time
from typing import Any, Literal

import lightning.pytorch as pl
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from torch import Tensor

from qa_research.console import screen
from qa_research.tasks.task import Task

log = logging.getLogger(__name__)
SECONDS_BETWEEN_LINES = 15.0
SECONDS_BETWEEN_VALIDATIONS = 5.0
SECONDS_BETWEEN_TEXTS = 0.5
# The loss shown is a moving average: each batch moves it 5 % of the way to the batch's own loss.
SMOOTHING = 0.05
# State that survives a resume; `latest` is shown until the next validation.
STATE = ("train_samples", "train_s", "validation_s", "latest")


class TrainingProgress(pl.Callback):
    """Shows loss, samples per second, time left, and the latest validation in the task's words.

    `bar`: a live bar; `lines`: a line every 15 s; `auto`: the bar if stderr is a terminal. Validations
    are always lines. Time left includes validations.
    """

    def __init__(self, show: Literal["auto", "bar", "lines", "none"], task: Task) -> None:
        self.task_text = task.progress_text
        self.size_of = task.size_of
        self.with_bar = show == "bar" or (show == "auto" and screen.is_terminal)
        self.with_lines = show in ("auto", "lines") and not self.with_bar
        self.quiet = show == "none"
        self.bar: Progress | None = None
        self.loss: Tensor | None = None
        self.train_samples = 0
        self.train_s = 0.0
        self.validation_s = 0.0
        self.latest = ""
        self.last_validation_line = 0.0
        # When the latest batch or validation ended. Set here too: a run resumed at its last step is only
        # validated.
        self.last_end = time.perf_counter()
        self.total = 0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.started = self.last_end = self.last_line = time.perf_counter()
        self.first_step = trainer.global_step
        self.total = int(trainer.estimated_stepping_batches)
        if not trainer.is_global_zero or not self.with_bar:
            return
        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=28),
            MofNCompleteColumn(),
            TextColumn("{task.fields[text]}"),
            console=screen,
            transient=True,
        )
        self.task = self.bar.add_task("step", total=self.total, completed=self.first_step, text="")
        self.validation_task = self.bar.add_task("validation", total=1, visible=False, text="")
        self.bar.start()

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: dict[str, Tensor],
        batch_idx: int,
    ) -> None:
        now = time.perf_counter()
        self.train_s += now - self.last_end
        self.last_end = now
        self.train_samples += self.size_of(batch) * trainer.world_size
        # Stays a tensor: to read its value each step would make a GPU wait.
        module: Any = pl_module
        loss = module.batch_loss
        self.loss = loss if self.loss is None else self.loss.lerp(loss, SMOOTHING)
        if not trainer.is_global_zero:
            return
        since_line = now - self.last_line
        if self.bar is not None:
            self.bar.update(self.task, completed=trainer.global_step)
            if since_line > SECONDS_BETWEEN_TEXTS:
                self.last_line = now
                self.bar.update(self.task, text=self._state(trainer))
        elif since_line > SECONDS_BETWEEN_LINES and not self.quiet:
            self.last_line = now
            line = f"step {trainer.global_step}/{self.total}  {self._state(trainer)}"
            log.info("%s", line, extra={"file_only": not self.with_lines})

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.validation_started = time.perf_counter()
        if self.bar is not None:
            total = sum(int(n) for n in trainer.num_val_batches)
            self.bar.reset(self.validation_task, total=total, visible=True)

    def on_validation_batch_end(self, *_: Any) -> None:
        if self.bar is not None:
            self.bar.advance(self.validation_task)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.sanity_checking:
            return
        now = time.perf_counter()
        self.validation_s += now - self.validation_started
        self.last_end = now
        if self.bar is not None:
            self.bar.update(self.validation_task, visible=False)
        metrics = {k: float(v) for k, v in trainer.callback_metrics.items()}
        self.latest, details = self.task_text(metrics)
        if not trainer.is_global_zero or self.quiet:
            return
        step = trainer.global_step
        place = f"validation at step {step}/{self.total or step}"
        line = f"{place}  loss {metrics['val/loss']:.3f}  {self.latest}{details}"
        # Many short validations would flood the screen; train.log has them all.
        file_only = now - self.last_validation_line < SECONDS_BETWEEN_VALIDATIONS
        log.info("%s", line, extra={"file_only": file_only})
        if not file_only:
            self.last_validation_line = now

    def state_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in STATE}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        for name in STATE:
            setattr(self, name, state_dict[name])

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._stop()

    def on_exception(self, *_: Any) -> None:
        self._stop()

    def _stop(self) -> None:
        if self.bar is not None:
            self.bar.stop()
            self.bar = None

    def _state(self, trainer: pl.Trainer) -> str:
        rate = self.train_samples / self.train_s
        # Example: resumed at step 100 of 400, now at 200 after 60 s: 200 more take 60 / 100 * 200 = 120 s.
        elapsed = time.perf_counter() - self.started
        done = max(trainer.global_step - self.first_step, 1)
        left = elapsed / done * (self.total - trainer.global_step)
        loss = float("nan") if self.loss is None else self.loss.item()
        return f"loss {loss:.3f}  {rate:.0f} samples/s  {clock(left)} left  {self.latest}".rstrip()


def clock(seconds: float) -> str:
    """Minutes and seconds, or hours and minutes: `1:05`, `2 h 03`."""
    minutes, rest = divmod(round(seconds), 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60:02d}"
    return f"{minutes}:{rest:02d}"
