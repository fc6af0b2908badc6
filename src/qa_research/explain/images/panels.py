"""Which of an explanation's numbers each panel is drawn from.

Each figure of an explanation alone.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from qa_research.explain.images.charts import (
    SwitchedCurve,
    class_bars,
    coefficients_by_seed,
    compared_segments,
    percent,
    random_control,
    residuals,
    segments_on,
    switched_curve,
    tops_by_seed,
)
from qa_research.explain.images.figures import (
    OPPOSES,
    SUPPORTS,
    coefficients_by_rank,
    heat_overlay,
    number,
    numbered,
    only,
    outline,
    picture,
)
from qa_research.explain.images.result import Story, by_number
from qa_research.explain.images.words import masks_of
from qa_research.explain.images.words import number as decimals
from qa_research.figures.tokens import drawable, shortened

TITLE: dict[str, Any] = {"loc": "left", "fontsize": 10.5, "weight": "bold", "parse_math": False}
LONGEST_NAME = 34


def shown_name(name: str, longest: int = LONGEST_NAME) -> str:
    """A class's or picture's name as a figure can show it."""
    return shortened(drawable(name), longest)


def explained_name(story: Story) -> str:
    """The class that is explained, as a title can show it."""
    return shown_name(story.document["explained"]["label"])


def picture_panel(axes: Axes, story: Story) -> None:
    """The picture as the classifier sees it."""
    picture(axes, story.pixels)
    height, width = story.pixels.shape[:2]
    axes.set_title(f"what the classifier sees ({width} × {height})", **TITLE)


def numbers_panel(axes: Axes, story: Story, inches: float) -> None:
    """All segments with their numbers."""
    numbered(axes, story.pixels, story.segments, story.centres, inches)
    axes.set_title(f"{story.n_segments} segments", **TITLE)


def heat_panel(axes: Axes, story: Story) -> None:
    """Coefficients as colours."""
    heat_overlay(axes, story.pixels, story.segments, story.of_segments("coefficient"))
    axes.set_title(
        f"for (blue) and against {shown_name(story.document['explained']['label'], 20)}", **TITLE
    )


def top_panel(axes: Axes, story: Story, *, without: bool = False) -> None:
    """The picture with only its top segments on, or without them."""
    best = story.order[: story.top]
    shown = set(story.order) - set(best) if without else set(best)
    picture(axes, only(story.pixels, story.off_pixels, story.segments, shown))
    axes.set_title(f"{'without' if without else 'only'} the top {story.top}", **TITLE)


def coefficients_panel(axes: Axes, story: Story) -> None:
    """A bar a segment."""
    coefficients_by_rank(
        axes,
        story.order,
        story.of_segments("coefficient"),
        story.of_segments("low"),
        story.of_segments("high"),
        story.top,
        story.tied,
        story.confidence,
    )
    axes.set_title(f"what each segment adds to the probability of {explained_name(story)}", **TITLE)


def masks_panel(axes: Axes, story: Story) -> None:
    """How many segments were on."""
    segments_on(axes, story.masks)
    axes.set_title(f"masks: {masks_of(story.document['sampling'])}", **TITLE)


def residuals_panel(axes: Axes, story: Story) -> None:
    """How near the surrogate comes to the classifier."""
    residuals(axes, story.predicted, story.outputs)
    said = "nothing changed" if story.r2 is None else f"R² {decimals(story.r2)}"
    axes.set_title(f"surrogate and classifier: {said}", **TITLE)


def curve_panels(panels: tuple[Axes, Axes], story: Story) -> None:
    """Deletion and insertion with the same probability axis."""
    curves = {name: _curve(story.document["curves"][name]) for name in ("deletion", "insertion")}
    most = max(curve.most for curve in curves.values()) or 1.0
    verbs = {"deletion": "off", "insertion": "on"}
    for axes, (name, curve) in zip(panels, curves.items(), strict=True):
        switched_curve(axes, curve, verbs[name], most)
        beaten = percent(curve.beaten)
        axes.set_title(f"{name}: beats {beaten} of random orders", **TITLE)


def _curve(found: Mapping[str, Any]) -> SwitchedCurve:
    arrays: dict[str, Any] = {
        key: np.array(value) if isinstance(value, list) else value for key, value in found.items()
    }
    return SwitchedCurve(**arrays)


def stability_panels(panels: tuple[Axes, Axes], story: Story) -> None:
    """Seeds' coefficients, and below them seeds' top segments."""
    stable = story.document["stability"]
    shown = compared_segments(story.order, stable["tops"], story.top)
    coefficients_by_seed(panels[0], story.by_seed, story.of_segments("coefficient"), shown)
    tops_by_seed(panels[1], stable["tops"], shown, story.top)
    panels[1].set_xlim(panels[0].get_xlim())
    panels[0].set_title(
        f"{len(stable['tops'])} seeds: Jaccard index of their top {story.top} is "
        f"{decimals(stable['jaccard'])}",
        **TITLE,
    )


def blanked_panel(axes: Axes, story: Story, found: Any, inches: float) -> None:
    """The picture without the blanked segments, with their numbers where they were."""
    left = set(range(story.n_segments)) - set(found["segments"])
    picture(axes, only(story.pixels, story.off_pixels, story.segments, left))
    gone = np.where(np.isin(story.segments, found["segments"]), story.segments, -1)
    outline(axes, gone)
    number(axes, story.segments, story.centres, found["segments"], inches)
    axes.set_title(f"blanked: {percent(found['area'])} of the area", **TITLE)


def class_panels(panels: tuple[Axes, Axes], found: Any) -> None:
    """The three likeliest classes before and after."""
    colours = {found["second"]["label"]: OPPOSES, found["first"]["label"]: SUPPORTS}
    rows = [
        [(one["label"], one["probability"]) for one in found[f"classes_{when}"]]
        for when in ("before", "after")
    ]
    most = max(probability for row in rows for _, probability in row)
    for axes, row, when in zip(panels, rows, ("before", "after"), strict=True):
        class_bars(axes, row, colours, most)
        axes.set_title(f"likeliest classes {when}", **TITLE)
    if found["flipped"]:
        second = found["second"]
        panels[1].set_xlabel(
            f"{shown_name(second['label'], 26)} at first: place {second['place']}, "
            f"{percent(second['probability'])}",
            fontsize=9,
            color=OPPOSES,
            parse_math=False,
        )


def control_panel(axes: Axes, found: Any) -> None:
    """As much area at random."""
    control, first = found["control"], found["first"]
    random_control(
        axes,
        first["probability"] - np.array(control["probabilities"]),
        np.array([name != found["classes_before"][0]["label"] for name in control["winners"]]),
        first["probability"] - first["probability_after"],
        found["flipped"],
        first["label"],
    )
    axes.set_title(f"as much area at random: p {control['p_value']:.3f}", **TITLE)


def second_heat_panel(axes: Axes, story: Story, found: Any) -> None:
    """What speaks for the class that wins without them."""
    again = found["explained_again"]
    values = by_number(again["segments"], "coefficient", story.n_segments)
    left = set(range(story.n_segments)) - set(found["segments"])
    heat_overlay(
        axes, only(story.pixels, story.off_pixels, story.segments, left), story.segments, values
    )
    axes.set_title(f"explained again: {shown_name(found['second']['label'], 18)}", **TITLE)


def second_coefficients_panel(axes: Axes, story: Story, found: Any) -> None:
    """Its coefficients."""
    again = found["explained_again"]
    rows, tied = again["segments"], again["separation"]["tied"]
    coefficients_by_rank(
        axes,
        [row["number"] for row in rows],
        by_number(rows, "coefficient", story.n_segments),
        by_number(rows, "low", story.n_segments),
        by_number(rows, "high", story.n_segments),
        min(story.top, len(rows)),
        tied if len(tied) > 1 else (),
        story.confidence,
    )
    axes.set_title(
        f"explained again: {shown_name(found['second']['label'], 26)}, R² {decimals(again['r2'])}",
        **TITLE,
    )


# Inches of a picture's side.
SIDE = 4.6
# Figures that are pictures; the others are charts.
PICTURES = ("segments", "heat", "top", "blanked", "second_heat")


def figures_of(story: Story) -> Iterator[tuple[str, Figure]]:
    """(name, figure), in the order in which they are told; what was not made is left out."""
    document = story.document
    figure = _figure(SIDE, SIDE + 0.3)
    numbers_panel(figure.subplots(), story, SIDE)
    yield "segments", figure
    figure = _figure(SIDE + 0.9, SIDE + 0.3)
    heat_panel(figure.subplots(), story)
    yield "heat", figure
    figure = _figure(2 * SIDE, SIDE + 0.3)
    only, without = figure.subplots(1, 2)
    top_panel(only, story)
    top_panel(without, story, without=True)
    yield "top", figure
    figure = _figure(wide(story.n_segments), 3.6)
    coefficients_panel(figure.subplots(), story)
    yield "coefficients", figure
    figure = _figure(5.2, 3.6)
    masks_panel(figure.subplots(), story)
    yield "masks", figure
    figure = _figure(5.2, 3.6)
    residuals_panel(figure.subplots(), story)
    yield "residuals", figure
    if document["curves"] is not None:
        figure = _figure(10, 3.8)
        left, right = figure.subplots(1, 2, sharey=True)
        curve_panels((left, right), story)
        right.set_ylabel("")
        yield "curves", figure
    if document["stability"] is not None:
        figure = _figure(6.5, 4.8)
        above, below = figure.subplots(2, 1, height_ratios=(1.5, 1))
        stability_panels((above, below), story)
        yield "stability", figure
    if document["counterfactual"] is not None:
        yield from _after_blanking(story)


def wide(n_segments: int) -> float:
    """Inches of the coefficients' figure."""
    return min(max(6.5, 0.3 * n_segments), 12)


def _after_blanking(story: Story) -> Iterator[tuple[str, Figure]]:
    found = story.document["counterfactual"]
    figure = _figure(SIDE, SIDE + 0.3)
    blanked_panel(figure.subplots(), story, found, SIDE)
    yield "blanked", figure
    figure = _figure(SIDE, SIDE + 0.3)
    before, after = figure.subplots(2, 1)
    class_panels((before, after), found)
    yield "classes", figure
    figure = _figure(6.5, 3.6)
    control_panel(figure.subplots(), found)
    yield "control", figure
    if found["explained_again"] is None:
        return
    figure = _figure(SIDE + 0.9, SIDE + 0.3)
    second_heat_panel(figure.subplots(), story, found)
    yield "second_heat", figure
    figure = _figure(wide(len(found["explained_again"]["segments"])), 3.6)
    second_coefficients_panel(figure.subplots(), story, found)
    yield "second_coefficients", figure


def _figure(width: float, height: float) -> Figure:
    return Figure(figsize=(width, height), layout="constrained", facecolor="white")
