"""Losses over a training: of its batches, and of one watched question. Reads and saves nothing."""

import textwrap

import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from qa_research.figures.decay import DecayFit, NoFit
from qa_research.figures.panels import legend_above, plain
from qa_research.figures.recorded import at, numbers, recorded, steps_of
from qa_research.figures.scores import COLOURS

# More captures than this are drawn as a line without a mark for each.
MARKED = 60


def training_loss(steps: ArrayLike, losses: ArrayLike, fit: DecayFit | NoFit) -> Figure:
    """The batches' loss at each logged step, and its fit with a band, or why there is none.

    Raises:
        ValueError: no losses, or not as many as steps.
    """
    x, y = np.asarray(steps, dtype=np.float64), np.asarray(losses, dtype=np.float64)
    if x.ndim != 1 or x.shape != y.shape or not x.size:
        raise ValueError(f"a loss at each step is needed, got {y.shape} losses at {x.shape} steps")
    figure = Figure(figsize=(6.4, 3.8), layout="constrained")
    panel = figure.subplots()
    mark = "." if len(x) <= MARKED else ""
    panel.plot(x, y, marker=mark, color=COLOURS[0], lw=0.8, alpha=0.7, label="training batches")
    if isinstance(fit, DecayFit):
        along = np.linspace(x.min(), x.max(), 400)
        low, high = fit.band(along)
        panel.fill_between(
            along, low, high, color=COLOURS[1], alpha=0.25, lw=0, label="95 % band of the fit"
        )
        panel.plot(along, fit.at(along), color=COLOURS[1], lw=1.8, label=formula(fit))
    else:
        reason = textwrap.fill(f"No fit: {fit.reason}.", 88)
        panel.set_title(reason, loc="left", fontsize=9, color="#555555")
    figure.suptitle("Loss of the training batches")
    panel.set(xlabel="optimizer step", ylabel="loss, nats")
    plain(panel)
    if isinstance(fit, DecayFit):
        legend_above(panel, 2)
    return figure


def formula(fit: DecayFit) -> str:
    """The fitted curve in one line, with R²."""
    since = f"(step − {fit.first_step:g})" if fit.first_step else "step"
    sign = "−" if fit.c < 0 else "+"
    a, time, c = (f"{value:#.3g}".rstrip(".") for value in (fit.a, 1 / fit.b, abs(fit.c)))
    return f"{a} exp(−{since} / {time}) {sign} {c};  R² = {fit.r2:.2f}"


def question_losses(dataset: xr.Dataset, question: int) -> Figure:
    """Start and end loss of one watched question, and the probability of its true span.

    `dataset` is the group `logits`. Dashed: the loss of giving every token the same probability.

    Raises:
        ValueError: the question is not watched, or nothing is recorded.
    """
    loss = at(recorded(dataset, "loss"), question=question)
    probability = numbers(at(recorded(dataset, "probability"), question=question), "step")
    right = numbers(at(recorded(dataset, "exact_match"), question=question), "step") == 1
    steps, n_tokens = steps_of(loss), int(at(dataset["tokens"], question=question))
    figure = Figure(figsize=(6.4, 4.8), layout="constrained")
    above, below = figure.subplots(2, sharex=True)
    few = len(steps) <= MARKED
    for row, colour in zip(("start", "end"), COLOURS, strict=False):
        values = numbers(at(loss, row=row), "step")
        above.plot(steps, values, marker="." if few else "", color=colour, label=row)
    even = float(np.log(n_tokens))
    label = f"all {n_tokens} tokens alike: {even:.2f}"
    above.axhline(even, color=COLOURS[5], ls="--", lw=1, label=label)
    above.set(ylabel="loss, nats", ylim=(0, None))
    below.plot(steps, probability, color=COLOURS[3], lw=1)
    for wanted, colour, name in ((False, COLOURS[5], "wrong"), (True, COLOURS[3], "right")):
        chosen = np.where(right == wanted, probability, np.nan)
        size = 4.5 if few else 2
        below.plot(steps, chosen, "o", ms=size, color=colour, label=f"answer {name}")
    below.set(xlabel="optimizer step", ylabel="probability\nof the true span", ylim=(-0.03, 1.03))
    for panel in (above, below):
        plain(panel)
        legend_above(panel, 3)
    figure.suptitle(f"Watched question {question}")
    return figure
