"""What was asked of all runs, from the ledger: curves over training steps."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from qa_research.figures.efficacy import EfficacyCurve, efficacy_over_steps
from qa_research.ledger.standings import Standing

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
