"""Which windows form which batch: a pure function of (seed, epoch, world size), grouped by length."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from qa_research.streams import stream

# Windows are sorted by length only within groups of so many batches: batches then differ from
# epoch to epoch and still hold next to no padding.
BATCHES_A_GROUP = 50


def batch_order(
    lengths: NDArray[np.integer], batch_size: int, seed: int, epoch: int, world_size: int
) -> list[NDArray[np.int64]]:
    """The global batches of an epoch: window indices, `batch_size * world_size` of them a batch.

    Every window stands in exactly one batch. The last batch may be smaller; with several processes
    it is filled up to a multiple of `world_size` with windows of its own, so that shares are equal.
    """
    rng = stream(seed, "order", epoch)
    size = batch_size * world_size
    shuffled = rng.permutation(len(lengths))
    batches: list[NDArray[np.int64]] = []
    for begin in range(0, len(shuffled), size * BATCHES_A_GROUP):
        group = shuffled[begin : begin + size * BATCHES_A_GROUP]
        group = group[np.argsort(-lengths[group], kind="stable")]
        batches += [group[i : i + size] for i in range(0, len(group), size)]
    missing = -len(batches[-1]) % world_size if batches else 0
    if missing:
        batches[-1] = np.concatenate([batches[-1], np.resize(batches[-1], missing)])
    return [batches[i] for i in rng.permutation(len(batches))]


def batches_of_tokens(lengths: NDArray[np.integer], most_tokens: int) -> list[list[int]]:
    """All windows, sorted by length, in batches of at most `most_tokens` tokens with their padding.

    A window longer than that is a batch of its own.
    """
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

    `len()` is always the whole epoch's, also of one that starts in the middle (`start_at`), which is
    what loops count with. Deterministic for (seed, epoch, world size); draws nothing from the global
    generators.
    """

    def __init__(
        self,
        lengths: NDArray[np.integer],
        batch_size: int,
        seed: int,
        rank: int,
        world_size: int,
    ) -> None:
        self.lengths = lengths
        self.batch_size = batch_size
        self.seed = seed
        self.rank = rank
        self.world_size = world_size
        self.epoch = 0
        self.skipped = (0, 0)

    def start_at(self, epoch: int, batches: int) -> None:
        """Begin with this epoch, and in it after so many batches."""
        self.epoch = epoch
        self.skipped = (epoch, batches)

    @property
    def sampler(self) -> "TrainingBatches":
        """Itself: this is where Lightning looks for `set_epoch`."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """The next iteration gives this epoch's order."""
        self.epoch = epoch

    def __len__(self) -> int:
        return -(-len(self.lengths) // (self.batch_size * self.world_size))

    def __iter__(self) -> Iterator[list[int]]:
        order = batch_order(self.lengths, self.batch_size, self.seed, self.epoch, self.world_size)
        epoch, batches = self.skipped
        for batch in order[batches:] if self.epoch == epoch else order:
            yield batch[self.rank :: self.world_size].tolist()


class ScoringBatches:
    """A batch sampler for validation: sorted by length, each window once, shared out to processes."""

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
