"""How sure a number is: exact and bootstrapped intervals, paired tests, lengths of searches, rank agreement.

Pure: numbers in, numbers out. scipy does what it does well; what is done by hand says why.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from numpy.typing import NDArray
from scipy.stats import CensoredData, binomtest, ecdf, spearmanr

from qa_research.streams import stream

CONFIDENCE = 0.95
RESAMPLES = 10_000
# Random indices drawn at once: 8 MB, and as much again for each measure.
DRAWS_AT_ONCE = 1_000_000
# Shares and sums that are equal on paper differ by rounding.
TOLERANCE = 1e-9


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
        """The width of the interval."""
        return self.high - self.low


@dataclass(frozen=True, slots=True)
class Needed:
    """Questions that a search needs until one is right: `median`, and `most`, enough for 95 % of searches.

    None: no right answer is in sight.
    """

    median: int | None
    most: int | None


# A table of several hundred states has thousands of intervals at 2 ms each, and many of them are equal.
@lru_cache(maxsize=1 << 16)
def exact_ratio(right: int, asked: int) -> Ratio:
    """`right` of `asked` with the Clopper-Pearson interval.

    It covers the true ratio in at least 95 % of cases for a fixed number of questions, and also where
    asking stopped at a right answer: the exact interval of inverse sampling lies within it. Drawing
    without replacement makes it wider than necessary.

    Raises:
        ValueError: nothing was asked, or more were right than were asked.
    Source: Clopper & Pearson 1934, Biometrika 26.
    """
    if not 0 <= right <= asked or not asked:
        raise ValueError(f"{right} right of {asked} asked is not a ratio")
    interval = binomtest(right, asked).proportion_ci(CONFIDENCE, method="exact")
    return Ratio(right, asked, float(interval.low), float(interval.high))


def unbiased_ratio(lengths: Sequence[int]) -> float | None:
    """The ratio of right answers from searches that each ended at their first one; None for fewer than two.

    A search's own ratio, 1 / length, is biased upwards: a true 1 % reads as 4.7 % on average. This
    estimate is not, even where the searches share one order without replacement. It reads too high where
    searches that ended otherwise (at a bound, at the end of an order) are excluded.

    Source: Haldane 1945, Biometrika 33, "On a method of estimating frequencies".
    """
    # (k - 1) / (n - 1) for k searches of n questions in total. The very last question is right because
    # asking stopped there, so it says nothing and is dropped from both counts. Searches of 4, 1 and 7
    # questions: 3 of 12 right reads 25 %; without the last question 2 of 11, or 18 %.
    if len(lengths) < 2:
        return None
    return (len(lengths) - 1) / (sum(lengths) - 1)


def questions_needed(ratio: float, total: int | None) -> Needed:
    """How many questions a search needs where `ratio` of a split of `total` questions is answered right.

    Questions are drawn without replacement; `total` None: unknown, treated as endless.
    """
    return Needed(
        _questions_for_chance(0.5, ratio, total), _questions_for_chance(CONFIDENCE, ratio, total)
    )


def _questions_for_chance(chance: float, ratio: float, total: int | None) -> int | None:
    """The fewest questions among which one is answered right with at least this chance."""
    if ratio <= 0:
        return None
    if ratio >= 1:
        return 1
    if total is None:
        # The least m with 1 - (1 - ratio)^m >= chance. Of 4 % right: 0.96^17 = 0.4996, so 17 questions
        # for an even chance, and 74 for 95 %.
        questions = math.log1p(-chance) / math.log1p(-ratio)
        return max(1, math.ceil(questions - TOLERANCE))
    # The chance that the next one is wrong, too, falls as the wrong ones are used up. 2 right of 5:
    # 3/5, then 2/4, 1/3 and 0; two questions are all wrong with 3/5 * 2/4 = 0.3, so 2 give an even
    # chance. A split with a right answer has at least one, whatever the lower end of an interval says.
    right = max(1.0, ratio * total)
    next_is_wrong = np.clip(1 - right / (total - np.arange(total)), 0.0, 1.0)
    all_wrong = np.cumprod(next_is_wrong)
    return int(np.argmax(all_wrong <= 1 - chance + TOLERANCE)) + 1


def observed_needed(lengths: Sequence[int], censored: Sequence[int]) -> Needed:
    """The median and the 95 % point of the lengths of searches, by Kaplan and Meier's estimate.

    `lengths`: of searches that ended at a right answer. `censored`: how many questions the others asked,
    which are known to need more. None where too many were censored to say.

    Source: Kaplan & Meier 1958, JASA 53.
    """
    # Searches of 1, 5 and 8 questions, and one that gave up after 2: after 1 question 3/4 of the searches
    # are left; at 5 one of the two that got so far ends, which leaves 3/4 * 1/2 = 3/8. So the median is 5.
    # If the search that gave up counted as one of length 2, it would be 2.
    if not lengths:
        return Needed(None, None)
    survival = ecdf(CensoredData(uncensored=lengths, right=censored)).sf

    def point(share: float) -> int | None:
        reached = survival.quantiles[1 - survival.probabilities >= share - TOLERANCE]
        return int(reached[0]) if len(reached) else None

    return Needed(point(0.5), point(CONFIDENCE))


def expected_repeats(sizes: Sequence[int], total: int) -> float:
    """How many of all asked questions had been asked before, if only chance decided.

    `sizes`: of draws from `total` questions, each without replacement, independent of each other.
    """
    # Asked less distinct. A question stays unasked with (1 - size/total) for each draw. Two draws of 30
    # and 50 from 200: 0.85 * 0.75 = 0.6375 stay unasked, 72.5 are distinct, so 7.5 of 80 are repeats.
    # n draws of one question each: near n^2 / 2N, so 51 from 87,599 have 0.015.
    never_asked = math.prod(1 - min(size, total) / total for size in sizes)
    # A single draw has no repeats, but for rounding.
    return max(0.0, sum(sizes) - total * (1 - never_asked))


def top_units(values: Float[ndarray, " unit"], k: int) -> list[int]:
    """The `k` units with the largest values, largest first; ties go to the lower index."""
    return [int(unit) for unit in np.argsort(-values, kind="stable")[:k]]


def top_overlap(one: Float[ndarray, " unit"], other: Float[ndarray, " unit"], k: int) -> float:
    """Jaccard index of both top `k`: units in both, as a share of units in either."""
    a, b = set(top_units(one, k)), set(top_units(other, k))
    return len(a & b) / len(a | b)


def rank_correlation(one: Float[ndarray, " unit"], other: Float[ndarray, " unit"]) -> float:
    """Spearman's correlation of the values; NaN where all values of one side are equal."""
    # scipy answers that with NaN too, but warns.
    if any((values == values[0]).all() for values in (one, other)):
        return math.nan
    return float(spearmanr(one, other).statistic)


