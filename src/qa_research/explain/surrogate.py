"""LIME's own arithmetic: masks, their weights, and the linear surrogate. Knows neither pictures nor words.

The four steps are `draw_masks` (or `all_masks`), predictions (`explain.predictions`), `distance_weights`
and `regression`; each can be called alone. captum's Lime keeps neither masks nor outputs, which every control
here needs, so it stands beside them in the tests; integrated gradients and erasure of words are captum's.

Source: Ribeiro, Singh, Guestrin 2016, "Why Should I Trust You?", sections 3.3 and 3.4.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

Surrogate = Literal["ridge", "linear", "lasso"]
# numpy counts a row of `all_masks` in 64 bits; nobody can predict nearly as many.
MOST_SEGMENTS_OF_ALL = 20


@dataclass(frozen=True)
class Fit:
    """A linear surrogate: output = intercept + masks @ coefficients, with its weighted R2.

    `r2` is 1 - weighted squared residuals / weighted squared deviations from the weighted mean; NaN where
    all outputs are equal to six digits, so that nothing was there to explain.
    """

    coefficients: Float[ndarray, " segment"]
    intercept: float
    r2: float

    def predicted(self, masks: Bool[ndarray, "mask segment"]) -> Float[ndarray, " mask"]:
        """What the surrogate says for the masks."""
        return np.asarray(masks @ self.coefficients + self.intercept)


def draw_masks(
    n: int, n_segments: int, generator: np.random.Generator
) -> Bool[ndarray, "mask segment"]:
    """`n` random masks: every segment is on with probability 1/2, independently."""
    return generator.random((n, n_segments)) < 0.5


def all_masks(n_segments: int) -> Bool[ndarray, "mask segment"]:
    """Every possible mask once, 2**n_segments of them; the last one has all segments on.

    Raises:
        ValueError: more segments than could ever be enumerated.
    """
    if n_segments > MOST_SEGMENTS_OF_ALL:
        raise ValueError(
            f"all masks of {n_segments} segments are too many; {MOST_SEGMENTS_OF_ALL} at most"
        )
    numbers = np.arange(2**n_segments)[:, None]
    return np.asarray((numbers >> np.arange(n_segments)) & 1 == 1)


def distance_weights(
    masks: Bool[ndarray, "mask segment"], kernel_width: float
) -> Float[ndarray, " mask"]:
    """sqrt(exp(-d^2 / width^2)), d the cosine distance to the mask with all on: 1 - sqrt(n_on / n).

    A mask with all off has no angle; its distance is 1, as in scikit-learn and in `lime`.
    """
    distance = 1 - np.sqrt(masks.mean(axis=1))
    return np.asarray(np.sqrt(np.exp(-(distance**2) / kernel_width**2)))


def regression(
    masks: Bool[ndarray, "mask segment"],
    outputs: Float[ndarray, " mask"],
    weights: Float[ndarray, " mask"],
    surrogate: Surrogate = "ridge",
    alpha: float = 1.0,
) -> Fit:
    """The weighted linear model of the outputs on the masks, with an intercept that is not penalised.

    `ridge` penalises alpha * sum of squares, `lasso` is scikit-learn's (alpha * sum of absolute values
    beside half the mean squared residual), `linear` has no penalty and ignores `alpha`.

    Raises:
        ValueError: no masks, or an output that is no number.
    """
    if not len(masks):
        raise ValueError("no masks were given: a surrogate needs some")
    if not np.isfinite(outputs).all():
        raise ValueError("the classifier gave outputs that are no numbers (NaN or infinite)")
    model = _model(surrogate, alpha)
    design, wanted = masks.astype(np.float64), outputs.astype(np.float64)
    model.fit(design, wanted, sample_weight=weights)
    coefficients = np.asarray(model.coef_, dtype=np.float64)
    intercept = float(model.intercept_)
    return Fit(
        coefficients, intercept, weighted_r2(wanted, design @ coefficients + intercept, weights)
    )


def weighted_r2(
    outputs: Float[ndarray, " mask"],
    predicted: Float[ndarray, " mask"],
    weights: Float[ndarray, " mask"],
) -> float:
    """1 - weighted squared residuals / weighted squared deviations from the weighted mean; NaN for 0 / 0."""
    total = float(weights @ (outputs - np.average(outputs, weights=weights)) ** 2)
    # A classifier's float32 rounds at a millionth: below that nothing has changed.
    if total <= 1e-12 * float(weights @ outputs**2):
        return float("nan")
    return 1 - float(weights @ (outputs - predicted) ** 2) / total


def bootstrap(
    masks: Bool[ndarray, "mask segment"],
    outputs: Float[ndarray, " mask"],
    weights: Float[ndarray, " mask"],
    surrogate: Surrogate,
    alpha: float,
    n_resamples: int,
    generator: np.random.Generator,
) -> Float[ndarray, "resample segment"]:
    """Coefficients of surrogates fitted to masks drawn again with replacement.

    They spread as the coefficients would over other random masks of the same number.
    Source: Efron 1979, pairs bootstrap.
    """
    model = _model(surrogate, alpha)
    design, wanted = masks.astype(np.float64), outputs.astype(np.float64)
    found = np.empty((n_resamples, masks.shape[1]))
    shares = np.full(len(masks), 1 / len(masks))
    for i in range(n_resamples):
        times = generator.multinomial(len(masks), shares)
        model.fit(design, wanted, sample_weight=weights * times)
        found[i] = model.coef_
    return found


def _model(surrogate: Surrogate, alpha: float) -> Any:
    from sklearn.linear_model import Lasso, LinearRegression, Ridge

    if surrogate == "linear":
        return LinearRegression()
    if surrogate == "lasso":
        return Lasso(alpha=alpha, max_iter=10_000)
    return Ridge(alpha=alpha)
