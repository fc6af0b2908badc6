"""Faults that planted_faults.py plants into trainings: classes that a config names in place of ours."""

import os
import time
from collections.abc import Sequence
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from qa_research.tasks.answering.batches import WindowDataset
from qa_research.tasks.answering.data import BuiltinData, Splits
from qa_research.tasks.answering.module import QuestionAnswering
from qa_research.trackers.tracker import CsvTracker
from qa_research.training.best import Checkpoints

# Where the hub that answers slowly listens.
HUB = "PLANTED_HUB"
# A step of BERT-Tiny takes some 50 ms on an idle machine, and several times as long on a busy one.
READING_S, LOGGING_S, SYNCING_S = 0.15, 0.15, 0.5
CREEP_FLOATS = 1_000_000


class SlowRead(WindowDataset):
    """Reads each batch from a disk that takes its time."""

    def __getitems__(self, indices: list[int]) -> dict[str, Tensor]:
        time.sleep(READING_S)
        return super().__getitems__(indices)


class SlowLoader(BuiltinData):
    """Training batches come late."""

    def train_dataloader(self) -> DataLoader[dict[str, Tensor]]:
        loader = super().train_dataloader()
        # A DataLoader does not let its data set be replaced.
        vars(loader)["dataset"] = SlowRead(self.train_windows, self.pad_token_id)
        return loader


class LoopingCollate(BuiltinData):
    """Batches are made number by number."""

    def train_dataloader(self) -> DataLoader[dict[str, Tensor]]:
        loader = super().train_dataloader()
        loader.collate_fn = one_by_one
        return loader


def one_by_one(batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same batch, through lists of Python's numbers, each of which is looked at 50 times."""
    made = {}
    for name, tensor in batch.items():
        rows: Any = tensor.tolist()
        flat = []
        for row in rows:
            for number in row if isinstance(row, list) else [row]:
                for _ in range(50):
                    number = max(number, number)
                flat.append(number)
        made[name] = torch.tensor(flat, dtype=tensor.dtype).view(tensor.shape)
    return made


class SlowTracker(CsvTracker):
    """Curves go to a service that takes its time."""

    def curves(self, values: Any, step: int) -> None:
        time.sleep(LOGGING_S)


class SlowDisk(Checkpoints):
    """The disk takes its time to write for good, whoever asks."""

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        super().on_fit_start(trainer, pl_module)
        sync = os.fsync

        def slow(fd: Any) -> None:
            time.sleep(SYNCING_S)
            sync(fd)

        os.fsync = slow


class Creeping(QuestionAnswering):
    """Keeps something of every batch."""

    kept: Sequence[Tensor] = ()

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        self.kept = [*self.kept, torch.ones(CREEP_FLOATS)]
        return super().training_step(batch, batch_idx)


class Doubled(QuestionAnswering):
    """Trains in float64, as after a careless `.double()`."""

    def on_fit_start(self) -> None:
        super().on_fit_start()
        self.double()


class AskingHub(BuiltinData):
    """Asks the hub about a data set that it does not need."""

    def read(self) -> Splits:
        from huggingface_hub import HfApi

        HfApi(endpoint=os.environ[HUB]).dataset_info("planted/questions")
        return super().read()
