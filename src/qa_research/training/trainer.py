"""Lightning's Trainer as a run needs it: its callbacks, its loggers, the settings it must not have."""

import logging
import math
import os
import sys
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_type_hints

import lightning.pytorch as pl
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import EarlyStopping

from qa_research.capture.callback import Capture
from qa_research.config import build, check_value
from qa_research.files import write_text
from qa_research.runs.directory import run_name
from qa_research.runs.forks import FORK
from qa_research.signals import Signals
from qa_research.tasks.task import Task
from qa_research.trackers.tracker import TrackedRun, Tracker
from qa_research.training.altered import Altered
from qa_research.training.anchors import Anchors
from qa_research.training.best import Checkpoints
from qa_research.training.finetuning.plan import Plan
from qa_research.training.finetuning.thawing import Thawing
from qa_research.training.looks import Ending, Look, Looking
from qa_research.training.metrics import Curves
from qa_research.training.progress import TrainingProgress
from qa_research.training.resumable import DurableCheckpointIO, ExactCheckpoints
from qa_research.training.settings import TrainerKeys, with_units
from qa_research.training.silencing import Silencing, window_of

log = logging.getLogger(__name__)
EXPECTED_WARNINGS = (
    ".*does not have many workers.*",
    ".*is smaller than the logging interval.*",
    ".*exists and is not empty.*",
    ".*(LeafSpec|pytree).*",
    # Lightning does not know that the sampler itself starts where the checkpoint was saved.
    ".*your dataloader is not resumable.*",
    # Every process has the scores of all examples.
    ".*when logging on epoch level in distributed setting.*",
    ".*PyTorch Profiler default schedule will be overridden.*",
)

PROFILE = "profile.txt"
# No number of a batch can be divided by it.
NO_BATCH = 2**62
REFUSED = {
    "limit_val_batches": "scores are of the whole validation split; make it smaller with the keys under data",
    "fast_dev_run": "use trainer=smoke for a short run",
    "overfit_batches": "use +experiment=overfit",
    "max_time": "training would end at a different step each time; use trainer.max_steps=N",
}
# Keys that conf/trainer has; a config from which one was removed is not complete.
NEEDED = (
    *("accelerator", "devices", "precision", "max_epochs", "max_steps", "accumulate_grad_batches"),
    *("val_check_interval", "check_val_every_n_epoch", "log_every_n_steps"),
)


class ValidationBetweenSteps(pl.Callback):
    """Makes `trainer.val_check_interval` end with an optimizer step, and count steps if it is to count.

    Lightning counts batches. It would validate in the middle of an accumulation, and the same weights twice.

    Example: epochs of 10 batches with accumulation of 4, so steps end after batches 4, 8 and 10.
      0.5                    Lightning: after batch 5, within the second step. Here: after batch 8.
      2 (steps, over epochs) Lightning: after batches 2, 4, ... Here: after batch 8 of the first epoch, 4 and
                             10 of the second, as steps 2, 4 and 6 end there.
    """

    def on_fit_start(self, trainer: Trainer, pl_module: pl.LightningModule) -> None:
        interval, accumulate = trainer.val_check_interval, trainer.accumulate_grad_batches
        if trainer.check_val_every_n_epoch is not None:
            batches = int(trainer.num_training_batches)
            steps = math.ceil(max(1, int(batches * interval)) / accumulate)
            trainer.val_check_batch = min(steps * accumulate, batches)

    def on_train_start(self, trainer: Trainer, pl_module: pl.LightningModule) -> None:
        # A resumed training asks first whether the step that it was saved at is to be validated.
        self._validate_if(trainer, trainer.global_step)

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        done = batch_idx + 1
        ends = done % trainer.accumulate_grad_batches == 0 or done == trainer.num_training_batches
        self._validate_if(trainer, trainer.global_step + 1 if ends else 0)

    def _validate_if(self, trainer: Trainer, step: int) -> None:
        """Where steps are counted: have the current batch followed by a validation if `step` is due."""
        if trainer.check_val_every_n_epoch is None:
            is_due = step > 0 and step % int(trainer.val_check_interval) == 0
            # Lightning validates after each batch whose number can be divided by this.
            trainer.val_check_batch = 1 if is_due else NO_BATCH


@dataclass(frozen=True)
class TrainerBundle:
    """A Trainer with those of its callbacks whose state is needed after the training."""

    trainer: Trainer
    checkpoints: Checkpoints
    progress: TrainingProgress
    saving: ExactCheckpoints
    capture: Capture | None
    tracker: Tracker


@dataclass(frozen=True)
class Start:
    """What a training starts with. `step`: the one it resumes from or is forked at, 0 for a new run."""

    run_id: str
    signals: Signals
    step: int
    task: Task
    plan: Plan | None
    capture: Capture | None
    tracker: Tracker
    look: Look | None = None


