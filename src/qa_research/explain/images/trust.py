"""How far to trust an explanation: which ranks are separate, whether seeds agree, and a verdict. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb
from statistics import NormalDist
from typing import Literal

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from qa_research.explain.surrogate import Fit
from qa_research.stats import mean_correlation, top_overlap, top_units

# Differences below this are rounding: the surrogate's outputs are probabilities.
EQUAL = 1e-9
# The seeds must agree at least this far on the top segments for an explanation to be stable.
STABLE_JACCARD = 0.8
# A linear surrogate that explains less than this does not describe the classifier.
LEAST_R2 = 0.5
LEAST_PROBABILITY = 0.1
LEAST_BEATEN = 0.95
Word = Literal["stable", "doubtful", "unstable"]


@dataclass(frozen=True)
class Separation:
    """Whether rank k and every rank below it differ by more than chance, so that the top k are the top k.

    `z`: the smallest of these differences, in standard errors of the bootstrap (None where chance plays no
    part, so that it would be infinite); `needed`: the z from which ranks count as separate. `tied`: the
    segments, best first, that cannot be distinguished from rank k, including that rank itself.
    """

    separate: bool
    z: float | None
    needed: float
    tied: tuple[int, ...]


def ranked(coefficients: Float[ndarray, " segment"]) -> Int[ndarray, " segment"]:
    """Segments by coefficient, highest first; equal ones by number."""
    return np.argsort(-coefficients, kind="stable")


def intervals(
    draws: Float[ndarray, "resample segment"], confidence: float
) -> tuple[Float[ndarray, " segment"], Float[ndarray, " segment"]]:
    """Lower and upper end of each coefficient's percentile interval over bootstrap draws."""
    tail = (1 - confidence) / 2
    low, high = np.quantile(draws, [tail, 1 - tail], axis=0)
    return low, high


def separation(
    coefficients: Float[ndarray, " segment"],
    draws: Float[ndarray, "resample segment"] | None,
    top: int,
    confidence: float,
    looks: int,
) -> Separation:
    """Compare rank `top` with all others; if there are no more segments than that, all is separate.

    `looks`: how often the question is asked while masks are added; the allowed error is shared among the
    looks (Bonferroni), because whoever looks often enough finds a difference. Without `draws` the
    coefficients come from every possible mask, and every difference is real.
    """
    # Coefficients .50 .40 .10 .09 and top 2: rank 2 is segment 1 (.40). The bootstrap's standard error of
    # (.40 - .10) is .05, so z = 6 against rank 3, and similarly for rank 4. With 95 % and one look z must
    # reach 1.96, with four looks 1 - .05 / 2 / 4 = .99375, which is 2.50: separate either way.
    order = ranked(coefficients)
    needed = NormalDist().inv_cdf(1 - (1 - confidence) / 2 / looks)
    if top >= len(order):
        return Separation(True, None, needed, ())
    last = order[top - 1]
    gaps = np.abs(coefficients[last] - coefficients)
    gaps = np.where(gaps > EQUAL, gaps, 0.0)
    differences = np.zeros((2, 1)) if draws is None else draws[:, [last]] - draws
    noise = np.broadcast_to(differences.std(axis=0, ddof=1), gaps.shape)
    # Without noise a difference is infinitely clear, and equality is equality (z = 0).
    z = np.divide(gaps, noise, out=np.where(gaps > 0, np.inf, 0.0), where=noise > EQUAL / 10)
    tied = tuple(int(i) for i in order if z[i] < needed or i == last)
    least = float(z[order[top:]].min())
    return Separation(least >= needed, least if np.isfinite(least) else None, needed, tied)


@dataclass(frozen=True)
class Stability:
    """Agreement of explanations from different seeds, each with its own masks.

    `jaccard`: of the top segments, mean over all pairs of seeds (1: always the same); `least_jaccard`: of the
    worst pair; `chance_jaccard`: the expectation for random rankings. `rank_correlation`: Spearman's, mean
    over pairs (NaN if all coefficients of a seed are equal). `sign_agreement`: share of (seed, top segment)
    whose sign is that of the pooled coefficient. `tops`: each seed's top segments, best first.
    """

    jaccard: float
    least_jaccard: float
    chance_jaccard: float
    rank_correlation: float
    sign_agreement: float
    tops: tuple[tuple[int, ...], ...]


