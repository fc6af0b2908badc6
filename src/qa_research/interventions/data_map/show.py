"""A data map on the screen: its regions, the steps it is of, and the examples at its corners."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from qa_research.console import Screen
from qa_research.interventions.data_map.dynamics import AMBIGUOUS, EASY, HARD, REGIONS
from qa_research.interventions.data_map.finding import CHANCE
from qa_research.interventions.data_map.measuring import DataMap, Placed

# More kinds would make a table that nobody can read.
MOST_KINDS = 6
TEXT, TRUTH = 60, 40
STEPS = ("step", "right", "probability", "first right", "forgotten")
# Why examples of a region are worth a look.
HEADINGS = {
    HARD: "Hardest: the lowest confidence",
    AMBIGUOUS: "Most ambiguous: the highest variability",
    EASY: "Easiest: the highest confidence",
}
RULE = (
    "The third of the highest variability is ambiguous; of the others, the half of the higher confidence is "
    "easy, the other half hard."
)
RULE_OF_ONE = "The half of the higher confidence is easy, the other half hard."
# What to run next about an example, by its id.
Following = Callable[[str], Sequence[str]]


def listed(found: DataMap, counts: Mapping[str, int]) -> dict[str, list[Placed]]:
    """By region so many examples, the most typical first; ties are in the order of the data."""
    orders: dict[str, Callable[[Placed], float]] = {
        HARD: lambda one: one.confidence,
        AMBIGUOUS: lambda one: -(one.variability or 0.0),
        EASY: lambda one: -one.confidence,
    }
    return {
        region: sorted(found.placed, key=orders[region])[:count]
        for region, count in counts.items()
        if count
    }


def show_map(
    found: DataMap, examples: Mapping[str, Sequence[Placed]], following: Following
) -> None:
    """The map in tables, the listed examples, and what to run next about the first of them."""
    console = Screen()
    console.print(found.run)
    part = "all" if len(found.placed) == found.total else f"{len(found.placed):,} of"
    console.print(
        f"Data map of {part} {found.total:,} training {found.examples} at {_steps(found)}. Confidence is the "
        "mean probability of the truth over the steps, and variability its standard deviation.\n"
    )
    _show_regions(console, found)
    console.print(RULE if found.varies else RULE_OF_ONE)
    _show_steps(console, found)
    if found.agreement is not None:
        console.print(
            f"\nEvery other step against the steps between, Spearman's correlation: confidence "
            f"{_two(found.agreement.confidence)}, variability {_two(found.agreement.variability)}"
        )
    if found.found:
        _show_found(console, found)
    for region, own in examples.items():
        _show_examples(console, found, HEADINGS[region], own)
    if first := next((own[0] for own in examples.values() if own), None):
        console.print(f"\nNext, about {first.id}")
        for command in following(first.id):
            console.print(f"  {command}")
    for note in found.notes:
        console.print(f"\n{note}.")


def _steps(found: DataMap) -> str:
    first, last = found.steps[0], found.steps[-1]
    if not found.varies:
        return f"step {first:,}"
    return f"{len(found.steps)} steps, {first:,} to {last:,}"


def _show_regions(console: Screen, found: DataMap) -> None:
    kinds = [
        kind for kind, _ in Counter(one.kind for one in found.placed if one.kind).most_common()
    ]
    kinds = kinds if 1 < len(kinds) <= MOST_KINDS else []
    header = ["region", found.examples, "confidence"]
    header += ["variability"] if found.varies else []
    header += ["right", "never right", "forgotten", *kinds]
    rows = []
    for region in REGIONS:
        own = [one for one in found.placed if one.region == region]
        if own:
            rows.append([region, *_region(own, found, kinds)])
    console.table(header, rows, right=range(1, len(header)))


def _region(own: Sequence[Placed], found: DataMap, kinds: Sequence[str]) -> list[str]:
    """One row: medians with the ranges that the region has; shares in percent; counts by kind."""
    cells = [f"{len(own):,}", _range([one.confidence for one in own])]
    if found.varies:
        cells.append(_range([one.variability or 0.0 for one in own]))
    cells += [
        f"{100 * float(np.mean([one.correctness for one in own])):.1f} %",
        f"{sum(one.first_right is None for one in own):,}",
        f"{sum(one.forgotten > 0 for one in own):,}",
    ]
    return cells + [f"{sum(one.kind == kind for one in own):,}" for kind in kinds]


def _show_steps(console: Screen, found: DataMap) -> None:
    """How far the examples were at each step; `forgotten`: right at the step before, and not at this one."""
    rows = []
    for place, step in enumerate(found.steps):
        right = [one.right[place] for one in found.placed]
        lost = [one.right[place - 1] and not one.right[place] for one in found.placed]
        rows.append(
            (
                f"{step:,}",
                f"{100 * float(np.mean(right)):.1f} %",
                f"{float(np.mean([one.probabilities[place] for one in found.placed])):.3f}",
                f"{sum(one.first_right == step for one in found.placed):,}",
                f"{sum(lost):,}" if place else "",
            )
        )
    console.print()
    console.table(STEPS, rows, right=range(len(STEPS)))


def _show_found(console: Screen, found: DataMap) -> None:
    count = sum(one.is_marked for one in found.placed)
    console.print(
        f"\nThe {count:,} marked {found.examples} among {len(found.placed):,}: the chance that one of them "
        f"has a higher value than one that is not marked (AUC); {CHANCE} finds nothing."
    )
    rows = [
        (one.measure, f"{one.auc.value:.3f}", f"{one.auc.low:.3f} to {one.auc.high:.3f}")
        for one in found.found
    ]
    console.table(("found by", "AUC", "95 % interval"), rows, right=(1,))


def _show_examples(console: Screen, found: DataMap, heading: str, own: Sequence[Placed]) -> None:
    console.print(f"\n{heading}")
    header = ["id", "kind", "confidence", "variability", "right", "first right", "forgotten"]
    header += ["marked"] if found.found else []
    rows = [
        [
            one.id,
            one.kind,
            f"{one.confidence:.3f}",
            "" if one.variability is None else f"{one.variability:.3f}",
            f"{sum(one.right)} of {len(one.right)}",
            "never" if one.first_right is None else f"step {one.first_right:,}",
            f"{one.forgotten}",
            *(["yes" if one.is_marked else ""] if found.found else []),
            f"{_cut(one.text, TEXT)} {_cut(_truth(one), TRUTH)}",
        ]
        for one in own
    ]
    console.table([*header, ""], rows, right=range(2, 7), whole=range(len(header)))


def _truth(one: Placed) -> str:
    return f"({one.truths[0]})" if one.truths else "(no answer)"


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 3]}..."


def _range(values: Sequence[float]) -> str:
    """`0.93 (0.85 to 0.99)`: the median, and the smallest and the largest."""
    return f"{np.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def _two(value: float) -> str:
    return f"{value:.2f}" if np.isfinite(value) else "not defined, as all values are equal"
