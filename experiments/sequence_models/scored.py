"""Finished runs of the study, and correlations of what they predicted."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from qa_research.runs.directory import read_record
from qa_research.runs.predictions import read_run_predictions
from qa_research.scores import STATISTICS, statistic_difference, statistic_interval
from qa_research.tasks.task import PARAGRAPH

RIDGES = ("sequence_linear", "sequence_kmer")
KEYS = ("prediction", "truth")

# Predictions and labels [key, sequence] of those that chose nothing, and the group of each.
Scored = tuple[NDArray[np.float64], NDArray[np.int64]]


def of_network(
    runs: Path, part: str, network: str, seeds: Sequence[int], data: str = "motifs"
) -> dict[int, Path]:
    """The finished run of each seed; `data`: what its name says of its data, such as the fold.

    Raises:
        FileNotFoundError: one is missing.
    """
    folder, found = runs / f"sequence_models_{part}", {}
    for seed in seeds:
        own = [
            run
            for run in sorted(folder.glob(f"{network}-*-{data}-s{seed}-????????"))
            if read_record(run)["status"] == "finished"
        ]
        if len(own) != 1:
            raise FileNotFoundError(
                f"{len(own)} finished runs of {network} on {data} with seed {seed} are in {folder}, and "
                "one is needed; commands.sh makes them"
            )
        found[seed] = own[0]
    return found


def sizes(runs: Iterable[Path]) -> dict[str, Any]:
    """Parameters and steps of a network, and how many sequences its trainings had."""
    records = [read_record(run) for run in runs]
    return {
        "parameters": records[0]["parameters"],
        "steps": records[0]["steps"],
        "trained": sorted({record["sequences"]["train"] for record in records}),
    }


def scored(run: Path) -> Scored:
    """What a run predicted of the sequences that chose nothing."""
    rows = [row for row in read_run_predictions(run, KEYS) if not row["chose"]]
    columns = np.array([[row[key] for row in rows] for key in KEYS], dtype=np.float64)
    return columns, np.array([row[PARAGRAPH] for row in rows], dtype=np.int64)


def pooled(folds: Sequence[Scored]) -> Scored:
    """The columns of all folds, each standardised in its own: their Pearson is the mean of the folds'."""
    columns, groups, start = [], [], 0
    for own, group in folds:
        columns.append((own - own.mean(axis=1, keepdims=True)) / own.std(axis=1, keepdims=True))
        groups.append(group + start)
        start += int(group.max()) + 1
    return np.concatenate(columns, axis=1), np.concatenate(groups)


def repeated(trainings: Sequence[Scored]) -> Scored:
    """Several trainings on the same sequences as one: their Pearson is the mean of theirs.

    A sequence has the same group in all of them, so that resamples draw it with all its predictions.
    """
    columns, groups = zip(*trainings, strict=True)
    return np.concatenate(columns, axis=1), np.concatenate(groups)


def of_ranks(trainings: Sequence[Scored]) -> list[Scored]:
    """Ranks instead of values, so that Pearson is Spearman, which resamples then keep as they are."""
    return [(np.array([rankdata(column) for column in own]), group) for own, group in trainings]


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
    columns: NDArray[np.float64], groups: NDArray[np.int64], ridges: Mapping[str, Scored]
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
