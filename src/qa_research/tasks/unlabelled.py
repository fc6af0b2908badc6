"""The texts of a data set without what was said of them, as pieces of tokens in batches."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import Dataset

from qa_research.model.tokenizer import forget_settings, text_ids
from qa_research.tasks.curriculum import Measure
from qa_research.tasks.left_out import Edits


@dataclass(frozen=True, slots=True)
class Text:
    """A text that stands in the data; `chose`: an example that it is of chooses the best weights."""

    text: str
    chose: bool


@runtime_checkable
class HasTexts(Protocol):
    """Data whose examples are made of texts."""

    name: str
    seed: int
    max_tokens: int
    batch_size: int
    eval_batch_size: int
    num_workers: int
    curriculum: Measure | None
    curriculum_epochs: float
    edits: Edits

    def load(self) -> None:
        """Read all splits."""

    def fingerprints(self) -> dict[str, str]:
        """A sha256 of each split's examples."""

    def texts_alone(self, split: str) -> Sequence[Text]:
        """The texts of `train` or `validation`, each once and in their order, without questions or labels."""

    def vocabulary_texts(self) -> Iterable[str]:
        """What a tokenizer is trained on: the same for every task on these data."""


@dataclass(frozen=True)
class Piece:
    """A text, or a part of one that is longer than `data.max_tokens`.

    `number`: its place among the pieces. `group`: which text it is of. `places`: those of its tokens that may
    be hidden, which are all but the special ones.
    """

    id: str
    number: int
    group: int
    text: str
    chose: bool
    ids: NDArray[np.int64]
    places: NDArray[np.int64]


def pieces_of(
    texts: Sequence[Text], tokenizer: Any, max_tokens: int, name: str
) -> tuple[Piece, ...]:
    """Texts as pieces of at most `max_tokens` tokens, special ones included, without those that have none.

    Pieces are not put together into longer ones: batches are of pieces of like lengths, so there is little
    padding anyway, and no text can look into another one. `name`: how ids begin.

    Raises:
        ValueError: nothing is left.
    """
    rows = [text.text for text in texts]
    encoded: Any = {"overflow_to_sample_mapping": []}
    if rows:
        encoded = tokenizer(
            rows,
            truncation=True,
            max_length=max_tokens,
            stride=0,
            return_overflowing_tokens=True,
            split_special_tokens=True,
        )
        forget_settings(tokenizer)
    found: list[Piece] = []
    parts: Counter[int] = Counter()
    for place, group in enumerate(encoded["overflow_to_sample_mapping"]):
        encoding = encoded.encodings[place]
        places = np.flatnonzero([of is not None for of in encoding.sequence_ids])
        if not len(places):
            continue
        first, last = encoding.offsets[places[0]][0], encoding.offsets[places[-1]][1]
        identity = f"{name}-{group}" + (f".{parts[group]}" if parts[group] else "")
        parts[group] += 1
        ids = text_ids(encoding, tokenizer).astype(np.int64)
        text, chose = rows[group][first:last], texts[group].chose
        found.append(Piece(identity, len(found), group, text, chose, ids, places))
    if not found:
        raise ValueError(f"there is no text in the {name} data whose words could be hidden")
    return tuple(found)


class PieceBatches(Dataset[dict[str, Tensor]]):
    """Padded pieces; `example`: the number of each. Nothing is hidden yet."""

    def __init__(self, pieces: Sequence[Piece], pad_token_id: int) -> None:
        self.ids = [torch.from_numpy(piece.ids) for piece in pieces]
        self.pad_token_id = pad_token_id

    def __len__(self) -> int:
        return len(self.ids)

    def __getitems__(self, numbers: list[int]) -> dict[str, Tensor]:
        ids = [self.ids[number] for number in numbers]
        return {
            "input_ids": pad_sequence(ids, batch_first=True, padding_value=self.pad_token_id),
            "attention_mask": pad_sequence([torch.ones_like(row) for row in ids], batch_first=True),
            "example": torch.tensor(numbers),
        }
