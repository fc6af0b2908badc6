"""Right answers over a training: arrays -> matplotlib figures. No reading, no saving.

What was asked of all runs, from the ledger: curves over training steps.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from qa_research.efficacy.standings import Standing
from qa_research.figures.panels import plain

COLOURS = {"pretrained": "#0b6e99", "random": "#d1495b", "not known": "#777777"}
STYLES = ("-", "--", ":", "-.")
LABELLED_RUNS = 6


@dataclass(frozen=True)
class EfficacyCurve:
    """One run: right answers in percent at some steps, with their 95 % intervals. Arrays [step].

    `begin`: what its training began from, a key of COLOURS. `is_floor`: the true ratio is higher.
    """

    name: str
    begin: str
    steps: NDArray[np.int64]
    percent: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    is_floor: bool


def efficacy_over_steps(panels: Mapping[str, Sequence[EfficacyCurve]]) -> Figure:
    """A panel for each split that was asked, a line with its band for each run.

    A run that was asked at one step alone is a point with a bar; where the true ratio is higher a
    triangle. Colours tell what a training began from, line styles tell runs apart.
    """
    figure = Figure(figsize=(max(6.0, 5.2 * len(panels)), 3.8), layout="constrained")
    axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for panel, (title, curves) in zip(axes, panels.items(), strict=True):
        seen: dict[str, int] = {}
        for curve in curves:
            number = seen[curve.begin] = seen.get(curve.begin, 0) + 1
            colour = COLOURS[curve.begin]
            label = None
            if len(curves) <= LABELLED_RUNS:
                label = curve.name
            elif number == 1:
                total = sum(other.begin == curve.begin for other in curves)
                label = f"{curve.begin} ({total} runs)"
            if len(curve.steps) > 1:
                panel.fill_between(
                    curve.steps, curve.low, curve.high, color=colour, alpha=0.16, linewidth=0
                )
                panel.plot(
                    curve.steps,
                    curve.percent,
                    color=colour,
                    linestyle=STYLES[(number - 1) % len(STYLES)],
                    marker="^" if curve.is_floor else "o",
                    markersize=3,
                    linewidth=1.3,
                    label=label,
                )
                continue
            panel.errorbar(
                curve.steps,
                curve.percent,
                yerr=np.stack([curve.percent - curve.low, curve.high - curve.percent]),
                color=colour,
                fmt="^" if curve.is_floor else "o",
                markersize=4,
                linewidth=1.0,
                capsize=2,
                label=label,
            )
        plain(panel)
        panel.set(title=title, xlabel="optimizer step")
        panel.legend(frameon=False, fontsize=8, loc="best")
    # The panels share it, so only when all are drawn: setting it ends autoscaling.
    axes[0].set_ylim(bottom=0)
    axes[0].set_ylabel("questions answered right, %")
    return figure


DPI = 150


def efficacy_figure(found: Sequence[Standing]) -> Figure:
    """Right answers over steps with bands, a panel for each split, all runs in it.

    Raises:
        ValueError: no state has both a step and an answer.
    """
    panels: dict[str, dict[str, list[Standing]]] = {}
    for standing in found:
        if standing.ratio is None or standing.state.step is None:
            continue
        source, state = standing.source, standing.state
        title = f"{source.name} {source.split}"
        if source.fingerprint and _is_ambiguous(standing, found):
            title += f" {source.fingerprint[:8]}"
        panels.setdefault(title, {}).setdefault(state.run_id or _model(standing), []).append(
            standing
        )
    if not panels:
        raise ValueError("there is nothing to plot: no state has both a step and an answer")
    return efficacy_over_steps(
        {title: [_curve(states) for states in runs.values()] for title, runs in panels.items()}
    )


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure; its format is that of the file's ending."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=DPI)


def _curve(states: Sequence[Standing]) -> EfficacyCurve:
    points = [(s.state.step, s.ratio) for s in states if s.state.step is not None and s.ratio]
    points.sort(key=lambda point: point[0])
    steps, ordered = [step for step, _ in points], [ratio for _, ratio in points]
    first = states[0]
    begin = {True: "pretrained", False: "random", None: "not known"}[first.state.pretrained]
    return EfficacyCurve(
        name=_model(first).rsplit("/", 1)[-1],
        begin=begin,
        steps=np.array(steps),
        percent=100 * np.array([ratio.value for ratio in ordered]),
        low=100 * np.array([ratio.low for ratio in ordered]),
        high=100 * np.array([ratio.high for ratio in ordered]),
        is_floor=first.is_imported,
    )


def _model(standing: Standing) -> str:
    """The run; of an imported state its name without the step, which its other states share."""
    run = standing.state.run
    return re.sub(rf"-{standing.state.step}(?=-)", "", run) if standing.is_imported else run


def _is_ambiguous(standing: Standing, found: Sequence[Standing]) -> bool:
    """Whether other questions go by the same name."""
    source = standing.source
    return any(
        (other.source.name, other.source.split) == (source.name, source.split)
        and other.source.fingerprint not in (None, source.fingerprint)
        for other in found
    )
