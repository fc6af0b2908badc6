"""The passages of README.md that have numbers."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from experiments.is_pretraining_needed.arms import ARMS, CONTROL, best_rate
from experiments.study import Passages, made_by

NAMES = {"builtin": "built-in", "squad": "SQuAD"}


def claims(measured: dict[str, Any], says: Passages) -> None:
    """For each data set: the table of arms, the rates, hidden words, and each arm against random weights."""
    made_by(measured["made by"], says)
    says("All trainings together took {:.1f} hours", measured["hours"])
    for chosen in (
        "(Krishna et al. 2022)",
        "8,000 training questions, 400 to validate on and 200 steps of 8 windows",
        "Seeds 1 to 5; seed 0 chose the rates",
        "95 %",
    ):
        says.defined(chosen)
    for data, found in measured["data"].items():
        says("| {} | {} |", NAMES[data], found["questions"])
        for arm, name in ARMS.items():
            if arm in found["arms"]:
                row(NAMES[data], name, arm, found, says)
        for arm in found["pairs"]:
            pair, seeds = found["pairs"][arm], found["by seed"].get(arm)
            says("| {} | {} | {} | {} |", NAMES[data], named(arm), against(pair), over_seeds(seeds))
        if masked := [seed["masked"] for seed in found["arms"].get("self", {}).values()]:
            hidden_words(NAMES[data], masked, says)
    verdict(measured["data"], says)


def named(arm: str) -> str:
    """The words of a table for an arm, or for a comparison of two."""
    return ARMS.get(arm, "hidden words first, less random trained on")


def over_seeds(found: Mapping[str, Any] | None) -> str:
    """The difference of exact match seed by seed, with its interval; of no seeds nothing."""
    return "{:+.1f} [{:+.1f}, {:+.1f}]".format(*found["exact_match"]) if found else ""


def verdict(data: Mapping[str, Any], says: Passages) -> None:
    """The two sentences: what pretraining is worth, and what more training is."""

    def mean(name: str, arm: str) -> float:
        return float(np.mean([seed["exact_match"] for seed in data[name]["arms"][arm].values()]))

    says(
        "right on {:.1f} % of the built-in questions and {:.1f} % of those of SQuAD, against {:.1f} and "
        "{:.1f} % from random weights",
        *(mean(name, arm) for arm in ("pretrained", CONTROL) for name in NAMES),
    )
    says(
        "brings random weights to {:.1f} % of the built-in questions ({:.1f} points more than as much "
        "compute of which a part goes to hidden words)",
        mean("builtin", "longer"),
        -data["builtin"]["pairs"]["self at equal compute"]["exact_match"]["points"],
    )
    says(
        "on SQuAD twice the compute changes them by {:+.1f} points [{:+.1f}, {:+.1f}]",
        *(
            data["squad"]["pairs"]["longer"]["exact_match"][key]
            for key in ("points", "low", "high")
        ),
    )


def row(data: str, name: str, arm: str, found: Mapping[str, Any], says: Passages) -> None:
    """The line of an arm: its rate, scores over the seeds, questions until right, work."""
    seeds = list(found["arms"][arm].values())
    rates = found["rates"].get(arm) or found["rates"][CONTROL]
    says(
        "| {} | {} | {} | {} | {} | {} | {:.1f} | {:.0f} |",
        data,
        name,
        best_rate(rates),
        seeds[0]["steps"],
        spread([seed["exact_match"] for seed in seeds]),
        spread([seed["f1"] for seed in seeds]),
        float(np.mean([seed["until right"] for seed in seeds])),
        float(np.mean([seed["work"] for seed in seeds])),
    )


def spread(values: list[float]) -> str:
    """The mean of the seeds, the least and the most."""
    return f"{np.mean(values):.1f} ({min(values):.1f} to {max(values):.1f})"


def against(pair: Mapping[str, Any]) -> str:
    """How much more than the control exact match and F1 are, with intervals and corrected p."""
    cells = []
    for metric in ("exact_match", "f1"):
        one = pair[metric]
        p = "< 0.001" if one["p_holm"] < 0.001 else f"= {one['p_holm']:.3f}"
        cells.append(f"{one['points']:+.1f} [{one['low']:+.1f}, {one['high']:+.1f}], p {p}")
    return " | ".join(cells)


def hidden_words(data: str, masked: list[Mapping[str, Any]], says: Passages) -> None:
    """How well hidden words were predicted before the questions, beside the most frequent token."""
    says(
        "On the {} texts, {} steps of hidden words end with {} of them predicted correctly ({:.1f} % are the "
        "most frequent token)",
        data,
        masked[0]["steps"],
        spread([one["accuracy"] for one in masked]) + " %",
        float(np.mean([one["most frequent"] for one in masked])),
    )
