"""Correlations of every network's predictions with labels, with intervals, and beside both ridges."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.stats import rankdata

from experiments.study import origin
from qa_research.figures.reach import reach, steps_taken
from qa_research.model.encoder import AdaptiveEncoder
from qa_research.model.reach import gradient_reach
from qa_research.runs.directory import read_record
from qa_research.runs.open import open_run
from qa_research.runs.predictions import read_run_predictions
from qa_research.scores import STATISTICS, statistic_difference, statistic_interval
from qa_research.tasks.sequences.sequence import one_hot_of
from qa_research.tasks.task import PARAGRAPH

# By part: networks by what a run's name begins with.
PARTS = {
    "motifs": (
        "sequence_transformer",
        "without_positions",
        "sequence_cnn",
        "lecture_linear",
    ),
    "promoters": ("sequence_transformer", "sequence_cnn"),
}
RIDGES = ("sequence_linear", "sequence_kmer")
KEYS = ("prediction", "truth")
# In the pictures of what networks look at.
READ, DRAWN = 32, 3


def measure(runs: Path) -> dict[str, Any]:
    """For each part and network: the scores of each seed, and differences from both ridges."""
    some_run = of_network(runs, "motifs", PARTS["motifs"][0])[1]
    return {
        "made by": origin(some_run),
        "motifs": motifs(runs),
        "promoters": promoters(runs),
    }


def of_network(runs: Path, part: str, network: str) -> dict[int, Path]:
    """The finished runs of a network in one part of the study, by seed.

    Raises:
        FileNotFoundError: there is none.
    """
    found = [path.parent for path in runs.glob(f"sequence_models_{part}/{network}-*/run.json")]
    records = {run: read_record(run) for run in found}
    finished = {
        record["seed"]: run for run, record in records.items() if record["status"] == "finished"
    }
    if not finished:
        raise FileNotFoundError(f"no finished run of {network} on {part}; commands.sh makes them")
    return dict(sorted(finished.items()))


def motifs(runs: Path) -> dict[str, Any]:
    """All networks were validated on the same sequences; a ridge is the same with every seed."""
    ridges = {name: scored(of_network(runs, "motifs", name)[1]) for name in RIDGES}
    found: dict[str, Any] = {}
    for name in (*PARTS["motifs"], *RIDGES):
        own = of_network(runs, "motifs", name)
        seeds = {}
        for seed, run in own.items():
            columns, groups = scored(run)
            seeds[str(seed)] = scores(columns, groups) | (
                {} if name in RIDGES else {"beyond": beyond(columns, groups, ridges)}
            )
        found[name] = {"seeds": seeds} | sizes(own.values())
    return found


def promoters(runs: Path) -> dict[str, Any]:
    """Seed i is of fold i; each fold's values are standardised, so that all together are their mean."""
    together: dict[str, tuple[NDArray[np.float64], NDArray[np.int64]]] = {}
    found: dict[str, Any] = {}
    for name in (*RIDGES, *PARTS["promoters"]):
        own = of_network(runs, "promoters", name)
        folds = [scored(run) for run in own.values()]
        together[name] = pooled(folds)
        columns, groups = together[name]
        found[name] = {
            "sequences": columns.shape[1],
            "pearson": interval("pearson", columns, groups),
            "spearman": spearman_of_folds(folds),
            "folds": {
                str(seed): STATISTICS["pearson"].of(fold[0])
                for seed, fold in zip(own, folds, strict=True)
            },
            **sizes(own.values()),
        }
        if name not in RIDGES:
            ridges = {ridge: together[ridge] for ridge in RIDGES}
            found[name]["beyond"] = beyond(columns, groups, ridges)
    return found


def sizes(runs: Any) -> dict[str, Any]:
    """Parameters and steps of a network, and the seconds of its trainings."""
    records = [read_record(run) for run in runs]
    return {
        "parameters": records[0]["parameters"],
        "steps": records[0]["steps"],
        "seconds": [record["train_s"] for record in records],
        "trained": [record["sequences"]["train"] for record in records],
    }


