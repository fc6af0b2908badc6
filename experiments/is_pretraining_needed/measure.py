"""Exact match and F1 of each arm over the steps and at the best one, and how sure the differences are.

Only questions that chose nothing are scored. Arms are compared question by question, each question with the
mean of its scores over the seeds, and seed by seed.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from scipy.stats import t

from experiments.is_pretraining_needed.arms import (
    ARMS,
    CONTROL,
    DATA,
    RATE_SEED,
    arm_of,
    finished,
    rates_of,
    work_of,
)
from experiments.study import origin
from qa_research.figures.panels import COLOURS, PlainFigure
from qa_research.runs.compare import Shares, compare, part_of, read_shares
from qa_research.runs.directory import read_config, read_record
from qa_research.runs.metrics import read_metrics

METRICS = ("exact_match", "f1")


def measure(runs: Path) -> dict[str, Any]:
    """For each data set with runs: rates, arms by seed, and comparisons with random weights."""
    found = {data: measured for data in DATA if (measured := of_data(runs, data))}
    if not found:
        raise FileNotFoundError(f"no finished runs of this study in {runs}; commands.sh makes them")
    first = next(run for data in DATA for run, _, _ in finished(runs, data))
    hours = sum(record["train_s"] for data in DATA for _, _, record in finished(runs, data)) / 3600
    return {"made by": origin(first), "hours": hours, "data": found}


def of_data(runs: Path, data: str) -> dict[str, Any]:
    """The runs on some data; empty if there are none."""
    arms: dict[str, dict[str, Any]] = {}
    shares: dict[str, dict[str, Shares]] = {}
    for run, config, record in finished(runs, data):
        arm, seed = arm_of(config), str(config["seed"])
        if arm is None or config["seed"] == RATE_SEED:
            continue
        arms.setdefault(arm, {})[seed] = of_run(runs, run, config, record)
        shares.setdefault(arm, {})[seed] = read_shares(run, record["config"]["task"]["metrics"])
        metrics = record["config"]["task"]["metrics"]
    if not arms:
        return {}
    # Those that chose a checkpoint are the same in every run: they are drawn by the seed of the data.
    scored = {arm: mean_shares(list(found.values())) for arm, found in shares.items()}
    others = [arm for arm in ARMS if arm in scored and arm != CONTROL]
    pairs = {}
    if CONTROL in scored:
        compared = compare(scored[CONTROL], [scored[arm] for arm in others], metrics)
        pairs = {arm: one.as_json() for arm, one in zip(others, compared, strict=True)}
    if {"self", "longer"} <= scored.keys():
        pairs["self at equal compute"] = compare(scored["longer"], [scored["self"]], metrics)[
            0
        ].as_json()
    return {
        "questions": len(next(iter(scored.values())).ids),
        "rates": rates_of(runs, data),
        "arms": arms,
        "pairs": pairs,
        "by seed": {arm: by_seed(arms[arm], arms.get(CONTROL, {})) for arm in others},
    }


def of_run(runs: Path, run: Path, config: dict[str, Any], record: dict[str, Any]) -> dict[str, Any]:
    """What a run scored, over its steps too, what it cost, and what it began with."""
    rows = [row for row in read_metrics(run / "metrics.csv") if row["val/f1"]]
    curve = {name: [float(row[f"val/{name}"]) for row in rows] for name in METRICS}
    work = work_of(config, record["steps"])
    begun: dict[str, Any] = {}
    if (first := record.get("pretraining")) is not None:
        before = runs / first["run"]
        masked, whole = read_record(before) or {}, read_config(before)
        begun = {
            "loss": masked["best"]["val/loss"],
            "accuracy": masked["best"]["val/accuracy"],
            "most frequent": masked["most_frequent"],
            "steps": masked["steps"],
        }
        work += work_of(whole, masked["steps"])
    asked = read_shares(run, config["task"]["metrics"])
    scored = part_of(asked, np.array([i not in asked.chose for i in asked.ids]))
    right = int(scored.values["exact_match"].sum())
    return {
        **{name: record["best"][f"val/{name}"] for name in METRICS},
        "steps": record["steps"],
        "best step": record["best_step"],
        "at": [int(row["step"]) for row in rows],
        "curve": curve,
        "work": work,
        "seconds": record["train_s"],
        "masked": begun,
        # Asked in random order, none twice: so many until one is right, on average.
        "until right": (len(scored.ids) + 1) / (right + 1),
    }


def mean_shares(of_seeds: Sequence[Shares]) -> Shares:
    """Each question that chose nothing with the mean of its scores over the seeds."""
    first = of_seeds[0]
    values = {
        name: np.mean([shares.values[name] for shares in of_seeds], axis=0) for name in first.values
    }
    fresh = np.array([identity not in first.chose for identity in first.ids])
    return part_of(replace(first, values=values), fresh)


def by_seed(arm: dict[str, Any], control: dict[str, Any]) -> dict[str, list[float]]:
    """Differences of F1 and exact match, paired by seed: the mean, and the 95 % interval of Student's t."""
    found = {}
    for name in METRICS:
        points = np.array(
            [arm[seed][name] - control[seed][name] for seed in arm if seed in control]
        )
        if len(points) > 1:
            half = t.ppf(0.975, len(points) - 1) * points.std(ddof=1) / np.sqrt(len(points))
            found[name] = [
                float(points.mean()),
                float(points.mean() - half),
                float(points.mean() + half),
            ]
    return found


def draw(measured: dict[str, Any], runs: Path) -> dict[str, Figure]:
    """F1 over the steps, a panel a data set, a line an arm: the mean of its seeds, between least and most."""
    sets = measured["data"]
    figure = PlainFigure(figsize=(max(6.5, 5 * len(sets)), 5), layout="constrained")
    for place, (name, found) in enumerate(sets.items()):
        axes = figure.add_subplot(1, len(sets), place + 1)
        for colour, (arm, words) in zip(COLOURS, ARMS.items(), strict=False):
            seeds = list(found["arms"].get(arm, {}).values())
            if not seeds:
                continue
            curves = np.array([seed["curve"]["f1"] for seed in seeds])
            at = seeds[0]["at"]
            axes.plot(at, curves.mean(axis=0), color=colour, label=words)
            axes.fill_between(at, curves.min(axis=0), curves.max(axis=0), color=colour, alpha=0.15)
        axes.set_title("the built-in questions" if name == "builtin" else "SQuAD v1.1")
        axes.set_xlabel("optimizer steps on questions")
        axes.set_ylabel("F1 of held-out questions")
        axes.set_ylim(0, 100)
        if not place:
            figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=9)
    return {"figure.png": figure}
