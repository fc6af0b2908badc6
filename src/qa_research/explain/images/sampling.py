"""Masks are drawn and predicted until the top segments stand out; then the surrogate is judged."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from qa_research.explain.images.settings import LimeSettings, TrustSettings
from qa_research.explain.images.trust import (
    Separation,
    Stability,
    intervals,
    ranked,
    separation,
    stability,
)
from qa_research.explain.surrogate import (
    Fit,
    all_masks,
    bootstrap,
    distance_weights,
    draw_masks,
    regression,
)
from qa_research.streams import stream

Predict = Callable[[Bool[ndarray, "mask segment"]], Float[ndarray, " mask"]]


@dataclass(frozen=True)
class Sampled:
    """Surrogates of one class on one picture.

    `fit` is of all seeds' masks together, `fits` of each seed's; `low` and `high` are the interval of each
    of the fit's coefficients. With `exact` the masks are all there are: nothing was drawn, the intervals
    have no width, and there is one fit. `samples`: masks a seed.
    """

    masks: Bool[ndarray, "mask segment"]
    outputs: Float[ndarray, " mask"]
    weights: Float[ndarray, " mask"]
    samples: int
    exact: bool
    fit: Fit
    fits: tuple[Fit, ...]
    low: Float[ndarray, " segment"]
    high: Float[ndarray, " segment"]
    separation: Separation
    stability: Stability | None

    @property
    def order(self) -> Int[ndarray, " segment"]:
        """Segments by coefficient, highest first."""
        return ranked(self.fit.coefficients)


def sample(
    predict: Predict, n_segments: int, lime: LimeSettings, trust: TrustSettings, seed: int
) -> Sampled:
    """Surrogates from as many masks as it takes.

    Every seed has a stream of masks of its own, the same whatever the others do. Where all masks are no
    more than `lime.max_samples`, all of them are taken instead, once.
    """
    if 2**n_segments <= lime.max_samples:
        return _exact(predict, n_segments, lime, trust)
    generators = [stream(seed, "lime", index) for index in range(trust.seeds)]
    masks = [np.empty((0, n_segments), dtype=bool) for _ in generators]
    outputs = [np.empty(0) for _ in generators]
    sizes = _sizes(lime)
    drawn = 0
    for size in sizes:
        for i, generator in enumerate(generators):
            new = draw_masks(size - drawn, n_segments, generator)
            masks[i] = np.concatenate([masks[i], new])
            outputs[i] = np.concatenate([outputs[i], predict(new)])
        drawn = size
        all_of = np.concatenate(masks)
        values = np.concatenate(outputs)
        weights = distance_weights(all_of, lime.kernel_width)
        fit = regression(all_of, values, weights, lime.surrogate, lime.alpha)
        draws = bootstrap(
            all_of,
            values,
            weights,
            lime.surrogate,
            lime.alpha,
            trust.resamples,
            stream(seed, "bootstrap", size),
        )
        apart = separation(fit.coefficients, draws, trust.top, trust.confidence, len(sizes))
        if apart.separate:
            break
    fits = tuple(
        regression(m, y, distance_weights(m, lime.kernel_width), lime.surrogate, lime.alpha)
        for m, y in zip(masks, outputs, strict=True)
    )
    low, high = intervals(draws, trust.confidence)
    by_seed = np.stack([one.coefficients for one in fits])
    return Sampled(
        masks=all_of,
        outputs=values,
        weights=weights,
        samples=drawn,
        exact=False,
        fit=fit,
        fits=fits,
        low=low,
        high=high,
        separation=apart,
        stability=stability(by_seed, fit.coefficients, trust.top),
    )


def most_predictions(n_segments: int, lime: LimeSettings, trust: TrustSettings) -> int:
    """How many masks `sample` predicts at most."""
    every = 2**n_segments
    return every if every <= lime.max_samples else trust.seeds * lime.max_samples


def _sizes(lime: LimeSettings) -> list[int]:
    """Masks a seed after each look."""
    return [
        *range(lime.samples, lime.max_samples, lime.more_samples),
        lime.max_samples,
    ]


def _exact(predict: Predict, n_segments: int, lime: LimeSettings, trust: TrustSettings) -> Sampled:
    masks = all_masks(n_segments)
    outputs = predict(masks)
    weights = distance_weights(masks, lime.kernel_width)
    fit = regression(masks, outputs, weights, lime.surrogate, lime.alpha)
    return Sampled(
        masks=masks,
        outputs=outputs,
        weights=weights,
        samples=len(masks),
        exact=True,
        fit=fit,
        fits=(fit,),
        low=fit.coefficients,
        high=fit.coefficients,
        separation=separation(fit.coefficients, None, trust.top, trust.confidence, 1),
        stability=None,
    )
