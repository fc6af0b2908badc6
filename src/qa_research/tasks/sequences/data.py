"""Sequences from files, or generated with known motifs."""

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar

import numpy as np
from annotated_types import Ge, Gt, Le, Lt
from numpy.typing import NDArray

from qa_research.files import check_encoding
from qa_research.tasks.asked_numbers import Vectors
from qa_research.tasks.dividing import check_one_is_given
from qa_research.tasks.parted import SPLITS
from qa_research.tasks.regression_data import NumberData
from qa_research.tasks.sequences.motifs import generate
from qa_research.tasks.sequences.sequence import (
    LabelledSequence,
    fingerprint,
    one_hot_of,
    read_sequences,
    windows_of,
)
from qa_research.text import plural


class SequenceData(NumberData):
    """Sequences of one source in batches; a subclass implements `read`.

    What is the same but for a shift of `overlap_letters` is in one part of validation. Set `max_letters`, the
    most that the model reads, before `load()`.
    """

    examples: ClassVar[str] = "sequences"
    max_letters: int

    def __init__(
        self,
        train_sequences: Annotated[int, Ge(2)] | None,
        validation_sequences: Annotated[int, Ge(4)] | None,
        overlap_letters: Annotated[int, Ge(0)],
        **settings: Any,
    ) -> None:
        super().__init__(**settings)
        self.counts = {"train": train_sequences, "validation": validation_sequences}
        self.overlap_letters = overlap_letters

    def texts(self, example: LabelledSequence) -> Sequence[str]:
        return windows_of(example.letters, self.overlap_letters)

    def group_name(self, first: LabelledSequence) -> str:
        return first.letters

    def fingerprint(self, examples: Sequence[LabelledSequence]) -> str:
        return fingerprint(examples)

    def overlapping(self) -> int:
        """How many validation sequences are, but for a shift, a training one."""
        known = {window for row in self.train for window in self.texts(row)}
        return sum(not known.isdisjoint(self.texts(row)) for row in self.validation)

    def lengths(self, split: str) -> NDArray[np.int64]:
        return np.array([len(row.letters) for row in getattr(self, split)])

    @property
    def vectors(self) -> Vectors[LabelledSequence]:
        return one_hot_of


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

    def read(self) -> dict[str, list[LabelledSequence]]:
        rows = {split: generate(self.seed, split, self.made[split]) for split in SPLITS}
        longest = max(len(row.letters) for row in rows["train"])
        if longest > self.max_letters:
            raise ValueError(
                f"data={self.name} has sequences of {longest} letters, and model.max_positions="
                f"{self.max_letters}"
            )
        return rows


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

    def read(self) -> dict[str, list[LabelledSequence]]:
        rows = {
            split: self._read(split, path) for split, path in self.paths.items() if path is not None
        }
        if self.validation_share is not None:
            rows |= self._halves(rows["train"], self.validation_share)
        return rows

    def _read(self, split: str, path: str) -> list[LabelledSequence]:
        key = f"data.{split}_path"
        rows = read_sequences(path, key, self.encoding, self.max_letters, split[0])
        if len({row.label for row in rows}) == 1:
            raise ValueError(
                f"{key}={path}: all {plural(len(rows), 'sequence')} have the label {rows[0].label:g}; two "
                "different ones are needed to learn and to score"
            )
        return rows

    def _halves(
        self, rows: Sequence[LabelledSequence], share: float
    ) -> dict[str, list[LabelledSequence]]:
        """The sequences of one file, divided into both splits."""
        try:
            _, parts = self.divided(rows, {"validation": share}, "train")
        except ValueError as error:
            raise ValueError(
                f"data.train_path={self.paths['train']}: data.validation_share={share:g}: {error}"
            ) from error
        return {
            split: [row for row, part in zip(rows, parts, strict=True) if part == split]
            for split in SPLITS
        }
