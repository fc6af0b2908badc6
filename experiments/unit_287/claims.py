"""The passages of README.md that have numbers."""

from math import prod, sqrt
from typing import Any

import numpy as np

from experiments.study import Passages, made_by
from qa_research.stats import exact_ratio

MEASURES = ("percent", "absolute", "standardised")


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
    says(
        "rises to {:g} over the first {:.0f} steps and falls to zero by the last",
        measured["lr"],
        measured["warm-up"] * measured["steps"],
    )
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
    winners(seeds, says)
    correlations(seeds, says)
    sizes(seeds, says)
    between_seeds(measured, seeds, says)


def winners(seeds: dict[int, Any], says: Passages) -> None:
    """How often the weight nearest zero wins, and how often it would with shuffled changes."""
    wins = {
        name: sum(found["largest"][name] == found["nearest zero"] for found in seeds.values())
        for name in MEASURES
    }
    ratio = exact_ratio(wins["percent"], len(seeds))
    chances = [found["shuffled"]["wins"] for found in seeds.values()]
    says(
        "the weight that was drawn nearest zero in {} of {} seeds ({} % interval {:.0f} to {:.0f} %); with "
        "the changes shuffled among the weights it would be {:.1f} on average (standard deviation {:.1f})",
        wins["percent"],
        len(seeds),
        95,
        100 * ratio.low,
        100 * ratio.high,
        sum(chances),
        sqrt(sum(chance * (1 - chance) for chance in chances)),
    )
    # Otherwise the README's "never wins by either" is wrong.
    assert wins["absolute"] == wins["standardised"] == 0
    places = [found["largest"]["percent"] for found in seeds.values()]
    assert len(set(places)) == len(places)
    units = [place.split()[1] for place in places]
    [shared] = {unit for unit in units if units.count(unit) > 1}
    owners = [seed for seed, unit in zip(seeds, units, strict=True) if unit == shared]
    says("in seeds {} and {} of the same unit, {}, but in different rows", *owners, shared)


def correlations(seeds: dict[int, Any], says: Passages) -> None:
    """|percent change| with 1/|w0|, as trained and with shuffled changes."""
    says.defined("the widest of the 95 % ranges over a thousand shuffles")
    for name, words in (("pearson", ""), ("spearman", "by ranks ")):
        values = np.array([found[name] for found in seeds.values()])
        chance = np.array([found["shuffled"][name] for found in seeds.values()])
        says(
            f"{words}{{:.2f}} ({{:.2f}} to {{:.2f}}) as trained and {{:.2f}} ({{:.2f}} to {{:.2f}}) shuffled",
            np.median(values),
            values.min(),
            values.max(),
            np.median(chance[..., 0]),
            chance[..., 1].min(),
            chance[..., 2].max(),
        )


def sizes(seeds: dict[int, Any], says: Passages) -> None:
    """How far the weights moved, and where they began."""
    for name, template in (
        ("moved", "Nine in ten changes lie between {:.1e} and {:.1e}"),
        ("began", "nine in ten |w0| between {:.1e} and {:.1e}"),
    ):
        quantiles = np.mean([found[name] for found in seeds.values()], axis=0)
        says(template, quantiles[0], quantiles[-1])
    most = max(seeds, key=lambda seed: seeds[seed]["largest percent"])
    says(
        "the smallest is {:.0e}, in seed {}, where the change is {:,.0f} %",
        seeds[most]["smallest weight"],
        most,
        seeds[most]["largest percent"],
    )
    ranks = [found["change and weight, ranks"] for found in seeds.values()]
    moves = [found["nearest move"] for found in seeds.values()]
    says("between {:.2f} and {:.2f} in the {} seeds", min(ranks), max(ranks), len(seeds))
    says("moves {:.2f} to {:.2f} times as far as the median weight", min(moves), max(moves))


def between_seeds(measured: dict[str, Any], seeds: dict[int, Any], says: Passages) -> None:
    """Whether the seeds agree on what changes."""
    places = {found["largest"]["absolute"] for found in seeds.values()}
    assert len(places) == len(seeds)
    all_differ = prod(1 - taken / measured["weights"] for taken in range(len(seeds)))
    says(
        "is another weight in each of {} seeds, as it would be in {:.0f} % of cases by chance",
        len(seeds),
        100 * all_differ,
    )
    size, signed = measured["agreement"]["size"], measured["agreement"]["signed"]
    says(
        "rank correlation {:.2f} on average over {} pairs, {:.2f} to {:.2f}",
        size[0],
        size[3],
        size[1],
        size[2],
    )
    says("the signed changes do ({:.2f}, {:.2f} to {:.2f})", *signed[:3])
