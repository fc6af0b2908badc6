"""Pairs of texts with a label, tokenised and in batches; some of validation fit a temperature."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Annotated, Any

import numpy as np
import torch
from annotated_types import Ge, Gt, Lt
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from qa_research.model.tokenizer import EncodedPairs, encode_pairs
from qa_research.tasks.parted import CHOOSING, SCORED, SPLITS, TEMPERATURE, PartedData
from qa_research.tasks.unlabelled import Text


class LabelledTexts(PartedData):
    """Pairs of texts, each with a `label`; a subclass reads them. `texts` of one are its two.

    `temperature_share` of the validation examples fit the temperature. Call `load()`, then `prepare(...)`
    with a tokenizer, then the loaders.

    Raises:
        ValueError: both shares together leave nothing to score.
    """

    def __init__(
        self,
        train_examples: Annotated[int, Ge(2)] | None,
        validation_examples: Annotated[int, Ge(6)] | None,
        temperature_share: Annotated[float, Gt(0), Lt(1)],
        max_tokens: Annotated[int, Ge(8)],
        **settings: Any,
    ) -> None:
        super().__init__(**settings)
        choosing_share = self.shares[CHOOSING]
        if choosing_share + temperature_share >= 1:
            raise ValueError(
                f"data.choosing_share={choosing_share:g} and data.temperature_share={temperature_share:g} "
                "leave no validation examples to score; together they must be less than 1"
            )
        self.shares[TEMPERATURE] = temperature_share
        self.counts = {"train": train_examples, "validation": validation_examples}
        self.max_tokens = max_tokens
        self.encoded: dict[str, EncodedPairs] = {}

    def relabelled(self, row: Any, answer: Any) -> Any:
        """A pair with another label."""
        labels = sorted({one.label for one in self.train})
        if answer not in labels or isinstance(answer, bool):
            raise ValueError(f"a label is one of {', '.join(map(str, labels))}, got {answer!r:.60}")
        return replace(row, label=answer)

    def texts_alone(self, split: str) -> list[Text]:
        """The texts of a split, each once. Those that fit a temperature choose, too: no score is of them."""
        rows: list[Any] = getattr(self, split)
        parts = self.parts if split == "validation" else [SCORED] * len(rows)
        found = {
            text: part != SCORED
            for row, part in zip(rows, parts, strict=True)
            for text in self.texts(row)
        }
        return [Text(text, chose) for text, chose in found.items()]

    def vocabulary_texts(self) -> Iterator[str]:
        """The texts of the training."""
        return (text for row in self.train for text in self.texts(row))

    def prepare(self, tokenizer: Any, order_seed: int) -> None:
        """Tokenise both splits."""
        for split in SPLITS:
            firsts, seconds = zip(*map(self.texts, getattr(self, split)), strict=True)
            self.encoded[split] = encode_pairs(tokenizer, firsts, seconds, self.max_tokens)
        self.pad_token_id = int(tokenizer.pad_token_id)
        self.order_seed = order_seed

    def lengths(self, split: str) -> NDArray[np.int64]:
        return self.encoded[split].lengths

    def batches_of(self, split: str) -> "LabelledBatches":
        labels = [row.label for row in getattr(self, split)]
        return LabelledBatches(self.encoded[split], labels, self.pad_token_id)


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