def stability(
    by_seed: Float[ndarray, "seed segment"], pooled: Float[ndarray, " segment"], top: int
) -> Stability | None:
    """Agreement between seeds; None if there is only one."""
    n_seeds, n_segments = by_seed.shape
    if n_seeds < 2:
        return None
    top = min(top, n_segments)
    overlaps = [top_overlap(a, b, top) for a, b in combinations(by_seed, 2)]
    first = ranked(pooled)[:top]
    return Stability(
        jaccard=float(np.mean(overlaps)),
        least_jaccard=min(overlaps),
        chance_jaccard=chance_jaccard(top, n_segments),
        rank_correlation=mean_correlation(list(by_seed)),
        sign_agreement=float((np.sign(by_seed[:, first]) == np.sign(pooled[first])).mean()),
        tops=tuple(tuple(top_units(row, top)) for row in by_seed),
    )


def chance_jaccard(top: int, n: int) -> float:
    """Expected Jaccard index of two random sets of `top` out of `n`: the overlap is hypergeometric."""
    # top 2 of 4: one of the 6 sets shares both (index 2 / 2), four share one (1 / 3), one shares none:
    # 1/6 * 1 + 4/6 * 1/3 = 0.389.
    return sum(
        comb(top, i) * comb(n - top, top - i) / comb(n, top) * i / (2 * top - i)
        for i in range(max(1, 2 * top - n), top + 1)
    )


@dataclass(frozen=True)
class Verdict:
    """What to think of an explanation, in a word, and every reason to doubt it in a sentence."""

    word: Word
    doubts: tuple[str, ...]


def verdict(
    fit: Fit,
    separated: Separation,
    stable: Stability | None,
    top: int,
    probability: float,
    beaten: Mapping[str, float],
    *,
    exact: bool,
) -> Verdict:
    """Put the controls into words.

    `unstable`: the seeds disagree on the top segments, or nothing changes whatever is switched off.
    `stable`: they agree, and no control speaks against it. `doubtful`: they agree, but a control does.
    `probability`: the classifier's own, of the class. `beaten`: for each curve by name, the share of random
    orders that the ranking beats. `exact`: all masks were used, so no seed played a part.
    """
    if np.isnan(fit.r2):
        doubt = "The class's probability does not change whatever is switched off."
        return Verdict("unstable", (doubt,))
    if not fit.coefficients.any():
        doubt = "The penalty shrinks every coefficient to zero; try a smaller lime.alpha."
        return Verdict("unstable", (doubt,))
    doubts = []
    if stable is None and not exact:
        doubts.append("There is only one seed, so it is not known whether others agree.")
    disagree = stable is not None and stable.jaccard < STABLE_JACCARD
    if stable is not None and disagree:
        doubts.append(
            f"{len(stable.tops)} seeds disagree on the top {len(stable.tops[0])}: Jaccard index "
            f"{stable.jaccard:.2f} (by chance {stable.chance_jaccard:.2f})."
        )
    doubts += _doubts_of_controls(fit.r2, separated, top, probability, beaten)
    if disagree:
        return Verdict("unstable", tuple(doubts))
    return Verdict("doubtful" if doubts else "stable", tuple(doubts))


def _doubts_of_controls(
    r2: float,
    separated: Separation,
    top: int,
    probability: float,
    beaten: Mapping[str, float],
) -> Sequence[str]:
    doubts = []
    if r2 < LEAST_R2:
        doubts.append(
            f"The linear surrogate explains only {max(r2, 0):.0%} of the effect of switching segments off: "
            "segments act together, and one coefficient for each says little."
        )
    if not separated.separate:
        names = ", ".join(str(i) for i in separated.tied)
        doubts.append(
            f"Ranks {top} and {top + 1} cannot be distinguished; segments {names} are tied."
        )
    if probability < LEAST_PROBABILITY:
        doubts.append(f"The classifier itself gives the class only {probability:.1%}.")
    doubts += [
        f"In its {name} curve the ranking beats only {share:.0%} of random orders."
        for name, share in beaten.items()
        if share < LEAST_BEATEN
    ]
    return doubts
