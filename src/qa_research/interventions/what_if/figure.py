"""A training as it was and changed, beside random changes: scores over the steps, by kind of example."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from qa_research.figures.panels import COLOURS, GREY, PlainFigure, plain
from qa_research.interventions.what_if.effects import StepEffect, WhatIf, kinds_of
from qa_research.tasks.task import PERCENT


def what_if_figure(found: WhatIf) -> Figure:
    """Lines: as it was, changed (with the interval of the difference), each random change, and the bound."""
    kinds = kinds_of(found.effects)
    figure = PlainFigure(figsize=(4.2 * len(kinds), 3.6), layout="constrained")
    panels = figure.subplots(1, len(kinds), squeeze=False)[0]
    unit = ", %" if found.metric["scale"] == PERCENT else ""
    for panel, kind in zip(panels, kinds, strict=True):
        _draw(panel, found.effects[kind])
        level = found.reached[kind].level
        panel.axhline(level, color=GREY, lw=0.6, ls=":")
        if len(kinds) > 1:
            panel.set_title(kind)
        panel.set_xlabel("optimizer step")
        panel.set_ylabel(f"{found.metric['label']}{unit}")
        plain(panel)
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(
        handles, names, loc="outside lower center", ncols=2 * len(kinds), fontsize=8, frameon=False
    )
    figure.suptitle(found.changed, fontsize=9)
    return figure


def over_runs_figure(found: Sequence[WhatIf]) -> Figure:
    """By kind the change of each run over the steps, and in grey those of its random changes."""
    kinds = kinds_of(found[0].effects)
    figure = PlainFigure(figsize=(4.2 * len(kinds), 3.6), layout="constrained")
    panels = figure.subplots(1, len(kinds), squeeze=False)[0]
    points = ", points" if found[0].metric["scale"] == PERCENT else ""
    for panel, kind in zip(panels, kinds, strict=True):
        panel.axhline(0, color=GREY, lw=0.6, ls=":")
        steps = [one.step for one in found[0].effects[kind]]
        for number, one in enumerate(found):
            effects = one.effects[kind]
            for place in range(len(effects[0].random)):
                line = [e.random[place] - e.as_it_was for e in effects]
                name = "random changes" if number == place == 0 else None
                panel.plot(steps, line, color=GREY, lw=0.6, alpha=0.4, label=name)
        for number, one in enumerate(found):
            panel.plot(
                steps,
                [e.change for e in one.effects[kind]],
                color=COLOURS[number % 5],
                marker=".",
                label=f"run {number + 1}",
            )
        if len(kinds) > 1:
            panel.set_title(kind)
        panel.set_xlabel("optimizer step")
        panel.set_ylabel(f"change of {found[0].metric['label']}{points}")
        plain(panel)
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(
        handles, names, loc="outside lower center", ncols=2 * len(kinds), fontsize=8, frameon=False
    )
    figure.suptitle(found[0].changed, fontsize=9)
    return figure


def _draw(panel: Axes, effects: tuple[StepEffect, ...]) -> None:
    steps = [one.step for one in effects]
    for number in range(len(effects[0].random)):
        name = f"{len(effects[0].random)} random changes" if number == 0 else None
        panel.plot(
            steps, [e.random[number] for e in effects], color=GREY, lw=0.7, alpha=0.5, label=name
        )
    bounds = [one.bound for one in effects if one.bound is not None]
    if bounds:
        panel.plot(steps, bounds, color=COLOURS[2], ls="--", lw=1.2, label="whole layers")
    low, high = (
        [one.as_it_was + end for one, end in zip(effects, ends, strict=True)]
        for ends in ([one.low for one in effects], [one.high for one in effects])
    )
    panel.fill_between(steps, low, high, color=COLOURS[1], alpha=0.15, lw=0)
    panel.plot(
        steps, [e.as_it_was for e in effects], color=COLOURS[0], marker=".", label="as it was"
    )
    panel.plot(steps, [e.changed for e in effects], color=COLOURS[1], marker=".", label="changed")
