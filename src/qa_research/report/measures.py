"""What a report draws and tells of one run, measured from its files: curves, a route of attention."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from qa_research.runs.metrics import METRICS, number_in, read_metrics
from qa_research.tasks.task import Metric

# The route of attention that the studies found to appear with the jump.
ROUTE = ("answer", "match_context")


@dataclass(frozen=True)
class Curve:
    """A measured quantity over a training."""

    steps: NDArray[np.int64]
    values: NDArray[np.float64]


@dataclass(frozen=True)
class RouteOverTime:
    """The attention of all heads from the answer to the words that its sentence and the question share.

    `weight` [step, layer, head] is the mean over the watched questions that have such words.
    """

    steps: NDArray[np.int64]
    layers: tuple[int, ...]
    weight: NDArray[np.float64]

    def rose_most(self) -> tuple[int, int]:
        """The indices of the layer and head whose weight rose most from the first to the last capture."""
        rise = self.weight[-1] - self.weight[0]
        layer, head = np.unravel_index(int(np.nanargmax(rise)), rise.shape)
        return int(layer), int(head)


def read_curves(directory: Path, metric: Metric) -> dict[str, Curve]:
    """The metric over the training by kind (`all`: of all examples); empty before the first validation.

    Raises:
        ValueError: as `read_metrics`.
    """
    path = directory / METRICS
    rows = read_metrics(path) if path.is_file() else []
    curves = {}
    columns = rows[0].keys() if rows else ()
    for column in columns:
        if column == metric["name"] or column.startswith(f"{metric['name']}_"):
            curve = read_curve(rows, column, path)
            if len(curve.steps):
                curves[column[len(metric["name"]) + 1 :] or "all"] = curve
    return curves


def read_curve(rows: Sequence[Mapping[str, str]], column: str, path: Path) -> Curve:
    """A column of metrics.csv where it was measured."""
    measured = [row for row in rows if row.get(column)]
    return Curve(
        np.array([int(row["step"]) for row in measured], dtype=np.int64),
        np.array([number_in(row, column, path) for row in measured], dtype=np.float64),
    )


def route_over_time(heads: xr.Dataset) -> RouteOverTime | None:
    """The attention along ROUTE; None where no watched question has the words it leads to."""
    source, target = ROUTE
    weight = heads["group_weight"].sel(source=source, target=target)
    # [question, step, layer, head]
    weights = weight.transpose("question", "step", "layer", "head").to_numpy().astype(np.float64)
    known = np.isfinite(weights).all(axis=(1, 2, 3))
    if not known.any():
        return None
    return RouteOverTime(
        steps=heads["step"].to_numpy().astype(np.int64),
        layers=tuple(int(layer) for layer in heads["layer"].to_numpy()),
        weight=weights[known].mean(axis=0),
    )
