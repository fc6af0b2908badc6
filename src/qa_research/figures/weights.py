"""The weights of the output layer [row, hidden]: a row for the start and one for the end, or for each label.

Reads and saves nothing.
"""

from collections.abc import Mapping, Sequence
from itertools import cycle

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter
from numpy.typing import NDArray

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
    start_at_zero,
    step_map,
    step_ticks,
    steps_of,
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


def head_weight_maps(dataset: xr.Dataset) -> Figure:
    """How the weights moved: for each row and measure a map of [step, unit], and the mean |change| by step.

    Each measure has one scale for all rows, whose end is the 99th percentile of |change|: in percent a few
    weights that began near zero would leave all others white. `dataset` is the group `head_weights`.

    Raises:
        ValueError: fewer than two steps are recorded.
    """
    change, rows = recorded(dataset, "change").compute(), rows_of(dataset)
    steps = steps_of(change)
    if len(steps) < 2:
        raise ValueError("a map over steps needs two of them; only one is recorded")
    figure = PlainFigure(figsize=(WIDTH, 2.2 + 2.1 * len(rows)), layout="constrained")
    panels = figure.subplots(len(rows) + 1, len(MEASURES), squeeze=False)
    for column, (measure, (label, _)) in enumerate(MEASURES.items()):
        values = [numbers(at(change, measure=measure, row=row), "step", "unit") for row in rows]
        most = _usual_extreme(values)
        for panel, row, own in zip(panels[:, column], rows, values, strict=False):
            image = step_map(panel, own, steps, most)
            panel.set(xlabel="unit", ylabel=f"{row} row\nstep" if column == 0 else "")
        panels[0, column].set_title(f"{measure} change", loc="left", fontsize=10)
        bar = figure.colorbar(image, ax=list(panels[: len(rows), column]), location="bottom")
        bar.set_label(label, fontsize=8)
        bar.ax.tick_params(labelsize=7)
        _trend(panels[-1, column], steps, dict(zip(rows, values, strict=True)))
    panels[-1, 0].set_ylabel("mean |change|")
    legend_above(panels[-1, -1], len(rows))
    figure.suptitle(f"Change of the {output_layer(rows)}'s weights over the steps", fontsize=11)
    return figure


def _usual_extreme(values: Sequence[NDArray[np.float64]]) -> float:
    sizes = np.abs(np.concatenate([one.ravel() for one in values]))
    sizes = sizes[np.isfinite(sizes)]
    return float(np.percentile(sizes, 99)) if sizes.any() else 1.0


def _trend(
    panel: Axes, steps: NDArray[np.int64], by_row: Mapping[str, NDArray[np.float64]]
) -> None:
    """The mean |change| of each row; its median would hide the few that percent is about."""
    for (row, values), colour in zip(by_row.items(), cycle(COLOURS), strict=False):
        sizes = np.where(np.isfinite(values), np.abs(values), np.nan)
        panel.plot(steps, np.nanmean(sizes, axis=1), color=colour, lw=1.2, label=f"{row} row")
    start_at_zero(panel)
    plain(panel, 4)
    step_ticks(panel.xaxis, steps, 4)
    panel.set_xlabel("step")


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
