"""Examples that are rows of vectors, with a number each, in batches."""

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from qa_research.tasks.asked_numbers import Vectors
from qa_research.tasks.parted import PartedData


class NumberData(PartedData):
    """Examples of one source with a number, `label`; a subclass reads them and makes vectors of them."""

    @property
    @abstractmethod
    def vectors(self) -> Vectors[Any]:
        """What makes vectors of some examples; a function of a module, as it is sent to workers."""

    def relabelled(self, row: Any, answer: Any) -> Any:
        """An example with another number."""
        if isinstance(answer, bool) or not isinstance(answer, int | float):
            raise ValueError(f"a label is a number, got {answer!r:.60}")
        return replace(row, label=float(answer))

    def labels(self, split: str) -> NDArray[np.float64]:
        """[example]"""
        return np.array([row.label for row in getattr(self, split)], dtype=np.float64)

    def batches_of(self, split: str) -> "NumberBatches":
        return NumberBatches(getattr(self, split), self.vectors)

    def in_order(self, split: str) -> Iterator[dict[str, Tensor]]:
        """All batches of a split, in its own order."""
        batches, size = self.batches_of(split), self.eval_batch_size
        for start in range(0, len(batches), size):
            yield batches.__getitems__(range(start, min(start + size, len(batches))))


class NumberBatches(Dataset[dict[str, Tensor]]):
    """Examples for a loader, which asks for a padded batch at a time."""

    def __init__(self, rows: Sequence[Any], vectors: Vectors[Any]) -> None:
        self.rows, self.vectors = rows, vectors

    def __len__(self) -> int:
        return len(self.rows)

    def __getitems__(self, places: Sequence[int]) -> dict[str, Tensor]:
        """`vectors` and `mask` (see `Vectors`), `label` and `place`, all by example."""
        rows = [self.rows[place] for place in places]
        vectors, mask = self.vectors(rows)
        labels = torch.tensor([row.label for row in rows], dtype=torch.float32)
        return {"vectors": vectors, "mask": mask, "label": labels, "place": torch.tensor(places)}
