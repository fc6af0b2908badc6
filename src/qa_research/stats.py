"""How sure a number is: intervals of ratios and means, paired tests, lengths of searches, rank agreement.

Pure: numbers in, numbers out. scipy does what it does well; what is done by hand says why.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.stats import CensoredData, binomtest, ecdf, spearmanr

from qa_research.streams import stream

CONFIDENCE = 0.95
RESAMPLES = 10_000
# Random indices drawn at once: 8 MB, and as much again for each measure.
DRAWS_AT_ONCE = 1_000_000
# So many differences have 8,192 signs, fewer than would be drawn.
EVERY_FLIP = 13
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
    without replacement makes it wider than necessary. It is right for questions drawn at random from a split
    whose ratio is wanted, as `efficacy` draws them: which paragraph they are about plays no part then. Scores
    of a whole split speak of other questions, and `mean_intervals` resamples its paragraphs.

    Raises:
        ValueError: nothing was asked, or more were right than were asked.
    Source: Clopper & Pearson 1934, Biometrika 26.
    """
    if not 0 <= right <= asked or not asked:
        raise ValueError(f"{right} right of {asked} asked is not a ratio")
    interval = binomtest(right, asked).proportion_ci(CONFIDENCE, method="exact")
    return Ratio(right, asked, float(interval.low), float(interval.high))


@dataclass(frozen=True, slots=True)
class Stretch:
    """Searches that followed each other, in `rounds` of `size` questions.

    Each went on until a round had a right answer. `right`: all right answers of these rounds, also those
    after the first of a round.
    """

    searches: int
    rounds: int
    right: int
    size: int


def unbiased_ratio(*stretches: Stretch) -> float | None:
    """The ratio of right answers whose mean is the true one; None if no stretch has two searches.

    Each stretch goes through a random order of questions without replacement, or draws with replacement. It
    is unbiased if the number of searches in each was decided before asking, and none of them could end
    without a right answer; where some did, leaving them out would make it read too high. All right of all
    asked answers is consistent only: over few searches it reads too high on average, and 1 / length of a
    single search reads a true 1 % as 4.7 %.

    Source: for rounds of one, Haldane 1945, Biometrika 33, "On a method of estimating frequencies". That the
        mean of the first answer, given the totals, is unbiased: Girshick, Mosteller & Savage 1946, Annals of
        Mathematical Statistics 17, "Unbiased estimates for certain binomial sampling problems".
    """
    # It is the chance that the first question is right, given the totals, and the mean of that is the chance
    # that the first question of an order is right: the true ratio. The last of n rounds has a right answer
    # because asking stopped there; the other k - 1 that have one are equally likely to stand anywhere among
    # the n - 1 before it, so the first round has one with (k - 1) / (n - 1). Such a round has right / k right
    # answers on average, of `size`. Rounds of one: searches of 4, 1 and 7 questions are 3 of 12 right, or
    # 25 %; this is 2/11 * 3/3, or 18 %. Rounds of eight: 2 searches in 5 rounds with 3 right are 3 of 40, or
    # 7.5 %; this is 1/4 * 3/2 / 8, or 4.7 %.
    # Several orders are averaged, with weights k - 1, which depend on no answer. The same formula over all of
    # them together would not be unbiased, because what one order has drawn the next one draws again.
    several = [stretch for stretch in stretches if stretch.searches > 1]
    if not several:
        return None
    weights = [stretch.searches - 1 for stretch in several]
    ratios = [
        (one.searches - 1) / (one.rounds - 1) * one.right / (one.searches * one.size)
        for one in several
    ]
    return float(np.average(ratios, weights=weights))


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


def ranked(values: Float[ndarray, " unit"]) -> Int[ndarray, " unit"]:
    """Units by value, largest first; ties go to the lower index."""
    return np.argsort(-values, kind="stable")


def top_overlap(one: Float[ndarray, " unit"], other: Float[ndarray, " unit"], k: int) -> float:
    """Jaccard index of both top `k`: units in both, as a share of units in either."""
    a, b = (set(ranked(values)[:k].tolist()) for values in (one, other))
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


