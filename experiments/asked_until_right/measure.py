"""What two trainings from each starting point answered, from the ledger."""

from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from experiments.study import origin
from qa_research.efficacy.figure import efficacy_figure
from qa_research.efficacy.standings import Standing, standings
from qa_research.ledger.runs import LEDGER, Ledger
from qa_research.runs.directory import read_config, read_record
from qa_research.stats import Ratio

STUDY = "asked_until_right"


def measure(runs: Path) -> dict[str, Any]:
    """For each starting point and seed: right answers by step, by both criteria, and the searches."""
    found: dict[str, Any] = {}
    paths = runs_of(runs)
    for run in paths:
        record, config = read_record(run), read_config(run)
        start = "random" if config["model"]["weights"] == "random" else "pretrained"
        states = standings(Ledger(runs / LEDGER), record["id"])
        found[f"{start} {record['seed']}"] = {
            "steps": record["steps"],
            "lr": config["model"]["lr"],
            "batch": config["data"]["batch_size"],
            "questions": record["questions"],
            "states": {str(one.state.step): counts(one) for one in states},
        }
    return {"made by": origin(paths[0]), "runs": found}


def counts(standing: Standing) -> dict[str, Any]:
    """A state's right answers, and the questions that its searches for a right one needed."""
    assert standing.ratio is not None
    assert standing.first_gold is not None
    searches = [one for one in standing.searches if one.goal == "right"]
    return {
        "exact": plain(standing.ratio),
        "first gold": plain(standing.first_gold),
        "needed": [standing.needed.median, standing.needed.most],
        "searches": [one.counted for one in searches if one.ending == "right"],
        "other searches": sum(one.ending != "right" for one in searches),
    }


def plain(ratio: Ratio) -> list[float]:
    """Right, asked, and the ends of the interval."""
    return [ratio.right, ratio.asked, ratio.low, ratio.high]


def runs_of(runs: Path) -> list[Path]:
    """The finished runs of the study, pretrained first."""
    found = sorted(runs.glob(f"{STUDY}/minilm-*/run.json"))
    if not found:
        raise FileNotFoundError(f"no runs of this study in {runs}; commands.sh makes them")
    return [path.parent for path in found]


def draw(measured: dict[str, Any], runs: Path) -> dict[str, Figure]:
    """Right answers over steps, a line a run."""
    names = {read_record(run)["id"] for run in runs_of(runs)}
    found = [one for one in standings(Ledger(runs / LEDGER)) if one.state.run_id in names]
    return {"figure.png": efficacy_figure(found)}
