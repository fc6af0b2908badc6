"""Which examples form which batch, grouped by length, so that batches have little padding; for any task.

The order is a pure function of (seed, epoch, world size), and of the difficulties of a curriculum.
"""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from qa_research.streams import stream
from qa_research.tasks.curriculum import Curriculum, easy_first
from qa_research.tasks.left_out import LeftOut

# Examples are sorted by length only within groups of this many batches: the batches then differ from
# epoch to epoch and still have almost no padding.
BATCHES_PER_GROUP = 50


def batch_order(
    lengths: NDArray[np.integer],
    batch_size: int,
    seed: int,
    epoch: int,
    world_size: int,
    curriculum: Curriculum | None = None,
) -> list[NDArray[np.int64]]:
    """The global batches of an epoch: indices of examples, `batch_size * world_size` per batch.

    Every example is in exactly one batch, unless a curriculum chooses others. One batch may be smaller.

    Example: 7 of them, batches of 2, groups of 2 batches instead of 50. Shuffled: 3 0 6 5 | 1 4 2.
    Sorted by length within each group, longest first: 6 3 5 0 | 4 2 1. Batches: [6 3] [5 0] [4 2] [1],
    which are then served in random order, so that the long ones do not all come first.
    """
    size = batch_size * world_size
    if curriculum and not curriculum.is_over(epoch):
        return easy_first(curriculum, lengths, size, seed, epoch)
    rng = stream(seed, "order", epoch)
    shuffled = rng.permutation(len(lengths))
    batches: list[NDArray[np.int64]] = []
    for begin in range(0, len(shuffled), size * BATCHES_PER_GROUP):
        group = shuffled[begin : begin + size * BATCHES_PER_GROUP]
        group = group[np.argsort(-lengths[group], kind="stable")]
        batches += [group[i : i + size] for i in range(0, len(group), size)]
    return [batches[i] for i in rng.permutation(len(batches))]


def batches_of_tokens(lengths: NDArray[np.integer], most_tokens: int) -> list[list[int]]:
    """All examples, longest first, in batches of at most `most_tokens` tokens including padding.

    One longer than that is a batch of its own.
    """
    # The first one of a batch is its longest, so it decides how many fit. At most 2048 tokens:
    # after one of 384 tokens, 2048 // 384 = 5 windows, itself included.
    order = np.argsort(-lengths, kind="stable").tolist()
    batches = []
    begin = 0
    while begin < len(order):
        size = max(1, most_tokens // max(1, int(lengths[order[begin]])))
        batches.append(order[begin : begin + size])
        begin += size
    return batches


class TrainingBatches:
    """A batch sampler for a DataLoader: this process's share of each global batch, epoch by epoch.

    Of a batch with fewer examples than processes, those without a share are served its first one
    (which then weighs nothing; see `LearningModule.share_of_step`); so is a batch of none but left out ones.
    Deterministic for (seed, epoch, world size); draws nothing from the global generators. A run that
    resumes in the middle of an epoch skips the batches it has seen (`start_at`), but `len()` remains
    that of the whole epoch, because Lightning's loops count with it. `curriculum_of`: that of an epoch.
    `left_out`: the examples without which it trains.

    Example: an epoch has 10 batches, and a run stopped in epoch 2 after 4 of them. `start_at(2, 4)`: the
    first iteration serves batches 4 to 9 of epoch 2; from `set_epoch(3)` on, all 10. `len()` is 10.
    """

    def __init__(
        self,
        lengths: NDArray[np.integer],
        batch_size: int,
        seed: int,
        rank: int,
        world_size: int,
        curriculum_of: Callable[[int], Curriculum | None] = lambda _: None,
        left_out: LeftOut | None = None,
    ) -> None:
        self.lengths = lengths
        self.batch_size = batch_size
        self.seed = seed
        self.rank = rank
        self.world_size = world_size
        self.curriculum_of = curriculum_of
        self.left_out = left_out
        self.epoch = 0
        self.skipped = (0, 0)

    def start_at(self, epoch: int, batches: int) -> None:
        """Start with this epoch, after so many of its batches."""
        self.epoch = epoch
        self.skipped = (epoch, batches)

    @property
    def sampler(self) -> "TrainingBatches":
        """Itself: this is where Lightning looks for `set_epoch`."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """The next iteration is in this epoch's order."""
        self.epoch = epoch

    def __len__(self) -> int:
        return -(-len(self.lengths) // (self.batch_size * self.world_size))

    def __iter__(self) -> Iterator[list[int]]:
        sizes = (self.batch_size, self.seed, self.epoch, self.world_size)
        order = batch_order(self.lengths, *sizes, self.curriculum_of(self.epoch))
        served = self.left_out.applied(order, self.epoch) if self.left_out else order
        epoch, batches = self.skipped
        skipped = batches if self.epoch == epoch else 0
        for batch, whole in zip(served[skipped:], order[skipped:], strict=True):
            share = batch[self.rank :: self.world_size]
            yield (share if len(share) else whole[:1]).tolist()


class ScoringBatches:
    """A batch sampler for validation: longest first, each example once, divided among processes."""

    def __init__(
        self, lengths: NDArray[np.integer], batch_size: int, rank: int, world_size: int
    ) -> None:
        mine = np.argsort(-lengths, kind="stable")[rank::world_size]
        self.batches = [mine[i : i + batch_size] for i in range(0, len(mine), batch_size)]

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[list[int]]:
        for batch in self.batches:
            yield batch.tolist()
