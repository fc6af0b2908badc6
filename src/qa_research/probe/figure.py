"""What probes read, drawn: selectivity by layer of one step, or over steps, beside an untrained network."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from qa_research.figures.panels import COLOURS, GREY, PlainFigure, plain
from qa_research.probe.linear import Accuracy
from qa_research.probe.probing import Probed, Reading


def probe_figure(found: Probed) -> Figure:
    """A panel for each label: lines over sites; with several steps a map of sites and steps."""
    names = list(found.classes)
    figure = PlainFigure(figsize=(3.6 * len(names), 3.6), layout="constrained")
    panels = figure.subplots(1, len(names), squeeze=False)[0]
    for panel, name in zip(panels, names, strict=True):
        own = [one for one in found.readings if one.label == name]
        if len({one.step for one in own}) > 1:
            _over_steps(panel, own)
        else:
            _over_sites(panel, own, 1 / len(found.classes[name]))
        panel.set_title(name)
    return figure


def _over_sites(panel: Axes, own: Sequence[Reading], chance: float) -> None:
    """Accuracy with its band, the control, and both of the untrained network; chance dashed."""
    places = np.arange(len(own))
    _lines(panel, [one.measured for one in own], COLOURS[0], "trained")
    _lines(panel, [one.untrained for one in own], COLOURS[1], "random weights")
    panel.axhline(100 * chance, color=GREY, ls=":", lw=0.9, label="chance")
    panel.set(ylim=(0, 102), ylabel="balanced accuracy, %")
    panel.legend(fontsize=7, frameon=False)
    plain(panel)
    # Afterwards: `plain` formats numbers, and these are names.
    panel.set_xticks(places, [one.site for one in own], rotation=60, ha="right")


def _lines(panel: Axes, own: Sequence[Accuracy], colour: str, name: str) -> None:
    places = np.arange(len(own))
    low, high = (100 * np.array([one.accuracy_interval[end] for one in own]) for end in (0, 1))
    panel.fill_between(places, low, high, color=colour, alpha=0.15, lw=0)
    panel.plot(places, [100 * one.accuracy for one in own], color=colour, marker=".", label=name)
    control = [100 * one.control for one in own]
    panel.plot(places, control, color=colour, ls="--", lw=0.9, label=f"{name}, control")


def _over_steps(panel: Axes, own: Sequence[Reading]) -> None:
    """Selectivity as a heat map: sites upwards, steps to the right."""
    steps = list(dict.fromkeys(one.step for one in own))
    sites = list(dict.fromkeys(one.site for one in own))
    values = {(one.site, one.step): 100 * one.measured.selectivity for one in own}
    table = np.array([[values[site, step] for step in steps] for site in sites])
    image = panel.imshow(table, origin="lower", aspect="auto", cmap="RdBu_r", vmin=-100, vmax=100)
    panel.set_xticks(
        range(len(steps)), [f"{step:,}" if step is not None else "?" for step in steps]
    )
    panel.tick_params(axis="x", rotation=60)
    panel.set_yticks(range(len(sites)), sites)
    panel.set_xlabel("optimizer step")
    assert panel.figure is not None
    panel.figure.colorbar(image, ax=panel, label="selectivity, points")
