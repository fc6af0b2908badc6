"""Loaders of any task whose examples differ in length: batches of like lengths, in a resumable order."""

from abc import abstractmethod
from typing import Any

import torch
from numpy import int64
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from qa_research.tasks.batches import ScoringBatches, TrainingBatches, batch_order
from qa_research.tasks.learning import TaskData
from qa_research.tasks.loader import Loader


class BatchedData(TaskData):
    """Data in batches of examples of like lengths; a subclass says the lengths, and what makes a batch.

    Set `order_seed` before the loaders are asked for.
    """

    batch_size: int
    eval_batch_size: int
    num_workers: int
    order_seed: int
    position: tuple[int, int] = (0, 0)

    @abstractmethod
    def lengths(self, split: str) -> NDArray[int64]:
        """The length of each example of `train` or `validation`, in tokens."""

    @abstractmethod
    def batches_of(self, split: str) -> Dataset[dict[str, Tensor]]:
        """What makes a padded batch of the examples of a split at given places (`__getitems__`).

        It is sent to the workers of a loader, so it holds tensors and plain values only.
        """

    def start_at(self, epoch: int, batches: int) -> None:
        self.position = (epoch, batches)

    def batch_sizes(self, epoch: int) -> list[int]:
        lengths, processes = self.lengths("train"), self._rank()[1]
        order = batch_order(lengths, self.batch_size, self.order_seed, epoch, processes)
        return [len(batch) for batch in order]

    def train_dataloader(self) -> DataLoader[dict[str, Tensor]]:
        rank, world_size = self._rank()
        sampler = TrainingBatches(
            self.lengths("train"), self.batch_size, self.order_seed, rank, world_size
        )
        # Workers prefetch as soon as there is an iterator, which is before Lightning sets the epoch.
        sampler.start_at(*self.position)
        return self._loader("train", sampler)

    def val_dataloader(self) -> DataLoader[dict[str, Tensor]]:
        lengths = self.lengths("validation")
        return self._loader(
            "validation", ScoringBatches(lengths, self.eval_batch_size, *self._rank())
        )

    def _loader(
        self, split: str, sampler: TrainingBatches | ScoringBatches
    ) -> DataLoader[dict[str, Tensor]]:
        return Loader(
            self.batches_of(split),
            batch_sampler=sampler,
            collate_fn=_as_is,
            num_workers=self.num_workers,
            persistent_workers=self.num_workers > 0,
            pin_memory=torch.cuda.is_available(),
            # A generator of its own: creating an iterator must not draw from the global one, dropout's.
            generator=torch.Generator().manual_seed(self.order_seed),
        )

    def _rank(self) -> tuple[int, int]:
        """This process's rank, and the number of processes."""
        if self.trainer is None:
            return 0, 1
        return self.trainer.global_rank, self.trainer.world_size


def _as_is(batch: Any) -> Any:
    """A whole batch is asked for at once, so there is nothing to collate."""
    return batch
