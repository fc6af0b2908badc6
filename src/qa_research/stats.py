"""From what was asked to how good a model is: ratios with exact intervals, and what chance does. Pure.

How alike two rankings of words are. Pure.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from numpy.typing import NDArray
from scipy.stats import beta, binomtest, rankdata

from qa_research.streams import stream

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


def top_units(values: Float[ndarray, " unit"], k: int) -> list[int]:
    """The `k` units of the largest values, largest first; of equal ones the first."""
    return [int(unit) for unit in np.argsort(-values, kind="stable")[:k]]


def top_overlap(one: Float[ndarray, " unit"], other: Float[ndarray, " unit"], k: int) -> float:
    """Jaccard index of both top `k`: those in both, as a share of those in either."""
    a, b = set(top_units(one, k)), set(top_units(other, k))
    return len(a & b) / len(a | b)


def rank_correlation(one: Float[ndarray, " unit"], other: Float[ndarray, " unit"]) -> float:
    """Spearman's correlation of the values; NaN where one side has all values equal."""
    a, b = rankdata(one), rankdata(other)
    a, b = a - a.mean(), b - b.mean()
    scale = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / scale if scale else float("nan")


def mean_overlap(rankings: Sequence[Float[ndarray, " unit"]], k: int) -> float:
    """`top_overlap`, the mean over all pairs."""
    return float(np.mean([top_overlap(a, b, k) for a, b in combinations(rankings, 2)]))


def mean_correlation(rankings: Sequence[Float[ndarray, " unit"]]) -> float:
    """`rank_correlation`, the mean over all pairs."""
    return float(np.mean([rank_correlation(a, b) for a, b in combinations(rankings, 2)]))


RESAMPLES = 10_000
# So many random indices at once: 8 MB, and as much again for each measure.
_DRAWS_AT_ONCE = 1_000_000


def mcnemar(only_first: int, only_second: int) -> float:
    """Exact two-sided p that questions only one run got right fall to both runs equally often.

    Source: McNemar 1947, Psychometrika 12, in its exact form, the binomial test.
    """
    discordant = only_first + only_second
    return float(binomtest(only_second, discordant).pvalue) if discordant else 1.0


def holm(p_values: Sequence[float]) -> list[float]:
    """The p values corrected for their number, in the same order; never below the given ones.

    Source: Holm 1979, A Simple Sequentially Rejective Multiple Test Procedure.
    """
    corrected = [0.0] * len(p_values)
    highest = 0.0
    for place, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        highest = max(highest, min(1.0, (len(p_values) - place) * p_values[index]))
        corrected[index] = highest
    return corrected


def bootstrap_intervals(differences: NDArray[np.float64]) -> NDArray[np.float64]:
    """95 % percentile intervals [measure, 2] of the mean of `differences` [measure, question].

    All measures see the same 10,000 resamples of questions, drawn from a fixed seed.

    Source: Efron & Tibshirani 1993, An Introduction to the Bootstrap, chapter 13.
    """
    total = differences.shape[1]
    rng = stream(0, "paired bootstrap")
    means = []
    for size in _portions(total):
        drawn = rng.integers(0, total, size=(size, total))
        means.append(np.stack([row[drawn].mean(axis=1) for row in differences]))
    low, high = np.percentile(np.concatenate(means, axis=1), [2.5, 97.5], axis=1)
    return np.stack([low, high], axis=1)


def sign_flips(differences: NDArray[np.float64]) -> float:
    """Two-sided p that the mean of `differences` is as far from zero as it is by chance.

    Between equals each difference could as well be the other way round: so the signs are drawn at
    random 10,000 times, from a fixed seed. Unlike the bootstrap it holds for few questions too; for
    differences of 0 and 1 it is McNemar's test.

    Source: Fisher 1935, The Design of Experiments, section 21; Noreen 1989, Computer-Intensive
        Methods for Testing Hypotheses.
    """
    moved = differences[differences != 0]
    if not len(moved):
        return 1.0
    rng = stream(0, "sign flips")
    as_far = 0
    for size in _portions(len(moved)):
        signs = rng.integers(0, 2, size=(size, len(moved)), dtype=np.int8) * 2.0 - 1.0
        # Equal sums differ by rounding.
        as_far += int((abs(signs @ moved) >= abs(moved.sum()) - 1e-9).sum())
    return (1 + as_far) / (1 + RESAMPLES)


def _portions(total: int) -> list[int]:
    """How many resamples of `total` questions to draw at once, until all are drawn."""
    most = max(1, _DRAWS_AT_ONCE // total)
    return [min(most, RESAMPLES - start) for start in range(0, RESAMPLES, most)]
