"""Exact match by kind over the steps, with each curriculum and without, on questions that chose nothing."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from scipy.special import stdtrit

from experiments.study import origin
from qa_research.figures.curves import ScoreCurves, exact_match_by_kind
from qa_research.runs.directory import read_config, read_record
from qa_research.runs.metrics import read_metrics
from qa_research.runs.predictions import read_run_predictions
from qa_research.stats import CONFIDENCE

ARMS = ("none", "facts", "length", "loss")
KINDS = ("lookup", "match")
TITLES = {"none": "any order", "facts": "few facts first", "length": "short ones first"}
TITLES["loss"] = "low losses first"


def measure(runs: Path) -> dict[str, Any]:
    """For each arm and seed its validations, and the difference of the last ones to the arm of any order."""
    arms: dict[str, dict[str, Any]] = {arm: {} for arm in ARMS}
    made = {}
    for path in sorted((runs / "curriculum").glob("*/run.json")):
        run, record = path.parent, read_record(path.parent)
        arm = read_config(run)["data"]["curriculum"] or "none"
        if record["status"] == "finished":
            arms[arm][str(record["seed"])] = scores(run)
            made[arm, record["seed"]] = run
    counts = {arm: len(found) for arm, found in arms.items()}
    if len(set(counts.values())) > 1 or not counts["none"]:
        raise FileNotFoundError(f"the arms in {runs} have {counts} seeds; commands.sh makes them")
    record = read_record(made["none", 1])
    return {
        "made by": origin(made["none", 1]),
        "questions": fresh(made["none", 1]),
        "guessing": record["guessing"],
        "arms": {arm: dict(sorted(found.items())) for arm, found in arms.items()},
        "differences": {
            arm: {kind: difference(arms[arm], arms["none"], kind) for kind in KINDS}
            for arm in ARMS[1:]
        },
    }


def scores(run: Path) -> dict[str, Any]:
    """The steps of the validations, exact match in percent by kind, and the training's time."""
    record = read_record(run)
    rows = [row for row in read_metrics(run / "metrics.csv") if row["val/exact_match"]]
    found: dict[str, Any] = {"at": [int(row["step"]) for row in rows]}
    for kind in KINDS:
        found[kind] = [float(row[f"val/exact_match_{kind}"]) for row in rows]
    return found | {"steps": record["steps"], "seconds": record["train_s"]}


def fresh(run: Path) -> dict[str, int]:
    """How many validation questions of each kind chose nothing."""
    rows = read_run_predictions(run, ())
    return {kind: sum(row["kind"] == kind and not row["chose"] for row in rows) for kind in KINDS}


def difference(arm: dict[str, Any], none: dict[str, Any], kind: str) -> dict[str, float]:
    """The mean over seeds of the last validations' difference in points, with its interval (Student's t)."""
    values = np.array([arm[seed][kind][-1] - none[seed][kind][-1] for seed in sorted(none)])
    half = stdtrit(len(values) - 1, (1 + CONFIDENCE) / 2) * values.std(ddof=1) / len(values) ** 0.5
    mean = float(values.mean())
    return {"mean": mean, "low": float(mean - half), "high": float(mean + half)}


def draw(measured: dict[str, Any], runs: Path) -> dict[str, Figure]:
    """A panel an arm, a line a seed and kind."""
    panels = {
        TITLES[arm]: [
            ScoreCurves(np.array(found["at"]), {kind: np.array(found[kind]) for kind in KINDS})
            for found in seeds.values()
        ]
        for arm, seeds in measured["arms"].items()
    }
    return {"figure.png": exact_match_by_kind(panels, measured["guessing"])}
