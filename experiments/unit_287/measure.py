"""Which weight of the head changes most, by each measure, and what its initial value has to do with it."""

from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.stats import spearmanr

from experiments.study import origin
from qa_research.capture.recording.reader import Recording
from qa_research.runs.directory import read_config
from qa_research.streams import stream

MEASURES = ("percent", "absolute", "standardised")
ROWS = ("start", "end")
COLOURS = ("#0b6e99", "#d1495b")
SHUFFLES = 1_000


def measure(runs: Path) -> dict[str, Any]:
    """For each seed: the weights that win, correlations with 1/|w0|, and the same with shuffled changes."""
    found = recordings(runs)
    seeds = {}
    for seed, weights in found.items():
        first = np.abs(weights["weight"].isel(step=0).values)
        changes = {
            name: np.abs(weights["change"].sel(measure=name).isel(step=-1).values)
            for name in MEASURES
        }
        last = weights.isel(step=-1)
        seeds[str(seed)] = {
            "nearest zero": place(-first),
            "smallest weight": float(first.min()),
            "largest": {name: place(change) for name, change in changes.items()},
            "largest percent": float(changes["percent"].max()),
            "pearson": last["correlation"].values.tolist(),
            "spearman": last["rank_correlation"].values.tolist(),
            "change and weight, ranks": float(
                spearmanr(changes["absolute"].ravel(), first.ravel()).statistic
            ),
            "moved": np.quantile(changes["absolute"], [0.05, 0.5, 0.95]).tolist(),
            "nearest zero wins when shuffled": shuffled_wins(changes["absolute"], first, seed),
        }
    run = next(iter(paths(runs).values()))
    config = read_config(run)
    steps = int(next(iter(found.values()))["step"].values[-1])
    return {
        "made by": origin(run),
        "steps": steps,
        "weights": int(first.size),
        "batch": config["data"]["batch_size"],
        "lr": config["model"]["lr"],
        "seeds": seeds,
    }


def shuffled_wins(change: NDArray[np.float64], first: NDArray[np.float64], seed: int) -> float:
    """How often the weight nearest zero is first by percent when each weight gets another one's change."""
    draw = stream(seed, "unit_287")
    first, change = first.ravel(), change.ravel()
    wins = [
        int((draw.permutation(change) / first).argmax()) == int(first.argmin())
        for _ in range(SHUFFLES)
    ]
    return float(np.mean(wins))


def paths(runs: Path) -> dict[int, Path]:
    """The run of each seed, in order."""
    found = {
        int(path.parent.name.split("-s")[-1].split("-")[0]): path.parent
        for path in runs.glob("unit_287/minilm-*/recording.zarr")
    }
    if not found:
        raise FileNotFoundError(f"no recordings of this study in {runs}; commands.sh makes them")
    return dict(sorted(found.items()))


def recordings(runs: Path) -> dict[int, xr.Dataset]:
    """The head weights of each seed's run, over the steps."""
    return {
        seed: Recording(run / "recording.zarr").read("head_weights").load()
        for seed, run in paths(runs).items()
    }


def place(values: NDArray[np.float64]) -> str:
    """Row and unit of the largest of [row, unit] values, such as `end 83`."""
    row, unit = np.unravel_index(int(values.argmax()), values.shape)
    return f"{ROWS[row]} {int(unit)}"


def draw(measured: dict[str, Any], runs: Path) -> dict[str, Figure]:
    """|change| of every weight against where it began, by percent and absolutely, all seeds."""
    figure = Figure(figsize=(9, 3.8), layout="constrained")
    panels = figure.subplots(1, 2)
    found = recordings(runs)
    for number, weights in enumerate(found.values()):
        first = np.abs(weights["weight"].isel(step=0).values)
        for panel, name in zip(panels, ("percent", "absolute"), strict=True):
            change = np.abs(weights["change"].sel(measure=name).isel(step=-1).values)
            for row, (label, colour) in enumerate(zip(ROWS, COLOURS, strict=True)):
                panel.loglog(first[row], change[row], ".", color=colour, markersize=2.5, alpha=0.35)
                if number == 0:
                    panel.loglog([], [], ".", color=colour, label=label)
    steps = measured["steps"]
    panels[0].set(ylabel=f"change after {steps} steps, %", title="percent: 1/|w0| decides")
    panels[1].set(ylabel=f"change after {steps} steps", title="absolute: it does not")
    for panel in panels:
        panel.set_xlabel("|w0|, the head's weight at step 0")
        panel.spines[["top", "right"]].set_visible(False)
    panels[0].legend(title="row", frameon=False)
    return {"figure.png": figure}
