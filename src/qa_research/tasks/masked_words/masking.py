"""Which tokens of a text are hidden, and what stands in their places; a pure function of a random stream."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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
