"""Easy examples first: which ones the batches of an epoch are made of, until all take part.

The order is a pure function of (seed, epoch, world size, difficulties). Pure; knows no torch.
Source: Platanios et al. 2019, Competence-based curriculum learning for neural machine translation.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from qa_research.streams import stream

# What makes an example difficult: its tokens, the facts that its context states, or its own latest loss.
Measure = Literal["length", "facts", "loss"]
# The easiest tenth is served first.
FIRST_SHARE = 0.1
# The share grows after so many batches; within them, batches are of like lengths.
BATCHES_PER_STAGE = 10


@dataclass(frozen=True)
class Curriculum:
    """How fast the examples that take part become all of them.

    `difficulty` [example]: the lower, the earlier it takes part. `epochs`: until all do, whole or not.
    `first_epoch`: in which the easiest begin; earlier ones are like those of any training.
    """

    difficulty: NDArray[np.float64]
    epochs: float
    first_epoch: int = 0

    def share(self, epoch: float) -> float:
        """The part of all examples that takes part after so many epochs, in (0, 1].

        Its square grows evenly, so that what has been added is seen for a while before more comes.

        Example: 1 epoch from the first on: 0.1 at its start, 0.51 after a quarter (the root of
        0.01 + 0.25 x 0.99), 0.71 after a half, 1 at its end.
        """
        done = min((epoch - self.first_epoch) / self.epochs, 1.0)
        if done < 0:
            return 1.0
        return math.sqrt(FIRST_SHARE**2 + (1 - FIRST_SHARE**2) * done)

    def taking_part(self, share: float) -> NDArray[np.int64]:
        """The places of the easiest examples, at least this share of all: all that are equally hard."""
        hardest = np.sort(self.difficulty)[math.ceil(share * len(self.difficulty)) - 1]
        return np.flatnonzero(self.difficulty <= hardest)

    def is_over(self, epoch: int) -> bool:
        """Whether all of an epoch is as it would be without a curriculum."""
        return epoch < self.first_epoch or epoch >= self.first_epoch + self.epochs


def easy_first(
    curriculum: Curriculum,
    lengths: Sequence[int] | NDArray[np.integer],
    size: int,
    seed: int,
    epoch: int,
) -> list[NDArray[np.int64]]:
    """The batches of an epoch, as many and as large as without a curriculum, easy ones first.

    Each stage draws from those that take part at its start, all of them once before any comes twice. So an
    epoch that is not over has some examples several times, and others not at all.

    Example: 40 examples in batches of 2, so 20 batches in two stages of 10. The difficulties are 0 to 39,
    and it takes 1 epoch. The first stage has share 0.1: examples 0 to 3, five times each. The second
    begins after half of the epoch with share 0.71: 20 of the examples 0 to 28, once each.
    """
    lengths = np.asarray(lengths)
    rng, serving = stream(seed, "curriculum", epoch), stream(seed, "curriculum order", epoch)
    count, stage = len(lengths), size * BATCHES_PER_STAGE
    batches: list[NDArray[np.int64]] = []
    for begin in range(0, count, stage):
        wanted = min(stage, count - begin)
        part = curriculum.taking_part(curriculum.share(epoch + begin / count))
        drawn = [
            # Each round by itself, or a batch would hold the same example several times.
            _longest_first(rng.permutation(part)[: wanted - done], lengths)
            for done in range(0, wanted, len(part))
        ]
        together = np.concatenate(drawn)
        of_stage = [together[i : i + size] for i in range(0, wanted, size)]
        # From a stream of its own: sizes of batches then do not depend on difficulties.
        batches += [of_stage[i] for i in serving.permutation(len(of_stage))]
    return batches


def _longest_first(places: NDArray[np.int64], lengths: NDArray[np.integer]) -> NDArray[np.int64]:
    return places[np.argsort(-lengths[places], kind="stable")]
