"""The passages of README.md that have numbers."""

from statistics import median
from typing import Any

from experiments.study import Passages, made_by

KINDS = ("match", "lookup")
SETS = {
    "six": "named in this seed",
    "in all seeds": "named in all seeds",
    "comparing": "that compare letters",
}


def claims(measured: dict[str, Any], says: Passages) -> None:
    """From three recordings, the control's, and what is answered without some heads."""
    made_by(measured["made by"], says)
    says(
        "MiniLM ({} layers of {} heads), {} watched questions, {} of them `match`, every {} steps",
        measured["layers"],
        measured["heads"],
        sum(measured["watched"].values()),
        measured["watched"]["match"],
        measured["every"],
    )
    says("at most {:.0f} % right", measured["levels"][0])
    says("at least {:.0f} %", measured["levels"][1])
    for seed, found in measured["seeds"].items():
        says(
            "| {} | step {} | step {} | {} | {} | {} |",
            seed,
            found["plateau until"],
            found["matched from"],
            *(listed(found["changes"][phase]) for phase in ("before", "at", "after")),
        )
    changes(measured, says)
    silenced(measured, says)
    control(measured, says)


def listed(heads: list[Any]) -> str:
    """`3.2 +0.58, ...`: the heads and by how much each changed."""
    return ", ".join(f"{head} {change:+.2f}" for head, change in heads)


def changes(measured: dict[str, Any], says: Passages) -> None:
    """Sizes of the changes in each phase, over the seeds."""
    seeds = measured["seeds"].values()
    if measured["in all seeds"]:
        says("named in all seeds: {}", ", ".join(measured["in all seeds"]))
    for phase, template in (
        ("before", "before it, the largest change of any head is {:.2f} to {:.2f}"),
        ("at", "at the jump {:.2f} to {:.2f}"),
        ("after", "after it {:.2f} to {:.2f}"),
    ):
        most = [abs(found["changes"][phase][0][1]) for found in seeds]
        says(template, min(most), max(most))
    lengths = [found["matched from"] - found["plateau until"] for found in seeds]
    says("within {} to {} steps", min(lengths), max(lengths))
    letter = [found["to the question's letter"] for found in seeds]
    says("to the letter in the question rises by {:.2f} at most", max(letter))
    first = next(iter(seeds))["compare at 0"]
    says(
        "with {}",
        " and ".join(f"{weight:.2f} in {head}" for head, weight in first.items()),
    )


def silenced(measured: dict[str, Any], says: Passages) -> None:
    """What is answered without each set of heads, beside random sets from the same layers."""
    says(
        "{} `match` and {} `lookup` questions of another corpus",
        measured["fresh questions"]["match"],
        measured["fresh questions"]["lookup"],
    )
    says("scores {:.1f} % on `match`", measured["guessing"]["match"])
    for seed, found in measured["seeds"].items():
        without = found["silenced"]
        says(
            "| {} | nothing | {:.1f} | {:.1f} |",
            seed,
            *(without["nothing"][kind] for kind in KINDS),
        )
        for label, name in SETS.items():
            says(
                "| | {}: {} | {:.1f} | {:.1f} |",
                name,
                ", ".join(without["heads"][label]),
                *(without[label][kind] for kind in KINDS),
            )
            draws = without[f"random for {label}"]
            cells = [spread([draw[kind] for draw in draws]) for kind in KINDS]
            says("| | as many others of these layers, {} times | {} | {} |", len(draws), *cells)
    for label in SETS:
        lows = [
            min(draw["match"] for draw in found["silenced"][f"random for {label}"])
            for found in measured["seeds"].values()
        ]
        own = [found["silenced"][label]["match"] for found in measured["seeds"].values()]
        says(
            f"{SETS[label]}: `match` {{:.1f}} to {{:.1f}} %, the lowest of their controls "
            "{:.1f} to {:.1f} %",
            min(own),
            max(own),
            min(lows),
            max(lows),
        )


def spread(values: list[float]) -> str:
    """Median and range."""
    return f"{median(values):.1f} ({min(values):.1f} to {max(values):.1f})"


def control(measured: dict[str, Any], says: Passages) -> None:
    """The same network from random weights."""
    for found in measured["control"].values():
        says(
            "in {} steps from random weights no head changes by more than {:.3f} on any route, and `match` "
            "is at {:.0f} % of the watched questions at the end",
            found["steps"],
            found["largest change"],
            found["match"],
        )
