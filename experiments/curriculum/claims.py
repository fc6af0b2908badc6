"""The passages of README.md that have numbers."""

from typing import Any

from experiments.study import Passages, made_by
from qa_research.stats import exact_ratio

NAMES = {
    "none": "any order",
    "facts": "few facts first",
    "length": "short windows first",
    "loss": "low losses first",
}


def claims(measured: dict[str, Any], says: Passages) -> None:
    """From twenty trainings: four arms of five seeds."""
    questions, guess = measured["questions"], measured["guessing"]["match"]
    made_by(measured["made by"], says)
    says("{} `lookup` and {} `match` questions", questions["lookup"], questions["match"])
    says("scores {:.1f} % on `match`", guess)
    says.defined("95 % interval")
    for arm, seeds in measured["arms"].items():
        row(arm, seeds, measured["differences"].get(arm), says)
    every = [found["match"][-1] for seeds in measured["arms"].values() for found in seeds.values()]
    says("{} trainings end with {:.2f} to {:.2f} %", len(every), min(every), max(every))
    asked = questions["match"]
    lows = [exact_ratio(round(asked * value / 100), asked).low for value in every]
    # Otherwise "none of them is above guessing" and "can be told from zero" are wrong.
    assert 100 * max(lows) < guess
    assert all(
        each["match"]["low"] < 0 < each["match"]["high"]
        for each in measured["differences"].values()
    )


def row(arm: str, seeds: dict[str, Any], against: dict[str, Any] | None, says: Passages) -> None:
    """One line of the table: last validations by seed, and the mean difference to any order."""
    lookup, match = ([found[kind][-1] for found in seeds.values()] for kind in ("lookup", "match"))
    says(
        "| {} | {:.2f} to {:.2f} | {} | {} | {} |",
        NAMES[arm],
        min(lookup),
        max(lookup),
        ", ".join(f"{value:.2f}" for value in match),
        *(points(against[kind]) if against else "" for kind in ("lookup", "match")),
    )


def points(found: dict[str, float]) -> str:
    """A mean difference with its interval."""
    return f"{found['mean']:+.2f} ({found['low']:+.2f} to {found['high']:+.2f})"