def make_trainer(config: Mapping[str, Any], directory: Path, start: Start) -> TrainerBundle:
    """The Trainer that a config describes, writing under `directory`. Creates no file yet.

    Raises:
        ValueError: Lightning cannot make such a Trainer on this machine.
    """
    folder, task = directory / "checkpoints", start.task
    checkpoints: Checkpoints = build(
        "checkpoint", config["checkpoint"], directory=folder, predictions=task.predictions
    )
    progress = TrainingProgress(config["train"]["progress"], task)
    tracked = TrackedRun(
        id=start.run_id,
        name=run_name(directory),
        directory=directory,
        config=config,
        step=start.step,
        scores=[metric["name"] for metric in task.metrics],
    )
    saving = ExactCheckpoints(start.signals, checkpoints.every_n_minutes, folder, start.run_id)
    callbacks: list[pl.Callback] = [
        ValidationBetweenSteps(),
        *([Thawing(start.plan)] if start.plan else []),
        progress,
        Curves(tracked, start.tracker, task),
    ]
    if start.capture:
        start.capture.write_to(directory, start.tracker)
        callbacks.append(start.capture)
    window = window_of(config["train"])
    anchors = Anchors(checkpoints.anchors_every_n_steps, checkpoints.anchors_mb, directory)
    callbacks += [checkpoints, *_early_stopping(task, config["train"]["stop_at"] or {})]
    callbacks += [
        *([Altered()] if FORK in config else []),
        *([Silencing(window)] if window else []),
        *([Looking(start.look)] if start.look else []),
        anchors,
        # After the anchors: whoever goes on from one does not end there.
        Ending(config["train"]["until_step"]),
        saving,
    ]
    # Hints about hardware and products; warnings and errors still come through.
    for name in ("lightning.pytorch", "lightning.fabric", "lightning"):
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        trainer: Trainer = build(
            "trainer",
            with_units(config["trainer"]),
            callbacks=callbacks,
            logger=False,
            plugins=[DurableCheckpointIO()],
            default_root_dir=directory,
            use_distributed_sampler=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
    except MisconfigurationException as error:
        raise _unusable(error) from error
    return TrainerBundle(trainer, checkpoints, progress, saving, start.capture, start.tracker)


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


def write_profile(trainer: Trainer, directory: Path) -> None:
    """Write what `trainer.profiler` measured of a training to profile.txt in its directory, if it is used."""
    # Lightning would print it by a logger whose messages are about products, and so not shown.
    profiler: Any = vars(trainer)["profiler"]
    text: str = profiler.summary()
    if text and trainer.is_global_zero:
        write_text(directory / PROFILE, text)
        log.info("Profile of the training: %s", directory / PROFILE)


def _unusable(error: MisconfigurationException) -> ValueError:
    return ValueError(f"Lightning rejects the settings under trainer: {error}")


def check_trainer(settings: Mapping[str, Any]) -> None:
    """Refuse settings that Lightning would notice late, work around, or interpret differently."""
    types = get_type_hints(TrainerKeys, include_extras=True)
    for key, value in settings.items():
        if key == "_target_":
            continue
        if key in REFUSED and value is not None and value is not False:
            raise ValueError(f"trainer.{key} does not work here: {REFUSED[key]}")
        if key not in types and key not in REFUSED:
            raise ValueError(
                f"trainer.{key} is set by qa_research or has no effect on a training; known: "
                f"{', '.join(types)}"
            )
        if key in types:
            check_value(f"trainer.{key}", value, types[key])
    for key in NEEDED:
        if key not in settings:
            raise ValueError(f"trainer.{key} must be given: trainer.{key}=...")
    with_units(settings)
    _check_hardware(settings["accelerator"], settings["devices"], settings["precision"])


def processes_of(settings: Mapping[str, Any]) -> int:
    """How many processes train together."""
    devices: int | list[int] = settings["devices"]
    return devices if isinstance(devices, int) else len(devices)


def _check_hardware(accelerator: str, devices: int | list[int], precision: str | int) -> None:
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    has_gpu = any(available.values())
    if not (has_gpu if accelerator == "gpu" else available.get(accelerator, True)):
        raise ValueError(
            f"trainer.accelerator={accelerator} is not available (no CUDA or MPS device); use trainer=cpu"
        )
    if str(precision).startswith("16") and not has_gpu:
        raise ValueError(
            f"trainer.precision={precision} needs a GPU; use 32-true or bf16-mixed on a CPU"
        )
    if accelerator == "cpu" or not has_gpu:
        # Two processes to try things out, on whatever machine.
        count, what = max(os.cpu_count() or 1, 2), "processors"
    else:
        count, what = (torch.cuda.device_count() if available["cuda"] else 1), "GPUs"
    if isinstance(devices, list):
        if not devices or len(set(devices)) < len(devices) or max(devices) >= count:
            raise ValueError(
                f"trainer.devices={devices} must be different numbers from 0 to {count - 1}, as this "
                f"machine has {count} {what}"
            )
        if what == "processors":
            raise ValueError(
                f"trainer.devices={devices} names GPUs by their numbers; on a CPU it is how many processes "
                "train together: trainer.devices=1"
            )
    elif devices > count:
        raise ValueError(
            f"trainer.devices={devices} is more than the {count} {what} that this machine has"
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
