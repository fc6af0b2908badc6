"""Data whose validation examples choose weights, fit a temperature, or are scored: three parts."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
import torch
from annotated_types import Ge, Gt, Le, Lt
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from qa_research.model.tokenizer import EncodedPairs
from qa_research.tasks.batched import BatchedData
from qa_research.tasks.dividing import chosen, linked, parts_of

SPLITS = ("train", "validation")
CHOOSING, TEMPERATURE, SCORED = "choosing", "temperature", "scored"


class PartedData(BatchedData):
    """Labelled examples of one source. A subclass reads them and says of which texts each is made.

    Of the validation examples, `choosing_share` choose the best weights, `temperature_share` fit the
    temperature, and scores are of the others; those that share a text are in one part.

    Raises:
        ValueError: both shares together leave nothing to score.
    """

    def __init__(
        self,
        name: str,
        train_examples: Annotated[int, Ge(2)] | None,
        validation_examples: Annotated[int, Ge(6)] | None,
        choosing_share: Annotated[float, Gt(0), Lt(1)],
        temperature_share: Annotated[float, Gt(0), Lt(1)],
        seed: Annotated[int, Ge(0), Le(2**63 - 1)],
        max_tokens: Annotated[int, Ge(8)],
        batch_size: Annotated[int, Ge(1)],
        eval_batch_size: Annotated[int, Ge(1)],
        num_workers: Annotated[int, Ge(0), Le(256)],
    ) -> None:
        super().__init__()
        if choosing_share + temperature_share >= 1:
            raise ValueError(
                f"data.choosing_share={choosing_share:g} and data.temperature_share={temperature_share:g} "
                "leave no validation examples to score; together they must be less than 1"
            )
        self.name = name
        self.counts = {"train": train_examples, "validation": validation_examples}
        self.shares = {CHOOSING: choosing_share, TEMPERATURE: temperature_share}
        self.seed = seed
        self.max_tokens = max_tokens
        self.batch_size = batch_size
        self.eval_batch_size = eval_batch_size
        self.num_workers = num_workers
        self.train: list[Any] = []
        self.validation: list[Any] = []
        # Of each validation example: what it is for, and which belong together.
        self.parts: list[str] = []
        self.groups: list[int] = []

    @abstractmethod
    def read(self, split: str) -> list[Any]:
        """All examples of `train` or `validation`."""

    @abstractmethod
    def texts(self, example: Any) -> Sequence[str]:
        """The texts of an example."""

    def load(self) -> None:
        """Read both splits, and divide the validation examples.

        Raises:
            ValueError, OSError: they cannot be read, or there are too few.
        """
        self.train, self.validation = (
            chosen(self.read(split), self.counts[split], f"data.{split}_examples", self.seed)
            for split in SPLITS
        )
        self.groups = linked([self.texts(row) for row in self.validation])
        names = [self.texts(self.validation[group])[0] for group in self.groups]
        try:
            self.parts = parts_of(names, self.shares, SCORED, self.seed)
        except ValueError as error:
            raise ValueError(
                f"the {len(names)} validation examples of data={self.name} cannot be divided: {error}"
            ) from error

    @property
    def sizes(self) -> dict[str, int]:
        """How many validation examples are in each part."""
        return {part: self.parts.count(part) for part in (CHOOSING, TEMPERATURE, SCORED)}

    def which(self, part: str) -> NDArray[np.int64]:
        """The places of the validation examples of a part."""
        return np.flatnonzero(np.array(self.parts) == part)


class LabelledBatches(Dataset[dict[str, Tensor]]):
    """`EncodedPairs.padded` with `label` and `example`, the place of each."""

    def __init__(self, encoded: EncodedPairs, labels: Sequence[int], pad_token_id: int) -> None:
        self.encoded, self.pad_token_id = encoded, pad_token_id
        self.label = torch.tensor(labels)

    def __len__(self) -> int:
        return len(self.label)

    def __getitems__(self, places: list[int]) -> dict[str, Tensor]:
        own = {"label": self.label[places], "example": torch.tensor(places)}
        return self.encoded.padded(places, self.pad_token_id) | own
