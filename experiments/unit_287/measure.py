"""Which weight of the head changes most, by each measure, and what its initial value has to do with it."""

from itertools import combinations
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
SHUFFLES = 1_000
LEVELS = (0.05, 0.5, 0.95)
# Of the weights nearest zero, this share.
NEAREST = 0.1


def measure(runs: Path) -> dict[str, Any]:
    """For each seed: the weights that win, correlations with 1/|w0|, the same with shuffled changes.

    Also how far the seeds agree on which weights change, and in which direction.
    """
    found = recordings(runs)
    seeds = {str(seed): of_seed(weights, seed) for seed, weights in found.items()}
    run = next(iter(paths(runs).values()))
    config = read_config(run)
    steps = int(next(iter(found.values()))["step"].values[-1])
    moved = [
        (weights["weight"].isel(step=-1) - weights["weight"].isel(step=0)).values.ravel()
        for weights in found.values()
    ]
    return {
        "made by": origin(run),
        "steps": steps,
        "weights": int(moved[0].size),
        "batch": config["data"]["batch_size"],
        "lr": config["model"]["lr"],
        "warm-up": config["model"]["warmup_fraction"],
        "shuffles": SHUFFLES,
        "nearest": NEAREST,
        "seeds": seeds,
        "agreement": {
            "signed": agreement(moved),
            "size": agreement([np.abs(change) for change in moved]),
        },
    }


def of_seed(weights: xr.Dataset, seed: int) -> dict[str, Any]:
    """A seed's winners, correlations and quantiles."""
    first = np.abs(weights["weight"].isel(step=0).values)
    last = weights.isel(step=-1)
    changes = {name: np.abs(last["change"].sel(measure=name).values) for name in MEASURES}
    absolute = changes["absolute"]
    nearest = first <= np.quantile(first, NEAREST)
    return {
        "nearest zero": place(-first),
        "smallest weight": float(first.min()),
        "largest": {name: place(change) for name, change in changes.items()},
        "largest percent": float(changes["percent"].max()),
        "pearson": last["correlation"].values.tolist(),
        "spearman": last["rank_correlation"].values.tolist(),
        "change and weight, ranks": float(spearmanr(absolute.ravel(), first.ravel()).statistic),
        "nearest move": float(np.median(absolute[nearest]) / np.median(absolute)),
        "moved": np.quantile(absolute, LEVELS).tolist(),
        "began": np.quantile(first, LEVELS).tolist(),
        "shuffled": shuffled(absolute, first, seed),
    }


def shuffled(change: NDArray[np.float64], first: NDArray[np.float64], seed: int) -> dict[str, Any]:
    """What comes out when each weight gets the change of another one, drawn at random.

    How often the weight nearest zero is first by percent, and by row the correlation of the percentages
    with 1/|w0|, Pearson's and by ranks: median and 95 % range over the shuffles.
    """
    draw = stream(seed, "unit_287")
    inverse, wins, correlations = 1 / first, 0, []
    for _ in range(SHUFFLES):
        percent = draw.permutation(change.ravel()).reshape(first.shape) * inverse
        wins += int(percent.argmax()) == int(inverse.argmax())
        correlations.append(
            [
                [np.corrcoef(one, other)[0, 1], spearmanr(one, other).statistic]
                for one, other in zip(percent, inverse, strict=True)
            ]
        )
    # [quantile, row, correlation]
    spread = np.quantile(correlations, (0.5, 0.025, 0.975), axis=0)
    return {
        "wins": wins / SHUFFLES,
        "pearson": spread[..., 0].T.tolist(),
        "spearman": spread[..., 1].T.tolist(),
    }


def agreement(values: list[NDArray[np.float64]]) -> list[float]:
    """Mean, least and largest rank correlation of the seeds' values, over all pairs of seeds."""
    found = [spearmanr(one, other).statistic for one, other in combinations(values, 2)]
    return [float(np.mean(found)), float(min(found)), float(max(found)), len(found)]


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
    for weights in recordings(runs).values():
        first = np.abs(weights["weight"].isel(step=0).values)
        for panel, name in zip(panels, ("percent", "absolute"), strict=True):
            change = np.abs(weights["change"].sel(measure=name).isel(step=-1).values)
            panel.loglog(first, change, ".", color="#0b6e99", markersize=2.5, alpha=0.3)
    steps = measured["steps"]
    panels[0].set(ylabel=f"|change| after {steps} steps, %", title="percent: a line of slope -1")
    panels[1].set(ylabel=f"|change| after {steps} steps", title="absolute: no such line")
    for panel in panels:
        panel.set_xlabel("|w0|, the head's weight at step 0")
        panel.spines[["top", "right"]].set_visible(False)
    return {"figure.png": figure}