def scored(run: Path) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Predictions and labels [key, sequence] of those that chose nothing, and the group of each."""
    rows = [row for row in read_run_predictions(run, KEYS) if not row["chose"]]
    columns = np.array([[row[key] for row in rows] for key in KEYS], dtype=np.float64)
    return columns, np.array([row[PARAGRAPH] for row in rows], dtype=np.int64)


def pooled(
    folds: Sequence[tuple[NDArray[np.float64], NDArray[np.int64]]],
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The columns of all folds, each standardised in its own: their Pearson is the mean of the folds'."""
    columns, groups, start = [], [], 0
    for own, group in folds:
        columns.append((own - own.mean(axis=1, keepdims=True)) / own.std(axis=1, keepdims=True))
        groups.append(group + start)
        start += int(group.max()) + 1
    return np.concatenate(columns, axis=1), np.concatenate(groups)


def spearman_of_folds(
    folds: Sequence[tuple[NDArray[np.float64], NDArray[np.int64]]],
) -> dict[str, float]:
    """The mean of the folds' Spearman: Pearson of ranks, which resamples keep as they are."""
    ranks = [(np.array([rankdata(column) for column in own]), group) for own, group in folds]
    return interval("pearson", *pooled(ranks))


def scores(columns: NDArray[np.float64], groups: NDArray[np.int64]) -> dict[str, Any]:
    """Both correlations with their intervals, and how many sequences they are of."""
    return {
        "sequences": columns.shape[1],
        "pearson": interval("pearson", columns, groups),
        "spearman": interval("spearman", columns, groups),
    }


def interval(
    statistic: str, columns: NDArray[np.float64], groups: NDArray[np.int64]
) -> dict[str, float]:
    """A correlation with its 95 % interval over other sequences."""
    found = statistic_interval(STATISTICS[statistic], columns, groups)
    return {"value": STATISTICS[statistic].of(columns), "low": found.low, "high": found.high}


def beyond(
    columns: NDArray[np.float64],
    groups: NDArray[np.int64],
    ridges: Mapping[str, tuple[NDArray[np.float64], NDArray[np.int64]]],
) -> dict[str, dict[str, float]]:
    """How much more Pearson a network has than each ridge on the same sequences."""
    found = {}
    for name, (ridge, _) in ridges.items():
        assert np.allclose(ridge[1], columns[1])
        one = statistic_difference(STATISTICS["pearson"], ridge, columns, groups)
        found[name] = {
            "value": one.value,
            "low": one.interval.low,
            "high": one.interval.high,
            "p": one.p,
        }
    return found


def draw(measured: dict[str, Any], runs: Path) -> dict[str, Figure]:
    """How far three networks look from the middle letter, and the steps that letters took."""
    return {"reach.png": reach_figure(runs), "steps.png": steps_figure(runs)}


def reach_figure(runs: Path) -> Figure:
    """Of what is pooled in each network, seed 1."""
    titles = {
        "sequence_cnn": "CNN",
        "sequence_sparse": "transformer with sparse attention",
        "sequence_transformer": "transformer",
    }
    by_name = {}
    for name, title in titles.items():
        part = "figures" if name == "sequence_sparse" else "motifs"
        opened = open_run(of_network(runs, part, name)[1])
        vectors, mask = one_hot_of(opened.own("validation").rows[:READ])
        network: Any = opened.network.eval()
        layer = network.layers[-1] if name == "sequence_cnn" else network.encoder
        by_name[title] = gradient_reach(network, layer, vectors, mask)
    return reach(by_name)


def steps_figure(runs: Path) -> Figure:
    """Of three sequences with motifs, in a universal transformer."""
    opened = open_run(of_network(runs, "steps", "sequence_universal")[1])
    network: Any = opened.network.eval()
    encoder: AdaptiveEncoder = network.encoder
    rows = [row for row in opened.own("validation").rows if row.planted][:DRAWN]
    vectors, mask = one_hot_of(rows)
    with torch.no_grad():
        network(vectors, mask)
    taken = network.halting.steps.numpy()
    shown = [(row.letters, steps, row.planted) for row, steps in zip(rows, taken, strict=True)]
    return steps_taken(shown, encoder.settings.layers)
