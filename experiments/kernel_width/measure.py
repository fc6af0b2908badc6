"""How far the kernel of LIME changes its coefficients, beside how far another draw of masks does.

All widths are fitted to the same predictions, so that nothing else differs.
"""

import math
from itertools import combinations
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from jaxtyping import Bool, Float
from matplotlib.figure import Figure
from numpy import ndarray

from qa_research.explain.surrogate import Fit, distance_weights, fit_surrogate
from qa_research.runs.machine import machine
from qa_research.runs.versions import git_state, installed_versions

TOP = 4
USUAL = 0.25
# exp(-d^2 / w^2) is sqrt(exp(-d^2 / v^2)) of v = w / sqrt(2): without the root, the usual width is this one.
WITHOUT_ROOT = USUAL / math.sqrt(2)
WIDTHS = (0.05, 0.1, WITHOUT_ROOT, USUAL, 0.35, 0.5, 1.0, math.inf)

Masks = Bool[ndarray, "seed mask segment"]
Outputs = Float[ndarray, "seed mask"]


def measure(runs: Path) -> dict[str, Any]:
    """By picture and width: agreement with the usual width and between seeds, R2, and masks that count."""
    paths = sorted(runs.glob("*.npz"))
    if not paths:
        raise FileNotFoundError(f"no predictions are in {runs}; commands.sh makes them")
    return {
        "made by": {
            "commit": git_state()["commit"],
            "versions": {name: installed_versions()[name] for name in ("python", "torch")},
            "machine": machine(),
        },
        "usual": USUAL,
        "without root": WITHOUT_ROOT,
        "largest difference": largest_difference(),
        "pictures": {path.stem: of_picture(path) for path in paths},
    }


def largest_difference() -> float:
    """Between the weights without a root at the usual width and those with one at the smaller width."""
    masks = np.tri(30, 30, dtype=bool)
    squared = distance_weights(masks, USUAL) ** 2
    return float(np.abs(squared - distance_weights(masks, WITHOUT_ROOT)).max())


def of_picture(path: Path) -> dict[str, Any]:
    """One picture at all widths."""
    with np.load(path, allow_pickle=False) as read:
        found = {name: read[name] for name in read.files}
    masks, outputs = found["masks"], found["outputs"]
    fits = {
        width: [fitted(*seed, width) for seed in zip(masks, outputs, strict=True)]
        for width in WIDTHS
    }
    return {
        "label": str(found["label"]),
        "probability": float(found["probability"]),
        "segments": masks.shape[2],
        "masks": masks.shape[1],
        "seeds": len(masks),
        "chance": shared_by_chance(masks.shape[2]),
        "widths": {name_of(width): at_width(fits, width, masks) for width in WIDTHS},
    }


def fitted(
    masks: Bool[ndarray, "mask segment"], outputs: Float[ndarray, " mask"], width: float
) -> Fit:
    """The usual surrogate, ridge, with a kernel of this width; infinite: all masks count the same."""
    return fit_surrogate(masks, outputs, weights_of(masks, width))


def weights_of(masks: Bool[ndarray, "mask segment"], width: float) -> Float[ndarray, " mask"]:
    """The weight of each mask."""
    return np.ones(len(masks)) if math.isinf(width) else distance_weights(masks, width)


def at_width(fits: dict[float, list[Fit]], width: float, masks: Masks) -> dict[str, float]:
    """Means over seeds, and over pairs of seeds."""
    own, usual = fits[width], fits[USUAL]
    pairs = list(combinations(own, 2))
    weights = [weights_of(of_seed, width) for of_seed in masks]
    return {
        "same masks, top": mean(shared(a, b) for a, b in zip(own, usual, strict=True)),
        "same masks, ranks": mean(correlation(a, b) for a, b in zip(own, usual, strict=True)),
        "other masks, top": mean(shared(a, b) for a, b in pairs),
        "other masks, ranks": mean(correlation(a, b) for a, b in pairs),
        "r2": mean(fit.r2 for fit in own),
        # Kish's number: as many masks of equal weight say as much.
        "masks that count": mean(float(w.sum() ** 2 / (w**2).sum()) for w in weights),
        "largest coefficient": mean(float(fit.coefficients.max()) for fit in own),
    }


def shared(one: Fit, other: Fit) -> float:
    """Jaccard index of the segments with the largest coefficients.

    >>> shared(Fit(np.array([5, 4, 3, 2, 1]), 0, 1), Fit(np.array([1, 5, 4, 3, 2]), 0, 1))
    0.6
    """
    a, b = ({*np.argsort(fit.coefficients)[-TOP:].tolist()} for fit in (one, other))
    return len(a & b) / len(a | b)


def shared_by_chance(segments: int) -> float:
    """The mean Jaccard index of two random sets of `TOP` segments."""
    ways = [math.comb(TOP, k) * math.comb(segments - TOP, TOP - k) for k in range(TOP + 1)]
    return sum(k / (2 * TOP - k) * n for k, n in enumerate(ways)) / sum(ways)


def correlation(one: Fit, other: Fit) -> float:
    """Spearman's correlation of the coefficients."""
    a, b = (np.argsort(np.argsort(fit.coefficients)) for fit in (one, other))
    return float(np.corrcoef(a, b)[0, 1])


def mean(values: Any) -> float:
    """The mean of some numbers."""
    return float(np.mean([*values]))


def name_of(width: float) -> str:
    """A width as a key of measured.json."""
    return f"{width:.4g}"


def draw(measured: dict[str, Any], runs: Path) -> dict[str, Figure]:
    """Agreement of the top by width: with the usual width on the same masks, and between seeds."""
    figure, axes = plt.subplots(
        1, 3, figsize=(9, 3.6), sharex=True, sharey=True, layout="constrained"
    )
    for axis, (picture, found) in zip(axes.flat, measured["pictures"].items(), strict=True):
        widths = [*found["widths"]]
        for key, label, style in (
            ("same masks, top", "with width 0.25 on the same masks", "o-"),
            ("other masks, top", "with other masks at the same width", "s--"),
        ):
            axis.plot(widths, [at[key] for at in found["widths"].values()], style, label=label)
        axis.plot(
            widths, [at["r2"] for at in found["widths"].values()], ":", color="grey", label="R²"
        )
        axis.axhline(found["chance"], color="silver", linewidth=1, label="top 4 by chance")
        axis.set_title(f"{picture}: {found['label']}, {found['segments']} segments", fontsize=9)
        axis.tick_params(axis="x", rotation=60)
        axis.set_ylim(0, 1.03)
    figure.supxlabel("kernel width (0.1768: the usual one without the square root)", fontsize=9)
    figure.supylabel("share of the top 4 (Jaccard index)", fontsize=9)
    axes.flat[0].legend(fontsize=7, loc="lower right")
    return {"widths.png": figure}
