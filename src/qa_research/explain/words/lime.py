"""LIME on the words of a text: which words carry the answered span, and how reliable that is.

The surrogate is `explain.surrogate`'s, fitted by captum; only the masks are drawn differently, as suits text.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import permutations

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from qa_research.explain.ranking import StableTop, chance_jaccard, repeats_needed, stable_top
from qa_research.explain.surrogate import (
    ALPHA,
    bootstrap,
    distance_weights,
    fit_surrogate,
    weighted_r2,
)
from qa_research.explain.words.reader import WordReader
from qa_research.explain.words.result import (
    OUTPUTS,
    LimeValues,
    all_rounded,
    rounded,
    rounded_or_none,
    strongest,
)
from qa_research.stats import CONFIDENCE, mean_correlation, mean_overlap
from qa_research.streams import stream

REPEATS = 3
KERNEL_WIDTH = 0.25
RESAMPLES = 200
# The last output: of an example of another task the only one.
SPAN = -1
LOWEST_R2 = 0.5


def draw_word_masks(
    n: int, n_units: int, generator: np.random.Generator
) -> Bool[ndarray, "mask unit"]:
    """`n` masks: for each, how many units are off is drawn from 1 to all, and then which.

    If a coin decided for each unit (`surrogate.draw_masks`), half of a text would always be missing, and
    no mask would be near the text that is explained.

    Source: `lime`'s LimeTextExplainer (Ribeiro, Singh, Guestrin 2016, section 3.3, draws likewise).
    """
    n_off = generator.integers(1, n_units + 1, size=n)
    # A random rank for each unit; the n_off lowest ranks are off. Ranks [2, 0, 1] with 2 off: [on, off, off].
    ranks = generator.random((n, n_units)).argsort(axis=1).argsort(axis=1)
    return np.asarray(ranks >= n_off[:, None])


def word_lime(reader: WordReader, samples: int, seed: int, top: int) -> LimeValues:
    """LIME on the words of a reader: REPEATS times `samples` masks, ridge regression, for each output.

    The masks are drawn in REPEATS independent parts: `unseen_r2` is the span's weighted R2 of a part's
    surrogate on the other parts' masks, `overlap` the Jaccard index of the parts' `top` words and
    `correlation` the correlation of the ranks of their strongest, for the span, all means over pairs.
    `stable_top`: the largest top that all parts agree on. The three are of words besides the span's own. The
    coefficients are fitted to all parts together, so they are steadier than that.

    Raises:
        ValueError: fewer than two masks.
    """
    if samples < 2:
        raise ValueError(f"--samples must be at least 2, got {samples}")
    parts = [
        draw_word_masks(samples, len(reader.units), stream(seed, "lime", repeat))
        for repeat in range(REPEATS)
    ]
    masks = np.concatenate(parts)
    # All three outputs come from the same forward passes, so each is fitted to known outputs.
    outputs = reader.predict(masks, "LIME").outputs
    weights = distance_weights(masks, KERNEL_WIDTH)
    fits = [fit_surrogate(masks, output, weights, "ridge", ALPHA) for output in outputs]
    # The stream is called by the number of the span's output.
    generator = stream(seed, "bootstrap", OUTPUTS.index("span"))
    resampled = bootstrap(masks, outputs[SPAN], weights, "ridge", ALPHA, RESAMPLES, generator)
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(resampled, (tail, 1 - tail), axis=0)
    unseen, rankings = _repeats(parts, outputs[SPAN], weights)
    others = reader.besides_answer
    repeats = [ranking[others] for ranking in rankings]
    pooled = fits[SPAN].coefficients[others]
    stable = stable_top(np.stack(repeats), pooled, resampled[:, others], CONFIDENCE)
    # It counts the words besides the span's own from 0; `tied` is to name them as the text does.
    stable = replace(stable, tied=tuple(reader.units[others[i]] for i in stable.tied))
    strong = strongest(repeats)
    return LimeValues(
        **reader.by_word(np.stack([fit.coefficients for fit in fits])),
        low=all_rounded(low),
        high=all_rounded(high),
        r2=all_rounded(fit.r2 for fit in fits),
        unseen_r2=rounded_or_none(unseen),
        overlap=rounded(mean_overlap(repeats, top)),
        correlation=rounded_or_none(mean_correlation([one[strong] for one in repeats])),
        samples=samples,
        doubt=_doubt(unseen, stable, is_answer=len(outputs) > 1),
        chance_overlap=rounded(chance_jaccard(min(top, len(others)), len(others))),
        stable_top=stable,
    )


def _doubt(unseen_r2: float, stable: StableTop, is_answer: bool) -> str | None:
    """Why not to rely on it, as one sentence; None where there is no reason."""
    reasons, level = [], 1 - CONFIDENCE
    what = "the span's logits" if is_answer else "the output"
    besides = " besides the answer's" if is_answer else ""
    # Written so that NaN, of outputs that never change, is a reason too.
    if not unseen_r2 >= LOWEST_R2:
        reasons.append(
            f"on masks it was not fitted to, its linear model explains {100 * max(0, unseen_r2):.0f} % "
            f"of {what} (R² {unseen_r2:.2f}, should be at least {LOWEST_R2})"
        )
    if not stable.k:
        reasons.append(f"its {REPEATS} repeats do not agree on the top words{besides}")
    elif stable.chance > level:
        reasons.append(
            f"{REPEATS} random rankings of {stable.items} words agree on some top with probability "
            f"{stable.chance:.2f}, and {repeats_needed(stable.items, level)} repeats would be needed"
        )
    if not reasons:
        return None
    return f"LIME is not reliable here: {'; and '.join(reasons)}. More --samples may help."


def _repeats(
    parts: Sequence[Bool[ndarray, "mask unit"]],
    output: Float[ndarray, " mask"],
    weights: Float[ndarray, " mask"],
) -> tuple[float, list[Float[ndarray, " unit"]]]:
    """The mean R2 of each part's surrogate on the others' masks, and each part's coefficients."""
    outputs, part_weights = np.split(output, len(parts)), np.split(weights, len(parts))
    fits = [
        fit_surrogate(masks, known, of_part, "ridge", ALPHA)
        for masks, known, of_part in zip(parts, outputs, part_weights, strict=True)
    ]
    unseen = [
        weighted_r2(outputs[other], fits[own].predicted(parts[other]), part_weights[other])
        for own, other in permutations(range(len(parts)), 2)
    ]
    return float(np.mean(unseen)), [fit.coefficients for fit in fits]
