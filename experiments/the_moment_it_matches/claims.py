"""The passages of README.md that have numbers."""

from statistics import median
from typing import Any

from experiments.study import Passages, made_by
from qa_research.stats import exact_ratio

KINDS = ("match", "lookup")
SETS = {
    "in all seeds": "named in all seeds",
    "the others of the layer": "all others of that layer",
    "comparing": "that compare letters",
    "3.2": "one alone",
    "1.1": "one alone",
    "2.9": "one alone",
}
# After which rows of SETS the random sets of the same layers stand.
WITH_RANDOM = ("in all seeds", "comparing")


def claims(measured: dict[str, Any], says: Passages) -> None:
    """From three recordings, the control's, and what is answered without some heads."""
    made_by(measured["made by"], says)
    says(
        "MiniLM ({} layers of {} heads), {} watched questions, {} of them `match` (and {} of these are "
        "trained on, too), every {} steps",
        measured["layers"],
        measured["heads"],
        sum(measured["watched"].values()),
        measured["watched"]["match"],
        measured["trained on"],
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
    letters(measured, says)
    silenced(measured, says)
    without(measured, says)
    control(measured, says)


def listed(heads: list[Any]) -> str:
    """`3.2 +0.58, ...`: the heads and by how much each changed."""
    return ", ".join(f"{head} {change:+.2f}" for head, change in heads)


def joined(words: list[str]) -> str:
    """Words with commas, and "and" before the last."""
    return f"{', '.join(words[:-1])} and {words[-1]}"


def changes(measured: dict[str, Any], says: Passages) -> None:
    """Lengths of the phases and sizes of the changes in each, over the seeds."""
    seeds = measured["seeds"].values()
    says("named in all seeds: {}", ", ".join(measured["in all seeds"]))
    for phase, template in (
        ("before", "before it, the largest change of any head is {:.2f} to {:.2f}"),
        ("at", "at the jump {:.2f} to {:.2f}"),
        ("after", "after it {:.2f} to {:.2f}"),
    ):
        most = [abs(found["changes"][phase][0][1]) for found in seeds]
        says(template, min(most), max(most))
    lengths = [
        [
            found["plateau until"],
            found["matched from"] - found["plateau until"],
            found["last step"] - found["matched from"],
        ]
        for found in seeds
    ]
    says(
        "The phases last {} to {}, {} to {} and {} to {} steps",
        *(end(phase) for phase in zip(*lengths, strict=True) for end in (min, max)),
    )
    letter = [found["to the question's letter"] for found in seeds]
    says("to the letter in the question rises by {:.2f} at most", max(letter))


def letters(measured: dict[str, Any], says: Passages) -> None:
    """Whether heads compare letters before any training, and how they change at the jump."""
    heads = measured["letters at 0"]["heads"]
    [one, other] = heads
    rows = [
        [heads[head][f"{letter} to question"] for letter in ("equal", "other")] for head in heads
    ]
    says(
        "{} and {} attend with {:.2f} and {:.2f} from the letter in the context that is the question's to "
        "the letter in the question, and with {:.3f} and {:.3f} from the letters of the other groups",
        one,
        other,
        rows[0][0],
        rows[1][0],
        rows[0][1],
        rows[1][1],
    )
    nearest = measured["letters at 0"]["next"]
    says("the next head, {}, has {:.2f}", *nearest)
    rises = {
        head: [found["comparing at the jump"][head] for found in measured["seeds"].values()]
        for head in heads
    }
    says(
        "they rise at the jump, on one route or the other by {:.2f} to {:.2f}",
        min(min(rise) for rise in rises.values()),
        max(max(rise) for rise in rises.values()),
    )


def silenced(measured: dict[str, Any], says: Passages) -> None:
    """What is answered without each set of heads, beside its controls."""
    says(
        "{} `match` and {} `lookup` questions of another draw",
        measured["fresh questions"]["match"],
        measured["fresh questions"]["lookup"],
    )
    says("scores {:.1f} % on `match`", measured["guessing"]["match"])
    says.defined("95 % interval")
    for seed, found in measured["seeds"].items():
        sets = found["silenced"]["sets"]
        says("| {} | nothing | {} |", seed, cells(sets["nothing"]))
        for label, title in SETS.items():
            says("| | {}: {} | {} |", title, ", ".join(sets[label]["heads"]), cells(sets[label]))
            if label in WITH_RANDOM:
                draws = found["silenced"][f"random for {label}"]
                spreads = [spread([draw[kind] for draw in draws]) for kind in KINDS]
                says(
                    "| | random others of its layers, {} times | {} | | {} |", len(draws), *spreads
                )


def cells(found: dict[str, Any]) -> str:
    """Percent right of `match`, right of those of the right kind with its interval, right of `lookup`."""
    match, lookup = found["match"], found.get("lookup")
    ratio = exact_ratio(match["right"], match["of the right kind"])
    row = [
        percent(match),
        f"{match['right']} of {match['of the right kind']}: "
        f"{100 * ratio.value:.0f} ({100 * ratio.low:.0f} to {100 * ratio.high:.0f})",
        "" if lookup is None else percent(lookup),
    ]
    return " | ".join(row)


def without(measured: dict[str, Any], says: Passages) -> None:
    """The verdict's sentences on what is lost."""
    found = [one["silenced"] for one in measured["seeds"].values()]
    says(
        "Without the four heads {} % of the `match` answers that are of the right kind are right (guessing "
        "{:.1f} %)",
        joined([of_the_kind(one["sets"]["in all seeds"]["match"]) for one in found]),
        measured["guessing"]["match"],
    )
    says(
        "without {} and {} it is {} %",
        *found[0]["sets"]["comparing"]["heads"],
        joined([of_the_kind(one["sets"]["comparing"]["match"]) for one in found]),
    )
    costs_as_much = sum(
        percent_of(one["sets"]["comparing"]["match"])
        <= percent_of(one["sets"]["in all seeds"]["match"])
        for one in found
    )
    says(
        "{} and {} do, in {} of {} seeds",
        *found[0]["sets"]["comparing"]["heads"],
        costs_as_much,
        len(found),
    )
    says(
        "without all others of that layer, twice as many, `match` is at {} %",
        joined([percent(one["sets"]["the others of the layer"]["match"]) for one in found]),
    )
    for head in ("3.2", "1.1", "2.9"):
        says(
            "{} % without {} alone",
            joined([percent(one["sets"][head]["match"]) for one in found]),
            head,
        )
    lows = [
        min(draw["match"] for draw in one[f"random for {label}"])
        for one in found
        for label in WITH_RANDOM
    ]
    says("no random set leaves less than {:.1f} %", min(lows))


def of_the_kind(counts: dict[str, int]) -> str:
    """Right answers in percent of those of the right kind."""
    return f"{100 * counts['right'] / counts['of the right kind']:.0f}"


def percent(counts: dict[str, int]) -> str:
    """Right answers in percent, as it is written."""
    return f"{percent_of(counts):.1f}"


def percent_of(counts: dict[str, int]) -> float:
    """Right answers in percent."""
    return 100 * counts["right"] / counts["asked"]


def spread(values: list[float]) -> str:
    """Median and range."""
    return f"{median(values):.1f} ({min(values):.1f} to {max(values):.1f})"


def control(measured: dict[str, Any], says: Passages) -> None:
    """The same network from random weights."""
    for found in measured["control"].values():
        says(
            "in {} steps from random weights no head changes by more than {:.3f} on any route",
            found["steps"],
            found["largest change"],
        )
        count, least, most = found["late"]
        says(
            "`match` is at {:.0f} % of the watched questions at the end ({:.0f} to {:.0f} % over the last {} "
            "captures); of the {} validation questions it answers {:.1f} %",
            found["match"],
            least,
            most,
            count,
            found["validated"],
            found["validation"],
        )
