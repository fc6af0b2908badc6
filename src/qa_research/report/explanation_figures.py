"""Each figure of an explanation alone."""

from collections.abc import Iterator

from matplotlib.figure import Figure

from qa_research.report.explanation_panels import (
    blanked_panel,
    class_panels,
    coefficients_panel,
    control_panel,
    curve_panels,
    heat_panel,
    masks_panel,
    numbers_panel,
    residuals_panel,
    second_coefficients_panel,
    second_heat_panel,
    stability_panels,
    top_panel,
)
from qa_research.report.explanation_story import Story

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
