"""Generated sequences whose label is known to follow from motifs in them: their number, spacing and order."""

from collections.abc import Iterator

import numpy as np

from qa_research.streams import stream
from qa_research.tasks.sequences.sequence import LETTERS, LabelledSequence

# The same letters, so that which one comes first changes no count of letters, and no mean over places.
PAIR = ("ttgaca", "acatgt")
REPEATED = "ccgcgg"
LENGTH = 60
MOST_REPEATED = 2
GAPS = range(17)
# In units of the label: what a copy of REPEATED adds, and the noise, which nobody can predict.
EACH_REPEATED, NOISE = 0.4, 0.05


def generate(seed: int, split: str, count: int) -> list[LabelledSequence]:
    """`count` sequences of LENGTH random letters with planted motifs; see `label_of`.

    Everything is drawn with equal probability: the order of the pair, the gap between its motifs, the copies
    of REPEATED, and all places. No motif occurs that is not planted. A count of words (k-mers) sees the
    copies alone, and a sum over places nearly as little, as the pair stands anywhere.
    """
    rng = stream(seed, "corpus", ("train", "validation", "test").index(split))
    return [_drawn(rng, f"{split[0]}{number}") for number in range(count)]


def label_of(first: str, gap: int, copies: int) -> float:
    """Without noise: closeness, positive if PAIR stands in its order, and EACH_REPEATED a copy.

    Closeness falls from 1, where the pair touches, to 0.2 at 16 letters between. `first`: the motif of the
    pair that comes first. Example: acatgt, 4 letters, ttgaca and two copies: -0.8 + 0.4 (2 - 1) = -0.4.
    """
    closeness = 1.0 - gap / 20
    order = 1.0 if first == PAIR[0] else -1.0
    return order * closeness + EACH_REPEATED * (copies - MOST_REPEATED / 2)


def _drawn(rng: np.random.Generator, identity: str) -> LabelledSequence:
    pair = PAIR if rng.integers(2) else PAIR[::-1]
    gap = int(rng.integers(len(GAPS)))
    copies = int(rng.integers(MOST_REPEATED + 1))
    while True:
        placed = dict(_places(rng, pair, gap, copies))
        letters = rng.choice(list(LETTERS), size=LENGTH)
        for place, motif in placed.items():
            letters[place : place + len(motif)] = list(motif)
        text = "".join(letters)
        found = sum(_occurrences(text, motif) for motif in (*PAIR, REPEATED))
        planted = {p + i for p, motif in placed.items() for i in range(len(motif))}
        # Else some places overlap, or the random letters have spelt a motif.
        if found == 2 + copies and len(planted) == found * len(REPEATED):
            break
    label = label_of(pair[0], gap, copies) + NOISE * float(rng.normal())
    return LabelledSequence(identity, text, label, tuple(sorted(planted)))


def _places(
    rng: np.random.Generator, pair: tuple[str, ...], gap: int, copies: int
) -> Iterator[tuple[int, str]]:
    apart = len(pair[0]) + gap
    start = int(rng.integers(LENGTH - apart - len(pair[1]) + 1))
    yield from ((start, pair[0]), (start + apart, pair[1]))
    for _ in range(copies):
        yield int(rng.integers(LENGTH - len(REPEATED) + 1)), REPEATED


def _occurrences(text: str, motif: str) -> int:
    """Also of those that overlap."""
    return sum(text.startswith(motif, place) for place in range(len(text)))
