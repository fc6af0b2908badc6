"""Lightning's Trainer as a run needs it: its callbacks, its loggers, the settings it must not have."""

import logging
import math
import sys
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import EarlyStopping
from lightning.pytorch.loggers import TensorBoardLogger

from qa_research.capture.callback import Capture
from qa_research.config import build
from qa_research.signals import Signals
from qa_research.tasks.task import Task
from qa_research.training.best import Checkpoints
from qa_research.training.metrics import Curves
from qa_research.training.progress import TrainingProgress
from qa_research.training.resumable import DurableCheckpointIO, ExactCheckpoints

EXPECTED_WARNINGS = (
    ".*does not have many workers.*",
    ".*is smaller than the logging interval.*",
    ".*exists and is not empty.*",
    ".*(LeafSpec|pytree).*",
    # Lightning does not know that the sampler itself starts where the checkpoint was saved.
    ".*your dataloader is not resumable.*",
    # Every process has the scores of all examples.
    ".*when logging on epoch level in distributed setting.*",
)

REFUSED = {
    "limit_val_batches": "scores are of the whole validation split; make it smaller with the keys under data",
    "fast_dev_run": "use trainer=smoke for a short run",
    "overfit_batches": "use +experiment=overfit",
    "max_time": "training would end at a different step each time; use trainer.max_steps=N",
}


class ValidationBetweenSteps(pl.Callback):
    """Makes `trainer.val_check_interval` end with an optimizer step, and count steps if it is an integer.

    Lightning counts batches. It would validate in the middle of an accumulation, and the same weights twice.

    Example: an epoch of 10 batches with accumulation of 4, so steps end after batches 4, 8 and 10.
      0.5  Lightning: after batch 5, within the second step. Here: rounded up to a step's end, batch 8.
      1    Lightning: after each batch. Here: after each step, every 4 batches.
      3    3 steps are 12 batches, more than the epoch has: an error.
    """

    def on_fit_start(self, trainer: Trainer, pl_module: pl.LightningModule) -> None:
        interval, accumulate = trainer.val_check_interval, trainer.accumulate_grad_batches
        batches = int(trainer.num_training_batches)
        if isinstance(interval, int):
            trainer.val_check_batch = interval * accumulate
            if trainer.val_check_batch > batches and trainer.check_val_every_n_epoch is not None:
                raise ValueError(
                    f"trainer.val_check_interval={interval} steps is more than an epoch has "
                    f"({math.ceil(batches / accumulate)}); a fraction of an epoch, as 0.25, always fits"
                )
        else:
            steps = math.ceil(max(1, int(batches * interval)) / accumulate)
            trainer.val_check_batch = min(steps * accumulate, batches)


@dataclass(frozen=True)
class TrainerBundle:
    """A Trainer with those of its callbacks whose state is needed after the training."""

    trainer: Trainer
    checkpoints: Checkpoints
    progress: TrainingProgress
    saving: ExactCheckpoints
    capture: Capture | None


@dataclass(frozen=True)
class Start:
    """What a training starts with. `step`: the one it resumes from, 0 for a new run."""

    run_id: str
    signals: Signals
    step: int
    task: Task
    capture: Capture | None