def mean_overlap(rankings: Sequence[Float[ndarray, " unit"]], k: int) -> float:
    """`top_overlap`, averaged over all pairs."""
    return float(np.mean([top_overlap(a, b, k) for a, b in combinations(rankings, 2)]))


def mean_correlation(rankings: Sequence[Float[ndarray, " unit"]]) -> float:
    """`rank_correlation`, averaged over all pairs."""
    return float(np.mean([rank_correlation(a, b) for a, b in combinations(rankings, 2)]))


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
    # The smallest of m is multiplied by m, the next by m - 1, ..., and none falls below the one before:
    # 0.01, 0.04, 0.03 -> 0.03, 0.06 (not 0.04), 0.06.
    corrected = [0.0] * len(p_values)
    highest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        corrected[index] = highest
    return corrected


def bootstrap_intervals(differences: NDArray[np.float64]) -> NDArray[np.float64]:
    """95 % percentile intervals [measure, 2] of the mean of `differences` [measure, question].

    All measures see the same 10,000 resamples of questions, drawn from a fixed seed. scipy's bootstrap
    finds the same intervals, but takes five times as long on SQuAD's 10,570 questions (2.9 s, not 0.6).

    Source: Efron & Tibshirani 1993, An Introduction to the Bootstrap, chapter 13.
    """
    total = differences.shape[1]
    rng = stream(0, "paired bootstrap")
    means = []
    for size in _batch_sizes(total):
        drawn = rng.integers(0, total, size=(size, total))
        means.append(np.stack([row[drawn].mean(axis=1) for row in differences]))
    low, high = np.percentile(np.concatenate(means, axis=1), [2.5, 97.5], axis=1)
    return np.stack([low, high], axis=1)


def sign_flips(differences: NDArray[np.float64]) -> float:
    """Two-sided p that the mean of `differences` is as far from zero as it is by chance.

    Between equals each difference could as well have the opposite sign, so the signs are drawn at random
    10,000 times, from a fixed seed. Unlike the bootstrap it holds for few questions too; for differences
    of 0 and 1 it is McNemar's test. scipy's permutation_test finds the same p, but takes ten times as
    long for the 4,000 questions on which two runs may differ (3.1 s, not 0.3).

    Source: Fisher 1935, The Design of Experiments, section 21; Noreen 1989, Computer-Intensive
        Methods for Testing Hypotheses.
    """
    nonzero = differences[differences != 0]
    if not len(nonzero):
        return 1.0
    rng = stream(0, "sign flips")
    as_far = 0
    for size in _batch_sizes(len(nonzero)):
        signs = rng.integers(0, 2, size=(size, len(nonzero)), dtype=np.int8) * 2.0 - 1.0
        as_far += int((abs(signs @ nonzero) >= abs(nonzero.sum()) - TOLERANCE).sum())
    # The given signs are one of the draws, so that p is never 0.
    return (1 + as_far) / (1 + RESAMPLES)


def _batch_sizes(total: int) -> list[int]:
    """How many resamples of `total` questions to draw at once, until all are drawn."""
    most = max(1, DRAWS_AT_ONCE // total)
    return [min(most, RESAMPLES - start) for start in range(0, RESAMPLES, most)]
