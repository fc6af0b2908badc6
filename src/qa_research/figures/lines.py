"""One quantity over the steps of several trainings, a line for each. Reads and saves nothing."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from qa_research.figures.panels import GREY, LineName, PlainFigure, name_lines, plain

Line = tuple[NDArray[np.int64], NDArray[np.float64]]
# Of runs, in order: as a report's page has them (report.css).
COLOURS = ("#b85400", "#0b6e99", "#6c3fa8", "#2c7a3f", "#a3195b", "#59626b")
PANEL_INCHES = 2.3
MARKED = 60


def lines_of_runs(
    panels: Mapping[str, Mapping[str, Line]],
    label: str,
    levels: Mapping[str, float] | None = None,
    in_percent: bool = True,
) -> Figure:
    """A panel for each key of `panels`, in it a line (steps, values) for each run by its name.

    A run has the same colour in all panels, and its name at the line's end. `levels`: a dashed line in a
    panel, such as what guessing scores. `label`: of the axis. `in_percent`: whether that is what the values
    are in; else their range is theirs.
    """
    figure = PlainFigure(figsize=(5.4 * len(panels), PANEL_INCHES + 1.2), layout="constrained")
    axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    names = list(dict.fromkeys(name for lines in panels.values() for name in lines))
    colours = {name: COLOURS[place % len(COLOURS)] for place, name in enumerate(names)}
    for panel, (title, lines) in zip(axes, panels.items(), strict=True):
        ends = []
        for name, (steps, values) in lines.items():
            mark = "." if len(steps) <= MARKED else ""
            panel.plot(steps, values, color=colours[name], lw=1.4, marker=mark, ms=4)
            ends.append(LineName(float(values[-1]), name, colours[name]))
        if levels and title in levels:
            panel.axhline(levels[title], color=GREY, ls="--", lw=0.9)
            ends.append(LineName(levels[title], f"guessing: {levels[title]:.0f} %", GREY))
        panel.set(title=title, xlabel="optimizer step")
        if in_percent:
            panel.set_ylim(0, 102)
        plain(panel)
        panel.set_xlim(left=0)
        name_lines(panel, ends, PANEL_INCHES)
    axes[0].set_ylabel(label)
    return figure
