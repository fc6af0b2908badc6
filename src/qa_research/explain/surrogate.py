"""LIME's own arithmetic: masks, their weights, and the linear surrogate. Knows neither pictures nor words.

captum's LimeBase fits the surrogate. Masks and outputs stay with the caller, so that every control
(bootstrap, agreement of seeds, R2 on unseen masks) can use them again.

Source: Ribeiro, Singh, Guestrin 2016, "Why Should I Trust You?", sections 3.3 and 3.4.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

Surrogate = Literal["ridge", "linear", "lasso"]
Predict = Callable[[Bool[ndarray, "mask segment"]], Float[ndarray, " mask"]]
# 2^20 masks of `all_masks` are a million predictions already.
MOST_SEGMENTS_OF_ALL = 20
# The usual penalty. Of 2,000 fair masks of the usual weights (0.5 on average) it is the 1.0 of `lime`.
ALPHA = 0.001


@dataclass(frozen=True)
class Fit:
    """A linear surrogate: output = intercept + masks @ coefficients, with its weighted R2.

    `r2` is that of `weighted_r2` on the masks of the fit: NaN where the outputs did not change at all.
    """

    coefficients: Float[ndarray, " segment"]
    intercept: float
    r2: float

    def predicted(self, masks: Bool[ndarray, "mask segment"]) -> Float[ndarray, " mask"]:
        """The surrogate's output for each mask."""
        return np.asarray(masks @ self.coefficients + self.intercept)


def draw_masks(
    n: int, n_segments: int, generator: np.random.Generator
) -> Bool[ndarray, "mask segment"]:
    """`n` random masks: every segment is on with probability 1/2, independently."""
    return generator.random((n, n_segments)) < 0.5


def all_masks(n_segments: int) -> Bool[ndarray, "mask segment"]:
    """Every possible mask once, 2**n_segments of them; the last one has all segments on.

    Raises:
        ValueError: too many segments to enumerate.
    """
    if n_segments > MOST_SEGMENTS_OF_ALL:
        raise ValueError(
            f"cannot enumerate all masks of {n_segments} segments; {MOST_SEGMENTS_OF_ALL} at most"
        )
    # Mask number i has the binary digits of i: of 3 segments, number 6 = 110 has segments 1 and 2 on.
    numbers = np.arange(2**n_segments)[:, None]
    return np.asarray((numbers >> np.arange(n_segments)) & 1 == 1)


def distance_weights(
    masks: Bool[ndarray, "mask segment"], kernel_width: float
) -> Float[ndarray, " mask"]:
    """sqrt(exp(-d^2 / width^2)), d the cosine distance to the mask with all on: 1 - sqrt(n_on / n).

    A mask with all off has no angle; its distance is 1, as in scikit-learn and in `lime`.
    """
    # cos(mask, ones) = n_on / (sqrt(n_on) * sqrt(n)) = sqrt(n_on / n). Of 16 segments at width 0.25:
    #   16 on: d = 0,             weight 1
    #    8 on: d = 1 - 0.707,     weight sqrt(exp(-0.293^2 / 0.0625)) = 0.50
    #    4 on: d = 1 - 0.5,       weight sqrt(exp(-0.5^2 / 0.0625))   = 0.14
    distance = 1 - np.sqrt(masks.mean(axis=1))
    return np.asarray(np.sqrt(np.exp(-(distance**2) / kernel_width**2)))


def lime(
    predict: Predict,
    masks: Bool[ndarray, "mask segment"],
    weights: Float[ndarray, " mask"],
    surrogate: Surrogate = "ridge",
    alpha: float = ALPHA,
) -> tuple[Float[ndarray, " mask"], Fit]:
    """Predict the masks, and fit the weighted linear surrogate with captum; the outputs and the fit.

    `alpha` is relative to the total weight of the masks, so that as much is shrunk whatever their number:
    `ridge` adds alpha * sum of squares to the weighted mean of the squared residuals; `lasso`,
    scikit-learn's, adds alpha * sum of absolute values to half of it; `linear` has no penalty and ignores
    `alpha`. The intercept is never penalised. `lime` and scikit-learn's Ridge add their alpha to the
    weighted sum instead of the mean: theirs is ours times the total weight. captum rounds outputs, weights
    and coefficients to float32 (about 1e-7 of their size). The global random generators are left as they
    were.

    Raises:
        ValueError: there are no masks, or an output is not a finite number.
    """
    # The settings of `explain`, which --help checks, import this file: torch and captum are slow to import.
    import torch
    from captum.attr import LimeBase
    from torch import Tensor

    if not len(masks):
        raise ValueError("a surrogate needs at least one mask, got none")
    rows, unused_weights = torch.from_numpy(masks), iter(torch.from_numpy(weights))
    predicted: list[Float[ndarray, " mask"]] = []

    def perturb(_: Tensor) -> Iterator[Tensor]:
        for i in range(len(rows)):
            yield rows[i : i + 1]

    def forward(batch: Tensor) -> Tensor:
        outputs = np.asarray(predict(batch.numpy()), dtype=np.float64)
        if not np.isfinite(outputs).all():
            raise ValueError("the model's outputs contain NaN or infinity")
        predicted.append(outputs)
        return torch.from_numpy(outputs)

    model = _captum_model(surrogate, alpha, float(weights.sum()))
    method = LimeBase(
        forward,
        model,
        # captum asks for one weight after another, in the order in which it took the masks.
        similarity_func=lambda *_: next(unused_weights),
        perturb_func=perturb,
        # The masks are both what is perturbed and what the surrogate sees.
        perturb_interpretable_space=True,
        from_interp_rep_transform=lambda mask, _: mask,
        to_interp_rep_transform=None,
    )
    # captum's DataLoader draws a seed from torch's global generator, which belongs to dropout.
    with torch.random.fork_rng(devices=[]):
        found = method.attribute(rows[:1], n_samples=len(masks), perturbations_per_eval=len(masks))
    coefficients = found.numpy().ravel().astype(np.float64)
    intercept = float(model.bias())
    (outputs,) = predicted
    r2 = weighted_r2(outputs, masks @ coefficients + intercept, weights)
    return outputs, Fit(coefficients, intercept, r2)


