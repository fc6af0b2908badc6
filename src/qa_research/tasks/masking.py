"""Which tokens of a text are hidden, what stands in their places, and how well they are told.

What is hidden is a pure function of a random stream.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from qa_research.streams import stream
from qa_research.tasks.unlabelled import Piece

# The streams that hide words: of training in each epoch others, of validation always the same.
MASKS, SCORED_MASKS = "masks", "masks of validation"

# Of the tokens that are to be told: so many are hidden by the mask token, and so many by another token; the
# rest stays, so that the network cannot know which of the tokens that it sees are right.
HIDDEN, SWAPPED = 0.8, 0.1


@dataclass(frozen=True)
class Masking:
    """`share`: of a text's tokens that are to be told. `words`: the tokens that may stand for others."""

    share: float
    mask_token_id: int
    words: NDArray[np.int64]

    def of(
        self, ids: NDArray[np.int64], places: NDArray[np.int64], rng: np.random.Generator
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The ids with some replaced, and the places of all that are to be told, in order.

        `places`: those that may be; the nearest whole number to `share` of them is, and at least one.

        Example: 20 places and a share of 0.15: 3 are to be told, on average 2.4 of them hidden by [MASK], 0.3
        by another token, and 0.3 as they were.

        Source: Devlin et al. 2019, BERT, section 3.1 and appendix A.1.
        """
        count = max(1, round(self.share * len(places)))
        told = np.sort(rng.choice(places, count, replace=False))
        fate = rng.random(count)
        replaced = ids.copy()
        replaced[told[fate < HIDDEN]] = self.mask_token_id
        swapped = told[(fate >= HIDDEN) & (fate < HIDDEN + SWAPPED)]
        replaced[swapped] = rng.choice(self.words, len(swapped))
        return replaced, told


def masking_of(tokenizer: object, share: float, source: str) -> Masking:
    """How texts of this tokenizer are masked; `source`: what the user calls it.

    Raises:
        ValueError: it has no mask token.
    """
    mask = getattr(tokenizer, "mask_token_id", None)
    if mask is None:
        raise ValueError(
            f"{source} has no mask token such as [MASK], by which words are hidden; choose another tokenizer "
            "with model.tokenizer="
        )
    special = set(getattr(tokenizer, "all_special_ids", ()))
    words = [i for i in range(len(tokenizer)) if i not in special]  # type: ignore[arg-type]
    return Masking(share, int(mask), np.array(words, dtype=np.int64))


def hidden(
    batch: dict[str, Tensor],
    pieces: Sequence[Piece] | Mapping[int, Piece],
    masking: Masking,
    drawn_by: tuple[int, str] | tuple[int, str, int],
) -> dict[str, Tensor]:
    """The batch with words hidden; `drawn_by`: a stream's seed, name and index, before the piece's number.

    Adds `hidden` [piece token], where a word is to be told, and `told` [word], what stood there.
    """
    seed, name, *index = drawn_by
    ids = batch["input_ids"].clone()
    which = torch.zeros_like(ids, dtype=torch.bool)
    for row, number in enumerate(batch["example"].tolist()):
        piece = pieces[number]
        replaced, places = masking.of(piece.ids, piece.places, stream(seed, name, *index, number))
        ids[row, : len(replaced)] = torch.from_numpy(replaced)
        which[row, torch.from_numpy(places)] = True
    return batch | {"input_ids": ids, "hidden": which, "told": batch["input_ids"][which]}


@dataclass(frozen=True)
class Score:
    """Of one piece: the mean cross entropy of its hidden words in nats, and how many were told right."""

    loss: float
    right: int
    hidden: int

    @property
    def accuracy(self) -> float:
        """The share that was told right."""
        return self.right / self.hidden


def scores_of(logits: Tensor, batch: dict[str, Tensor]) -> list[Score]:
    """The score of each piece of a batch, from the scores of its hidden words."""
    losses = nn.functional.cross_entropy(logits.float(), batch["told"], reduction="none")
    is_right = logits.argmax(dim=-1) == batch["told"]
    counts = batch["hidden"].sum(dim=1).tolist()
    parts = zip(torch.split(losses, counts), torch.split(is_right, counts), counts, strict=True)
    return [Score(float(loss.mean()), int(told.sum()), count) for loss, told, count in parts]
