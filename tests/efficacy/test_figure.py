import json
from dataclasses import replace

import pytest

from qa_research.efficacy.figure import efficacy_figure, save_figure
from qa_research.efficacy.show import show_standing, show_table
from qa_research.efficacy.standings import standings
from qa_research.ledger.runs import Ledger
from tests.ledger.asking import SOURCE, failed_row, row_of, state_of, write_search


@pytest.fixture
def ledger(tmp_path):
    with Ledger(tmp_path / "runs" / "ledger.sqlite") as opened:
        yield opened


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


def test_nothing_to_plot_is_said(ledger):
    write_search(ledger, [True], state_of(50))
    (own,) = standings(ledger)
    with pytest.raises(ValueError, match="there is nothing to plot"):
        efficacy_figure([replace(own, state=replace(own.state, step=None))])


def test_json_has_percent_and_null_where_nothing_was_answered(ledger):
    write_search(ledger, [True, False, False, False], state_of(50), goal="questions")
    plain = json.loads(json.dumps(standings(ledger)[0].as_json()))
    assert plain["ratio"] == {
        "right": 1,
        "asked": 4,
        "percent": 25,
        "percent_95": pytest.approx([0.631, 80.588], abs=1e-3),
    }
    assert plain["unbiased_percent"] is None and plain["is_imported"] is False
    assert plain["state"]["step"] == 50 and plain["kinds"]["lookup"]["right"] == 1


def test_the_table_tells_states_apart_that_share_run_and_step(ledger, capsys):
    write_search(ledger, [True], state_of(50))
    write_search(ledger, [True], replace(state_of(50), weights="abcdef0123"))
    write_search(ledger, [True], state_of(100))
    show_table(standings(ledger))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:3] == ["run", "step", "data"]
    assert " 50 weight" in lines[1] and " 50 abcdef" in lines[2] and "  100  builtin" in lines[3]


def test_a_state_is_told_with_all_its_estimates(ledger, capsys):
    for right in ([False, True], [True], [False, False, True]):
        write_search(ledger, right, state_of(50))
    write_search(ledger, [False] * 3, state_of(50))
    (standing,) = standings(ledger)
    show_standing(standing)
    out = capsys.readouterr().out
    assert "study/r1, step 50; builtin validation, 1,000 questions" in out
    assert "right      3 of 9: 33.3 [7.5, 70.1] %" in out and "asked      9 in 4 searches" in out
    assert "unbiased   40.0 % over 3 searches; excludes 1 that found none, so it is too high" in out
    assert "needed     2,1,3,>3" in out and "observed over 4 searches: 2" in out
    assert "by kind    lookup" in out and "repeats    0 asked before" in out
    show_standing(replace(standing, ratio=None, first_gold=None, kinds={}, unbiased=None))
    assert "no question was answered" in capsys.readouterr().out


def test_who_knows_nothing_is_told_what_it_needs_at_least(ledger, capsys):
    write_search(ledger, [False] * 20, state_of(50))
    show_standing(standings(ledger)[0])
    assert "has found none yet; needs at least 4 questions at the median" in capsys.readouterr().out
    ten = replace(SOURCE, name="ten", fingerprint="f10", questions=2)
    write_search(ledger, [False] * 2, state_of(50), ten)
    show_standing(standings(ledger)[1])
    out = capsys.readouterr().out
    assert "0 of 2: 0.0 [exact] % (the whole split)" in out
    assert "finds none: no question of the split is answered right" in out


def test_failures_are_counted_under_the_table(ledger, capsys):
    assert failed_row(0).status == "failed" and row_of(0, True).status == "answered"
    write_search(ledger, [True], state_of(50))
    (standing,) = standings(ledger)
    show_table([replace(standing, failed=2)])
    assert "2 questions failed, counted neither as right nor as wrong" in capsys.readouterr().out
