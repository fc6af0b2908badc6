"""What a change of a training did, on the screen."""

from collections.abc import Sequence

from qa_research.console import Screen
from qa_research.interventions.replay.show import exactness
from qa_research.interventions.what_if.effects import Reached, StepEffect, WhatIf, kinds_of
from qa_research.interventions.what_if.over_runs import OverRuns
from qa_research.tasks.task import PERCENT, Metric
from qa_research.text import plural

HEADER = ("step", "as it was", "changed", "change [95 %]", "random", "as far")


def show_what_if(found: WhatIf) -> None:
    """What was changed, and for each kind of example a table over the steps and when a score is reached."""
    console = Screen()
    console.print(f"{found.run}, steps {found.first + 1} to {found.until}: {found.changed}")
    console.print(
        f"{found.metric['label']} of {found.examples:,} {found.example_name}; random: {found.random_words}"
    )
    for kind in kinds_of(found.effects):
        console.print(f"\n{kind}" if len(found.effects) > 1 else "")
        effects = found.effects[kind]
        has_bound = effects[0].bound is not None
        header = (*HEADER, *(["whole layers"] if has_bound else []))
        rows = [_row(one, found.metric["scale"] == PERCENT) for one in effects]
        console.table(header, rows, right=range(len(header)), whole=range(len(header)))
        reached = found.reached[kind]
        # Where nothing rises, all are there from the beginning.
        if not reached.as_it_was == reached.changed == effects[0].step:
            console.print(_when(reached, found.metric["scale"] == PERCENT))
    console.print("")
    for note in found.notes:
        console.print(note)
    console.print(f"{exactness(found.exact, found.compared)}; {found.seconds:.0f} s in all")


def show_over_runs(found: OverRuns, metric: Metric) -> None:
    """For each kind of example the change of each run over the steps, their mean, and how late it comes."""
    console = Screen()
    console.print(f"\nOver {plural(len(found.runs), 'run')}: change of {metric['label']}")
    for number, run in enumerate(found.runs, 1):
        console.print(f"  {number}  {run}")
    in_percent = metric["scale"] == PERCENT
    form = "{:+.1f}" if in_percent else "{:+.4g}"
    for kind in kinds_of(found.effects):
        console.print(f"\n{kind}" if len(found.effects) > 1 else "")
        header = ("step", *(str(n) for n, _ in enumerate(found.runs, 1)), "mean", "p")
        rows = [
            (str(e.step), *map(form.format, e.changes), form.format(e.mean), f"{e.p:.3f}")
            for e in found.effects[kind]
        ]
        console.table(header, rows, right=range(len(header)), whole=range(len(header)))
        console.print(f"Steps later: {', '.join(map(_delay, found.reached[kind]))}")
    console.print(
        "\np: how often the mean would be as far from zero if chance picked one of each run's changes"
    )


def _delay(one: Reached) -> str:
    if one.as_it_was is None:
        return "not reached as it was"
    return "never" if one.delay is None else f"{one.delay:+d}"


def _row(one: StepEffect, in_percent: bool) -> Sequence[str]:
    form = "{:.1f}" if in_percent else "{:.4g}"
    signed = form.replace(":", ":+")
    change = f"{signed.format(one.change)} [{signed.format(one.low)}, {signed.format(one.high)}]"
    spread = f"{form.format(min(one.random))} to {form.format(max(one.random))}"
    bound = [] if one.bound is None else [form.format(one.bound)]
    return (
        str(one.step),
        form.format(one.as_it_was),
        form.format(one.changed),
        change,
        spread,
        f"{one.as_far} of {len(one.random)}",
        *bound,
    )


def _when(one: Reached, in_percent: bool) -> str:
    level = f"{one.level:.1f}" if in_percent else f"{one.level:.4g}"
    words = [
        f"{name} {'never here' if step is None else f'at {step}'}"
        for name, step in (("as it was", one.as_it_was), ("changed", one.changed))
    ]
    steps = [step for step in one.random if step is not None]
    never = len(one.random) - len(steps)
    spread = f"{min(steps)} to {max(steps)}" if steps else ""
    missing = f"{never} never" if never else ""
    random = f"random {', '.join(filter(None, (spread, missing)))}"
    bound = f"; whole layers {'never here' if one.bound is None else f'at {one.bound}'}"
    late = f"; {one.as_late} of {len(one.random)} random ones are as late"
    return f"{level} is reached: {'; '.join(words)}; {random}{bound if one.bound is not None else ''}{late}"
