"""Which windows form which batch, grouped by length, and a batch as padded tensors.

The order is a pure function of (seed, epoch, world size).
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from qa_research.streams import stream
from qa_research.tasks.answering.windows import Windows

# Windows are sorted by length only within groups of this many batches: the batches then differ from
# epoch to epoch and still have almost no padding.
BATCHES_PER_GROUP = 50


def batch_order(
    lengths: NDArray[np.integer], batch_size: int, seed: int, epoch: int, world_size: int
) -> list[NDArray[np.int64]]:
    """The global batches of an epoch: window indices, `batch_size * world_size` per batch.

    Every window is in exactly one batch. One batch may be smaller.

    Example: 7 windows, batches of 2, groups of 2 batches instead of 50. Shuffled: 3 0 6 5 | 1 4 2.
    Sorted by length within each group, longest first: 6 3 5 0 | 4 2 1. Batches: [6 3] [5 0] [4 2] [1],
    which are then served in random order, so that the long ones do not all come first.
    """
    rng = stream(seed, "order", epoch)
    size = batch_size * world_size
    shuffled = rng.permutation(len(lengths))
    batches: list[NDArray[np.int64]] = []
    for begin in range(0, len(shuffled), size * BATCHES_PER_GROUP):
        group = shuffled[begin : begin + size * BATCHES_PER_GROUP]
        group = group[np.argsort(-lengths[group], kind="stable")]
        batches += [group[i : i + size] for i in range(0, len(group), size)]
    return [batches[i] for i in rng.permutation(len(batches))]


def batches_of_tokens(lengths: NDArray[np.integer], most_tokens: int) -> list[list[int]]:
    """All windows, longest first, in batches of at most `most_tokens` tokens including padding.

    A window longer than that is a batch of its own.
    """
    # The first window of a batch is its longest, so it decides how many fit. At most 2048 tokens:
    # after a window of 384 tokens, 2048 // 384 = 5 windows, itself included.
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

    Of a batch with fewer windows than processes, those without a share are served its first window
    (which then weighs nothing; see `LearningModule.share_of_step`).
    Deterministic for (seed, epoch, world size); draws nothing from the global generators. A run that
    resumes in the middle of an epoch skips the batches it has seen (`start_at`), but `len()` remains
    that of the whole epoch, because Lightning's loops count with it.

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
    ) -> None:
        self.lengths = lengths
        self.batch_size = batch_size
        self.seed = seed
        self.rank = rank
        self.world_size = world_size
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
        order = batch_order(self.lengths, self.batch_size, self.seed, self.epoch, self.world_size)
        epoch, batches = self.skipped
        for batch in order[batches:] if self.epoch == epoch else order:
            share = batch[self.rank :: self.world_size]
            yield (share if len(share) else batch[:1]).tolist()


class ScoringBatches:
    """A batch sampler for validation: longest first, each window once, divided among processes."""

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


def padded_batch(windows: Windows, indices: Sequence[int], pad_token_id: int) -> dict[str, Tensor]:
    """The chosen windows, padded on the right to the longest of them.

    Keys, all int64: `input_ids`, `attention_mask` and, if the tokenizer has them,
    `token_type_ids` [window token]; `start_positions`, `end_positions` and `window`, the index of
    each window [window].
    """
    # Windows of 3 and 2 tokens at 0 and 3 of the flat arrays: `where` is [[0 1 2] [3 4 5]], and `mask`
    # is False for the 5, which belongs to the next window (or is past the end, hence the minimum).
    rows = np.asarray(indices, dtype=np.int64)
    starts = windows.starts[rows]
    lengths = windows.starts[rows + 1] - starts
    columns = np.arange(int(lengths.max()))
    mask = columns < lengths[:, None]
    where = np.minimum(starts[:, None] + columns, len(windows.input_ids) - 1)
    batch = {
        "input_ids": np.where(mask, windows.input_ids[where], pad_token_id),
        "attention_mask": mask,
        "start_positions": windows.span_first[rows],
        "end_positions": windows.span_last[rows],
        "window": rows,
    }
    if windows.has_token_types:
        batch["token_type_ids"] = np.where(mask, windows.token_types[where], 0)
    return {name: torch.from_numpy(array.astype(np.int64)) for name, array in batch.items()}


class WindowDataset(Dataset[dict[str, Tensor]]):
    """Windows for a DataLoader, which asks for a padded batch at a time."""

    def __init__(self, windows: Windows, pad_token_id: int) -> None:
        self.windows = windows
        self.pad_token_id = pad_token_id

    def __len__(self) -> int:
        return len(self.windows)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return padded_batch(self.windows, [index], self.pad_token_id)

    def __getitems__(self, indices: list[int]) -> dict[str, Tensor]:
        return padded_batch(self.windows, indices, self.pad_token_id)
