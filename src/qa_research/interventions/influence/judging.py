"""How well scores of training examples predict the losses of trainings without some of them. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray
from scipy.stats import rankdata

from qa_research.stats import CONFIDENCE
from qa_research.streams import stream

RESAMPLES = 2000


@dataclass(frozen=True)
class Judged:
    """The linear datamodeling score of a method, in [-1, 1], with its 95 % interval.

    `above`: by how much it is above that of the reference method, with the interval of that difference;
    None: it is the reference.
    """

    method: str
    score: float
    low: float
    high: float
    above: tuple[float, float, float] | None


def datamodeling_scores(
    scores: Mapping[str, Float[ndarray, "question example"]],
    kept: Bool[ndarray, "training example"],
    losses: Float[ndarray, "training question"],
    reference: str,
) -> tuple[Judged, ...]:
    """The linear datamodeling score of each method.

    For each question: over the trainings Spearman's correlation between the sum of the scores of the examples
    that a training kept, and the question's loss, negative; then the mean over questions. 1: the sums order
    the trainings as their losses do. The interval resamples questions and trainings, the same
    for all methods.

    Example: three examples with scores (2, 1, 0) for a question; trainings keep {0}, {1}, {2} and end with
    losses 0.1, 0.3, 0.2: the sums 2, 1, 0 and -0.1, -0.3, -0.2 have the ranks 3, 2, 1 and 3, 1, 2, whose
    correlation is 0.5.

    Source: Park et al. 2023, TRAK, section 2.2.
    """
    # [training question] of each method.
    predicted = {name: kept.astype(np.float64) @ own.T for name, own in scores.items()}
    whole = {name: float(_correlations(own, -losses).mean()) for name, own in predicted.items()}
    rng = stream(0, "datamodeling-score")
    trainings, questions = losses.shape
    drawn: dict[str, list[float]] = {name: [] for name in scores}
    for _ in range(RESAMPLES):
        rows = rng.integers(trainings, size=trainings)
        columns = rng.integers(questions, size=questions)
        place = np.ix_(rows, columns)
        for name, own in predicted.items():
            drawn[name].append(float(_correlations(own[place], -losses[place]).mean()))
    resampled = {name: np.array(values) for name, values in drawn.items()}
    return tuple(
        Judged(
            name,
            whole[name],
            *_ends(resampled[name]),
            above=None
            if name == reference
            else (
                whole[name] - whole[reference],
                *_ends(resampled[name] - resampled[reference]),
            ),
        )
        for name in scores
    )


def chance_scores(
    kept: Bool[ndarray, "training example"], losses: Float[ndarray, "training question"]
) -> tuple[float, float]:
    """Between which ends the datamodeling score of 95 % of random scores is: the mean over questions is as
    spread as so many trainings and questions make it.
    """
    rng = stream(0, "datamodeling-chance")
    found = [
        float(
            _correlations(
                kept @ rng.standard_normal((kept.shape[1], losses.shape[1])), -losses
            ).mean()
        )
        for _ in range(RESAMPLES)
    ]
    return _ends(np.array(found))


def _correlations(
    one: Float[ndarray, "training question"], other: Float[ndarray, "training question"]
) -> Float[ndarray, " question"]:
    """Spearman's correlation over trainings, of each question; 0 where one of them has no order."""
    ranks = [rankdata(values, axis=0) for values in (one, other)]
    first, second = (own - own.mean(axis=0) for own in ranks)
    scale = np.sqrt((first**2).sum(axis=0) * (second**2).sum(axis=0))
    products = (first * second).sum(axis=0)
    found: ndarray = np.divide(products, scale, out=np.zeros_like(products), where=scale > 0)
    return found


def _ends(values: Float[ndarray, " draw"]) -> tuple[float, float]:
    tail = 100 * (1 - CONFIDENCE) / 2
    low, high = np.percentile(values, [tail, 100 - tail])
    return float(low), float(high)
