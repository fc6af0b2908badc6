"""What patching found, on the screen."""

from collections.abc import Sequence

from qa_research.console import Screen
from qa_research.interventions.patching.components import KINDS
from qa_research.interventions.patching.pairs import UNRELATED as UNRELATED_TEXTS
from qa_research.interventions.patching.patching import (
    RESTORED,
    Estimate,
    Patch,
    Patched,
    PatchedStep,
)
from qa_research.text import plural

# How many of a kind are shown, and at how many steps; the file has all.
MOST_ROWS, MOST_STEPS = 8, 5
TITLES = {
    "heads": "heads",
    "feed_forward": "feed-forward networks",
    "layers": "layers: all heads and the feed-forward network of one together",
    "positions": "positions, after each layer",
}


def show_patched(found: Patched) -> None:
    """The gap at each step, and of each kind the components that restore the most of it at the last one."""
    console = Screen()
    console.print(found.run)
    first = found.pairs[0]
    console.print(
        f"{plural(len(found.pairs), 'minimal pair')} of {found.examples}, such as\n"
        f"  {first['asked']}  {first['answer']}\n"
        f"  {first['other_asked']}  {first['other_answer']}\n"
    )
    _show_gaps(console, found)
    last = found.steps[-1]
    if last.has_gap:
        for kind in KINDS:
            own = [one for one in last.patches if one.kind == kind]
            if own:
                _show_kind(console, found, own, TITLES[kind])
        console.print(
            "\nIn percent of the gap. Restored: with the output that the component has in the clean text put "
            f"into the corrupted one; unrelated: with that in one of up to {UNRELATED_TEXTS} other texts "
            "of that length; specific: how much more is restored than so; chance: the middle 95 % of what "
            "unrelated texts do in any component like it; beyond: all of the interval of restored is above "
            "chance, and that of specific above zero. Zero, mean: what is lost in the clean text without "
            f"the output, or with its mean over {found.reference} other texts."
        )
    for note in found.notes:
        console.print(note)


def _show_gaps(console: Screen, found: Patched) -> None:
    console.print("How far the clean answer leads the other one, in logits.")
    rows = [
        (
            _name(step),
            _logits(step.clean),
            _logits(step.corrupted),
            _logits(step.gap),
            f"{step.told_apart} of {len(found.pairs)}"
            + ("" if step.has_gap else ": no gap to share out"),
        )
        for step in found.steps
    ]
    header = ("step", "clean text", "corrupted text", "gap", "leads in both")
    console.table(header, rows, right=range(1, 4), whole=(0,))


def _show_kind(console: Screen, found: Patched, own: Sequence[Patch], title: str) -> None:
    """Those that restore most at the last step, also at the steps before."""
    names = [one.name for one in sorted(own, key=_restored, reverse=True)[:MOST_ROWS]]
    shown = found.steps[-MOST_STEPS:]
    by_name = [{one.name: one for one in step.patches} for step in shown]
    last = by_name[-1]
    rows = [
        (
            name,
            *(_percent(getattr(step[name], RESTORED)) for step in by_name[:-1]),
            _with_ends(last[name].restored),
            _percent(last[name].unrelated),
            _with_ends(last[name].specific),
            _band(last[name].chance),
            "yes" if last[name].is_beyond_chance else "",
            _percent(last[name].zero),
            _percent(last[name].mean),
        )
        for name in names
    ]
    steps = [_name(step) for step in shown]
    header = ("", *steps, "unrelated", "specific", "chance", "beyond", "zero", "mean")
    console.print(
        f"\nRestored, {len(names)} of {len(own)} {title}; the last six columns at {steps[-1]}."
    )
    console.table(header, rows, right=range(1, len(header)), whole=(0,))


def _restored(one: Patch) -> float:
    return one.restored.value if one.restored is not None else 0.0


def _name(step: PatchedStep) -> str:
    return step.checkpoint if step.step is None else f"step {step.step:,}"


def _logits(one: Estimate) -> str:
    ends = "" if one.low is None else f" [{one.low:.2f}, {one.high:.2f}]"
    return f"{one.value:.2f}{ends}"


def _percent(one: Estimate | None) -> str:
    return "" if one is None else f"{100 * one.value:.0f}"


def _with_ends(one: Estimate | None) -> str:
    if one is None or one.low is None or one.high is None:
        return _percent(one)
    return f"{100 * one.value:.0f} [{100 * one.low:.0f}, {100 * one.high:.0f}]"


def _band(ends: tuple[float, float] | None) -> str:
    return "" if ends is None else f"{100 * ends[0]:.0f} to {100 * ends[1]:.0f}"
