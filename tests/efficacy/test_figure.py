from dataclasses import replace

import numpy as np
import pytest

from qa_research.efficacy.figure import (
    STARTS,
    EfficacyCurve,
    efficacy_figure,
    efficacy_over_steps,
)
from qa_research.efficacy.standings import standings
from qa_research.figures.saving import save_figure
from tests.figures.drawn import collisions, texts
from tests.ledger.asking import SOURCE, state_of, write_search


def test_a_run_is_a_curve_over_its_steps_and_each_split_a_panel(ledger, tmp_path):
    for step in (100, 50):
        write_search(ledger, [True, False, False], state_of(step), goal="questions")
    write_search(ledger, [True], state_of(50, "r2", pretrained=True), replace(SOURCE, name="other"))
    figure = efficacy_figure(standings(ledger))
    first, second = figure.axes
    assert (first.get_title(), second.get_title()) == ("builtin validation", "other validation")
    (line,) = first.lines
    assert line.get_xdata().tolist() == [50, 100] and line.get_label() == "r1"
    assert line.get_ydata() == pytest.approx([100 / 3] * 2)
    for ending in ("png", "svg", "pdf"):
        save_figure(figure, tmp_path / "new" / f"a.{ending}")
        assert (tmp_path / "new" / f"a.{ending}").stat().st_size > 1000


def test_imported_states_of_one_model_are_one_curve(ledger):
    write_search(ledger, [True, False], state_of(50), goal="questions")
    (own,) = standings(ledger)
    states = [
        replace(own, state=replace(own.state, run_id=None, run=f"Bert-{step}-squad", step=step))
        for step in (3188, 1126)
    ]
    (line,) = efficacy_figure(states).axes[0].lines
    assert line.get_xdata().tolist() == [1126, 3188] and line.get_label() == "Bert-squad"


def test_nothing_to_plot_is_an_error(ledger):
    write_search(ledger, [True], state_of(50))
    (own,) = standings(ledger)
    with pytest.raises(ValueError, match="there is nothing to plot"):
        efficacy_figure([replace(own, state=replace(own.state, step=None))])


def curve(name, begin, percent, steps=(50, 100, 150), is_imported=False):
    values = np.array(percent, dtype=float)
    return EfficacyCurve(
        name, begin, np.array(steps), values, values - 3, values + 4, is_imported=is_imported
    )


def test_pretrained_and_random_share_a_panel_with_bands():
    figure = efficacy_over_steps(
        {
            "squad validation": [
                curve("minilm-a-s1", "pretrained", [5, 40, 60]),
                curve("minilm-b-s1", "random", [0, 3, 4]),
                curve("old", "unknown", [33], steps=(120,), is_imported=True),
            ]
        }
    )
    (panel,) = figure.axes
    lines = {line.get_label(): line for line in panel.lines}
    assert lines["minilm-a-s1"].get_color() == STARTS["pretrained"]
    assert lines["minilm-b-s1"].get_color() == STARTS["random"]
    bands = [c.get_paths()[0].get_extents() for c in panel.collections[:2]]
    assert (bands[0].ymin, bands[0].ymax) == (2, 64) and (bands[1].ymin, bands[1].ymax) == (-3, 8)
    assert panel.get_ylim()[0] == 0 and len(panel.containers) == 1
    shown = [text for text, _ in texts(figure)]
    assert {
        "minilm-a-s1",
        "minilm-b-s1",
        "old",
        "optimizer step",
        "questions answered right, %",
    } <= set(shown)
    assert collisions(figure) == []


def test_a_run_is_named_without_its_hash_and_looks_the_same_in_every_panel():
    a, b = "minilm-random-s1-0c4d489e", "minilm-random-s2-12345678"
    figure = efficacy_over_steps(
        {
            "one": [curve(a, "random", [1, 2, 3]), curve(b, "random", [2, 3, 4])],
            "other": [curve(b, "random", [5, 6, 7])],
        }
    )
    first, second = figure.axes
    styles = {line.get_label(): line.get_linestyle() for line in first.lines}
    assert second.lines[0].get_linestyle() == styles[b] != styles[a]
    assert [text.get_text() for text in second.texts] == ["minilm-random, seed 2"]
    twice = efficacy_over_steps(
        {"one": [curve(a, "random", [1, 2, 3]), curve(a[:-1] + "f", "random", [2, 3, 4])]}
    )
    assert {text.get_text() for text in twice.axes[0].texts} == {a, a[:-1] + "f"}


def test_many_runs_share_a_label_and_differ_in_style():
    curves = [curve(f"run{i}", "random" if i % 2 else "pretrained", [1, 2, 3]) for i in range(8)]
    figure = efficacy_over_steps({"a": curves, "b": curves[:2]})
    first, second = figure.axes
    assert {t.get_text() for t in first.texts} == {"pretrained (4 runs)", "random (4 runs)"}
    assert (
        len({line.get_linestyle() for line in first.lines if line.get_color() == STARTS["random"]})
        == 4
    )
    assert {t.get_text() for t in second.texts} == {"run0", "run1"}
    assert collisions(figure) == []


def test_every_panel_shows_its_highest_point():
    figure = efficacy_over_steps(
        {"low": [curve("a", "random", [5, 6, 7])], "high": [curve("b", "random", [50, 80, 90])]}
    )
    for panel in figure.axes:
        assert panel.get_ylim()[0] == 0 and panel.get_ylim()[1] > 94
