"""Exact match by kind of question over the steps, on the questions that did not choose the best step."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from experiments.study import origin
from qa_research.figures.curves import ScoreCurves, exact_match_by_kind
from qa_research.runs.directory import read_record
from qa_research.runs.metrics import read_metrics
from qa_research.runs.predictions import read_run_predictions

GROUPS = {
    "random": ("random weights: BERT-Tiny, 2 layers", "nopretrain/bert_tiny-random-*s[0-9]*-*"),
    "pretrained": ("pretrained weights: MiniLM, 6 layers", "words_that_match/minilm-*"),
    "control": ("random weights: MiniLM, 6 layers", "moment_control/minilm-random-*s[0-9]*-*"),
}
KINDS = ("lookup", "match")


def measure(runs: Path) -> dict[str, Any]:
    """For each group and seed: the validations, the best one, how many questions it is measured on."""
    groups: dict[str, dict[str, Any]] = {}
    for group in GROUPS:
        for run in runs_of(runs, group):
            record = read_record(run)
            groups.setdefault(group, {})[str(record["seed"])] = {
                "questions": fresh(run),
                "best": {kind: record["best"][f"val/exact_match_{kind}"] for kind in KINDS},
                "best step": record["best_step"],
                "steps": record["steps"],
                "seconds": [record["train_s"], record["validation_s"]],
                "learning rate": learning_rate(run),
                **curve(run),
            }
    missing = GROUPS.keys() - groups.keys()
    if missing:
        raise FileNotFoundError(
            f"no runs for {', '.join(sorted(missing))} in {runs}; commands.sh makes them"
        )
    run = runs_of(runs, "pretrained")[0]
    record = read_record(run)
    return {
        "made by": origin(run),
        "trained": record["questions"]["train"],
        "validated": record["questions"]["validation"],
        "guessing": record["guessing"],
        "groups": groups,
    }


def runs_of(runs: Path, group: str) -> list[Path]:
    """The finished runs of a group on the built-in questions, by seed."""
    found = [path.parent for path in runs.glob(f"{GROUPS[group][1]}/run.json")]
    records = {run: read_record(run) for run in found}
    finished = [
        run
        for run, record in records.items()
        if record["status"] == "finished" and record["data"] == "builtin"
    ]
    return sorted(finished, key=lambda run: records[run]["seed"])


def fresh(run: Path) -> dict[str, int]:
    """How many validation questions of each kind did not choose the best step."""
    rows = read_run_predictions(run, ())
    return {kind: sum(row["kind"] == kind and not row["chose"] for row in rows) for kind in KINDS}


def curve(run: Path) -> dict[str, list[float]]:
    """The steps of the validations, and exact match in percent by kind."""
    rows = [row for row in read_metrics(run / "metrics.csv") if row["val/exact_match"]]
    found: dict[str, list[float]] = {"at": [int(row["step"]) for row in rows]}
    for kind in KINDS:
        found[kind] = [float(row[f"val/exact_match_{kind}"]) for row in rows]
    return found


def learning_rate(run: Path) -> dict[str, float]:
    """The highest learning rate, the step that has it first, and the last step's."""
    rows = [row for row in read_metrics(run / "metrics.csv") if row["train/lr"]]
    rates = [float(row["train/lr"]) for row in rows]
    highest = max(rates)
    return {
        "highest": highest,
        "at": int(rows[rates.index(highest)]["step"]),
        "last": rates[-1],
    }


def draw(measured: dict[str, Any], runs: Path) -> dict[str, Figure]:
    """A panel a group, a line a seed and kind."""
    panels = {
        title: [
            ScoreCurves(np.array(found["at"]), {kind: np.array(found[kind]) for kind in KINDS})
            for found in measured["groups"][group].values()
        ]
        for group, (title, _) in GROUPS.items()
    }
    return {"figure.png": exact_match_by_kind(panels, measured["guessing"])}
