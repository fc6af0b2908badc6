"""A batch of windows as padded tensors. Which windows form which batch is in tasks/batches.py."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from qa_research.tasks.answering.windows import Windows


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
