"""A training lets its stacks be sampled: it announces itself in the run's directory, with its steps."""

import logging
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor

from qa_research.runs.directory import read_record, run_name
from qa_research.sampled import NAME, Announcement, asked_for

log = logging.getLogger(__name__)


@contextmanager
def announced(directory: Path) -> Iterator[Announcement | None]:
    """Inside, this process trains the run in `directory` and can be sampled; None where that cannot be.

    A process that was started to be sampled has announced itself already, and only says which run it trains.
    """
    announcement = asked_for()
    was_asked = announcement is not None
    if announcement is None:
        rank = int(os.environ.get("LOCAL_RANK", "0"))
        try:
            announcement = Announcement(directory, f"{NAME}-{rank}" if rank else NAME)
        except (ValueError, OSError) as error:
            # Nobody asked for it, and the training is what matters.
            log.debug("This training cannot be sampled: %s", error)
            yield None
            return
    record = read_record(directory) or {}
    announcement.run_started(
        id=record.get("id"), name=run_name(directory), directory=str(directory.resolve())
    )
    try:
        yield announcement
    finally:
        announcement.run_ended()
        if not was_asked:
            announcement.withdraw(remove=True)


class ToldSteps(pl.Callback):
    """Tells whoever samples the training when each optimizer step ended, and what explains its speed."""

    def __init__(self, announcement: Announcement) -> None:
        self._announcement = announcement
        self._step = 0
        self._has_batch = False

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._step = trainer.global_step
        sizes: Counter[str] = Counter()
        for parameter in pl_module.parameters():
            sizes[str(parameter.dtype).removeprefix("torch.")] += parameter.numel()
        loader: Any = trainer.train_dataloader
        self._announcement.told(
            threads=torch.get_num_threads(),
            device=pl_module.device.type,
            precision=str(trainer.precision),
            processes=trainer.world_size,
            parameters=dict(sizes),
            workers=getattr(loader, "num_workers", 0),
            steps=int(trainer.estimated_stepping_batches),
            first_step=trainer.global_step,
        )

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        if not self._has_batch and isinstance(batch, dict):
            self._has_batch = True
            tensors = {name: value for name, value in batch.items() if isinstance(value, Tensor)}
            self._announcement.told(
                batch={
                    name: str(value.dtype).removeprefix("torch.") for name, value in tensors.items()
                }
            )

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        # Several batches may be accumulated for one step.
        if trainer.global_step != self._step:
            self._step = trainer.global_step
            self._announcement.step_ended(self._step)