@dataclass(frozen=True, slots=True)
class Difference:
    """How much more the second of two shares is than the first, with its 95 % interval."""

    value: float
    low: float
    high: float


def share_difference(
    first: tuple[int, int],
    second: tuple[int, int],
    factors: tuple[float, float] = (1.0, 1.0),
) -> Difference:
    """The second share minus the first, each (right, asked) of its own examples.

    `factors`: what each share is multiplied by before, a known number such as the seconds of a step.

    Raises:
        ValueError: one of them is of nothing.
    Source: Newcombe 1998, Statistics in Medicine 17:873, method 10, which joins Wilson's intervals; with
        factors, Zou & Donner 2008, Statistics in Medicine 27:1693.
    """
    # 30 and 45 of 100 have Wilson's intervals [0.219, 0.396] and [0.356, 0.548]. The difference is 0.15,
    # from 0.15 - sqrt((0.45 - 0.356)^2 + (0.396 - 0.30)^2) = 0.016
    # to   0.15 + sqrt((0.548 - 0.45)^2 + (0.30 - 0.219)^2) = 0.277.
    (one, one_low, one_high), (two, two_low, two_high) = (
        tuple(factor * end for end in _wilson(*share))
        for share, factor in zip((first, second), factors, strict=True)
    )
    return Difference(
        two - one,
        two - one - math.hypot(two - two_low, one_high - one),
        two - one + math.hypot(two_high - two, one - one_low),
    )


def _wilson(right: int, asked: int) -> tuple[float, float, float]:
    """A share and the ends of its interval."""
    if not asked:
        raise ValueError("a share of nothing has no interval")
    interval = binomtest(right, asked).proportion_ci(CONFIDENCE, method="wilson")
    return right / asked, float(interval.low), float(interval.high)


def shares_differ(first: tuple[int, int], second: tuple[int, int]) -> float:
    """Two-sided p that two shares, each (right, asked), are of equal probabilities.

    Source: the "N - 1" chi-squared test; Campbell 2007, Statistics in Medicine 26:3661.
    """
    (right, asked), (other_right, other_asked) = first, second
    total = asked + other_asked
    pooled = (right + other_right) / total
    if pooled in (0.0, 1.0):
        return 1.0
    spread = pooled * (1 - pooled) * (1 / asked + 1 / other_asked) * total / (total - 1)
    return math.erfc(
        abs(right / asked - other_right / other_asked) / math.sqrt(spread) / math.sqrt(2)
    )


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


@dataclass(frozen=True, slots=True)
class Interval:
    """A 95 % interval of a mean; how many times as wide it is as if all examples were independent.

    `wider` is 1 where each example is a group of its own, and None where nobody said which belong together.
    """

    low: float
    high: float
    wider: float | None

    def scaled(self, factor: float) -> "Interval":
        """Of the mean times `factor`."""
        return Interval(self.low * factor, self.high * factor, self.wider)


def mean_intervals(
    values: Float[ndarray, "measure example"],
    bounds: tuple[float, float] | None,
    groups: Int[ndarray, " example"] | None,
) -> list[Interval]:
    """An interval of the mean of each measure, over other examples of the same kind.

    `bounds`: between which all values must lie, by their nature (None: unknown; of few examples the interval
    is then too narrow). `groups`: examples with one number belong together, such as questions about one
    paragraph, and are resampled together; None: nobody said which do. Where there are only two values, the
    bounds, and every example is its own group, the interval is Clopper and Pearson's.

    Raises:
        ValueError: no examples.
    """
    if not values.shape[1]:
        raise ValueError("the mean of no values is not defined")
    alone = _independent(values, bounds)
    if groups is None:
        return [Interval(low, high, None) for low, high in alone]
    numbers, group_of = np.unique(groups, return_inverse=True)
    if len(numbers) == values.shape[1]:
        return [Interval(low, high, 1.0) for low, high in alone]
    sums = np.stack([np.bincount(group_of, weights=row) for row in values])
    together = _weighted(sums, np.bincount(group_of).astype(np.float64), bounds)
    return [
        Interval(
            low, high, (high - low) / (high_alone - low_alone) if high_alone > low_alone else 1.0
        )
        for (low, high), (low_alone, high_alone) in zip(together, alone, strict=True)
    ]


