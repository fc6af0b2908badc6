"""From what was asked to how good a model is: ratios with exact intervals, and what chance does. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import beta

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Ratio:
    """`right` of `asked` questions, with the exact 95 % interval; all ratios in [0, 1]."""

    right: int
    asked: int
    low: float
    high: float

    @property
    def value(self) -> float:
        """The share of right answers."""
        return self.right / self.asked

    @property
    def width(self) -> float:
        """How wide the interval is."""
        return self.high - self.low


@dataclass(frozen=True, slots=True)
class Needed:
    """Questions a search needs until one is right: `median`, and `most`, which 95 % need at most.

    None: no right answer is in sight.
    """

    median: int | None
    most: int | None


def exact_ratio(right: int, asked: int) -> Ratio:
    """`right` of `asked` with the Clopper-Pearson interval.

    It holds at least 95 % for a fixed number of questions, and also where asking stopped at a right
    answer: the exact interval of inverse sampling lies within it. Drawing without replacement makes it
    wider than it need be.

    Raises:
        ValueError: nothing was asked, or more were right.
    Source: Clopper & Pearson 1934, Biometrika 26.
    """
    if not 0 <= right <= asked or not asked:
        raise ValueError(f"{right} right of {asked} asked is no ratio")
    tail = (1 - CONFIDENCE) / 2
    low = float(beta.ppf(tail, right, asked - right + 1)) if right else 0.0
    high = float(beta.ppf(1 - tail, right + 1, asked - right)) if right < asked else 1.0
    return Ratio(right, asked, low, high)


def unbiased_ratio(lengths: Sequence[int]) -> float | None:
    """(R-1)/(n-1) of R searches that each ended at their first right answer, after n questions in all.

    A search's own ratio 1/n is biased upwards (true 1 % reads as 4.7 % on average); this is not, also
    where the searches share one order without replacement. It is too high where searches that ended
    otherwise are left out, as at a bound or at the end of an order. None for fewer than two searches.

    Source: Haldane 1945, Biometrika 33, "On a method of estimating frequencies".
    """
    if len(lengths) < 2:
        return None
    return (len(lengths) - 1) / (sum(lengths) - 1)


def needed(ratio: float, questions: int | None) -> Needed:
    """How many questions a search needs where `ratio` of the split is answered right.

    `questions`: of the split, which are drawn without replacement; None: not known, taken for endless.
    """
    return Needed(_needed(ratio, questions, 0.5), _needed(ratio, questions, CONFIDENCE))


def _needed(ratio: float, questions: int | None, share: float) -> int | None:
    if ratio <= 0:
        return None
    if ratio >= 1:
        return 1
    if questions is None:
        # The least m with 1 - (1 - ratio)^m >= share; the margin keeps a whole number as it is.
        return max(1, math.ceil(math.log1p(-share) / math.log1p(-ratio) - 1e-9))
    # A split that has a right answer has one at least, whatever an interval's lower end makes of it.
    right = max(1.0, ratio * questions)
    chances = np.clip(1 - right / (questions - np.arange(questions)), 0.0, 1.0)
    return int(np.argmax(np.cumprod(chances) <= 1 - share + 1e-9)) + 1


def observed(lengths: Sequence[int], bounded: Sequence[int]) -> Needed:
    """The median and the 95 % point of searches' lengths, by Kaplan and Meier's estimate.

    `lengths`: of those that ended at a right answer; `bounded`: how far the others came, which are known
    to need more. None where too many were bounded to say.

    Source: Kaplan & Meier 1958, JASA 53.
    """
    remaining = 1.0
    points: dict[float, int] = {}
    at_risk = len(lengths) + len(bounded)
    for length in sorted({*lengths, *bounded}):
        ended, left = list(lengths).count(length), list(bounded).count(length)
        if at_risk and ended:
            remaining *= 1 - ended / at_risk
        at_risk -= ended + left
        for share in (0.5, CONFIDENCE):
            if 1 - remaining >= share - 1e-9:
                points.setdefault(share, length)
    return Needed(points.get(0.5), points.get(CONFIDENCE))


def expected_repeats(sizes: Sequence[int], questions: int) -> float:
    """How many of all asked questions had been asked before, if chance alone chose.

    `sizes`: of draws that are each without replacement and independent of each other, from `questions`
    questions. One question a draw: near n^2 / 2N for n draws.
    """
    never = 1.0
    for size in sizes:
        never *= 1 - min(size, questions) / questions
    # One order alone gives 0, but for rounding.
    return max(0.0, sum(sizes) - questions * (1 - never))
