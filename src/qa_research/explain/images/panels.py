"""Which of an explanation's numbers each panel is drawn from, and each figure on its own."""

from collections.abc import Callable, Collection, Iterator
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from qa_research.explain.images.charts import (
    class_bars,
    coefficients_by_rank,
    coefficients_by_seed,
    compared_segments,
    random_control,
    residuals,
    segments_on,
    switched_curve,
    tops_by_seed,
)
from qa_research.explain.images.overlays import (
    heat_overlay,
    number,
    only,
    outline,
    picture,
)
from qa_research.explain.images.result import (
    Counterfactual,
    Curves,
    Explanation,
    SecondExplanation,
    by_number,
    highlighted,
)
from qa_research.explain.images.segments import Pixels
from qa_research.explain.images.sentences import masks_of, percent, shown_top
from qa_research.explain.images.sentences import number as decimals
from qa_research.explain.images.trust import Stability
from qa_research.figures.panels import OPPOSES, SUPPORTS, PlainFigure, drawable
from qa_research.figures.tokens import shortened

TITLE: dict[str, Any] = {"loc": "left", "fontsize": 10.5, "weight": "bold", "parse_math": False}
LONGEST_NAME = 34
# Inches of a picture's side.
SIDE = 4.6
# Figures that are pictures; the others are charts.
PICTURES = ("segments", "heat", "top", "blanked", "second_heat")


def figures_of(explanation: Explanation) -> Iterator[tuple[str, Figure]]:
    """(name, figure) in the order in which they are shown; parts that were not made are skipped."""
    yield _single("segments", SIDE, SIDE + 0.3, numbers_panel, explanation, SIDE)
    yield _single("heat", SIDE + 0.9, SIDE + 0.3, heat_panel, explanation)
    figure = _figure(2 * SIDE, SIDE + 0.3)
    left, right = figure.subplots(1, 2)
    top_panel(left, explanation)
    top_panel(right, explanation, without=True)
    yield "top", figure
    width = _width(explanation.n_segments)
    yield _single("coefficients", width, 3.6, coefficients_panel, explanation)
    yield _single("masks", 5.2, 3.6, masks_panel, explanation)
    yield _single("residuals", 5.2, 3.6, residuals_panel, explanation)
    if explanation.curves is not None:
        figure = _figure(10, 3.8)
        left, right = figure.subplots(1, 2, sharey=True)
        curve_panels((left, right), explanation.curves)
        right.set_ylabel("")
        yield "curves", figure
    if explanation.stability is not None:
        figure = _figure(6.5, 4.8)
        above, below = figure.subplots(2, 1, height_ratios=(1.5, 1))
        stability_panels((above, below), explanation, explanation.stability)
        yield "stability", figure
    if explanation.counterfactual is not None:
        yield from _figures_after_blanking(explanation, explanation.counterfactual)


def _figures_after_blanking(
    explanation: Explanation, found: Counterfactual
) -> Iterator[tuple[str, Figure]]:
    yield _single("blanked", SIDE, SIDE + 0.3, blanked_panel, explanation, found, SIDE)
    figure = _figure(SIDE, SIDE + 0.3)
    before, after = figure.subplots(2, 1)
    class_panels((before, after), found)
    yield "classes", figure
    yield _single("control", 6.5, 3.6, control_panel, found)
    if again := found.explained_again:
        numbers = (explanation, found, again)
        yield _single("second_heat", SIDE + 0.9, SIDE + 0.3, second_heat_panel, *numbers)
        width = _width(len(again.segments))
        yield _single("second_coefficients", width, 3.6, second_coefficients_panel, *numbers)


def _figure(width: float, height: float) -> Figure:
    return PlainFigure(figsize=(width, height), layout="constrained", facecolor="white")


def _single(
    name: str, width: float, height: float, draw: Callable[..., None], *numbers: Any
) -> tuple[str, Figure]:
    """A figure with one panel."""
    figure = _figure(width, height)
    draw(figure.subplots(), *numbers)
    return name, figure


def _width(n_segments: int) -> float:
    """Inches of a figure with a bar for each segment."""
    return min(max(6.5, 0.3 * n_segments), 12)


def picture_panel(axes: Axes, explanation: Explanation) -> None:
    """The picture as the classifier sees it."""
    picture(axes, explanation.arrays.pixels)
    width, height = explanation.picture.seen
    axes.set_title(f"what the classifier sees ({width} × {height})", **TITLE)


def numbers_panel(axes: Axes, explanation: Explanation, inches: float) -> None:
    """All segments with their numbers."""
    arrays = explanation.arrays
    picture(axes, arrays.pixels)
    outline(axes, arrays.segments)
    number(axes, arrays.segments, explanation.centres, range(explanation.n_segments), inches)
    axes.set_title(f"{explanation.n_segments} segments", **TITLE)


def heat_panel(axes: Axes, explanation: Explanation) -> None:
    """Coefficients as colours."""
    arrays = explanation.arrays
    heat_overlay(axes, arrays.pixels, arrays.segments, explanation.by_number("coefficient"))
    axes.set_title(f"for (blue) and against {_name(explanation.explained.label, 20)}", **TITLE)


def top_panel(axes: Axes, explanation: Explanation, *, without: bool = False) -> None:
    """The picture with only its top segments on, or without them."""
    top = explanation.highlighted
    shown = explanation.order[top:] if without else explanation.order[:top]
    picture(axes, _only(explanation, shown))
    axes.set_title(f"{'without' if without else 'only'} {shown_top(explanation)}", **TITLE)


