"""The passages of README.md that have numbers."""

from typing import Any

from experiments.study import Passages, made_by
from qa_research.stats import exact_ratio

# On the plateau and beyond the jump: exact match on `match`, in percent.
PLATEAU, MATCHED = 45.0, 90.0
TITLES = {
    "random": "random: BERT-Tiny",
    "pretrained": "pretrained: MiniLM",
    "control": "random: MiniLM",
}


def claims(measured: dict[str, Any], says: Passages) -> None:
    """From the validations of nine trainings."""
    guess = measured["guessing"]
    groups = measured["groups"]
    made_by(measured["made by"], says)
    says("{:,} training and {:,} validation questions", measured["trained"], measured["validated"])
    questions = groups["random"]["1"]["questions"]
    says(
        "{} `lookup` and {} `match` questions that did not choose the best step",
        questions["lookup"],
        questions["match"],
    )
    says(
        "Picking a random candidate of the right kind scores {:.1f} % on `match` and {:.0f} % on `lookup`",
        guess["match"],
        guess["lookup"],
    )
    for group, seeds in groups.items():
        for number, (seed, found) in enumerate(seeds.items()):
            says(
                "| {} | {} | {:,} | {:,} | {:.1f} | {:.1f} |",
                "" if number else TITLES[group],
                seed,
                found["steps"],
                found["best step"],
                found["best"]["lookup"],
                found["best"]["match"],
            )
    total = questions["match"]
    ratio = exact_ratio(round(total * guess["match"] / 100), total)
    says.defined("95 % interval")
    says(
        "of {} questions of which {:.1f} % are right is {:.1f} to {:.1f} %",
        total,
        100 * ratio.value,
        100 * ratio.low,
        100 * ratio.high,
    )
    ends(groups, says)
    says("`match` at most {:.0f} %", PLATEAU)
    says("at least {:.0f} %", MATCHED)
    for seed, found in groups["pretrained"].items():
        low, high = jump(found)
        at = found["at"].index(low)
        says(
            "seed {}: still at {:.1f} % at step {} (`lookup` {:.1f} %), at {:.1f} % from step {} on",
            seed,
            found["match"][at],
            low,
            found["lookup"][at],
            found["match"][found["at"].index(high)],
            high,
        )


def ends(groups: dict[str, Any], says: Passages) -> None:
    """What each group's seeds come to at their best steps."""
    for group, template in (
        ("random", "BERT-Tiny reaches {} % of `lookup` and {} % of `match`"),
        ("pretrained", "MiniLM {} % and {} %"),
        ("control", "the same network from random weights {} % and {} %"),
    ):
        best = [found["best"] for found in groups[group].values()]
        says(template, *(spread([scores[kind] for scores in best]) for kind in ("lookup", "match")))
    says("{} steps", next(iter(groups["control"].values()))["steps"])
    late = [found["match"][-1] for found in groups["control"].values()]
    says("its last validation scores {} % on `match`", spread(late))


def spread(values: list[float]) -> str:
    """From the least to the most, or the only one."""
    least, most = (f"{end(values):.1f}" for end in (min, max))
    return least if len(values) == 1 else f"{least} to {most}"


def jump(found: dict[str, Any]) -> tuple[int, int]:
    """The last validated step on the plateau, and the first from which on all are matched."""
    on_plateau = [
        step for step, match in zip(found["at"], found["match"], strict=True) if match <= PLATEAU
    ]
    missed = [
        step for step, match in zip(found["at"], found["match"], strict=True) if match < MATCHED
    ]
    matched = next(step for step in found["at"] if step > max(missed))
    return max(on_plateau), matched
