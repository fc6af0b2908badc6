"""What probes read, on the screen."""

from collections.abc import Sequence

from qa_research.console import Screen
from qa_research.probe.linear import Accuracy
from qa_research.probe.probing import Erasing, Probed, Reading

HEADER = (
    *("step", "site", "accuracy", "control", "selectivity", "95 % interval"),
    *("untrained: accuracy", "selectivity"),
)
ERASED = ("read", "at", "directions", "erased", "probe", "right", "loss")


def show_probed(found: Probed) -> None:
    """A table for each label, what erasing did, and how to read them."""
    console = Screen()
    console.print(found.run)
    console.print(
        f"Probes trained on {found.trained_on} {found.examples} and scored on {found.scored_on} others, "
        f"about {found.texts} other texts. Accuracies are balanced, in percent."
    )
    for name, classes in found.classes.items():
        chance = 100 / len(classes)
        console.print(
            f"\n{name}   {len(classes)} classes, chance {chance:.1f} %, {found.items[name]:,} scored"
        )
        rows = [_row(one) for one in found.readings if one.label == name]
        console.table(HEADER, rows, right=range(2, len(HEADER)))
    if found.erasings:
        _show_erasings(console, found.erasings)
    for note in found.notes:
        console.print(note)


def _row(one: Reading) -> Sequence[str]:
    step = "?" if one.step is None else f"{one.step:,}"
    low, high = one.measured.selectivity_interval
    return (
        step,
        one.site,
        *_said(one.measured),
        f"{100 * low:+.1f} to {100 * high:+.1f}",
        f"{100 * one.untrained.accuracy:.1f}",
        f"{100 * one.untrained.selectivity:+.1f}",
    )


def _said(measured: Accuracy) -> Sequence[str]:
    return (
        f"{100 * measured.accuracy:.1f}",
        f"{100 * measured.control:.1f}",
        f"{100 * measured.selectivity:+.1f}",
    )


def _show_erasings(console: Screen, erasings: Sequence[Erasing]) -> None:
    """A line each without erasing, with it, and with random directions: their mean and range."""
    console.print("\nerased where selectivity is highest")
    rows: list[Sequence[str]] = []
    for one in erasings:
        count = str(one.directions)
        for what, probe, cost in (
            ("nothing", one.probe[0], one.before),
            ("found", one.probe[1], one.after),
        ):
            right = "" if cost.right is None else f"{cost.right:.1f}"
            rows.append(
                (one.label, one.site, count, what, f"{100 * probe:.1f}", right, f"{cost.loss:.3f}")
            )
        losses = [cost.loss for cost in one.random]
        shares = [cost.right for cost in one.random if cost.right is not None]
        right = f"{min(shares):.1f} to {max(shares):.1f}" if shares else ""
        loss = f"{min(losses):.3f} to {max(losses):.3f}"
        name = f"random, {len(losses)} times"
        rows.append((one.label, one.site, count, name, f"{100 * one.probe[2]:.1f}", right, loss))
    console.table(ERASED, rows, right=(2, 4, 5, 6))
