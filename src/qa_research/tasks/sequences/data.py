"""Sequences from files, or generated with known motifs, and their batches for Lightning."""

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import Annotated, Any

import numpy as np
import torch
from annotated_types import Ge, Gt, Le, Lt
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from qa_research.files import check_encoding
from qa_research.tasks.batched import BatchedData
from qa_research.tasks.dividing import check_one_is_given, chosen, linked, parts_of
from qa_research.tasks.sequences.motifs import generate
from qa_research.tasks.sequences.sequence import (
    LabelledSequence,
    fingerprint,
    one_hot,
    read_sequences,
    windows_of,
)

SPLITS = ("train", "validation")


class SequenceData(BatchedData):
    """Sequences of one source in batches. A subclass implements `read`.

    Of the validation sequences `choosing_share` choose the best weights, and scores are of the others. What
    is the same but for a shift of `overlap_letters` is in one part. Call `load()`, then the loaders.
    """

    def __init__(
        self,
        name: str,
        train_sequences: Annotated[int, Ge(2)] | None,
        validation_sequences: Annotated[int, Ge(4)] | None,
        choosing_share: Annotated[float, Gt(0), Lt(1)],
        overlap_letters: Annotated[int, Ge(0)],
        seed: Annotated[int, Ge(0), Le(2**63 - 1)],
        batch_size: Annotated[int, Ge(1)],
        eval_batch_size: Annotated[int, Ge(1)],
        num_workers: Annotated[int, Ge(0), Le(256)],
    ) -> None:
        super().__init__()
        self.name = name
        self.counts = {"train": train_sequences, "validation": validation_sequences}
        self.choosing_share = choosing_share
        self.overlap_letters = overlap_letters
        self.seed = seed
        self.batch_size = batch_size
        self.eval_batch_size = eval_batch_size
        self.num_workers = num_workers
        self.train: list[LabelledSequence] = []
        self.validation: list[LabelledSequence] = []
        self.test: list[LabelledSequence] = []
        # By `val` and `choosing`: the places of the validation sequences that are scored as such.
        self.scored: dict[str, NDArray[np.int64]] = {}
        # Of each validation sequence, which are the same but for a shift.
        self.groups: list[int] = []

    @abstractmethod
    def read(self, max_letters: int) -> None:
        """Put all sequences of the source into `train`, `validation` and `test`, which may stay empty."""

    def load(self, max_letters: int) -> None:
        """Read all sequences, and divide those of validation.

        Raises:
            ValueError, OSError: they cannot be read, or there are too few.
        """
        self.read(max_letters)
        self.train, self.validation = (
            chosen(getattr(self, split), self.counts[split], f"data.{split}_sequences", self.seed)
            for split in SPLITS
        )
        self.groups = linked([self._windows(row) for row in self.validation])
        try:
            shares = {"choosing": self.choosing_share}
            parts = np.array(self._parts(self.validation, self.groups, shares, "val"))
        except ValueError as error:
            raise ValueError(
                f"the {len(self.validation)} validation sequences of data={self.name} cannot be divided: "
                f"{error}"
            ) from error
        self.scored = {name: np.flatnonzero(parts == name) for name in ("val", "choosing")}

    def fingerprints(self) -> dict[str, str]:
        """A sha256 of each split."""
        return {split: fingerprint(getattr(self, split)) for split in SPLITS}

    def labels(self, split: str) -> NDArray[np.float64]:
        """[sequence]"""
        return np.array([row.label for row in getattr(self, split)], dtype=np.float64)

    def overlapping(self) -> int:
        """How many validation sequences are, but for a shift, a training one."""
        known = {window for row in self.train for window in self._windows(row)}
        return sum(not known.isdisjoint(self._windows(row)) for row in self.validation)

    def lengths(self, split: str) -> NDArray[np.int64]:
        return np.array([len(row.letters) for row in getattr(self, split)])

    def batches_of(self, split: str) -> "Batches":
        return Batches(getattr(self, split))

    def in_order(self, split: str) -> Iterator[dict[str, Tensor]]:
        """All batches of a split, in its own order."""
        batches, size = self.batches_of(split), self.eval_batch_size
        for start in range(0, len(batches), size):
            yield batches.__getitems__(range(start, min(start + size, len(batches))))

    def _parts(
        self,
        rows: Sequence[LabelledSequence],
        groups: Sequence[int],
        shares: dict[str, float],
        rest: str,
    ) -> list[str]:
        return parts_of([rows[group].letters for group in groups], shares, rest, self.seed)

    def _windows(self, row: LabelledSequence) -> list[str]:
        return windows_of(row.letters, self.overlap_letters)


class Batches(Dataset[dict[str, Tensor]]):
    """Sequences for a loader, which asks for a padded batch at a time."""

    def __init__(self, rows: Sequence[LabelledSequence]) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitems__(self, places: Sequence[int]) -> dict[str, Tensor]:
        """`vectors` and `mask` (see `one_hot`), `label` and `place`, all by example."""
        rows = [self.rows[place] for place in places]
        vectors, mask = one_hot([row.letters for row in rows])
        labels = torch.tensor([row.label for row in rows], dtype=torch.float32)
        return {"vectors": vectors, "mask": mask, "label": labels, "place": torch.tensor(places)}


class MotifData(SequenceData):
    """Generated sequences; see motifs.py. Of `made_train` and `made_validation` there can be chosen some."""

    def __init__(
        self,
        made_train: Annotated[int, Ge(2), Le(10_000_000)],
        made_validation: Annotated[int, Ge(4), Le(10_000_000)],
        **settings: Any,
    ) -> None:
        super().__init__(**settings)
        self.made = {"train": made_train, "validation": made_validation}

    def read(self, max_letters: int) -> None:
        self.train, self.validation = (
            generate(self.seed, split, self.made[split]) for split in SPLITS
        )
        longest = max(len(row.letters) for row in self.train)
        if longest > max_letters:
            raise ValueError(
                f"data={self.name} has sequences of {longest} letters, and model.max_positions={max_letters}"
            )


class SequenceFiles(SequenceData):
    """Text files in `encoding`; see `sequence.read_sequences`.

    `validation_share`: of the sequences of `train_path`, where there is no other file. `test_path`: sequences
    that are scored once, with the best weights.

    Raises:
        ValueError: there is no such encoding; not one of `validation_path` and `validation_share` is given.
    """

    def __init__(
        self,
        train_path: str,
        validation_path: str | None,
        validation_share: Annotated[float, Gt(0), Lt(1)] | None,
        test_path: str | None,
        encoding: str,
        **settings: Any,
    ) -> None:
        super().__init__(**settings)
        check_encoding(encoding, "data.encoding")
        check_one_is_given(validation_path, validation_share)
        self.paths = {"train": train_path, "validation": validation_path, "test": test_path}
        self.validation_share = validation_share
        self.encoding = encoding

    def read(self, max_letters: int) -> None:
        for split, path in self.paths.items():
            if path is not None:
                rows = read_sequences(
                    path, f"data.{split}_path", self.encoding, max_letters, split[0]
                )
                setattr(self, split, rows)
        if self.validation_share is not None:
            self._divide(self.validation_share)

    def _divide(self, share: float) -> None:
        try:
            groups = linked([self._windows(row) for row in self.train])
            parts = self._parts(self.train, groups, {"validation": share}, "train")
        except ValueError as error:
            raise ValueError(
                f"data.train_path={self.paths['train']}: data.validation_share={share:g}: {error}"
            ) from error
        divided = list(zip(self.train, parts, strict=True))
        self.train, self.validation = (
            [row for row, part in divided if part == split] for split in SPLITS
        )
