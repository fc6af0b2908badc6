"""What networks score on promoters in folds grouped by overlap, and what a random split would have said."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.sequence_models.folds import FOLDS, LONGEST, OVERLAP_LETTERS, RANDOM
from experiments.sequence_models.scored import (
    KEYS,
    RIDGES,
    Scored,
    beyond,
    interval,
    of_network,
    of_ranks,
    pooled,
    repeated,
    scored,
    sizes,
)
from qa_research.files import UTF_8
from qa_research.runs.predictions import read_run_predictions
from qa_research.scores import STATISTICS
from qa_research.tasks.sequences.sequence import read_sequences, windows_of
from qa_research.tasks.task import PARAGRAPH

NETWORKS = ("sequence_transformer", "without_positions", "sequence_cnn", "lecture_linear")
SEEDS = (1, 2, 3)


def promoters(runs: Path) -> dict[str, Any]:
    """Each network has every seed on every fold; correlations are means over both."""
    ridges = {name: seeds_of(runs, name)[0] for name in RIDGES}
    found: dict[str, Any] = {}
    for name in (*RIDGES, *NETWORKS):
        trainings = seeds_of(runs, name)
        by_seed = [pooled(folds) for folds in trainings]
        together = repeated(by_seed)
        found[name] = {
            "sequences": by_seed[0][0].shape[1],
            "pearson": interval("pearson", *together),
            "spearman": interval(
                "pearson", *repeated([pooled(of_ranks(folds)) for folds in trainings])
            ),
            "trainings": [
                STATISTICS["pearson"].of(fold[0]) for folds in trainings for fold in folds
            ],
            **sizes(
                run
                for fold in FOLDS
                for run in of_network(runs, "promoters", name, (1,), fold).values()
            ),
        }
        if name not in RIDGES:
            same = {ridge: repeated([pooled(one)] * len(by_seed)) for ridge, one in ridges.items()}
            found[name]["beyond"] = beyond(*together, same)
    return found


def seeds_of(runs: Path, network: str) -> list[list[Scored]]:
    """By seed, what was predicted of each fold; a ridge is the same with every seed."""
    seeds = (1,) if network in RIDGES else SEEDS
    by_fold = [of_network(runs, "promoters", network, seeds, fold) for fold in FOLDS]
    return [[scored(own[seed]) for own in by_fold] for seed in seeds]


def random_split(runs: Path) -> dict[str, Any]:
    """In random folds: what ridges score on sequences that overlap a training one, and on the others."""
    found: dict[str, Any] = {}
    for name in RIDGES:
        parts: dict[str, list[Scored]] = {"all": [], "overlapping": [], "others": []}
        for fold in FOLDS:
            run = of_network(runs, "promoters", name, (1,), f"random_{fold}")[1]
            rows = [row for row in read_run_predictions(run, KEYS) if not row["chose"]]
            overlaps = overlapping(runs / "promoter_folds" / f"{RANDOM}{fold}")
            columns = np.array([[row[key] for row in rows] for key in KEYS], dtype=np.float64)
            groups = np.array([row[PARAGRAPH] for row in rows], dtype=np.int64)
            has = np.array([row["id"] in overlaps for row in rows])
            # All in one scale of their fold: what is left of it by choosing some is what is asked.
            scaled: NDArray[np.float64] = (
                columns - columns.mean(axis=1, keepdims=True)
            ) / columns.std(axis=1, keepdims=True)
            for part, which in (("all", has | True), ("overlapping", has), ("others", ~has)):
                parts[part].append((scaled[:, which], groups[which]))
        found[name] = {part: of_part(folds) for part, folds in parts.items()}
    return found


def of_part(folds: list[Scored]) -> dict[str, Any]:
    """Pearson of some sequences of all folds together."""
    start, groups = 0, []
    for _, group in folds:
        groups.append(group + start)
        start += int(group.max()) + 1
    columns = np.concatenate([own for own, _ in folds], axis=1)
    return {"sequences": columns.shape[1]} | interval("pearson", columns, np.concatenate(groups))


def overlapping(fold: Path) -> set[str]:
    """The ids of a fold's validation sequences that are a training one, shifted by few letters."""
    train, validation = (
        read_sequences(str(fold / f"{split}.csv"), split, UTF_8, LONGEST, split[0])
        for split in ("train", "validation")
    )
    known = {window for row in train for window in windows_of(row.letters, OVERLAP_LETTERS)}
    return {
        row.id
        for row in validation
        if not known.isdisjoint(windows_of(row.letters, OVERLAP_LETTERS))
    }
