"""What a training did over time: a bar for each stretch of it, of the shares of its phases."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

from matplotlib.figure import Figure

from qa_research.figures.panels import PlainFigure

INCHES = 3.0
# Of Paul Tol's "light" scheme, as the flame graph has them: everybody tells them apart.
FILLS = {
    "setup": "#d5cbe2",
    "orange": "#ee8866",
    "blue": "#77aadd",
    "mint": "#44bb99",
    "pear": "#bbcc33",
    "yellow": "#eedd88",
    "pink": "#ffaabb",
    "olive": "#b5b500",
    "cyan": "#99ddff",
    "grey": "#dddddd",
}


def phases_over_time(
    edges_s: Sequence[float], shares: Mapping[str, Sequence[float]], fills: Mapping[str, str]
) -> Figure:
    """Bars between neighbouring edges, in seconds, each of all shares in [0, 1] from the bottom up.

    `fills`: the name of each phase's colour. A stretch without shares has no bar.
    """
    figure = PlainFigure(figsize=(7.4, INCHES), layout="constrained")
    panel = figure.subplots()
    bottom = [0.0] * (len(edges_s) - 1)
    widths = [to - start for start, to in pairwise(edges_s)]
    handles = []
    for phase, values in shares.items():
        heights = [100 * value for value in values]
        bars = panel.bar(
            edges_s[:-1],
            heights,
            width=widths,
            bottom=bottom,
            align="edge",
            color=FILLS[fills[phase]],
            edgecolor="#ffffff",
            linewidth=0.8,
        )
        bars.set_label(phase)
        handles.append(bars)
        bottom = [low + height for low, height in zip(bottom, heights, strict=True)]
    panel.set(
        xlabel="seconds since the process was started",
        ylabel="share of the time, %",
        xlim=(edges_s[0], edges_s[-1]),
        ylim=(0, 100),
    )
    panel.spines[["top", "right"]].set_visible(False)
    panel.legend(
        handles=handles[::-1],
        loc="center left",
        bbox_to_anchor=(1.01, 0.5),
        frameon=False,
        fontsize=8,
    )
    return figure
