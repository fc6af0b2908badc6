"""The passages of README.md that have numbers."""

from collections.abc import Sequence
from typing import Any

from experiments.study import Passages, made_by
from qa_research.stats import Ratio, exact_ratio

# Before and after the jump: exact match on `match`, in percent.
BEFORE, MATCHED = 45.0, 90.0
TITLES = {
    "random": "random: BERT-Tiny",
    "pretrained": "pretrained: MiniLM",
    "control": "random: MiniLM",
}
KINDS = ("lookup", "match")


def claims(measured: dict[str, Any], says: Passages) -> None:
    """From the validations of seven trainings."""
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
    rates(groups, says)
    says.defined("95 % interval")
    for group, seeds in groups.items():
        for number, (seed, found) in enumerate(seeds.items()):
            says(
                "| {} | {} | {:,} | {:,} | {:.2f} | {} |",
                "" if number else TITLES[group],
                seed,
                found["steps"],
                found["best step"],
                found["best"]["lookup"],
                with_interval(found["best"]["match"], found),
            )
    ends(groups, guess["match"], says)
    jumps(groups["pretrained"], says)
    control(groups, says)


def rates(groups: dict[str, Any], says: Passages) -> None:
    """The learning rates of each group, and what the trainings took."""
    random, pretrained, [control] = (list(groups[group].values()) for group in TITLES)
    says("BERT-Tiny (peak {:.0e})", random[0]["learning rate"]["highest"])
    says("MiniLM (peak {:.0e})", control["learning rate"]["highest"])
    reached = [found["learning rate"]["last"] for found in pretrained]
    says("has risen to {:.1e} to {:.1e} when they end", min(reached), max(reached))
    says(
        "peaks at step {} and has fallen to {:.0e} at step {}",
        control["learning rate"]["at"],
        control["learning rate"]["last"],
        control["steps"],
    )
    seconds = [[round(sum(found["seconds"])) for found in group] for group in (random, pretrained)]
    says(
        "{} to {} s, {} to {} s and {:,.0f} s",
        min(seconds[0]),
        max(seconds[0]),
        min(seconds[1]),
        max(seconds[1]),
        sum(control["seconds"]),
    )


def ratio(percent: float, found: dict[str, Any], kind: str = "match") -> Ratio:
    """The ratio of right answers with its interval."""
    total = found["questions"][kind]
    return exact_ratio(round(total * percent / 100), total)


def with_interval(percent: float, found: dict[str, Any]) -> str:
    """Percent with two decimals, as one of 400 questions is a quarter of a percent, and the interval."""
    exact = ratio(percent, found)
    return f"{percent:.2f} ({100 * exact.low:.1f} to {100 * exact.high:.1f})"


def ends(groups: dict[str, Any], guess: float, says: Passages) -> None:
    """What each group's seeds come to at their best steps, and beside guessing."""
    for group, template in (
        ("random", "BERT-Tiny reaches {} % of `lookup` and {} % of `match`"),
        ("pretrained", "MiniLM reaches {} % and {} %"),
        ("control", "the same network from random weights reaches {} % and {} %"),
    ):
        best = [found["best"] for found in groups[group].values()]
        says(template, *(spread([scores[kind] for scores in best]) for kind in KINDS))
    random = groups["random"]
    says(
        "with the last validation instead of the best one {} %",
        listed([f"{found['match'][-1]:.2f}" for found in random.values()]),
    )
    highs = {
        seed: 100 * ratio(found["best"]["match"], found).high for seed, found in random.items()
    }
    most = max(highs, key=lambda seed: highs[seed])
    says("up to {:.1f} % would be compatible with seed {}", highs[most], most)
    both = [*random.values(), *groups["control"].values()]
    exact = [ratio(found["best"]["match"], found) for found in both]
    # Otherwise "neither is among these" is wrong.
    assert not any(100 * one.low > guess for one in exact)
    below = [
        found["best"]["match"]
        for found, one in zip(both, exact, strict=True)
        if 100 * one.high < guess
    ]
    assert len(below) == 2
    says("two ended slightly below it, at {} %", listed([f"{value:.2f}" for value in below]))


def jumps(seeds: dict[str, Any], says: Passages) -> None:
    """The validations around the jump of each pretrained seed."""
    says("last validation with `match` at most {:.0f} %", BEFORE)
    says("first one from which on `match` has at least {:.0f} %", MATCHED)
    for seed, found in seeds.items():
        low, high = jump(found)
        before, after = found["at"].index(low), found["at"].index(high)
        says(
            "| {} | step {} | {} | {:.2f} | step {} | {:.2f} | {:.2f} |",
            seed,
            low,
            with_interval(found["match"][before], found),
            found["lookup"][before],
            high,
            found["match"][after],
            found["lookup"][after],
        )


def control(groups: dict[str, Any], says: Passages) -> None:
    """What the control has at its end."""
    [found] = groups["control"].values()
    says(
        "within {} steps, and its last validation scores {:.2f} % on `match`",
        found["steps"],
        found["match"][-1],
    )


def spread(values: Sequence[float]) -> str:
    """From the least to the most, or the only one."""
    least, most = (f"{end(values):.2f}" for end in (min, max))
    return least if len(values) == 1 else f"{least} to {most}"


def listed(words: Sequence[str]) -> str:
    """Words with commas, and "and" before the last."""
    return f"{', '.join(words[:-1])} and {words[-1]}"


def jump(found: dict[str, Any]) -> tuple[int, int]:
    """The last validated step before the jump, and the first from which on all are matched."""
    pairs = list(zip(found["at"], found["match"], strict=True))
    before = max(step for step, match in pairs if match <= BEFORE)
    missed = max(step for step, match in pairs if match < MATCHED)
    return before, next(step for step in found["at"] if step > missed)
