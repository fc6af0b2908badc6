import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from qa_research.figures.curves import ScoreCurves, exact_match_by_kind
from tests.figures.drawn import collisions


def test_every_run_and_kind_is_a_line_and_guessing_a_dashed_one():
    run = ScoreCurves(
        steps=np.array([1, 2, 3]),
        exact_match={"lookup": np.array([1.0, 50, 99]), "match": np.array([1.0, 20, 30])},
    )
    figure = exact_match_by_kind(
        {"a": [run, run], "b": [run]}, {"lookup": 100, "match": 30, "all": 65}
    )
    FigureCanvasAgg(figure).draw()
    first, second = figure.axes
    assert (len(first.lines), len(second.lines)) == (5, 3)
    assert [line.get_linestyle() for line in second.lines].count("--") == 1
    assert first.get_legend() is None and first.get_title() == "a"
    looks = [{text.get_text(): text.get_color() for text in panel.texts} for panel in figure.axes]
    assert looks[0] == looks[1] and set(looks[0]) == {"lookup", "match", "match, guessing: 30 %"}
    assert looks[0]["lookup"] != looks[0]["match"] == looks[0]["match, guessing: 30 %"]
    assert not collisions(figure)


def curves(values):
    return [ScoreCurves(np.arange(1, len(v) + 1), {"match": np.array(v, float)}) for v in values]


def test_five_runs_have_the_interval_of_their_mean_over_the_steps_they_share():
    runs = curves([[18, 58, 60], [19, 58], [20, 60, 70], [21, 62, 90], [22, 62, 90]])
    (panel,) = exact_match_by_kind({"a": runs}, {}).axes
    (band,) = panel.collections
    box = band.get_paths()[0].get_extents()
    # By hand: t(4, 0.975) = 2.7764 and sqrt(5) = 2.2361. At step 1 the mean is 20 and the standard deviation
    # sqrt(2.5) = 1.5811, so 20 - 1.9632; at step 2 they are 60 and 2, so 60 + 2.4833.
    assert (box.xmin, box.xmax) == (1, 2)
    assert (box.ymin, box.ymax) == pytest.approx((18.037, 62.483), abs=0.001)


@pytest.mark.parametrize("n", [1, 3, 4])
def test_few_runs_are_drawn_as_lines_alone(n):
    # At a jump one run is up and the others are not: the interval would span all that there is.
    runs = curves([[30, 30, 95], [30, 95, 95], [30, 40, 95], [30, 31, 95]][:n])
    (panel,) = exact_match_by_kind({"a": runs}, {}).axes
    assert len(panel.lines) == n and not panel.collections
    assert len({str(line.get_linestyle()) + str(line._dash_pattern) for line in panel.lines}) == n
