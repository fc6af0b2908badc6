"""Which unit changes most, by each measure: python experiments/unit_287/measure.py [RUNS].

Prints a table, one line a seed, and draws figure.png from the recordings of this study.
"""

import sys
from pathlib import Path

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from qa_research.capture.recording.reader import Recording

MEASURES = ("percent", "absolute", "standardised")
ROWS = ("start", "end")
COLOURS = ("#0b6e99", "#d1495b")


def recordings(runs: Path) -> dict[int, xr.Dataset]:
    """The head weights of each seed's finished run."""
    found = {}
    for path in sorted(runs.glob("unit_287/minilm-*/recording.zarr")):
        seed = int(path.parent.name.split("-s")[-1].split("-")[0])
        found[seed] = Recording(path).read("head_weights").load()
    return dict(sorted(found.items()))


def largest(weights: xr.Dataset, measure: str) -> tuple[str, int]:
    """Row and unit of the largest change of both rows at the last step."""
    change = np.abs(weights["change"].sel(measure=measure).isel(step=-1).values)
    row, unit = np.unravel_index(int(change.argmax()), change.shape)
    return ROWS[row], int(unit)


def nearest_zero(weights: xr.Dataset) -> tuple[str, int]:
    """Row and unit of the smallest initial weight of both rows."""
    first = np.abs(weights["weight"].isel(step=0).values)
    row, unit = np.unravel_index(int(first.argmin()), first.shape)
    return ROWS[row], int(unit)


def table(found: dict[int, xr.Dataset]) -> list[str]:
    """Markdown, one line a seed; then how often the seed alone named the unit."""
    lines = [
        "| seed | weight nearest zero | most by percent | by absolute | by standardised change | "
        "correlation with 1/abs(w0), start, end | of ranks |",
        "|---|---|---|---|---|---|---|",
    ]
    hits = dict.fromkeys(MEASURES, 0)
    pearson, spearman = [], []
    for seed, weights in found.items():
        guess = nearest_zero(weights)
        by = {measure: largest(weights, measure) for measure in MEASURES}
        for measure in MEASURES:
            hits[measure] += by[measure] == guess
        last = weights.isel(step=-1)
        pearson.append(last["correlation"].values)
        spearman.append(last["rank_correlation"].values)
        percent = np.abs(last["change"].sel(measure="percent").values).max()
        cells = [" ".join(map(str, guess))]
        cells += [" ".join(map(str, by[measure])) for measure in MEASURES]
        cells[1] += f" ({percent:,.0f} %)"
        numbers = [", ".join(f"{v:.2f}" for v in rows[-1]) for rows in (pearson, spearman)]
        lines.append(f"| {seed} | " + " | ".join([*cells, *numbers]) + " |")
    lines.append("")
    for measure in MEASURES:
        lines.append(
            f"by {measure}: the weight nearest zero at the start is the one that changed most in "
            f"{hits[measure]} of {len(found)} seeds"
        )
    for name, values in (("Pearson", pearson), ("Spearman", spearman)):
        flat = np.array(values)
        lines.append(f"{name}: median {np.median(flat):.2f}, {flat.min():.2f} to {flat.max():.2f}")
    return lines


def draw(found: dict[int, xr.Dataset]) -> Figure:
    """|change| of every weight against where it began, by percent and absolutely, all seeds."""
    figure = Figure(figsize=(9, 3.8), layout="constrained")
    panels = figure.subplots(1, 2)
    for weights in found.values():
        first = np.abs(weights["weight"].isel(step=0).values)
        for panel, measure in zip(panels, ("percent", "absolute"), strict=True):
            change = np.abs(weights["change"].sel(measure=measure).isel(step=-1).values)
            for r, row in enumerate(ROWS):
                panel.loglog(
                    first[r],
                    change[r],
                    ".",
                    color=COLOURS[r],
                    markersize=2.5,
                    alpha=0.35,
                    label=row if weights is next(iter(found.values())) else None,
                )
    steps = int(next(iter(found.values()))["step"].values[-1])
    panels[0].set(ylabel=f"change after {steps} steps, %", title="percent: 1/|w0| decides")
    panels[1].set(ylabel=f"change after {steps} steps", title="absolute: it does not")
    for panel in panels:
        panel.set_xlabel("|w0|, the head's weight at step 0")
        panel.spines[["top", "right"]].set_visible(False)
    panels[0].legend(title="row", markerscale=4, frameon=False)
    return figure


def main() -> None:
    """Read, print, draw."""
    runs = Path(sys.argv[1] if len(sys.argv) > 1 else "runs")
    found = recordings(runs)
    if not found:
        sys.exit(f"no recordings of this study under {runs}; README.md has the commands")
    print("\n".join(table(found)))
    out = Path(__file__).with_name("figure.png")
    draw(found).savefig(out, dpi=160)
    print(out)


if __name__ == "__main__":
    main()
