"""How far to trust an explanation: whether ranks are separate, how far seeds agree, and a verdict. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from qa_research.explain.images.blanking import Curve
from qa_research.explain.ranking import (
    EQUAL,
    StableTop,
    chance_jaccard,
    needed_z,
    ranks_sentence,
    repeats_needed,
)
from qa_research.stats import mean_correlation, ranked, top_overlap

# A linear surrogate that explains less than this does not describe the classifier.
LEAST_R2 = 0.5
LEAST_PROBABILITY = 0.1
Word = Literal["stable", "doubtful", "unstable"]


@dataclass(frozen=True)
class Separation:
    """Whether rank k and every rank below it differ by more than chance: no more masks are drawn then.

    `z`: the smallest of these differences, in standard errors of the bootstrap (None where chance plays no
    part, so that it would be infinite); `needed`: the z from which ranks count as separate. `tied`: the
    segments, best first, that cannot be distinguished from rank k, including that rank itself.
    """

    separate: bool
    z: float | None
    needed: float
    tied: tuple[int, ...]


def separation(
    coefficients: Float[ndarray, " segment"],
    draws: Float[ndarray, "resample segment"] | None,
    top: int,
    confidence: float,
    looks: int,
) -> Separation:
    """Compare rank `top` with all others; if there are no more segments than that, all is separate.

    `looks`: how often the question is asked while masks are added, see `needed_z`. Without `draws` the
    coefficients come from every possible mask, and every difference is real.
    """
    # Coefficients .50 .40 .10 .09 and top 2: rank 2 is segment 1 (.40). The bootstrap's standard error of
    # (.40 - .10) is .05, so z = 6 against rank 3, and similarly for rank 4. With 95 % and one look z must
    # reach 2.39 (three sizes share the error), with four looks 2.87: separate either way.
    order = ranked(coefficients)
    needed = needed_z(confidence, looks, len(order))
    if top >= len(order):
        return Separation(True, None, needed, ())
    last = order[top - 1]
    equal = EQUAL * float(np.abs(coefficients).max())
    gaps = np.abs(coefficients[last] - coefficients)
    gaps = np.where(gaps > equal, gaps, 0.0)
    differences = np.zeros((2, 1)) if draws is None else draws[:, [last]] - draws
    noise = np.broadcast_to(differences.std(axis=0, ddof=1), gaps.shape)
    # Without noise a difference is infinitely clear, and equality is equality (z = 0).
    z = np.divide(gaps, noise, out=np.where(gaps > 0, np.inf, 0.0), where=noise > equal / 10)
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
        tops=tuple(tuple(ranked(row)[:top].tolist()) for row in by_seed),
    )


@dataclass(frozen=True)
class Verdict:
    """What to think of an explanation, in a word, and every reason to doubt it in a sentence.

    `ranks`: which top is stable and which ranks are tied, in a sentence; empty in files of earlier versions,
    and where that is not known.
    """

    word: Word
    doubts: tuple[str, ...]
    ranks: str = ""


@dataclass(frozen=True)
class Evidence:
    """What a verdict is based on.

    `stable_top`: None if masks were drawn with only one seed. `r2_by_chance`: see `chance_of_r2`;
    `r2_without_penalty`: what a surrogate without one reaches on the same masks; `r2_in_float32`: what it
    reaches on masks that were repeated in float32, None if the classifier is that precise. `probability`: the
    classifier's own, of the class. `curves`: by name, none if they were not requested. `confidence`: 1 minus
    the error that is allowed.
    """

    coefficients: Float[ndarray, " segment"]
    r2: float
    r2_by_chance: float | None
    r2_without_penalty: float
    r2_in_float32: float | None
    stable_top: StableTop | None
    probability: float
    curves: Mapping[str, Curve]
    confidence: float

    @property
    def level(self) -> float:
        """The error that is allowed."""
        return 1 - self.confidence


def verdict(found: Evidence) -> Verdict:
    """Put the controls into words.

    `unstable`: the seeds agree on no top, or nothing changes whatever is switched off. `stable`: they agree
    on one, and no check contradicts it. `doubtful`: they agree, but a check does.
    """
    if np.isnan(found.r2):
        doubt = "The class's probability does not change whatever is switched off."
        return Verdict("unstable", (doubt,))
    if not found.coefficients.any():
        doubt = "The penalty shrinks every coefficient to zero; try a smaller lime.alpha."
        return Verdict("unstable", (doubt,))
    stable, doubts = found.stable_top, []
    if stable is None:
        doubts.append("Only one seed drew masks, so it is not known whether others agree.")
    elif stable.chance > found.level:
        doubts.append(_too_few_seeds(stable, found.level))
    if not (found.coefficients > 0).any():
        doubts.append("No segment supports the class.")
    doubts += _doubts_of_controls(found)
    ranks = ranks_sentence(stable, "seeds", "segments") if stable else ""
    if stable is not None and stable.repeats > 1 and stable.k == 0:
        return Verdict("unstable", tuple(doubts), ranks)
    return Verdict("doubtful" if doubts else "stable", tuple(doubts), ranks)


def _too_few_seeds(stable: StableTop, level: float) -> str:
    enough = repeats_needed(stable.items, level)
    return (
        f"{stable.repeats} seeds are too few for {stable.items} segments: random rankings agree on some top "
        f"with probability {stable.chance:.2f}; trust.seeds={enough} would do."
    )


def _doubts_of_controls(found: Evidence) -> Sequence[str]:
    doubts = _doubts_of_r2(found)
    if found.probability < LEAST_PROBABILITY:
        doubts.append(f"The classifier itself gives the class only {found.probability:.1%}.")
    for name, curve in found.curves.items():
        # Of the two other orders of two segments even the best ranking cannot beat enough.
        if curve.least_p_value <= found.level < curve.p_value:
            doubts.append(
                f"In its {name} curve the ranking beats only {curve.n_beaten} of {curve.n_orders} other "
                f"orders (p {curve.p_value:.3f})."
            )
    return doubts


def _doubts_of_r2(found: Evidence) -> list[str]:
    r2, chance = found.r2, found.r2_by_chance
    if r2 < LEAST_R2:
        explains = f"The linear surrogate explains only {max(r2, 0):.0%}"
        if found.r2_without_penalty >= LEAST_R2:
            without = f"{found.r2_without_penalty:.0%}"
            return [
                f"{explains} because lime.alpha shrinks its coefficients; without a penalty it "
                f"explains {without}."
            ]
        if found.r2_in_float32 is not None and found.r2_in_float32 >= LEAST_R2:
            precise = f"{found.r2_in_float32:.0%}"
            return [
                f"{explains} because bfloat16 rounds; in float32 (classifier.precision) it "
                f"explains {precise}."
            ]
        return [
            f"{explains} of the effect of switching segments off: segments act together, and one coefficient "
            "for each says little."
        ]
    if chance is None:
        few = len(found.coefficients)
        return [f"With only {few} segments every classifier looks linear, so R² shows nothing."]
    if chance > found.level:
        return [f"Outputs without any structure reach an R² of {r2:.2f}, too (p {chance:.2f})."]
    return []
