"""A linear probe, and how well it reads: balanced accuracy, that of its control, and selectivity, with
intervals over texts. Arrays only.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from qa_research.stats import CONFIDENCE
from qa_research.streams import stream

# The inverse strength of the L2 penalty, on standardised inputs; fixed, so that no data choose it.
INVERSE_PENALTY = 0.1
MOST_ITERATIONS = 1000
TOLERANCE = 1e-3
RESAMPLES = 2000


@dataclass(frozen=True)
class Tally:
    """How many items of each class were read rightly, and how many there are, by text."""

    right: Float[ndarray, "text class"]
    count: Float[ndarray, "text class"]

    def accuracy(
        self, weights: Float[ndarray, "draw text"] | None = None
    ) -> Float[ndarray, " draw"]:
        """Balanced accuracy: the mean of the classes' accuracies; of each draw of weights of the texts.

        Classes without items do not count. Chance, and the most common class alone, have 1 / classes.
        """
        if weights is None:
            weights = np.ones((1, len(self.right)))
        right, count = weights @ self.right, weights @ self.count
        known = count[0] > 0
        found: ndarray = (right[:, known] / count[:, known]).mean(axis=1)
        return found


@dataclass(frozen=True)
class Accuracy:
    """Balanced accuracies of a probe and of its control, and the difference, with 95 % intervals."""

    accuracy: float
    accuracy_interval: tuple[float, float]
    control: float
    selectivity: float
    selectivity_interval: tuple[float, float]


def predicted(
    train: Float[ndarray, "item unit"],
    labels: Int[ndarray, " item"],
    test: Float[ndarray, "item unit"],
    seed: int,
) -> Int[ndarray, " item"]:
    """What a logistic regression trained on `train` says of `test`; classes weigh the same in training."""
    model = make_pipeline(
        StandardScaler(),
        LogisticRegression(
            C=INVERSE_PENALTY,
            class_weight="balanced",
            max_iter=MOST_ITERATIONS,
            tol=TOLERANCE,
            random_state=seed % 2**32,
        ),
    )
    found: ndarray = model.fit(train, labels).predict(test)
    return found


def tally(
    said: Int[ndarray, " item"],
    labels: Int[ndarray, " item"],
    texts: Int[ndarray, " item"],
    classes: int,
) -> Tally:
    """Right and wrong predictions by text and class; `texts`: the number of each item's."""
    numbers, text = np.unique(texts, return_inverse=True)
    shape = (len(numbers), classes)
    right, count = np.zeros(shape), np.zeros(shape)
    np.add.at(count, (text, labels), 1)
    np.add.at(right, (text, labels), said == labels)
    return Tally(right, count)


def accuracy_of(read: Tally, control: Tally) -> Accuracy:
    """Both accuracies and selectivity; both tallies are of the same items, so texts are resampled together.

    The intervals are those of the Bayesian bootstrap over texts (Rubin 1981): other texts for the same
    probes.
    """
    rng = stream(0, "probe intervals")
    weights = rng.standard_exponential((RESAMPLES, len(read.right)))
    drawn, drawn_control = read.accuracy(weights), control.accuracy(weights)
    own, other = float(read.accuracy()[0]), float(control.accuracy()[0])
    return Accuracy(
        own,
        _middle(drawn),
        other,
        own - other,
        _middle(drawn - drawn_control),
    )


def _middle(values: Float[ndarray, " draw"]) -> tuple[float, float]:
    tail = 100 * (1 - CONFIDENCE) / 2
    low, high = np.percentile(values, [tail, 100 - tail])
    return float(low), float(high)
