import numpy as np
import pytest
from matplotlib.figure import Figure

from qa_research.figures.panels import Point, point_out
from tests.figures.drawn import collisions


@pytest.mark.parametrize(
    ("places", "sign"),
    [([0, 1, 2], 1), ([97, 98, 99], -1), ([50, 50, 50, 50], 1), ([3, 40, 41, 42, 90], -1)],
)
def test_names_stand_inside_the_panel_apart_from_each_other_and_from_the_data(places, sign):
    values = sign * np.linspace(1, 2, 100)
    figure = Figure(figsize=(6, 3), layout="constrained")
    panel = figure.subplots()
    panel.plot(values)
    points = [Point(x, float(values[x]), f"{x}: +{i},234 %", "black") for i, x in enumerate(places)]
    point_out(panel, points, 5.4)
    assert not collisions(figure)
    low, high = panel.get_ylim()
    for name in panel.texts:
        box = name.get_window_extent()
        corners = panel.transData.inverted().transform([(box.x0, box.y0), (box.x1, box.y1)])
        assert name.xyann[1] == (0.97 if sign > 0 else 0.03)
        assert low <= corners[0, 1] and corners[1, 1] <= high
    marks = panel.lines[1:]
    assert sorted(line.get_xdata()[0] for line in marks) == sorted(places)


def test_nothing_to_name_leaves_the_panel_as_it_was():
    panel = Figure().subplots()
    panel.plot([1, 2])
    before = panel.get_ylim()
    point_out(panel, [], 5)
    assert panel.get_ylim() == before and not panel.texts


def test_the_check_for_touching_texts_finds_some():
    figure = Figure(figsize=(3, 2))
    figure.text(0.5, 0.5, "one text")
    figure.text(0.52, 0.5, "another")
    figure.text(0.9, 0.1, "a text that leaves")
    assert collisions(figure) == [("one text", "another"), "a text that leaves"]
