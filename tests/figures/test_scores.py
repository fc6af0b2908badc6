import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg

from qa_research.figures.curves import ScoreCurves, exact_match_by_kind


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
    colours = {line.get_label(): line.get_color() for line in first.lines[:2]}
    assert colours["lookup"] != colours["match"] == first.lines[3].get_color()
    legend = [text.get_text() for text in first.get_legend().get_texts()]
    assert legend == ["lookup", "match", "match, guessing: 30 %"] and first.get_title() == "a"