def coefficients_panel(axes: Axes, explanation: Explanation) -> None:
    """A bar for each segment."""
    coefficients_by_rank(
        axes,
        explanation.segments,
        explanation.highlighted,
        explanation.tied_ranks,
        explanation.interval,
    )
    name = _name(explanation.explained.label)
    axes.set_title(f"what each segment adds to the probability of {name}", **TITLE)


def masks_panel(axes: Axes, explanation: Explanation) -> None:
    """How many segments were on."""
    segments_on(axes, explanation.arrays.masks, exact=explanation.sampling.exact)
    axes.set_title(f"masks: {masks_of(explanation.sampling)}", **TITLE)


def residuals_panel(axes: Axes, explanation: Explanation) -> None:
    """How close the surrogate comes to the classifier."""
    residuals(axes, explanation.arrays.predicted, explanation.arrays.outputs)
    r2 = explanation.surrogate.r2
    shown = "nothing changed" if np.isnan(r2) else f"R² {decimals(r2)}"
    axes.set_title(f"surrogate and classifier: {shown}", **TITLE)


def curve_panels(panels: tuple[Axes, Axes], curves: Curves) -> None:
    """Deletion and insertion with the same probability axis."""
    deletion, insertion = curves.deletion, curves.insertion
    most = max(deletion.most, insertion.most) or 1.0
    both = (("deletion", deletion, "off"), ("insertion", insertion, "on"))
    for axes, (name, curve, verb) in zip(panels, both, strict=True):
        switched_curve(axes, curve, verb, most)
        beats = f"beats {curve.n_beaten} of {curve.n_orders} random orders"
        axes.set_title(f"{name}: {beats}", **TITLE)


def stability_panels(
    panels: tuple[Axes, Axes], explanation: Explanation, stable: Stability
) -> None:
    """Seeds' coefficients, and below them seeds' top segments."""
    tops, top = stable.tops, explanation.top
    shown = compared_segments(explanation.order, tops, top)
    pooled = explanation.by_number("coefficient")
    coefficients_by_seed(panels[0], explanation.arrays.by_seed, pooled, shown)
    tops_by_seed(panels[1], tops, shown, top)
    panels[1].set_xlim(panels[0].get_xlim())
    index = f"{decimals(stable.jaccard)} (by chance {decimals(stable.chance_jaccard)})"
    panels[0].set_title(f"{len(tops)} seeds: Jaccard index of their top {top} {index}", **TITLE)


def blanked_panel(
    axes: Axes, explanation: Explanation, found: Counterfactual, inches: float
) -> None:
    """The picture without the blanked segments, with their numbers where they were."""
    segments = explanation.arrays.segments
    picture(axes, _only(explanation, _left(explanation, found)))
    outline(axes, np.where(np.isin(segments, found.segments), segments, -1))
    number(axes, segments, explanation.centres, found.segments, inches)
    axes.set_title(f"blanked: {percent(found.area)} of the area", **TITLE)


def class_panels(panels: tuple[Axes, Axes], found: Counterfactual) -> None:
    """The three likeliest classes before and after."""
    second = found.second
    colours = {second.label: OPPOSES, found.first.label: SUPPORTS}
    both = (("before", found.classes_before), ("after", found.classes_after))
    most = max(one.probability for _, classes in both for one in classes)
    for axes, (when, classes) in zip(panels, both, strict=True):
        class_bars(axes, [(one.label, one.probability) for one in classes], colours, most)
        axes.set_title(f"likeliest classes {when}", **TITLE)
    if found.flipped:
        panels[1].set_xlabel(
            f"{_name(second.label, 26)} at first: place {second.place}, "
            f"{percent(second.probability)}",
            fontsize=9,
            color=OPPOSES,
            parse_math=False,
        )


def control_panel(axes: Axes, found: Counterfactual) -> None:
    """As much area at random."""
    control, first = found.control, found.first
    winner = found.classes_before[0].label
    random_control(
        axes,
        first.probability - control.probabilities,
        np.array([name != winner for name in control.winners]),
        first.probability - first.probability_after,
        found.flipped,
        first.label,
    )
    is_judged = control.p_value is not None and not found.searched
    p_value = f"p {control.p_value:.3f}" if is_judged else "no p value"
    axes.set_title(f"as much area elsewhere: {p_value}", **TITLE)


def second_heat_panel(
    axes: Axes, explanation: Explanation, found: Counterfactual, again: SecondExplanation
) -> None:
    """What speaks for the class that wins without the blanked segments."""
    values = by_number(again.segments, "coefficient", explanation.n_segments)
    pixels = _only(explanation, _left(explanation, found))
    heat_overlay(axes, pixels, explanation.arrays.segments, values)
    axes.set_title(f"explained again: {_name(found.second.label, 18)}", **TITLE)


def second_coefficients_panel(
    axes: Axes, explanation: Explanation, found: Counterfactual, again: SecondExplanation
) -> None:
    """Its coefficients."""
    rows = again.segments
    top = highlighted(again.stable_top, min(explanation.top, len(rows)))
    coefficients_by_rank(axes, rows, top, again.tied_ranks, explanation.interval)
    name = _name(found.second.label, 26)
    axes.set_title(f"explained again: {name}, R² {decimals(again.r2)}", **TITLE)


def _left(explanation: Explanation, found: Counterfactual) -> set[int]:
    return set(explanation.order) - set(found.segments)


def _only(explanation: Explanation, shown: Collection[int]) -> Pixels:
    arrays = explanation.arrays
    return only(arrays.pixels, arrays.off_pixels, arrays.segments, shown)


def _name(name: str, longest: int = LONGEST_NAME) -> str:
    """The name of a class as a title can show it."""
    return shortened(drawable(name), longest)
