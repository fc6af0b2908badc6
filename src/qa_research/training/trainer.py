"""Lightning's Trainer as a run needs it: loggers, checkpoints, progress, and no noise."""

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
from qa_research.training.checkpoint_io import DurableCheckpointIO
from qa_research.training.metrics import Curves
from qa_research.training.progress import TrainingProgress
from qa_research.training.resumable import ExactCheckpoints

EXPECTED_WARNINGS = (
    ".*does not have many workers.*",
    ".*is smaller than the logging interval.*",
    ".*exists and is not empty.*",
    ".*(LeafSpec|pytree).*",
    # Lightning cannot know that the batches themselves start where the checkpoint was saved.
    ".*your dataloader is not resumable.*",
    # Every process has the scores of all questions.
    ".*when logging on epoch level in distributed setting.*",
)

REFUSED = {
    "limit_val_batches": "a score is that of the whole validation split; the data's own keys make it smaller",
    "fast_dev_run": "trainer=smoke is the short run",
    "overfit_batches": "+experiment=overfit is the recipe",
    "max_time": "it would end at a different step each time; trainer.max_steps=N always ends at the same one",
}


class ValidationBetweenSteps(pl.Callback):
    """Makes a whole `trainer.val_check_interval` count steps, and a fraction end with a step.

    Lightning counts batches, and would validate in the middle of an accumulation, some weights twice.
    Example: an epoch of 10 batches, 4 of them a step, and an interval of 0.5: Lightning would validate
    after batch 5, in the middle of the second step; here it does after batch 8.
    """

    def on_fit_start(self, trainer: Trainer, pl_module: pl.LightningModule) -> None:
        every, accumulate = trainer.val_check_interval, trainer.accumulate_grad_batches
        batches = int(trainer.num_training_batches)
        if isinstance(every, int):
            wanted = every * accumulate
            if wanted > batches and trainer.check_val_every_n_epoch is not None:
                raise ValueError(
                    f"trainer.val_check_interval={every} steps is more than an epoch has "
                    f"({math.ceil(batches / accumulate)}); a fraction of an epoch, as 0.25, always fits"
                )
        else:
            wanted = min(math.ceil(max(1, int(batches * every)) / accumulate) * accumulate, batches)
        trainer.val_check_batch = wanted


@dataclass(frozen=True)
class TrainerBundle:
    """A Trainer, and those of its callbacks that are needed afterwards."""

    trainer: Trainer
    checkpoints: Checkpoints
    progress: TrainingProgress
    saving: ExactCheckpoints
    capture: Capture | None


@dataclass(frozen=True)
class Start:
    """What a training starts with: the id of its run, its signals, the step it resumes from (0: none),
    its task, and what looks into it.
    """

    run_id: str
    signals: Signals
    step: int
    task: Task
    capture: Capture | None


def make_trainer(config: Mapping[str, Any], directory: Path, start: Start) -> TrainerBundle:
    """The Trainer that a config describes, writing under `directory`. Makes no file yet.

    Raises:
        ValueError: Lightning cannot make such a Trainer here.
    """
    kept, task = directory / "checkpoints", start.task
    checkpoints: Checkpoints = build(
        config["checkpoint"], directory=kept, predictions=task.predictions
    )
    progress = TrainingProgress(config["train"]["progress"], task)
    # TensorBoard then hides its events from this step on; Curves writes those of this step again.
    purge: dict[str, Any] = {"purge_step": start.step} if start.step else {}
    tensorboard = TensorBoardLogger(directory, name="tensorboard", version="", **purge)
    every = checkpoints.every_n_minutes
    saving = ExactCheckpoints(start.signals, every, kept, start.run_id)
    if start.capture:
        start.capture.write_to(directory, tensorboard)
    # Hints about hardware and products; warnings and errors still come through.
    for name in ("lightning.pytorch", "lightning.fabric", "lightning"):
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        trainer: Trainer = build(
            config["trainer"],
            callbacks=[
                ValidationBetweenSteps(),
                progress,
                Curves(directory / "metrics.csv", tensorboard, task.measured(), start.step),
                *([start.capture] if start.capture else []),
                checkpoints,
                *_early_stopping(task, config["train"]["stop_at"] or {}),
                saving,
            ],
            logger=tensorboard,
            plugins=[DurableCheckpointIO()],
            default_root_dir=directory,
            use_distributed_sampler=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
    except MisconfigurationException as error:
        raise ValueError(f"the settings under trainer. do not fit: {error}") from error
    return TrainerBundle(trainer, checkpoints, progress, saving, start.capture)


def without_expected_warnings(work: Callable[..., Any], *arguments: Any, **options: Any) -> None:
    """Run Lightning without warnings about what is intended.

    Raises:
        ValueError: also for what Lightning calls a misconfiguration.
    """
    with warnings.catch_warnings():
        for message in EXPECTED_WARNINGS:
            warnings.filterwarnings("ignore", message=message)
        try:
            work(*arguments, **options)
        except MisconfigurationException as error:
            raise ValueError(f"the settings under trainer. do not fit: {error}") from error


def check_trainer(settings: Mapping[str, Any]) -> None:
    """Refuse what Lightning would notice late, work around, or misread."""
    wanted = settings["accelerator"]
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not available.get(wanted, any(available.values()) if wanted == "gpu" else True):
        raise ValueError(
            f"trainer.accelerator={wanted} is not available (no CUDA or MPS device); trainer=cpu works here"
        )
    if settings["precision"] == "16-mixed" and not any(available.values()):
        raise ValueError(
            "trainer.precision=16-mixed needs a GPU; on a CPU 32-true and bf16-mixed work"
        )
    epochs, steps = settings["max_epochs"], settings["max_steps"]
    if epochs is None or epochs < 1:
        raise ValueError(f"trainer.max_epochs must be at least 1, got {epochs}")
    if steps == 0 or steps < -1:
        raise ValueError(f"trainer.max_steps must be at least 1, or -1 for no limit, got {steps}")
    if not isinstance(settings["val_check_interval"], (int, float)):
        raise ValueError(
            "trainer.val_check_interval must be a fraction of an epoch or a number of steps, got "
            f"{settings['val_check_interval']!r}"
        )
    if settings["log_every_n_steps"] < 1:
        raise ValueError(
            f"trainer.log_every_n_steps must be at least 1, got {settings['log_every_n_steps']}"
        )
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


def _early_stopping(task: Task, thresholds: Mapping[str, float | None]) -> list[EarlyStopping]:
    """Ends a training that has nothing left to learn; never one that merely makes no progress."""
    callbacks = []
    for name, threshold in thresholds.items():
        if threshold is None:
            continue
        rises = task.better(name) == "higher"
        callbacks.append(
            EarlyStopping(
                name,
                mode="max" if rises else "min",
                # Lightning stops beyond its threshold (in float32); ours counts as reached when met.
                stopping_threshold=threshold - 1e-4 if rises else threshold + 1e-4,
                patience=sys.maxsize,
                check_on_train_epoch_end=False,
            )
        )
    return callbacks
