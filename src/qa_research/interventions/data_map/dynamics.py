"""How examples were learned, from how probable and how right their truths were over steps: arithmetic."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from qa_research.stats import rank_correlation

EASY, HARD, AMBIGUOUS = "easy", "hard", "ambiguous"
REGIONS = (EASY, AMBIGUOUS, HARD)
# With fewer steps one half has no spread of its own.
LEAST_STEPS_TO_HALVE = 4
NEVER = -1


@dataclass(frozen=True)
class Dynamics:
    """By example, over the steps that were looked at.

    `confidence`: the mean probability of the truth; `variability`: its standard deviation (divided by the
    number of steps, not one less), NaN of a single step; `correctness`: the share of steps with a right
    answer; `forgotten`: how often a right answer was wrong at the next step; `learned`: the place of the
    first step with a right answer, NEVER if there is none.

    Source: Swayamdipta et al. 2020, Dataset Cartography, section 2, whose model sees each example once an
        epoch; forgetting is Toneva et al. 2019, An Empirical Study of Example Forgetting, section 3.
    """

    confidence: Float[ndarray, " example"]
    variability: Float[ndarray, " example"]
    correctness: Float[ndarray, " example"]
    forgotten: Int[ndarray, " example"]
    learned: Int[ndarray, " example"]


def dynamics_of(
    probability: Float[ndarray, "step example"], is_right: Bool[ndarray, "step example"]
) -> Dynamics:
    """The dynamics of examples of which each step says how probable and how right their truth is.

    Example: probabilities 0.1, 0.9, 0.5, 0.9 with answers wrong, right, wrong, right. Confidence is 0.6,
    variability sqrt((0.25 + 0.09 + 0.01 + 0.09) / 4) = 0.332, correctness 1/2, forgotten once, learned at 1.
    """
    steps = len(probability)
    variability = probability.std(axis=0) if steps > 1 else np.full(probability.shape[1], np.nan)
    return Dynamics(
        confidence=probability.mean(axis=0),
        variability=variability,
        correctness=is_right.mean(axis=0),
        forgotten=(is_right[:-1] & ~is_right[1:]).sum(axis=0),
        learned=np.where(is_right.any(axis=0), is_right.argmax(axis=0), NEVER),
    )


def regions_of(found: Dynamics) -> list[str]:
    """The region of each example: a third each.

    The third of the highest variability is ambiguous; of the others, the half of the higher confidence is
    easy, and the other half hard. Of a single step there is no variability: the halves are those of all. Ties
    are broken by the order of the examples, and what does not divide goes to the later region.

    Example: variabilities 0.4, 0.1, 0.1, 0.0, 0.3, 0.2 and confidences 0.5, 0.9, 0.2, 0.8, 0.4, 0.1: the
    first and the fifth are ambiguous, the second and the fourth easy, the third and the last hard.
    """
    count = len(found.confidence)
    regions = np.full(count, HARD, dtype=object)
    varies = np.isfinite(found.variability).all()
    by_variability = np.argsort(-found.variability, kind="stable")
    most = by_variability[: count // 3] if varies else by_variability[:0]
    regions[most] = AMBIGUOUS
    others = np.flatnonzero(regions != AMBIGUOUS)
    by_confidence = others[np.argsort(-found.confidence[others], kind="stable")]
    regions[by_confidence[: len(others) // 2]] = EASY
    named: list[str] = regions.tolist()
    return named


@dataclass(frozen=True)
class Agreement:
    """Spearman's correlation of a measure from every other step with that from the steps between."""

    confidence: float
    variability: float


def agreement_of(
    probability: Float[ndarray, "step example"], is_right: Bool[ndarray, "step example"]
) -> Agreement | None:
    """How much of the map is the examples' own, whatever steps happened to be kept; None: too few steps."""
    if len(probability) < LEAST_STEPS_TO_HALVE or probability.shape[1] < 2:
        return None
    one, other = (dynamics_of(probability[i::2], is_right[i::2]) for i in (0, 1))
    return Agreement(
        rank_correlation(one.confidence, other.confidence),
        rank_correlation(one.variability, other.variability),
    )
