"""Data whose validation examples are divided into parts: some choose the best weights, others are scored."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar

import numpy as np
from annotated_types import Ge, Gt, Le, Lt
from numpy.typing import NDArray

from qa_research.tasks.batched import BatchedData
from qa_research.tasks.dividing import chosen, drawn, linked, parts_of
from qa_research.tasks.opened import Examples
from qa_research.tasks.task import PARAGRAPH

SPLITS = ("train", "validation")
CHOOSING, TEMPERATURE, SCORED = "choosing", "temperature", "scored"


class PartedData(BatchedData):
    """Examples of one source. A subclass reads them and says of which texts each is made.

    Of the validation examples, `choosing_share` choose the best weights, and scores are of what no share is
    of; those that share a text are in one part. `examples`: what they are called, as in the names of keys.
    """

    examples: ClassVar[str] = "examples"

    def __init__(
        self,
        name: str,
        choosing_share: Annotated[float, Gt(0), Lt(1)],
        seed: Annotated[int, Ge(0), Le(2**63 - 1)],
        batch_size: Annotated[int, Ge(1)],
        eval_batch_size: Annotated[int, Ge(1)],
        num_workers: Annotated[int, Ge(0), Le(256)],
        **order: Any,
    ) -> None:
        super().__init__(**order)
        self.name = name
        self.shares = {CHOOSING: choosing_share}
        self.seed = seed
        self.batch_size = batch_size
        self.eval_batch_size = eval_batch_size
        self.num_workers = num_workers
        # How many of each split are chosen; None: all.
        self.counts: dict[str, int | None] = {}
        self.train: list[Any] = []
        self.validation: list[Any] = []
        self.test: list[Any] = []
        # Of each validation example: what it is for, and which belong together.
        self.parts: list[str] = []
        self.groups: list[int] = []

    @abstractmethod
    def read(self) -> Mapping[str, list[Any]]:
        """All examples of `train` and `validation`, and perhaps of `test`."""

    @abstractmethod
    def texts(self, example: Any) -> Sequence[str]:
        """The texts of an example; those that share one belong together."""

    @abstractmethod
    def fingerprint(self, examples: Sequence[Any]) -> str:
        """A sha256 of all that examples are, in their order."""

    def load(self) -> None:
        """Read all splits, and divide the validation examples.

        Raises:
            ValueError, OSError: they cannot be read, or there are too few.
        """
        found = self.read()
        self.train, self.validation = (
            chosen(found[split], self.counts[split], f"data.{split}_{self.examples}", self.seed)
            for split in SPLITS
        )
        self.train = self.with_other_answers(self.train)
        self.test = found.get("test", [])
        try:
            self.groups, self.parts = self.divided(self.validation, self.shares, SCORED)
        except ValueError as error:
            raise ValueError(
                f"the {len(self.validation)} validation {self.examples} of data={self.name} cannot be "
                f"divided: {error}"
            ) from error

    def keep_some(self, count: int) -> None:
        # Not of validation, whose parts would have to stay divided, and which is the smaller split.
        self.train = drawn(self.train, count, self.seed)

    def divided(
        self, rows: Sequence[Any], shares: Mapping[str, float], rest: str
    ) -> tuple[list[int], list[str]]:
        """Of each of some examples its group, and the part that it is in; see `dividing.parts_of`."""
        groups = self.groups_of(rows)
        names = [self.group_name(rows[group]) for group in groups]
        return groups, parts_of(names, shares, rest, self.seed)

    def groups_of(self, rows: Sequence[Any]) -> list[int]:
        """A number for each of some examples: those that belong together have the same one."""
        return linked([self.texts(row) for row in rows])

    def group_name(self, first: Any) -> str:
        """What the group is called whose first example this is: with the seed, that says where it goes."""
        return self.texts(first)[0]

    @property
    def sizes(self) -> dict[str, int]:
        """How many validation examples are in each part."""
        return {part: self.parts.count(part) for part in (*self.shares, SCORED)}

    def which(self, part: str) -> NDArray[np.int64]:
        """The places of the validation examples of a part."""
        return np.flatnonzero(np.array(self.parts) == part)

    def marked(self, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """A row of each validation example with its part, whether it chose something, and its group."""
        return [
            # What fits a temperature chose something, too: no score is of it.
            {**row, "part": part, "chose": part != SCORED, PARAGRAPH: group}
            for row, part, group in zip(rows, self.parts, self.groups, strict=True)
        ]

    def fingerprints(self) -> dict[str, str]:
        """A sha256 of each split."""
        return {split: self.fingerprint(getattr(self, split)) for split in SPLITS}

    def examples_of(self, split: str) -> Examples[Any]:
        """`train` or `validation`, as a finished run is asked them."""
        rows = getattr(self, split)
        parts = self.parts if split == "validation" else [SCORED] * len(rows)
        apart = [row.id for row, part in zip(rows, parts, strict=True) if part != SCORED]
        return Examples(rows, self.name, split, frozenset(apart))