def ratio_intervals(
    above: Float[ndarray, "measure example"],
    below: Float[ndarray, " example"],
    groups: Int[ndarray, " example"],
) -> list[tuple[float, float]]:
    """The ends of a 95 % interval of sum(above) / sum(below) for each measure, over other examples.

    Examples with one number of `groups` are resampled together, and all measures with the same draws. It
    means something only where the mean of `below` is not near zero; of few examples it is too narrow.

    Example: above 1, 0, 3 and below 2, 2, 4 have the ratio 4 / 8 = 0.5; with the weights 1, 0.5, 2 of one
    draw, (1 + 0 + 6) / (2 + 1 + 8) = 0.64. The interval holds the middle 95 % of 10,000 such ratios.

    Raises:
        ValueError: no examples.
    """
    ratios = resampled_ratios(above, below, groups)
    tail = 100 * (1 - CONFIDENCE) / 2
    low, high = np.percentile(ratios, [tail, 100 - tail], axis=0)
    return list(zip(low.tolist(), high.tolist(), strict=True))


def resampled_ratios(
    above: Float[ndarray, "measure example"],
    below: Float[ndarray, " example"],
    groups: Int[ndarray, " example"],
) -> Float[ndarray, "draw measure"]:
    """What sum(above) / sum(below) is with other examples of the same kind; see `ratio_intervals`.

    Raises:
        ValueError: no examples.
    Source: Rubin 1981, The Bayesian Bootstrap, Annals of Statistics 9.
    """
    if not len(below):
        raise ValueError("the ratio of no values is not defined")
    _, group_of = np.unique(groups, return_inverse=True)
    sums = np.stack([np.bincount(group_of, weights=row) for row in (*above, below)])
    weights = stream(0, "ratios").standard_exponential((RESAMPLES, sums.shape[1]))
    drawn = weights @ sums.T
    ratios: Float[ndarray, "draw measure"] = drawn[:, :-1] / drawn[:, -1:]
    return ratios


def _independent(
    values: Float[ndarray, "measure example"], bounds: tuple[float, float] | None
) -> list[tuple[float, float]]:
    """The ends of an interval of each mean, if each example is independent of all others."""
    found = _weighted(values, np.ones(values.shape[1]), bounds)
    for place, row in enumerate(values):
        if bounds is not None and np.isin(row, bounds).all():
            least, most = bounds
            ratio = exact_ratio(int((row == most).sum()), len(row))
            low, high = (least + (most - least) * end for end in (ratio.low, ratio.high))
            found[place] = low, high
    return found


def _weighted(
    sums: Float[ndarray, "measure group"],
    counts: Float[ndarray, " group"],
    bounds: tuple[float, float] | None,
) -> list[tuple[float, float]]:
    """Gaffke's interval of each measure's mean, `sums` over `counts`: exact where other bootstraps collapse.

    The groups get random weights, and so does one more, of mean size, whose values are the worst possible:
    the lower of the `bounds` for the lower end, the upper one for the upper end. Without it this is Rubin's
    Bayesian bootstrap, which says of 20 right answers out of 20 that all others are right, too.

    Example: 20 of 20 right. The share of the extra question in 21 exponential weights is above 0.168 with a
    chance of (1 - 0.168)^20 = 2.5 %, so the lower end is 0.832, Clopper and Pearson's. So it always is for
    two values; for others, that it covers the mean in at least 95 % of cases is a conjecture to which no
    counterexample is known (`benchmarks/coverage.py` tries some). For differences of -1, 0 and 1 the
    interval excludes 0 where McNemar's exact p is below 5 %.

    Source: Gaffke 2005, Three test statistics for a nonparametric one-sided hypothesis on the mean of a
        nonnegative variable; Learned-Miller & Thomas 2019, arXiv 1905.06208; Rubin 1981, The Bayesian
        Bootstrap. For groups, a ratio of sums is resampled as in Field & Welsh 2007, Bootstrapping
        Clustered Data.
    """
    # Each with draws of its own, so that an interval does not depend on what else is measured.
    return [_weighted_one(row, counts, bounds) for row in sums]


