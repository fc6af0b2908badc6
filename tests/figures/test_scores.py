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


def test_several_runs_have_the_interval_of_their_mean_over_the_steps_they_share():
    runs = [
        ScoreCurves(np.array([1, 2, 3][:n]), {"match": np.array(values[:n], dtype=float)})
        for n, values in ((3, [19, 58, 60]), (2, [20, 60]), (3, [21, 62, 90]))
    ]
    (panel,) = exact_match_by_kind({"a": runs}, {}).axes
    (band,) = panel.collections
    box = band.get_paths()[0].get_extents()
    # By hand: t(2, 0.975) = 4.3027 and sqrt(3) = 1.7321. At step 1 the mean is 20 and the standard deviation
    # 1, so 20 - 2.48; at step 2 they are 60 and 2, so 60 + 4.97.
    assert (box.xmin, box.xmax) == (1, 2)
    assert (box.ymin, box.ymax) == pytest.approx((17.516, 64.968), abs=0.001)
