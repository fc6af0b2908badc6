"""LIME on the words of a text: which words carry the answered span, and how far that can be believed.

The four steps are those of `explain.lime`; the masks alone are drawn as for text.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from qa_research.explain.surrogate import bootstrap, distance_weights, regression, weighted_r2
from qa_research.explain.words.reader import OUTPUTS, Reader
from qa_research.stats import mean_correlation, mean_overlap
from qa_research.streams import stream

REPEATS = 3
KERNEL_WIDTH = 0.25
ALPHA = 1.0
RESAMPLES = 200
SPAN = OUTPUTS.index("span")
LOWEST_R2 = 0.5
LOWEST_OVERLAP = 0.5


@dataclass(frozen=True)
class WordLime:
    """LIME's coefficients by output (OUTPUTS) and unit, from all masks, and how stable they are.

    `low`, `high`: 95 % bootstrap intervals over masks. `r2`: weighted, on the masks of the fit, by output.
    The masks were drawn in REPEATS independent parts of `samples` masks: `unseen_r2` is the span's
    weighted R2 of a part's surrogate on the other parts' masks, `overlap` the Jaccard index of the
    parts' `top` words and `correlation` the correlation of their ranks for the span, all means over pairs.
    As the coefficients are from all parts together, they are steadier than that.
    """

    values: Float[ndarray, "output unit"]
    low: Float[ndarray, "output unit"]
    high: Float[ndarray, "output unit"]
    r2: Float[ndarray, " output"]
    unseen_r2: float
    overlap: float
    correlation: float
    samples: int
    top: int

    @property
    def doubt(self) -> str | None:
        """Why it cannot be believed, as one sentence; None where it can."""
        reasons = []
        if not self.unseen_r2 >= LOWEST_R2:
            reasons.append(
                f"on masks it has not seen its linear model explains {100 * max(0, self.unseen_r2):.0f} % of "
                f"the span's logits (R2 {self.unseen_r2:.2f}, at least {LOWEST_R2} is asked for)"
            )
        if not self.overlap >= LOWEST_OVERLAP:
            reasons.append(
                f"over {REPEATS} repeats the top {self.top} words have an overlap of {self.overlap:.2f} "
                f"(Jaccard, at least {LOWEST_OVERLAP} is asked for)"
            )
        if not reasons:
            return None
        return f"LIME cannot be believed here: {'; and '.join(reasons)}. More --samples may help."


def draw_word_masks(
    n: int, n_units: int, generator: np.random.Generator
) -> Bool[ndarray, "mask unit"]:
    """`n` masks: of each a number of units is off that is drawn from 1 to all, and then which.

    With each unit off by a toss of a coin (`lime.draw_masks`) half of a text is always missing, and
    no mask is near the text that is explained.

    Source: `lime`'s LimeTextExplainer (Ribeiro, Singh, Guestrin 2016, section 3.3, draws likewise).
    """
    n_off = generator.integers(1, n_units + 1, size=n)
    places = generator.random((n, n_units)).argsort(axis=1).argsort(axis=1)
    return np.asarray(places >= n_off[:, None])


def word_lime(reader: Reader, samples: int, seed: int, top: int) -> WordLime:
    """LIME on the units of a reader: REPEATS times `samples` masks, ridge regression, for each output.

    Raises:
        ValueError: fewer than two masks.
    """
    if samples < 2:
        raise ValueError(f"--samples must be at least 2, got {samples}")
    n_units = len(reader.units)
    parts = [
        draw_word_masks(samples, n_units, stream(seed, "lime", repeat)) for repeat in range(REPEATS)
    ]
    masks = np.concatenate(parts)
    outputs = reader.say(masks, "LIME").outputs
    weights = distance_weights(masks, KERNEL_WIDTH)
    fits = [regression(masks, output, weights, "ridge", ALPHA) for output in outputs]
    resampled = [
        bootstrap(masks, output, weights, "ridge", ALPHA, RESAMPLES, stream(seed, "bootstrap", i))
        for i, output in enumerate(outputs)
    ]
    low, high = np.quantile(resampled, (0.025, 0.975), axis=1)
    unseen, rankings = _repeats(parts, outputs[SPAN], weights)
    return WordLime(
        values=np.stack([fit.coefficients for fit in fits]),
        low=low,
        high=high,
        r2=np.array([fit.r2 for fit in fits]),
        unseen_r2=unseen,
        overlap=mean_overlap(rankings, top),
        correlation=mean_correlation(rankings),
        samples=samples,
        top=top,
    )


def _repeats(
    parts: list[Bool[ndarray, "mask unit"]],
    output: Float[ndarray, " mask"],
    weights: Float[ndarray, " mask"],
) -> tuple[float, list[Float[ndarray, " unit"]]]:
    """The mean R2 of each part's surrogate on the others' masks, and each part's coefficients."""
    outputs, shares = np.split(output, len(parts)), np.split(weights, len(parts))
    fits = [
        regression(masks, out, share, "ridge", ALPHA)
        for masks, out, share in zip(parts, outputs, shares, strict=True)
    ]
    unseen = [
        weighted_r2(outputs[other], fit.predicted(parts[other]), shares[other])
        for own, fit in enumerate(fits)
        for other in range(len(parts))
        if other != own
    ]
    return float(np.mean(unseen)), [fit.coefficients for fit in fits]
