"""Scores, parameters, time and memory of each strategy of finetuning, and its difference from `full`."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from experiments.study import origin
from qa_research.runs.compare import part_of, read_shares
from qa_research.runs.directory import read_config, read_record
from qa_research.tasks.scoring import difference_of, interval_of

STUDY = "finetuning_strategies"
# By the name of the class that a run's config has; no section: everything trains.
NAMES = {
    "Frozen": "frozen",
    "TopK": "top_k",
    "Gradual": "gradual",
    "Discriminative": "discriminative",
    "Lora": "lora",
    "Bottleneck": "bottleneck",
    "Pals": "pals",
}
ORDER = ("full", *NAMES.values())
# What is compared over seeds; the others are trained once.
SEVERAL, SEEDS = ("full", "lora"), (1, 2, 3)


def measure(runs: Path) -> dict[str, Any]:
    """For each strategy and seed: the scores of questions that chose nothing, and what a step costs."""
    found = of_strategies(runs)
    cost = json.loads((runs / STUDY / "cost.json").read_text())
    full = {seed: fresh(run) for seed, run in found["full"].items()}
    return {
        "made by": origin(found["full"][min(found["full"])]),
        "strategies": {
            name: {
                "seeds": {str(seed): scores(run, full[seed]) for seed, run in found[name].items()},
                "parameters": parameters(found[name][min(found[name])], found["full"]),
                "time": times(cost["seconds"][name], cost["seconds"]["full"]),
                "memory": cost["memory"][name],
            }
            for name in ORDER
        },
    }


def of_strategies(runs: Path) -> dict[str, dict[int, Path]]:
    """The finished runs by strategy and seed.

    Raises:
        FileNotFoundError: one is missing.
    """
    found: dict[str, dict[int, Path]] = {name: {} for name in ORDER}
    for path in sorted(runs.glob(f"{STUDY}/minilm-*/run.json")):
        run, record = path.parent, read_record(path.parent)
        section = read_config(run)["finetuning"]
        name = NAMES[section["_target_"].rpartition(".")[2]] if section else "full"
        wanted = SEEDS if name in SEVERAL else SEEDS[:1]
        if record["status"] == "finished" and record["seed"] in wanted:
            found[name][record["seed"]] = run
    for name, of_name in found.items():
        if len(of_name) < (len(SEEDS) if name in SEVERAL else 1):
            raise FileNotFoundError(
                f"not all seeds of {name} are finished in {runs}; commands.sh goes on"
            )
    return {name: dict(sorted(of_name.items())) for name, of_name in found.items()}


def fresh(run: Path) -> Any:
    """What each question that chose nothing contributes to the metrics."""
    shares = read_shares(run, read_config(run)["task"]["metrics"])
    return part_of(shares, np.array([identity not in shares.chose for identity in shares.ids]))


def scores(run: Path, full: Any) -> dict[str, Any]:
    """Of one run, with 95 % intervals over questions, and how much more than `full` with the same seed."""
    own, metrics = fresh(run), read_config(run)["task"]["metrics"]
    assert own.ids == full.ids
    found: dict[str, Any] = {"questions": len(own.ids), "best step": read_record(run)["best_step"]}
    for metric in metrics:
        value = interval_of(own.values, metric, own.groups)
        more = difference_of(full.values, own.values, metric, own.groups)
        found[metric["short"]] = {
            "value": read_record(run)["best"][metric["name"]],
            "interval": [value.low, value.high],
            "more": {
                "value": more.value,
                "interval": [more.interval.low, more.interval.high],
                "p": more.p,
            },
        }
    return found


def parameters(run: Path, full: dict[int, Path]) -> dict[str, int]:
    """Of the network before anything was added, and those that train at the start and at the end."""
    whole = sum(tensor for tensor in sizes(next(iter(full.values()))))
    said = read_record(run).get("finetuning")
    if said is None:
        return {"network": whole, "first": whole, "last": whole}
    trained = [stage["parameters"] for stage in said["trained"]]
    return {"network": whole, "first": trained[0], "last": trained[-1]}


def sizes(run: Path) -> list[int]:
    """How many numbers each parameter of a run's network has."""
    modules = json.loads((run / "architecture.json").read_text())["modules"]
    return [int(np.prod(shape)) for module in modules for shape in module["parameters"].values()]


def times(own: list[float], full: list[float]) -> dict[str, float]:
    """A step's time as a multiple of `full`, whose steps were measured in turn; of halves, its spread."""
    half = len(own) // 2
    parts = [slice(0, half), slice(half, None)]
    ratios = [sum(own[part]) / sum(full[part]) for part in parts]
    return {"ratio": sum(own) / sum(full), "low": min(ratios), "high": max(ratios)}


def draw(measured: dict[str, Any], runs: Path) -> dict[str, Figure]:
    """No figures: the table says it."""
    return {}
