"""Loaders of any task whose examples differ in length: batches of like lengths, in a resumable order."""

from abc import abstractmethod
from collections.abc import Iterable, Sequence
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
from qa_research.tasks.left_out import Edits, Holes, LeftOut, check_some_remain, left_of, which_of
from qa_research.tasks.loader import Loader

# What becomes of the places of examples that are left out, in words.
PLACES = {
    "empty": "their places in the batches stay empty, and the others weigh what they did",
    "next": "the next ones take their places",
}


class BatchedData(TaskData):
    """Data in batches of examples of like lengths; a subclass says the lengths, and what makes a batch.

    Set `order_seed` before the loaders are asked for. `curriculum`: what makes an example difficult, if easy
    ones are to come first; `curriculum_epochs`: until all take part (None: 1). `without`, `only`, `holes` and
    `relabel`: see `Edits`.

    Raises:
        ValueError: there is a number of epochs and no curriculum, or edits contradict each other.
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
        without: list[str | int] | None,
        only: list[str | int] | None,
        holes: Holes | None,
        relabel: dict[str, Any] | None,
    ) -> None:
        super().__init__()
        if curriculum is None and curriculum_epochs is not None:
            raise ValueError(
                f"data.curriculum_epochs={curriculum_epochs:g} says how long a curriculum takes, and there "
                "is none: data.curriculum=length, facts or loss"
            )
        self.curriculum = curriculum
        self.edits = Edits(without, only, holes, relabel)
        self._check_edits(self.edits)
        # Since which epoch and batch some are left out, if that is not where this training begins.
        self.edited_since: tuple[int, int] | None = None
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

    def ids(self) -> list[str]:
        untyped: Any = self
        return [str(row.id) for row in untyped.train]

    def batches_in(self, epoch: int) -> list[list[str]]:
        """The ids of the examples in each batch of an epoch of all training examples, over all processes."""
        ids, sizes = self.ids(), (self.batch_size, self.order_seed, epoch, self._rank()[1])
        order = batch_order(self.lengths("train"), *sizes, self.curriculum_of(epoch))
        return [[ids[place] for place in batch] for batch in order]

    def edit(self, edits: Edits) -> None:
        self._check_edits(edits)
        self.edits, self.edited_since = edits, None
        # What is not there is refused now, not in the middle of a training.
        self.left_out()

    def _check_edits(self, edits: Edits) -> None:
        edits.check()
        if self.curriculum is not None and (edits.without is not None or edits.only is not None):
            raise ValueError(
                f"data.curriculum={self.curriculum} makes an order of all training examples, and "
                "data.without and data.only leave some out; use one of them"
            )

    def relabelled(self, row: Any, answer: Any) -> Any:
        """A training example with another answer, as `data.relabel` says it.

        Raises:
            ValueError: it cannot have that one.
        """
        raise ValueError(f"data={self.name} has no answers that data.relabel could change")

    def with_other_answers(self, rows: Sequence[Any]) -> list[Any]:
        """Training examples as read, those of `data.relabel` with their other answers.

        Raises:
            ValueError: one that is named is not there, or cannot have that answer.
        """
        wanted = {str(one): answer for one, answer in (self.edits.relabel or {}).items()}
        which_of([str(row.id) for row in rows], list(wanted), "data.relabel")
        found = []
        for row in rows:
            if str(row.id) in wanted:
                try:
                    row = self.relabelled(row, wanted[str(row.id)])
                except ValueError as error:
                    raise ValueError(f"data.relabel: {row.id}: {error}") from error
            found.append(row)
        return found

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

    def left_out(self) -> LeftOut | None:
        """The training examples that are not trained on; None: all are.

        Raises:
            ValueError: one that is named is not there, or too many are.
        """
        edits = self.edits
        if edits.without is None and edits.only is None:
            return None
        ids = self.ids()
        if edits.only is not None:
            which = ~which_of(ids, edits.only, "data.only")
        else:
            which = which_of(ids, edits.without or (), "data.without")
        check_some_remain(*left_of(ids, which), is_only=edits.only is not None)
        return LeftOut(which, edits.holes or "empty", self.edited_since or self.position)

    def check_order(self, epochs: int) -> None:
        """Once the data are prepared: can they be served so, in so many epochs?

        Raises:
            ValueError: a curriculum does not come to its end, orders nothing, or its difficulties are not
                known; or what is to be left out is not there.
        """
        self.left_out()
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
        if found := self.left_out():
            count, total = left_of(self.ids(), found.which)
            return [f"Left out: {count:,} of {total:,} training examples; {PLACES[found.holes]}"]
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
        state: dict[str, Any] = {}
        if self.edits.without is not None or self.edits.only is not None:
            state["edited_since"] = list(self.edited_since or (0, 0))
        if self.wants_losses:
            epoch, losses = self.ordered_by
            state |= {
                "losses": torch.from_numpy(self.losses.copy()),
                "epoch": epoch,
                "ordered_by": torch.from_numpy(losses.copy()),
            }
        return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        if "edited_since" in state_dict:
            epoch, batches = state_dict["edited_since"]
            self.edited_since = (epoch, batches)
        if self.wants_losses:
            self.losses = state_dict["losses"].numpy().copy()
            self.ordered_by = (state_dict["epoch"], state_dict["ordered_by"].numpy().copy())

    def start_at(self, epoch: int, batches: int) -> None:
        self.position = (epoch, batches)
        # A fork with these edits begins here; a training that is resumed has loaded where it began.
        if self.edited_since is None:
            self.edited_since = self.position

    def batch_sizes(self, epoch: int) -> list[int]:
        sizes = (self.batch_size, self.order_seed, epoch, self._rank()[1])
        lengths, pace = self.lengths("train"), None
        if self.curriculum is not None:
            # How large batches are does not depend on difficulties, which are not known of a later epoch.
            equal = np.zeros(len(lengths))
            pace = Curriculum(equal, self.curriculum_epochs, int(self.wants_losses))
        order = batch_order(lengths, *sizes, pace)
        return [len(batch) for batch in order]

    def served_sizes(self, epoch: int) -> list[int]:
        if (found := self.left_out()) is None:
            return self.batch_sizes(epoch)
        sizes = (self.batch_size, self.order_seed, epoch, self._rank()[1])
        order = batch_order(self.lengths("train"), *sizes)
        return [len(batch) for batch in found.applied(order, epoch)]

    def train_dataloader(self) -> DataLoader[dict[str, Tensor]]:
        rank, world_size = self._rank()
        sampler = TrainingBatches(
            self.lengths("train"),
            self.batch_size,
            self.order_seed,
            rank,
            world_size,
            self.curriculum_of,
            self.left_out(),
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
