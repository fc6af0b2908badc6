"""Several runs side by side, from their files alone: scores, curves, the same watched questions, attention.

Draws nothing; see `page`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from qa_research.capture.recording.files import RECORDING
from qa_research.capture.recording.reader import Recording
from qa_research.ledger.runs import RunEntry
from qa_research.runs.compare import Differences, interval_of, side_by_side
from qa_research.runs.directory import read_record
from qa_research.runs.metrics import METRICS, number_in, read_metrics
from qa_research.runs.predictions import PARAGRAPH
from qa_research.tasks.task import Metric
from qa_research.watch.film import Film, make_film

# A run whose configuration differs from the others' in more keys is called by its name.
MOST_KEYS_IN_NAME = 2
# The route of attention that the studies found to appear with the jump.
ROUTE = ("answer", "match_context")


@dataclass(frozen=True)
class Curve:
    """A measured quantity over a training."""

    steps: NDArray[np.int64]
    values: NDArray[np.float64]


@dataclass(frozen=True)
class Score:
    """A metric of one kind of example, in the metric's unit, with its 95 % interval; `total`: examples."""

    value: float
    low: float
    high: float
    total: int


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


@dataclass(frozen=True)
class ReportedRun:
    """A run as one column of the report.

    `name` says how it differs from the others. `curves` by kind: of the task's first metric. `films` by
    question id; `route` is None where no head was recorded.
    """

    name: str
    entry: RunEntry
    curves: Mapping[str, Curve]
    films: Mapping[str, Film]
    route: RouteOverTime | None


@dataclass(frozen=True)
class Report:
    """`guessing`: what a guess among the right candidates scores, in percent by kind, where it is known.

    `missing`: what the runs have not recorded, and how to get it.
    """

    metric: Metric
    runs: list[ReportedRun]
    guessing: Mapping[str, float]
    missing: list[str]

    @property
    def shared_questions(self) -> list[str]:
        """The ids of the questions that every run watched.

        First those that one run learned and another did not; of these, validation before training, and what
        is hardest to guess before what is easy.
        """
        ids = [name for name in self.runs[0].films if all(name in run.films for run in self.runs)]
        return sorted(ids, key=self._order)

    def _order(self, question: str) -> tuple[bool, bool, float, float]:
        films = [run.films[question] for run in self.runs]
        right = [bool(film.right[-1]) for film in films]
        spread = float(np.nan_to_num(np.ptp([film.true_probability[-1] for film in films])))
        guessed = self.guessing.get(films[0].kind, 0.0)
        return all(right) or not any(right), films[0].split != "validation", guessed, -spread


def read_report(directories: Sequence[Path]) -> Report:
    """All that a report says of these runs.

    Raises:
        ValueError: fewer than two runs, one twice, or a damaged one.
    """
    found = side_by_side(directories)
    metric: Metric = found.entries[0].config["task"]["metrics"][0]
    names = names_of(found.entries, found.config)
    runs, missing = [], []
    for name, entry in zip(names, found.entries, strict=True):
        films, route, lacks = _recorded(entry.directory)
        missing += [f"{name}: {sentence}" for sentence in lacks]
        curves = read_curves(entry.directory, metric)
        if not curves:
            missing.append(f"{name}: it has not been validated yet, so there are no curves of it")
        runs.append(ReportedRun(name, entry, curves, films, route))
    record = read_record(found.entries[0].directory) or {}
    return Report(
        metric=metric,
        runs=runs,
        guessing=record.get("guessing") or {},
        missing=missing,
    )


def names_of(entries: Sequence[RunEntry], differing: Differences) -> list[str]:
    """What each run is called: by what differs, such as `random weights`; else by a letter, as a chart needs.

    `differing`: the keys of their configs that differ, and can change a result. Example: runs that differ in
    seed and learning rate are `seed 1, lr 0.001` and `seed 2, lr 0.0003`.
    """
    own = [f"run {chr(ord('A') + place)}" for place in range(len(entries))]
    if not differing or len(differing) > MOST_KEYS_IN_NAME:
        return own
    weights = {repr(value) for value in differing.get("model.weights", [])}
    pretrained = "pretrained weights" if len(weights - {repr("random")}) == 1 else ""
    names = [
        ", ".join(_called(key, values[i], pretrained) for key, values in differing.items())
        for i in range(len(entries))
    ]
    return names if len(set(names)) == len(names) else own


def _called(key: str, value: Any, pretrained: str) -> str:
    if key == "model.weights":
        return "random weights" if value == "random" else pretrained or f"weights of {value}"
    return f"{key.rpartition('.')[2]} {value}"


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
            curve = _curve(rows, column, path)
            if len(curve.steps):
                curves[column[len(metric["name"]) + 1 :] or "all"] = curve
    return curves


def _curve(rows: Sequence[Mapping[str, str]], column: str, path: Path) -> Curve:
    measured = [row for row in rows if row.get(column)]
    return Curve(
        np.array([int(row["step"]) for row in measured], dtype=np.int64),
        np.array([number_in(row, column, path) for row in measured], dtype=np.float64),
    )


def score_of(rows: Sequence[Mapping[str, Any]], metric: Metric) -> Score:
    """The metric's mean over rows of predictions, with its interval."""
    values = np.array([row[metric["per_example"]] for row in rows], dtype=np.float64)
    paragraphs = [row.get(PARAGRAPH) for row in rows]
    groups = None if None in paragraphs else np.array(paragraphs, dtype=np.int64)
    interval = interval_of(values, metric, groups)
    value = float(values.mean()) * metric["scale"]
    return Score(value, interval.low, interval.high, len(rows))


def _recorded(directory: Path) -> tuple[dict[str, Film], RouteOverTime | None, list[str]]:
    """Films by question, the route over the training, and what is missing."""
    path = directory / RECORDING
    if not path.is_dir():
        return {}, None, ["nothing was recorded; train with capture=default to compare answers"]
    recording = Recording(path)
    films: dict[str, Film] = {}
    lacks = []
    if "logits" in recording.recorders:
        logits = recording.read("logits")
        rows = enumerate(recording.questions)
        films = {str(row["id"]): make_film(row, i, logits) for i, row in rows}
    else:
        lacks.append("no logits were recorded; add logits to capture/recorders to compare answers")
    route = None
    if "heads" in recording.recorders:
        route = route_over_time(recording.read("heads"))
    else:
        lacks.append("no heads were recorded; add heads to capture/recorders to compare attention")
    return films, route, lacks


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
