"""Loaders of any task whose examples differ in length: batches of like lengths, in a resumable order."""

from abc import abstractmethod
from collections.abc import Iterable
from typing import Annotated, Any

import numpy as np
import torch
from annotated_types import Gt, Le
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from qa_research.tasks.batches import ScoringBatches, TrainingBatches, batch_order
from qa_research.tasks.curriculum import Curriculum, Measure
from qa_research.tasks.learning import TaskData
from qa_research.tasks.loader import Loader


class BatchedData(TaskData):
    """Data in batches of examples of like lengths; a subclass says the lengths, and what makes a batch.

    Set `order_seed` before the loaders are asked for. `curriculum`: what makes an example difficult, if easy
    ones are to come first; `curriculum_epochs`: until all take part (None: 1).

    Raises:
        ValueError: there is a number of epochs and no curriculum.
    """

    batch_size: int
    eval_batch_size: int
    num_workers: int
    order_seed: int
    position: tuple[int, int] = (0, 0)

    def __init__(
        self,
        curriculum: Measure | None,
        curriculum_epochs: Annotated[float, Gt(0), Le(10_000)] | None,
    ) -> None:
        super().__init__()
        if curriculum is None and curriculum_epochs is not None:
            raise ValueError(
                f"data.curriculum_epochs={curriculum_epochs:g} says how long a curriculum takes, and there "
                "is none: data.curriculum=length, facts or loss"
            )
        self.curriculum = curriculum
        self.curriculum_epochs = curriculum_epochs or 1.0
        # By training example: its latest loss, NaN if it had none yet; and the losses that the order of an
        # epoch is made of.
        self.losses = np.zeros(0)
        self.ordered_by: tuple[int, NDArray[np.float64]] = (-1, self.losses)

    @abstractmethod
    def lengths(self, split: str) -> NDArray[np.int64]:
        """The length of each example of `train` or `validation`, in tokens."""

    @abstractmethod
    def batches_of(self, split: str) -> Dataset[dict[str, Tensor]]:
        """What makes a padded batch of the examples of a split at given places (`__getitems__`).

        It is sent to the workers of a loader, so it holds tensors and plain values only.
        """

    def difficulties(self, measure: Measure) -> NDArray[np.float64]:
        """How difficult each training example is, in tokens or facts.

        Raises:
            ValueError: it is not known.
        """
        if measure == "length":
            return self.lengths("train").astype(np.float64)
        raise ValueError(
            f"data.curriculum={measure} counts the facts of the built-in notices, and data={self.name} has "
            "no such number; data.curriculum=length and loss are known of any example"
        )

    def check_curriculum(self, epochs: int) -> None:
        """Once the data are prepared: does their curriculum come to its end in so many epochs?

        Raises:
            ValueError: it does not, it orders nothing, or its difficulties are not known.
        """
        if self.curriculum is None:
            return
        needed = self.curriculum_epochs + (self.curriculum == "loss")
        if 0 < epochs < needed:
            before = (
                ", after one in which losses are measured," if self.curriculum == "loss" else ""
            )
            raise ValueError(
                f"data.curriculum_epochs={self.curriculum_epochs:g}{before} is more than trainer.max_epochs="
                f"{epochs}: the most difficult examples would never take part"
            )
        if self.curriculum != "loss" and np.ptp(self.difficulties(self.curriculum)) == 0:
            raise ValueError(
                f"data.curriculum={self.curriculum} orders nothing: it is the same for all "
                f"{len(self.lengths('train')):,} training examples"
            )

    def order_in_words(self) -> list[str]:
        if self.curriculum is None:
            return []
        later = "from the second epoch on, " if self.wants_losses else ""
        return [
            f"Curriculum: {later}the training examples of least {self.curriculum} first; all take part "
            f"after {self.curriculum_epochs:g} epochs{' more' if later else ''}"
        ]

    @property
    def wants_losses(self) -> bool:
        return self.curriculum == "loss"

    def note_losses(self, losses: Iterable[tuple[int, float]]) -> None:
        if not len(self.losses):
            self.losses = np.full(len(self.lengths("train")), np.nan)
        for place, loss in losses:
            self.losses[place] = loss

    def curriculum_of(self, epoch: int) -> Curriculum | None:
        """What makes the order of an epoch that begins, or goes on after a resume; None: nothing."""
        if self.curriculum is None:
            return None
        if self.curriculum != "loss":
            return Curriculum(self.difficulties(self.curriculum), self.curriculum_epochs)
        # An epoch that goes on has the order that it began with, whatever losses came since.
        if self.ordered_by[0] != epoch:
            self.ordered_by = (epoch, self.losses.copy())
        # Those without a loss yet, as they are when a training serves a part of each epoch, come last.
        difficulty = np.nan_to_num(self.ordered_by[1], nan=np.inf, posinf=np.inf)
        return Curriculum(difficulty, self.curriculum_epochs, first_epoch=1)

    def state_dict(self) -> dict[str, Any]:
        if not self.wants_losses:
            return {}
        epoch, losses = self.ordered_by
        return {
            "losses": torch.from_numpy(self.losses.copy()),
            "epoch": epoch,
            "ordered_by": torch.from_numpy(losses.copy()),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        if self.wants_losses:
            self.losses = state_dict["losses"].numpy().copy()
            self.ordered_by = (state_dict["epoch"], state_dict["ordered_by"].numpy().copy())

    def start_at(self, epoch: int, batches: int) -> None:
        self.position = (epoch, batches)

    def batch_sizes(self, epoch: int) -> list[int]:
        sizes = (self.batch_size, self.order_seed, epoch, self._rank()[1])
        lengths, pace = self.lengths("train"), None
        if self.curriculum is not None:
            # How large batches are does not depend on difficulties, which are not known of a later epoch.
            equal = np.zeros(len(lengths))
            pace = Curriculum(equal, self.curriculum_epochs, int(self.wants_losses))
        order = batch_order(lengths, *sizes, pace)
        return [len(batch) for batch in order]

    def train_dataloader(self) -> DataLoader[dict[str, Tensor]]:
        rank, world_size = self._rank()
        sampler = TrainingBatches(
            self.lengths("train"),
            self.batch_size,
            self.order_seed,
            rank,
            world_size,
            self.curriculum_of,
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