def fit_surrogate(
    masks: Bool[ndarray, "mask segment"],
    outputs: Float[ndarray, " mask"],
    weights: Float[ndarray, " mask"],
    surrogate: Surrogate = "ridge",
    alpha: float = ALPHA,
) -> Fit:
    """The surrogate of outputs that are already known; otherwise as `lime`."""
    return lime(lambda _: outputs, masks, weights, surrogate, alpha)[1]


def weighted_r2(
    outputs: Float[ndarray, " mask"],
    predicted: Float[ndarray, " mask"],
    weights: Float[ndarray, " mask"],
) -> float:
    """1 - weighted squared residuals / weighted squared deviations from the weighted mean.

    NaN where the outputs are equal to six digits, so that there is nothing to explain.
    """
    from sklearn.metrics import r2_score

    # scikit-learn would say 0 or 1 for outputs that never change. A classifier's float32 probabilities
    # round at a millionth of their size: deviations below that do not count as a change.
    deviations = outputs - np.average(outputs, weights=weights)
    if weights @ deviations**2 <= 1e-12 * (weights @ outputs**2):
        return float("nan")
    return float(r2_score(outputs, predicted, sample_weight=weights))


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
    import sklearn.linear_model

    # scikit-learn directly, because captum calls Python several times for every mask: hundreds of refits of
    # the same masks would take minutes instead of a second. Drawing a mask three times is the same as giving
    # it three times the weight, so no masks are copied.
    name, options = _estimator(surrogate, alpha, float(weights.sum()))
    model: Any = getattr(sklearn.linear_model, name)(**options)
    design, wanted = masks.astype(np.float64), outputs.astype(np.float64)
    found = np.empty((n_resamples, masks.shape[1]))
    shares = np.full(len(masks), 1 / len(masks))
    for i in range(n_resamples):
        times = generator.multinomial(len(masks), shares)
        model.fit(design, wanted, sample_weight=weights * times)
        found[i] = model.coef_
    return found


def r2_without_penalty(
    masks: Bool[ndarray, "mask segment"],
    outputs: Float[ndarray, " mask"],
    weights: Float[ndarray, " mask"],
) -> float:
    """`weighted_r2` of the linear surrogate on the masks of its fit: no penalty can reach more."""
    from sklearn.linear_model import LinearRegression

    design = masks.astype(np.float64)
    model = LinearRegression().fit(design, outputs, sample_weight=weights)
    return weighted_r2(outputs, model.predict(design), weights)


def chance_of_r2(r2: float, weights: Float[ndarray, " mask"], n_segments: int) -> float | None:
    """The probability that outputs without any structure have this weighted R2 or more, by the F test.

    The masks count as many as have equal weights (Kish's number); None where they are not more than the
    coefficients, so that the surrogate fits anything.

    Source: Kish 1965, Survey Sampling, section 8.2, for the number.
    """
    # All 4 masks of 2 segments have the weights 1, .5, .5 and .0003, which count as 2.00^2 / 1.51 = 2.7
    # masks: fewer than the 3 numbers that are fitted. The 8 masks of 3 count as 5.5, which leaves 1.5.
    from scipy.stats import f

    number = float(weights.sum() ** 2 / (weights**2).sum())
    left = number - n_segments - 1
    if left <= 1e-9:
        return None
    if r2 >= 1:
        return 0.0
    return float(f.sf(max(r2, 0.0) / n_segments * left / (1 - r2), n_segments, left))


def _estimator(
    surrogate: Surrogate, alpha: float, total_weight: float
) -> tuple[str, dict[str, Any]]:
    """The name in sklearn.linear_model, and what it is constructed with."""
    if surrogate == "linear":
        return "LinearRegression", {}
    if surrogate == "lasso":
        # scikit-learn's lasso divides by the total weight by itself.
        return "Lasso", {"alpha": alpha, "max_iter": 10_000}
    return "Ridge", {"alpha": alpha * total_weight}


def _captum_model(surrogate: Surrogate, alpha: float, total_weight: float) -> Any:
    """captum's wrapper of the scikit-learn model, fitted in double precision.

    In float32, as captum would hand the masks over, the normal equations lose a digit more than the
    coefficients' own rounding does (1e-6 instead of 3e-8 for coefficients of 0.3).
    """
    from captum._utils.models.linear_model import SkLearnLinearModel
    from torch import Tensor

    class InDoublePrecision(SkLearnLinearModel):  # type: ignore[misc]
        def fit(self, train_data: Iterable[list[Tensor]], **options: Any) -> Any:
            return super().fit([[t.double() for t in batch] for batch in train_data], **options)

    name, options = _estimator(surrogate, alpha, total_weight)
    return InDoublePrecision(f"linear_model.{name}", **options)
