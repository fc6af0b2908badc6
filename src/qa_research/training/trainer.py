"""Lightning's Trainer as a run needs it: loggers, checkpoints, progress, and no chatter."""

import logging
import math
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
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
    # Lightning cannot know that the batches themselves begin where the checkpoint was saved.
    ".*your dataloader is not resumable.*",
    # Every process has the scores of all questions.
    ".*when logging on epoch level in distributed setting.*",
)

_WHOLE = "every validation question is answered; data.validation_questions=N asks fewer"
REFUSED = {
    "limit_val_batches": _WHOLE,
    "fast_dev_run": "trainer=smoke is the short run",
    "overfit_batches": "+experiment=overfit is the recipe",
    "max_time": "it would end at another step each time; trainer.max_steps=N ends at the same one",
}


class ValidationBetweenSteps(pl.Callback):
    """Makes `trainer.val_check_interval` count in steps if whole, and otherwise end with a step.

    Lightning counts batches, and would validate in the middle of an accumulation, some weights twice.
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
    """A Trainer, and those of its callbacks that are asked afterwards."""

    trainer: Trainer
    checkpoints: Checkpoints
    progress: TrainingProgress
    saving: ExactCheckpoints
    capture: Capture | None


@dataclass(frozen=True)
class Start:
    """What a training begins with: which run it is, its signals, the step it goes on from, and what
    looks into it.
    """

    run_id: str
    signals: Signals
    step: int
    validation_names: Sequence[str]
    capture: Capture | None


def make_trainer(config: Mapping[str, Any], directory: Path, start: Start) -> TrainerBundle:
    """The Trainer that a config describes, writing under `directory`. Makes no file yet.

    Raises:
        ValueError: Lightning cannot make such a Trainer here.
    """
    kept = directory / "checkpoints"
    checkpoints: Checkpoints = build(config["checkpoint"], directory=kept)
    progress = TrainingProgress(config["train"]["progress"])
    # What TensorBoard has of this step and later is not shown; Curves writes this step's again.
    cut: dict[str, Any] = {"purge_step": start.step} if start.step else {}
    tensorboard = TensorBoardLogger(directory, name="tensorboard", version="", **cut)
    every = checkpoints.every_n_minutes
    saving = ExactCheckpoints(start.signals, every, kept, start.run_id)
    if start.capture:
        start.capture.write_to(directory, tensorboard)
    # Hints on hardware and products; warnings and errors still come through.
    for name in ("lightning.pytorch", "lightning.fabric", "lightning"):
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        trainer: Trainer = build(
            config["trainer"],
            callbacks=[
                ValidationBetweenSteps(),
                progress,
                Curves(directory / "metrics.csv", tensorboard, start.validation_names, start.step),
                *([start.capture] if start.capture else []),
                checkpoints,
                *_early_stopping(config["train"]["stop_at_exact_match"]),
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
    """Run Lightning without warnings of what is meant to be so.

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
    """Refuse what Lightning would find out late, work around, or take for something else."""
    wanted = settings["accelerator"]
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not there.get(wanted, any(there.values()) if wanted == "gpu" else True):
        raise ValueError(
            f"trainer.accelerator={wanted} is not there (no CUDA or MPS device); trainer=cpu works here"
        )
    if settings["precision"] == "16-mixed" and not any(there.values()):
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


def _early_stopping(threshold: float | None) -> list[EarlyStopping]:
    """Ends a training that has nothing left to learn; never one that merely stands still."""
    if threshold is None:
        return []
    # Lightning stops above its threshold (in float32); ours is reached when it is met.
    met = threshold - 1e-4
    return [
        EarlyStopping(
            "val/exact_match",
            mode="max",
            stopping_threshold=met,
            patience=sys.maxsize,
            check_on_train_epoch_end=False,
        )
    ]
