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
    says.defined("95 %")
    for data, found in measured["data"].items():
        says("| {} | {} |", NAMES[data], found["questions"])
        for arm, name in ARMS.items():
            if arm in found["arms"]:
                row(NAMES[data], name, arm, found, says)
        for arm in found["pairs"]:
            says("| {} | {} | {} |", NAMES[data], ARMS.get(arm, arm), against(found["pairs"][arm]))
        if masked := [seed["masked"] for seed in found["arms"].get("self", {}).values()]:
            hidden_words(NAMES[data], masked, says)


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
    """What masked language modelling came to before the questions, beside the most frequent token."""
    says(
        "On the {} texts {} steps of hidden words end at {} of them told right ({:.1f} % are the most "
        "frequent token)",
        data,
        masked[0]["steps"],
        spread([one["accuracy"] for one in masked]) + " %",
        float(np.mean([one["most frequent"] for one in masked])),
    )