def make_trainer(config: Mapping[str, Any], directory: Path, start: Start) -> TrainerBundle:
    """The Trainer that a config describes, writing under `directory`. Creates no file yet.

    Raises:
        ValueError: Lightning cannot make such a Trainer on this machine.
    """
    folder, task = directory / "checkpoints", start.task
    checkpoints: Checkpoints = build(
        config["checkpoint"], directory=folder, predictions=task.predictions
    )
    progress = TrainingProgress(config["train"]["progress"], task)
    # TensorBoard then hides its events from this step on; Curves writes those of this step again.
    purge: dict[str, Any] = {"purge_step": start.step} if start.step else {}
    tensorboard = TensorBoardLogger(directory, name="tensorboard", version="", **purge)
    saving = ExactCheckpoints(start.signals, checkpoints.every_n_minutes, folder, start.run_id)
    callbacks: list[pl.Callback] = [
        ValidationBetweenSteps(),
        progress,
        Curves(directory / "metrics.csv", tensorboard, task.measured(), start.step),
    ]
    if start.capture:
        start.capture.write_to(directory, tensorboard)
        callbacks.append(start.capture)
    callbacks += [checkpoints, *_early_stopping(task, config["train"]["stop_at"] or {}), saving]
    # Hints about hardware and products; warnings and errors still come through.
    for name in ("lightning.pytorch", "lightning.fabric", "lightning"):
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        trainer: Trainer = build(
            config["trainer"],
            callbacks=callbacks,
            logger=tensorboard,
            plugins=[DurableCheckpointIO()],
            default_root_dir=directory,
            use_distributed_sampler=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
    except MisconfigurationException as error:
        raise _unusable(error) from error
    return TrainerBundle(trainer, checkpoints, progress, saving, start.capture)


def without_expected_warnings(work: Callable[..., Any], *arguments: Any, **options: Any) -> None:
    """Run Lightning without its warnings about what is intended here.

    Raises:
        ValueError: Lightning found the settings to be a misconfiguration.
    """
    with warnings.catch_warnings():
        for message in EXPECTED_WARNINGS:
            warnings.filterwarnings("ignore", message=message)
        try:
            work(*arguments, **options)
        except MisconfigurationException as error:
            raise _unusable(error) from error


def _unusable(error: MisconfigurationException) -> ValueError:
    return ValueError(f"Lightning rejects the settings under trainer: {error}")


def check_trainer(settings: Mapping[str, Any]) -> None:
    """Refuse settings that Lightning would notice late, work around, or interpret differently."""
    _check_hardware(settings["accelerator"], settings["precision"])
    epochs, steps = settings["max_epochs"], settings["max_steps"]
    if epochs is None or epochs < 1:
        raise ValueError(f"trainer.max_epochs must be at least 1, got {epochs}")
    if steps == 0 or steps < -1:
        raise ValueError(f"trainer.max_steps must be at least 1, or -1 for no limit, got {steps}")
    interval = settings["val_check_interval"]
    if not isinstance(interval, (int, float)):
        raise ValueError(
            "trainer.val_check_interval must be a fraction of an epoch or a number of steps, got "
            f"{interval!r}"
        )
    log_every = settings["log_every_n_steps"]
    if log_every < 1:
        raise ValueError(f"trainer.log_every_n_steps must be at least 1, got {log_every}")
    if settings["check_val_every_n_epoch"] is None and settings["accumulate_grad_batches"] > 1:
        raise ValueError(
            "trainer.check_val_every_n_epoch=null counts batches over epochs, which would validate within "
            "an accumulation; set it to 1, or trainer.accumulate_grad_batches=1"
        )
    if settings.get("gradient_clip_algorithm") not in (None, "norm"):
        raise ValueError("trainer.gradient_clip_algorithm must be norm: clipping is by global norm")
    for key, reason in REFUSED.items():
        if settings.get(key):
            raise ValueError(f"trainer.{key} does not work here: {reason}")


def _check_hardware(accelerator: str, precision: str) -> None:
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    has_gpu = any(available.values())
    if not (has_gpu if accelerator == "gpu" else available.get(accelerator, True)):
        raise ValueError(
            f"trainer.accelerator={accelerator} is not available (no CUDA or MPS device); use trainer=cpu"
        )
    if precision == "16-mixed" and not has_gpu:
        raise ValueError(
            "trainer.precision=16-mixed needs a GPU; use 32-true or bf16-mixed on a CPU"
        )


def _early_stopping(task: Task, thresholds: Mapping[str, float | None]) -> list[EarlyStopping]:
    """Ends a training whose metric has reached its threshold, and never one that merely makes no progress."""
    callbacks = []
    for name, threshold in thresholds.items():
        if threshold is None:
            continue
        rises = task.better(name) == "higher"
        callbacks.append(
            EarlyStopping(
                name,
                mode="max" if rises else "min",
                # Lightning stops only beyond its threshold. Ours is reached when met: with 100.0, a score
                # of 100.0 (which float32 may make 99.99999) must be above Lightning's 99.9999.
                stopping_threshold=threshold - 1e-4 if rises else threshold + 1e-4,
                patience=sys.maxsize,
                check_on_train_epoch_end=False,
            )
        )
    return callbacks
