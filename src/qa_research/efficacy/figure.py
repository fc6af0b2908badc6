"""Right answers over training steps: what was asked of all runs -> a matplotlib figure, and its file."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from qa_research.efficacy.standings import Standing
from qa_research.figures.panels import COLOURS, GREY, PlainFigure, plain

STARTS = {"pretrained": COLOURS[0], "random": COLOURS[1], "unknown": GREY}
STYLES = ("-", "--", ":", "-.")
# With more runs in a panel the legend names what they started from, not each run.
LABELLED_RUNS = 6


@dataclass(frozen=True)
class EfficacyCurve:
    """One run: right answers in percent at some steps, with their 95 % intervals. Arrays [step].

    `started_from`: a key of STARTS. `is_imported`: asked by the old lab.
    """

    name: str
    started_from: str
    steps: NDArray[np.int64]
    percent: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    is_imported: bool


def efficacy_figure(found: Sequence[Standing]) -> Figure:
    """Right answers over steps with bands; a panel for each split, with all runs in it.

    Raises:
        ValueError: no state has both a step and an answer.
    """
    panels: dict[str, dict[str, list[Standing]]] = {}
    for standing in found:
        if standing.ratio is None or standing.state.step is None:
            continue
        runs = panels.setdefault(_title(standing, found), {})
        runs.setdefault(standing.state.run_id or _model(standing), []).append(standing)
    if not panels:
        raise ValueError("there is nothing to plot: no state has both a step and an answer")
    return efficacy_over_steps(
        {title: [_curve(states) for states in runs.values()] for title, runs in panels.items()}
    )


def efficacy_over_steps(panels: Mapping[str, Sequence[EfficacyCurve]]) -> Figure:
    """A panel for each split, with a line and its band for each run.

    A run that was asked at a single step is a point with an error bar; what was imported is a triangle.
    Colours show what a training started from, line styles distinguish runs.
    """
    figure = PlainFigure(figsize=(max(6.0, 5.2 * len(panels)), 3.8), layout="constrained")
    axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for panel, (title, curves) in zip(axes, panels.items(), strict=True):
        seen = Counter[str]()
        for curve, label in zip(curves, _labels(curves), strict=True):
            _draw(panel, curve, STYLES[seen[curve.started_from] % len(STYLES)], label)
            seen[curve.started_from] += 1
        plain(panel)
        panel.set(title=title, xlabel="optimizer step")
        panel.legend(frameon=False, fontsize=8, loc="best")
    # The panels share their y axis, so only when all are drawn: setting a limit ends autoscaling.
    axes[0].set_ylim(bottom=0)
    axes[0].set_ylabel("questions answered right, %")
    return figure


def _labels(curves: Sequence[EfficacyCurve]) -> Iterable[str | None]:
    """Each run's name; with many runs, their number at the first of each group."""
    if len(curves) <= LABELLED_RUNS:
        return [curve.name for curve in curves]
    totals = Counter(curve.started_from for curve in curves)
    labels: list[str | None] = []
    for curve in curves:
        total = totals.pop(curve.started_from, None)
        labels.append(f"{curve.started_from} ({total} runs)" if total else None)
    return labels


def _draw(panel: Axes, curve: EfficacyCurve, style: str, label: str | None) -> None:
    colour = STARTS[curve.started_from]
    marker = "^" if curve.is_imported else "o"
    if len(curve.steps) == 1:
        panel.errorbar(
            curve.steps,
            curve.percent,
            yerr=np.stack([curve.percent - curve.low, curve.high - curve.percent]),
            color=colour,
            fmt=marker,
            markersize=4,
            linewidth=1.0,
            capsize=2,
            label=label,
        )
        return
    panel.fill_between(curve.steps, curve.low, curve.high, color=colour, alpha=0.16, linewidth=0)
    panel.plot(
        curve.steps,
        curve.percent,
        color=colour,
        linestyle=style,
        marker=marker,
        markersize=3,
        linewidth=1.3,
        label=label,
    )


def _curve(states: Sequence[Standing]) -> EfficacyCurve:
    points = [(s.state.step, s.ratio) for s in states if s.state.step is not None and s.ratio]
    points.sort(key=lambda point: point[0])
    ratios = [ratio for _, ratio in points]
    first = states[0]
    started_from = {True: "pretrained", False: "random", None: "unknown"}
    return EfficacyCurve(
        name=_model(first).rsplit("/", 1)[-1],
        started_from=started_from[first.state.pretrained],
        steps=np.array([step for step, _ in points]),
        percent=100 * np.array([ratio.value for ratio in ratios]),
        low=100 * np.array([ratio.low for ratio in ratios]),
        high=100 * np.array([ratio.high for ratio in ratios]),
        is_imported=first.is_imported,
    )


def _title(standing: Standing, found: Sequence[Standing]) -> str:
    """`squad validation`, with the start of its fingerprint where other questions have the same name."""
    source = standing.source
    title = f"{source.name} {source.split}"
    is_ambiguous = any(
        (other.source.name, other.source.split) == (source.name, source.split)
        and other.source.fingerprint not in (None, source.fingerprint)
        for other in found
    )
    if source.fingerprint and is_ambiguous:
        title += f" {source.fingerprint[:8]}"
    return title


def _model(standing: Standing) -> str:
    """The run; for an imported state its name without the step, which its other states share."""
    run = standing.state.run
    return re.sub(rf"-{standing.state.step}(?=-)", "", run) if standing.is_imported else run