def _weighted_one(
    sums: Float[ndarray, " group"],
    counts: Float[ndarray, " group"],
    bounds: tuple[float, float] | None,
) -> tuple[float, float]:
    rng = stream(0, "intervals")
    size = counts.mean()
    least, most = bounds or (0.0, 0.0)
    # Equal groups share a weight, the sum of as many exponential ones: 700 wrong and 300 right answers have
    # two weights, not 1,000. So the order of the groups does not matter, either.
    (sums, counts), repeats = np.unique(np.vstack([sums, counts]), axis=1, return_counts=True)
    lows, highs = [], []
    for draws in batch_sizes(len(counts)):
        weights = rng.standard_gamma(repeats, (draws, len(counts)))
        extra = size * rng.standard_exponential(draws) if bounds else np.zeros(draws)
        total, weight = weights @ sums, weights @ counts + extra
        lows.append((total + least * extra) / weight)
        highs.append((total + most * extra) / weight)
    tail = 100 * (1 - CONFIDENCE) / 2
    low = np.percentile(np.concatenate(lows), tail)
    high = np.percentile(np.concatenate(highs), 100 - tail)
    return float(low), float(high)


def dependence(wider: Mapping[str, float | None], examples: str) -> str:
    """What dependent examples do to intervals, as a sentence without its full stop; empty if they do nothing.

    `wider`: `Interval.wider` by what the interval is of; `examples`: what they are called.
    """
    if any(times is None for times in wider.values()):
        return (
            f"The predictions do not say which {examples} belong together, so each counts as independent, "
            "and the intervals may be too narrow"
        )
    # What rounds to as wide is not worth a sentence.
    if all(f"{times:.1f}" == "1.0" for times in wider.values()):
        return ""
    times = " and ".join(f"{times:.1f} ({label})" for label, times in wider.items())
    # What questions share is a paragraph; sentences and letters may be shared in part.
    why = (
        "are about one paragraph, so paragraphs are resampled"
        if examples == "questions"
        else "share a text, so those that do are resampled together"
    )
    return (
        f"Several {examples} {why}: the intervals are {times} times as wide as if the {examples} were "
        "independent"
    )


def sign_flips(differences: Float[ndarray, " unit"]) -> float:
    """Two-sided p that the sum of `differences` is as far from zero as it is by chance.

    Between equals each difference could as well have the opposite sign. Where all that are not zero are
    equally large, as between right and wrong, this is McNemar's test; up to EVERY_FLIP of them, all signs
    are tried; otherwise 10,000 are drawn, from a fixed seed. scipy's permutation_test finds the same p, but
    takes ten times as long for the 4,000 questions on which two runs may differ (3.1 s, not 0.3).

    Source: Fisher 1935, The Design of Experiments, section 21; Noreen 1989, Computer-Intensive
        Methods for Testing Hypotheses.
    """
    nonzero = differences[differences != 0]
    count = len(nonzero)
    if not count or np.ptp(abs(nonzero)) <= TOLERANCE:
        return mcnemar(int((nonzero < 0).sum()), int((nonzero > 0).sum()))
    farthest = abs(nonzero.sum()) - TOLERANCE
    if count <= EVERY_FLIP:
        signs = 1.0 - 2 * (np.arange(2**count)[:, None] >> np.arange(count) & 1)
        return float((abs(signs @ nonzero) >= farthest).mean())
    rng = stream(0, "sign flips")
    as_far = 0
    for size in batch_sizes(count):
        signs = rng.integers(0, 2, size=(size, count), dtype=np.int8) * 2.0 - 1.0
        as_far += int((abs(signs @ nonzero) >= farthest).sum())
    # The given signs are one of the draws, so that p is never 0.
    return (1 + as_far) / (1 + RESAMPLES)


def batch_sizes(total: int) -> list[int]:
    """How many resamples of `total` questions to draw at once, until all are drawn."""
    most = max(1, DRAWS_AT_ONCE // total)
    return [min(most, RESAMPLES - start) for start in range(0, RESAMPLES, most)]
