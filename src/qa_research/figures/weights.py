"""The weights of the output layer [row, hidden]: a row for the start and one for the end, or for each label.

Reads and saves nothing.
"""

from itertools import cycle

import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from qa_research.figures.panels import (
    COLOURS,
    PlainFigure,
    Point,
    at,
    legend_above,
    numbers,
    plain,
    point_out,
    recorded,
)

QA_ROWS = ["start", "end"]
# How a change is measured: the label of its axis, and the format of one change.
MEASURES = {
    "percent": ("100 (w − w₀) / |w₀|, %", "{:+,.0f} %"),
    "absolute": ("w − w₀", "{:+.2g}"),
    "standardised": ("(w − w₀) / std(w₀)", "{:+.2f}"),
}
NAMED = 3
# Inches: the width of a figure, and what its axis labels leave of it.
WIDTH, PANEL = 8.0, 7.2


def head_weights_at_start(dataset: xr.Dataset) -> Figure:
    """All rows of the output layer's weights at step 0; in each the weight nearest to zero is named.

    `dataset` is the group `head_weights`.

    Raises:
        ValueError: step 0 is not recorded.
    """
    weight = at(recorded(dataset, "weight"), step=0)
    rows = rows_of(dataset)
    figure = PlainFigure(figsize=(WIDTH, 1.0 + 1.7 * len(rows)), layout="constrained")
    panels = figure.subplots(len(rows), sharex=True, sharey=True, squeeze=False)[:, 0]
    units = np.asarray(weight.get_index("unit"))
    for panel, row, colour in zip(panels, rows, cycle(COLOURS), strict=False):
        values = numbers(at(weight, row=row), "unit")
        panel.plot(units, values, color=colour, lw=0.8)
        nearest = int(np.abs(values).argmin())
        panel.axhline(0, color="#999999", lw=0.6)
        text = f"nearest zero: unit {units[nearest]}, {_signed(f'{values[nearest]:.2g}')}"
        panel.set(ylabel="weight w₀")
        panel.set_title(f"{row} row", loc="left", fontsize=10)
        plain(panel)
        point_out(
            panel, [Point(float(units[nearest]), float(values[nearest]), text, "black")], PANEL
        )
    panels[-1].set_xlabel("unit of the last layer's output")
    figure.suptitle(f"Weights of the {output_layer(rows)} at step 0")
    return figure


def head_weight_change(dataset: xr.Dataset) -> Figure:
    """The change from step 0 to the last one by three measures; the units that changed most are named.

    `dataset` is the group `head_weights`. The percentage is largest where the weight started near zero, so
    its panel states the correlation of |change| with 1 / |w0|.

    Raises:
        ValueError: nothing is recorded.
    """
    change = recorded(dataset, "change").isel(step=-1).compute()
    latest, rows = dataset.isel(step=-1), rows_of(dataset)
    units = np.asarray(change.get_index("unit"))
    figure = PlainFigure(figsize=(WIDTH, 8), layout="constrained")
    panels = figure.subplots(len(MEASURES), sharex=True)
    for panel, (measure, (label, form)) in zip(panels, MEASURES.items(), strict=True):
        points = []
        for row, colour in zip(rows, cycle(COLOURS), strict=False):
            values = at(change, measure=measure, row=row)
            panel.plot(
                units, numbers(values, "unit"), color=colour, lw=0.8, alpha=0.85, label=f"{row} row"
            )
            for unit in at(latest["ranked_unit"], measure=measure, row=row).values[:NAMED]:
                value = float(at(values, unit=int(unit)))
                if value and np.isfinite(value):
                    text = f"{unit}: {_signed(form.format(value))}"
                    points.append(Point(float(unit), value, text, colour))
        panel.set_ylabel(label)
        if measure == "percent":
            panel.yaxis.set_major_formatter(
                FuncFormatter(lambda value, _: _signed(f"{value:,.0f}"))
            )
        panel.set_title(f"{measure} change", loc="left", fontsize=10)
        plain(panel)
        point_out(panel, points, PANEL)
    # The numbers of its axis take more room than those of the others.
    panels[0].set_title(f"percent change; {_correlation(latest)}", loc="left", fontsize=8.5)
    panels[-1].set_xlabel("unit of the last layer's output")
    legend_above(panels[1], len(rows))
    title = (
        f"Change of the {output_layer(rows)}'s weights from step 0 to step {int(latest['step'])}"
    )
    if points:
        title += f"\n(named: the {NAMED} units of each row that changed most)"
    figure.suptitle(title, fontsize=11)
    return figure


def rows_of(dataset: xr.Dataset) -> list[str]:
    """The rows of the weights: `start` and `end`, or each label."""
    return [str(row) for row in dataset["row"].values]


def output_layer(rows: list[str]) -> str:
    """What the layer is called whose weights have these rows."""
    return "QA output layer" if rows == QA_ROWS else "output layer"


def _correlation(latest: xr.Dataset) -> str:
    words = []
    for row in rows_of(latest):
        own = latest.sel(row=row)
        r, rank = float(own["correlation"]), float(own["rank_correlation"])
        if np.isnan(r):
            return "its correlation with 1 / |w₀| is not defined"
        words.append(f"{row} {_signed(f'{r:.2f}')} (ranks {_signed(f'{rank:.2f}')})")
    # Of all weights of a row, not of a sample of them, so it has no interval.
    return f"r of |change| and 1 / |w₀|, n = {latest.sizes['unit']}: {', '.join(words)}"


def _signed(number: str) -> str:
    return number.replace("-", "−")
