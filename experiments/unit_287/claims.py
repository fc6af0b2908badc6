"""The passages of README.md that have numbers."""

from typing import Any

import numpy as np

from experiments.study import Passages, made_by
from qa_research.stats import exact_ratio


def claims(measured: dict[str, Any], says: Passages) -> None:
    """From the ten seeds' largest changes and correlations."""
    seeds = {int(seed): found for seed, found in measured["seeds"].items()}
    says.cited(
        "found that unit 287 changes most, by percent: its end weight rose by some 5,600 %. That weight "
        "had started at -4.6e-6.",
        source="[doughazell/ai](https://github.com/doughazell/ai)",
    )
    says("# Unit {}: which unit", 287)
    says(
        "MiniLM with pretrained body and a new head of {} weights, {} steps of {} questions",
        measured["weights"],
        measured["steps"],
        measured["batch"],
    )
    says("learning rate {:g}", measured["lr"])
    made_by(measured["made by"], says)
    for seed, found in seeds.items():
        largest = found["largest"]
        says(
            "| {} | {} | {} ({:,.0f} %) | {} | {} | {:.2f}, {:.2f} | {:.2f}, {:.2f} |",
            seed,
            found["nearest zero"],
            largest["percent"],
            found["largest percent"],
            largest["absolute"],
            largest["standardised"],
            *found["pearson"],
            *found["spearman"],
        )
    wins = {
        name: sum(found["largest"][name] == found["nearest zero"] for found in seeds.values())
        for name in ("percent", "absolute", "standardised")
    }
    ratio = exact_ratio(wins["percent"], len(seeds))
    says(
        "the weight that was drawn nearest zero in {} of {} seeds ({} % interval {:.0f} to {:.0f} %; "
        "chance: one in {})",
        wins["percent"],
        len(seeds),
        95,
        100 * ratio.low,
        100 * ratio.high,
        measured["weights"],
    )
    for name, word in (("pearson", "at a median of"), ("spearman", "by ranks")):
        values = np.array([found[name] for found in seeds.values()])
        says(
            f"{word} {{:.2f}} ({{:.2f}} to {{:.2f}})", np.median(values), values.min(), values.max()
        )
    says(
        "the weight nearest zero wins in {} and {} of {} seeds",
        wins["absolute"],
        wins["standardised"],
        len(seeds),
    )
    units = {found["largest"]["absolute"] for found in seeds.values()}
    says("{} seeds, {} different weights", len(seeds), len(units))
    low = np.mean([found["moved"][0] for found in seeds.values()])
    high = np.mean([found["moved"][2] for found in seeds.values()])
    says("nine in ten weights have moved by {:.1e} to {:.1e}", low, high)
    most = max(seeds, key=lambda seed: seeds[seed]["largest percent"])
    says(
        "A percentage of {:,.0f} (seed {}, where |w0| was {:.0e})",
        seeds[most]["largest percent"],
        most,
        seeds[most]["smallest weight"],
    )
    ranks = [found["change and weight, ranks"] for found in seeds.values()]
    says("between {:.2f} and {:.2f} in the {} seeds", min(ranks), max(ranks), len(seeds))
    shuffled = [found["nearest zero wins when shuffled"] for found in seeds.values()]
    says(
        "would win in {:.1f} of {} seeds; it wins in {}", sum(shuffled), len(seeds), wins["percent"]
    )
