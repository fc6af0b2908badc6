"""Curves of a training, in metrics.csv and its tracker: one row per logged step or validation, none twice."""

import csv
import os
from typing import Any

import lightning.pytorch as pl
from torch import Tensor

from qa_research.files import naming, written_whole
from qa_research.runs.metrics import METRICS, read_metrics
from qa_research.tasks.task import Task
from qa_research.trackers.tracker import LOSS, TrackedRun, Tracker

TRAINING = (LOSS, "train/lr", "train/gradient_norm")


class Curves(pl.Callback):
    """Writes the training metrics of every step, and every validation, to metrics.csv; fewer to the tracker.

    The tracker gets those of every `trainer.log_every_n_steps`-th step. `step` is the number of optimizer
    steps done. `train/loss` is the mean over all examples of the step. Everything written is on the disk
    before a checkpoint is; resuming from a checkpoint drops what came later.

    Example: the checkpoint was saved at the end of step 100, before the validation that was due then, and
    the training was killed at step 130. metrics.csv has rows until 130, some of step 100 from before the
    save (its training metrics) and some from after it (the validation, which will run again). Resuming
    keeps the rows before step 100 and appends the checkpoint's own rows of step 100 (`latest`).
    TensorBoard does the same: with `purge_step=100` it hides its events of step 100 and later. Other trackers
    keep what they have, and each point is delivered to them once.
    """

    def __init__(self, run: TrackedRun, tracker: Tracker, task: Task) -> None:
        self.run = run
        self.tracker = tracker
        self.task = task
        self.path = run.directory / METRICS
        self.columns = ("epoch", "step", *TRAINING, *task.measured())
        self.step = run.step
        # Of the latest training batch: after an epoch's end Lightning's own is already the next one.
        self.epoch = 0
        self.losses: list[Tensor] = []
        # All rows of the latest step.
        self.latest: list[dict[str, float]] = []

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        is_new = self.step == 0 or not self.path.is_file()
        self._replace_table([] if is_new else self._rows_before(self.step))
        self.tracker.start(self.run)
        if is_new:
            return
        latest, self.latest = self.latest, []
        for row in latest:
            if row["step"] == self.step:
                self._write(row)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        # Only the first process knew the step that a training resumes from.
        self.step = trainer.global_step
        example = self.task.example() if trainer.is_global_zero else None
        if example is not None:
            there = {name: tensor.to(pl_module.device) for name, tensor in example.items()}
            self.tracker.graph(self.task.network, there)

    def on_before_optimizer_step(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: Any
    ) -> None:
        self.lr = float(optimizer.param_groups[0]["lr"])

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, *_: Any
    ) -> None:
        # Each is its batch's share of the step; see `LearningModule.share_of_step`.
        self.losses.append(outputs["loss"].detach())
        if trainer.global_step == self.step:
            return
        self.step, self.epoch = trainer.global_step, trainer.current_epoch
        losses, self.losses = self.losses, []
        loss = sum(losses[1:], losses[0])
        if trainer.world_size > 1:
            loss = trainer.strategy.reduce(loss, reduce_op="mean")
        module: Any = pl_module
        values = (float(loss), self.lr, float(module.gradient_norm))
        self._log(trainer, dict(zip(TRAINING, values, strict=True)))

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not trainer.sanity_checking:
            measured = trainer.callback_metrics
            self._log(trainer, {name: float(measured[name]) for name in self.columns[5:]})

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        if trainer.is_global_zero:
            self.tracker.sync()
            with self.path.open("rb") as file:
                os.fsync(file.fileno())

    def state_dict(self) -> dict[str, Any]:
        return {"latest": self.latest, "epoch": self.epoch}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.latest, self.epoch = state_dict["latest"], state_dict["epoch"]

    def _log(self, trainer: pl.Trainer, values: dict[str, float]) -> None:
        if trainer.is_global_zero:
            self._write({"epoch": self.epoch, "step": trainer.global_step} | values)

    def _write(self, row: dict[str, float]) -> None:
        step = int(row["step"])
        self.latest = [earlier for earlier in self.latest if earlier["step"] == step]
        self.latest.append(row)
        with naming(self.path), self.path.open("a", newline="", encoding="utf-8") as file:
            csv.DictWriter(file, self.columns).writerow(row)
        if self.run.shows(row, step):
            self.tracker.curves({k: v for k, v in row.items() if k != "step"}, step)

    def _rows_before(self, step: int) -> list[dict[str, str]]:
        """The rows of steps before `step`, without a line that a crash left incomplete."""
        return [row for row in read_metrics(self.path) if int(row["step"]) < step]

    def _replace_table(self, rows: list[dict[str, str]]) -> None:
        with written_whole(self.path) as file:
            writer = csv.DictWriter(file, self.columns)
            writer.writeheader()
            writer.writerows(rows)
