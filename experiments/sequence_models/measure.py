"""Correlations of every network's predictions with labels, with intervals, and beside both ridges.

Of generated sequences here; promoters.py has the promoters, pictures.py the figures.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure

from experiments.sequence_models import pictures
from experiments.sequence_models.promoters import promoters, random_split
from experiments.sequence_models.scored import (
    RIDGES,
    beyond,
    of_network,
    scored,
    scores,
    sizes,
)
from experiments.study import origin
from qa_research.files import read_json
from qa_research.runs.open import open_run
from qa_research.stats import mean_intervals
from qa_research.tasks.sequences.sequence import one_hot_of

SEEDS = (1, 2, 3, 4, 5)
# What a run's name begins with.
NETWORKS = (
    "sequence_transformer",
    "sequence_universal",
    "sequence_sparse",
    "without_positions",
    "sequence_cnn",
    "lecture_lstm",
    "lecture_rnn",
    "lecture_linear",
)
HALTS = "sequence_universal"
# What speed.py writes.
SPEED = "sequence_models_speed.json"


def measure(runs: Path) -> dict[str, Any]:
    """For each part and network: scores with intervals, and differences from both ridges."""
    some_run = of_network(runs, "motifs", "lecture_lstm", (1,))[1]
    speed: Mapping[str, float] = read_json(runs / SPEED)
    return {
        "made by": origin(some_run),
        "motifs": motifs(runs, speed),
        "halting": halting(runs),
        "promoters": promoters(runs),
        "random split": random_split(runs),
    }


def motifs(runs: Path, speed: Mapping[str, float]) -> dict[str, Any]:
    """All networks were validated on the same sequences; a ridge is the same with every seed."""
    ridges = {name: scored(of_network(runs, "motifs", name, (1,))[1]) for name in RIDGES}
    found: dict[str, Any] = {}
    for name, wanted in {**dict.fromkeys(NETWORKS, SEEDS), **dict.fromkeys(RIDGES, (1,))}.items():
        own = of_network(runs, "motifs", name, wanted)
        seeds = {}
        for seed, run in own.items():
            columns, groups = scored(run)
            seeds[str(seed)] = scores(columns, groups) | (
                {} if name in RIDGES else {"beyond": beyond(columns, groups, ridges)}
            )
        found[name] = {"seeds": seeds, "time": speed.get(name)} | sizes(own.values())
    return found


def halting(runs: Path) -> dict[str, Any]:
    """By seed: the steps that letters of motifs took in a universal transformer, others, and the difference.

    Means over the sequences that chose nothing and have motifs, each with its letters' mean.
    """
    found = {}
    for seed, run in of_network(runs, "motifs", HALTS, SEEDS).items():
        opened = open_run(run)
        own, network = opened.own("validation"), opened.network.eval()
        rows = [row for row in own.rows if row.planted and row.id not in own.choosing]
        vectors, mask = one_hot_of(rows)
        with torch.no_grad():
            network(vectors, mask)
        halting: Any = network.halting
        planted = np.zeros(mask.shape, dtype=bool)
        for number, row in enumerate(rows):
            planted[number, list(row.planted)] = True
        steps = halting.steps.double().numpy()
        means = [
            np.nanmean(np.where(which, steps, np.nan), axis=1) for which in (planted, ~planted)
        ]
        difference = means[0] - means[1]
        (interval,) = mean_intervals(difference[None], None, None)
        found[str(seed)] = {
            "sequences": len(rows),
            "motifs": float(means[0].mean()),
            "others": float(means[1].mean()),
            "value": float(difference.mean()),
            "low": interval.low,
            "high": interval.high,
        }
    return found


def draw(measured: dict[str, Any], runs: Path) -> dict[str, Figure]:
    """How far three networks look from the middle letter, and the steps that letters took."""
    return {
        "reach.png": pictures.reach_figure(runs),
        "steps.png": pictures.steps_figure(runs, most_different(measured["halting"])),
    }


def most_different(halting: Mapping[str, Mapping[str, float]]) -> int:
    """The seed with which letters of motifs took the most steps more than others."""
    return int(max(halting, key=lambda seed: halting[seed]["value"]))
