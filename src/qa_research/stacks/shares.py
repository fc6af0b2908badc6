"""Which share of the time each phase takes, with its exact 95 % interval: in all, and over time.

Samples are taken at random times, so a phase's share of the samples estimates its share of the time.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from qa_research.ledger.stacks import Sample
from qa_research.stacks.phases import PHASES
from qa_research.stats import exact_ratio


@dataclass(frozen=True, slots=True)
class Share:
    """`count` of `total` samples were of this phase; `low` and `high`: the 95 % interval, in [0, 1]."""

    phase: str
    count: int
    total: int
    low: float
    high: float

    @property
    def value(self) -> float:
        """The share itself, in [0, 1]."""
        return self.count / self.total


@dataclass(frozen=True, slots=True)
class Stretch:
    """The shares between two moments, in seconds since the process was started; none without samples."""

    from_s: float
    to_s: float
    shares: tuple[Share, ...]


def share_of(name: str, samples: Sequence[Sample], fits: Callable[[Sample], bool]) -> Share:
    """Which share of the samples fits; `name` is the share's `phase`.

    Raises:
        ValueError: there are no samples.
    """
    ratio = exact_ratio(sum(map(fits, samples)), len(samples))
    return Share(name, ratio.right, ratio.asked, ratio.low, ratio.high)


def shares(samples: Sequence[Sample]) -> tuple[Share, ...]:
    """The share of each phase that was seen, in the order of a training; empty without samples.

    Phases that no training here has, as an imported recording's, come last.
    """
    counts = Counter(sample.phase for sample in samples)
    known = [phase for phase in PHASES if phase in counts]
    found = []
    for phase in (*known, *sorted(counts.keys() - set(PHASES))):
        ratio = exact_ratio(counts[phase], len(samples))
        found.append(Share(phase, ratio.right, ratio.asked, ratio.low, ratio.high))
    return tuple(found)


def shares_over_time(
    samples: Sequence[Sample], from_s: float, to_s: float, stretches: int
) -> tuple[Stretch, ...]:
    """The shares in so many equally long stretches of the time from `from_s` to `to_s`.

    The last stretch has what was sampled at its end, too.

    Raises:
        ValueError: there is no time, or less than one stretch.
    """
    if stretches < 1 or to_s <= from_s:
        raise ValueError(f"{to_s - from_s:g} s cannot be divided into {stretches} stretches")
    length = (to_s - from_s) / stretches
    parts: list[list[Sample]] = [[] for _ in range(stretches)]
    for sample in samples:
        if from_s <= sample.at_s <= to_s:
            parts[min(int((sample.at_s - from_s) / length), stretches - 1)].append(sample)
    return tuple(
        Stretch(from_s + place * length, from_s + (place + 1) * length, shares(part))
        for place, part in enumerate(parts)
    )
