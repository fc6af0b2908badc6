"""Right answers over training steps: what was asked of all runs -> a matplotlib figure, and its file."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from qa_research.efficacy.standings import Standing
from qa_research.figures.panels import COLOURS, GREY, LineName, PlainFigure, name_lines, plain
from qa_research.ledger.asked import QUESTIONS
from qa_research.runs.directory import short_run

STARTS = {"pretrained": COLOURS[0], "random": COLOURS[1], "unknown": GREY}
STYLES = ("-", "--", ":", "-.")
# With more runs in a panel, what they started from is named, not each run.
LABELLED_RUNS = 6
HEIGHT = 3.8
# Inches of a panel's height, without its title and the labels below it.
INSIDE = 2.9


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
        {title: [_curve(states) for states in runs.values()] for title, runs in panels.items()},
        " and ".join(dict.fromkeys(standing.source.examples for standing in found)),
    )


def efficacy_over_steps(
    panels: Mapping[str, Sequence[EfficacyCurve]], examples: str = QUESTIONS
) -> Figure:
    """A panel for each split, with a line and its band for each run; `examples`: what was asked.

    A run that was asked at a single step is a point with an error bar; what was imported is a triangle.
    Colours show what a training started from, line styles distinguish runs; a run has the same in all panels.
    Names stand at the lines' ends.
    """
    figure = PlainFigure(figsize=(max(7.0, 6.0 * len(panels)), HEIGHT), layout="constrained")
    axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    styles = _styles([curve for curves in panels.values() for curve in curves])
    for panel, (title, curves) in zip(axes, panels.items(), strict=True):
        for curve in curves:
            _draw(panel, curve, styles[curve.name], curve.name)
        plain(panel)
        panel.set(title=title, xlabel="optimizer step")
    # The panels share their y axis, so only when all are drawn: setting a limit ends autoscaling.
    axes[0].set_ylim(bottom=0)
    axes[0].set_ylabel(f"{examples} answered right, %")
    for panel, curves in zip(axes, panels.values(), strict=True):
        name_lines(panel, _names(curves), INSIDE)
    return figure


def _styles(curves: Sequence[EfficacyCurve]) -> dict[str, str]:
    """Each run's line style, by its name."""
    seen = Counter[str]()
    styles: dict[str, str] = {}
    for curve in curves:
        if curve.name not in styles:
            styles[curve.name] = STYLES[seen[curve.started_from] % len(STYLES)]
            seen[curve.started_from] += 1
    return styles


def _names(curves: Sequence[EfficacyCurve]) -> list[LineName]:
    """Each run's name; with many runs, their number beside the mean of each group's ends."""
    if len(curves) <= LABELLED_RUNS:
        short = [short_run(curve.name) for curve in curves]
        # Two runs that only their hashes tell apart keep them.
        return [
            LineName(
                float(curve.percent[-1]),
                name if short.count(name) == 1 else curve.name,
                STARTS[curve.started_from],
            )
            for curve, name in zip(curves, short, strict=True)
        ]
    groups: dict[str, list[float]] = {}
    for curve in curves:
        groups.setdefault(curve.started_from, []).append(float(curve.percent[-1]))
    return [
        LineName(float(np.mean(ends)), f"{start} ({len(ends)} runs)", STARTS[start])
        for start, ends in groups.items()
    ]


def _draw(panel: Axes, curve: EfficacyCurve, style: str, label: str) -> None:
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
    """`squad validation`, with the start of its fingerprint where other questions have the same name.

    Of other examples than questions also what they are: `mrpc validation (pairs)`.
    """
    source = standing.source
    title = f"{source.name} {source.split}"
    if source.examples != QUESTIONS:
        title += f" ({source.examples})"
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
