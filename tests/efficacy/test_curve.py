import numpy as np

from qa_research.efficacy.figure import COLOURS, EfficacyCurve, efficacy_over_steps
from tests.figures.drawn import collisions, texts


def curve(name, begin, percent, steps=(50, 100, 150), is_floor=False):
    values = np.array(percent, dtype=float)
    return EfficacyCurve(
        name, begin, np.array(steps), values, values - 3, values + 4, is_floor=is_floor
    )


def test_pretrained_and_random_stand_in_one_panel_with_bands():
    figure = efficacy_over_steps(
        {
            "squad validation": [
                curve("minilm-a-s1", "pretrained", [5, 40, 60]),
                curve("minilm-b-s1", "random", [0, 3, 4]),
                curve("old", "unknown", [33], steps=(120,), is_floor=True),
            ]
        }
    )
    (panel,) = figure.axes
    lines = {line.get_label(): line for line in panel.lines}
    assert lines["minilm-a-s1"].get_color() == COLOURS["pretrained"]
    assert lines["minilm-b-s1"].get_color() == COLOURS["random"]
    bands = [c.get_paths()[0].get_extents() for c in panel.collections[:2]]
    assert (bands[0].ymin, bands[0].ymax) == (2, 64) and (bands[1].ymin, bands[1].ymax) == (-3, 8)
    assert panel.get_ylim()[0] == 0 and len(panel.containers) == 1
    shown = [text for text, _ in texts(figure)]
    assert {"minilm-a-s1", "old", "optimizer step", "questions answered right, %"} <= set(shown)
    assert collisions(figure) == []


def test_many_runs_share_a_label_and_differ_in_style():
    curves = [curve(f"run{i}", "random" if i % 2 else "pretrained", [1, 2, 3]) for i in range(8)]
    figure = efficacy_over_steps({"a": curves, "b": curves[:2]})
    first, second = figure.axes
    assert [t.get_text() for t in first.get_legend().get_texts()] == [
        *("pretrained (4 runs)", "random (4 runs)")
    ]
    assert (
        len({line.get_linestyle() for line in first.lines if line.get_color() == COLOURS["random"]})
        == 4
    )
    assert [t.get_text() for t in second.get_legend().get_texts()] == ["run0", "run1"]
    assert collisions(figure) == []


def test_every_panel_shows_its_highest_point():
    figure = efficacy_over_steps(
        {"low": [curve("a", "random", [5, 6, 7])], "high": [curve("b", "random", [50, 80, 90])]}
    )
    for panel in figure.axes:
        assert panel.get_ylim()[0] == 0 and panel.get_ylim()[1] > 94
