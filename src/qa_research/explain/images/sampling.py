"""LIME of one class on one picture: draw masks until the top segments stand out, then judge the surrogate."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from qa_research.explain.images.settings import LimeSettings, TrustSettings
from qa_research.explain.images.trust import Separation, Stability, separation, stability
from qa_research.explain.ranking import StableTop, intervals, stable_top
from qa_research.explain.surrogate import (
    Fit,
    Predict,
    Surrogate,
    all_masks,
    bootstrap,
    distance_weights,
    draw_masks,
    fit_surrogate,
    lime,
)
from qa_research.stats import ranked
from qa_research.streams import stream


@dataclass(frozen=True)
class Sampled:
    """Surrogates of one class on one picture.

    `fit` uses the masks of all seeds together, `fits` those of each seed; `low` and `high` are the interval
    of each coefficient of `fit`. With `exact` the masks are all there are: nothing was drawn, the intervals
    have no width, and there is one fit. `samples`: masks per seed. `stable_top`: None if only one seed drew.
    """

    masks: Bool[ndarray, "mask segment"]
    outputs: Float[ndarray, " mask"]
    weights: Float[ndarray, " mask"]
    samples: int
    exact: bool
    surrogate: Surrogate
    fit: Fit
    fits: tuple[Fit, ...]
    low: Float[ndarray, " segment"]
    high: Float[ndarray, " segment"]
    separation: Separation
    stability: Stability | None
    stable_top: StableTop | None

    @property
    def order(self) -> Int[ndarray, " segment"]:
        """Segments by coefficient, highest first."""
        return ranked(self.fit.coefficients)


class _Seed:
    """LIME with the masks of one seed, to which more can be added."""

    def __init__(self, n_segments: int, settings: LimeSettings, generator: np.random.Generator):
        self._settings = settings
        self._generator = generator
        self.masks = np.empty((0, n_segments), dtype=bool)
        self.outputs = np.empty(0)
        self.fit: Fit

    def extend(self, n: int, predict: Predict) -> None:
        """Draw and predict masks up to `n` in total, and fit the surrogate to all of them."""
        known = self.outputs
        new = draw_masks(n - len(known), self.masks.shape[1], self._generator)
        self.masks = np.concatenate([self.masks, new])

        def predict_new(masks: Bool[ndarray, "mask segment"]) -> Float[ndarray, " mask"]:
            return np.concatenate([known, predict(masks[len(known) :])])

        settings = self._settings
        weights = distance_weights(self.masks, settings.kernel_width)
        self.outputs, self.fit = lime(
            predict_new, self.masks, weights, settings.surrogate, settings.alpha
        )


def sample(
    predict: Predict, n_segments: int, settings: LimeSettings, trust: TrustSettings, seed: int
) -> Sampled:
    """Surrogates from as many masks as it takes.

    Every seed has its own stream of masks, which does not depend on the other seeds. If there are no more
    than `settings.max_samples` possible masks, all of them are taken once instead, and ridge has no penalty:
    it steadies what few masks leave open, and here it would only pull what is known towards zero.
    """
    if 2**n_segments <= settings.max_samples:
        return _exact(predict, n_segments, settings, trust)
    seeds = [
        _Seed(n_segments, settings, stream(seed, "lime", index)) for index in range(trust.seeds)
    ]
    sizes = _sizes(settings)
    for size in sizes:
        for one in seeds:
            one.extend(size, predict)
        masks = np.concatenate([one.masks for one in seeds])
        outputs = np.concatenate([one.outputs for one in seeds])
        weights = distance_weights(masks, settings.kernel_width)
        penalty = settings.surrogate, settings.alpha
        fit = fit_surrogate(masks, outputs, weights, *penalty)
        generator = stream(seed, "bootstrap", size)
        draws = bootstrap(masks, outputs, weights, *penalty, trust.resamples, generator)
        separated = separation(fit.coefficients, draws, trust.top, trust.confidence, len(sizes))
        if separated.separate:
            break
    low, high = intervals(draws, trust.confidence)
    by_seed = np.stack([one.fit.coefficients for one in seeds])
    return Sampled(
        masks=masks,
        outputs=outputs,
        weights=weights,
        samples=size,
        exact=False,
        surrogate=settings.surrogate,
        fit=fit,
        fits=tuple(one.fit for one in seeds),
        low=low,
        high=high,
        separation=separated,
        stability=stability(by_seed, fit.coefficients, trust.top),
        stable_top=None
        if len(seeds) < 2
        else stable_top(by_seed, fit.coefficients, draws, trust.confidence, len(sizes)),
    )


def most_predictions(n_segments: int, settings: LimeSettings, trust: TrustSettings) -> int:
    """How many masks `sample` predicts at most."""
    possible = 2**n_segments
    return possible if possible <= settings.max_samples else trust.seeds * settings.max_samples


def _sizes(settings: LimeSettings) -> list[int]:
    """Masks per seed at each look, e.g. 400, 600, 800, 1000."""
    return [
        *range(settings.samples, settings.max_samples, settings.more_samples),
        settings.max_samples,
    ]


def _exact(
    predict: Predict, n_segments: int, settings: LimeSettings, trust: TrustSettings
) -> Sampled:
    masks = all_masks(n_segments)
    weights = distance_weights(masks, settings.kernel_width)
    # Lasso's penalty chooses segments, which is asked for whatever the number of masks.
    surrogate: Surrogate = "linear" if settings.surrogate == "ridge" else settings.surrogate
    outputs, fit = lime(predict, masks, weights, surrogate, settings.alpha)
    coefficients = fit.coefficients
    return Sampled(
        masks=masks,
        outputs=outputs,
        weights=weights,
        samples=len(masks),
        exact=True,
        surrogate=surrogate,
        fit=fit,
        fits=(fit,),
        low=coefficients,
        high=coefficients,
        separation=separation(coefficients, None, trust.top, trust.confidence, 1),
        stability=None,
        stable_top=stable_top(coefficients[None], coefficients, None, trust.confidence),
    )
