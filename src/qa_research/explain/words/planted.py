"""Whether an attribution finds what is known to matter: planted letters, beside it with random weights."""

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from matplotlib.figure import Figure
from numpy import ndarray
from scipy.stats import rankdata
from torch import nn

from qa_research.console import tracked
from qa_research.explain.words.example import (
    ExampleReader,
    example_erasure,
    example_gradients,
    reader_of,
)
from qa_research.explain.words.result import NAMES, WordValues
from qa_research.figures.panels import COLOURS, GREY, PlainFigure
from qa_research.tasks.opened import Opened

# Of a reader and a seed. LIME would take a thousand forward passes for each example.
METHODS: Mapping[str, Callable[[ExampleReader, int], WordValues]] = {
    "gradients": example_gradients,
    "erasure": lambda reader, _seed: example_erasure(reader),
}


@dataclass(frozen=True)
class Found:
    """How well one method finds the marked words of examples, by example: areas under the ROC curve.

    `trained`: by the run's weights; `randomised`: by random ones in the same network, where it should be 0.5.
    """

    method: str
    trained: tuple[float, ...]
    randomised: tuple[float, ...]

    def as_json(self) -> dict[str, Any]:
        """Means and their standard errors."""
        found: dict[str, Any] = {"method": self.method, "examples": len(self.trained)}
        for name in ("trained", "randomised"):
            values = np.array(getattr(self, name))
            error = values.std(ddof=1) / len(values) ** 0.5 if len(values) > 1 else float("nan")
            found[name] = {"auc": float(values.mean()), "standard_error": float(error)}
        return found


def auc(strength: Float[ndarray, " word"], marked: Bool[ndarray, " word"]) -> float:
    """The probability that a marked word is stronger than one that is not; ties count half.

    Example: strengths 3, 1, 2 of which the first and the last are marked: both are above the 1, so 1.

    Raises:
        ValueError: all words are marked, or none.
    """
    n = int(marked.sum())
    if n in (0, len(marked)):
        raise ValueError("an area under the ROC curve needs words that are marked, and others")
    above = rankdata(strength)[marked].sum() - n * (n + 1) / 2
    return float(above / (n * (len(marked) - n)))


def find_planted(
    opened: Opened[Any], rows: Sequence[Any], seed: int, methods: Sequence[str] = tuple(METHODS)
) -> list[Found]:
    """By method, how well it finds the marked words of those of `rows` that have any; signs do not count.

    Raises:
        ValueError: no row has marked words, or the task does not say what can be switched off.
    """
    readers = [reader_of(opened, row) for row in rows]
    readers = [reader for reader in readers if 0 < marked_words(reader).sum() < len(reader.units)]
    if not readers:
        raise ValueError("none of these examples has words of which it is known that they matter")
    random = randomised(opened.network, seed)
    found = []
    for method in methods:
        areas: dict[bool, list[float]] = {True: [], False: []}
        for reader in tracked(readers, method):
            for is_trained, network in ((True, opened.network), (False, random)):
                values = METHODS[method](replace(reader, network=network), seed)
                strength = np.abs(np.array(values.span, dtype=np.float64))
                areas[is_trained].append(auc(strength, marked_words(reader)))
        found.append(Found(method, tuple(areas[True]), tuple(areas[False])))
    return found


def planted_figure(found: Sequence[Found]) -> Figure:
    """Each example's area by method, with the run's weights and with random ones; lines are their means."""
    figure = PlainFigure(figsize=(2.2 + 1.9 * len(found), 3.4), layout="constrained")
    panel = figure.subplots()
    for place, one in enumerate(found):
        for shift, values, colour in (
            (-0.18, one.trained, COLOURS[0]),
            (0.18, one.randomised, GREY),
        ):
            across = place + shift + np.linspace(-0.1, 0.1, len(values))
            panel.plot(across, values, ".", color=colour, ms=4, alpha=0.6)
            mean = float(np.mean(values))
            panel.hlines(mean, place + shift - 0.14, place + shift + 0.14, color=colour, lw=2)
            panel.text(place + shift, 1.03, f"{mean:.2f}", color=colour, ha="center", fontsize=9)
    panel.axhline(0.5, color=GREY, lw=0.8, linestyle="--")
    panel.set_xticks(range(len(found)), [NAMES[one.method] for one in found])
    panel.set(ylim=(0, 1.12), ylabel="area under the ROC curve", xlim=(-0.5, len(found) - 0.5))
    panel.spines[["top", "right"]].set_visible(False)
    many = len(found[0].trained)
    figure.suptitle(
        f"Planted letters found, in {many} examples; blue: the run's weights, grey: random ones",
        fontsize=9,
    )
    return figure


def marked_words(reader: ExampleReader) -> Bool[ndarray, " word"]:
    """Which words have a marked token."""
    example = reader.example
    found = np.zeros(len(reader.units), dtype=bool)
    found[[example.word_of[token] for token in example.marked]] = True
    return found


def randomised(network: nn.Module, seed: int) -> nn.Module:
    """A copy whose weights are drawn anew, each tensor from a normal distribution with its own spread.

    Source: Adebayo et al. 2018, Sanity Checks for Saliency Maps: an attribution that stays the same says
        nothing of what was learned.
    """
    copy = deepcopy(network)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in copy.parameters():
            spread = parameter.std(correction=0) if parameter.numel() > 1 else parameter.abs().sum()
            drawn = torch.randn(parameter.shape, generator=generator).to(parameter)
            parameter.copy_(drawn * spread + (parameter.mean() if parameter.ndim == 1 else 0))
    return copy
