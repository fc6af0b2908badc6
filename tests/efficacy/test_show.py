from dataclasses import replace

from qa_research.efficacy.show import show_standing, show_table
from qa_research.efficacy.standings import standings
from tests.ledger.asking import SOURCE, failed_row, row_of, state_of, write_search


def test_the_table_distinguishes_states_that_share_run_and_step(ledger, capsys):
    write_search(ledger, [True], state_of(50))
    write_search(ledger, [True], replace(state_of(50), weights="abcdef0123"))
    write_search(ledger, [True], state_of(100))
    show_table(standings(ledger))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:3] == ["run", "step", "data"]
    assert " 50 weight" in lines[1] and " 50 abcdef" in lines[2] and "  100  builtin" in lines[3]


def test_a_state_is_shown_with_all_its_estimates(ledger, capsys):
    for right in ([False, True], [True], [False, False, True]):
        write_search(ledger, right, state_of(50))
    write_search(ledger, [False] * 3, state_of(50))
    (standing,) = standings(ledger)
    show_standing(standing)
    out = capsys.readouterr().out
    assert "study/r1, step 50; builtin validation, 1,000 questions" in out
    assert "right      3 of 9: 33.3 [7.5, 70.1] %" in out and "asked      9 in 4 searches" in out
    assert "unbiased   unknown: 1 of 4 searches found no right answer" in out
    assert "needed     2,1,3,>3" in out and "observed over 4 searches: 2" in out
    assert "by kind    lookup" in out and "repeats    0 asked before" in out
    show_standing(replace(standing, ratio=None, first_gold=None, kinds={}, unbiased=None))
    assert "no question was answered" in capsys.readouterr().out


def test_a_model_without_right_answers_is_shown_what_it_needs_at_least(ledger, capsys):
    write_search(ledger, [False] * 20, state_of(50))
    show_standing(standings(ledger)[0])
    out = capsys.readouterr().out
    assert "none yet; at the upper end of the interval it needs 4 questions at the median" in out
    ten = replace(SOURCE, name="ten", fingerprint="f10", questions=2)
    write_search(ledger, [False] * 2, state_of(50), ten)
    show_standing(standings(ledger)[1])
    out = capsys.readouterr().out
    assert "0 of 2: 0.0 [exact] % (the whole split)" in out
    assert "finds none: no question of the split is answered right" in out


def test_unbiased_is_shown_from_two_searches_on_and_not_for_a_whole_split(ledger, capsys):
    write_search(ledger, [False, True], state_of(50), round_size=1)
    show_standing(standings(ledger)[0])
    one = capsys.readouterr().out
    assert "unknown: it takes two searches in one order; after one, right reads too high" in one
    write_search(ledger, [False, False, True], state_of(50), round_size=1)
    show_standing(standings(ledger)[0])
    assert "unbiased   25.0 % over 2 searches" in capsys.readouterr().out
    show_table(standings(ledger))
    assert "%: consistent, but too high on average after few searches" in capsys.readouterr().out
    cut = replace(state_of(50), weights="cut")
    for _ in range(2):
        write_search(ledger, [False, False, True], cut, round_size=2)
    show_standing(standings(ledger)[1])
    said = "unknown: it takes two searches in one order, each in whole rounds of one size"
    assert said in capsys.readouterr().out
    three = replace(SOURCE, name="three", fingerprint="f3", questions=3)
    write_search(ledger, [False, True, True], state_of(50), three)
    show_standing(standings(ledger)[1])
    whole = capsys.readouterr().out
    assert "66.7 [exact] % (the whole split)" in whole and "unbiased" not in whole


def test_failures_are_counted_under_the_table(ledger, capsys):
    assert failed_row(0).status == "failed" and row_of(0, True).status == "answered"
    write_search(ledger, [True], state_of(50))
    (standing,) = standings(ledger)
    show_table([replace(standing, failed=2)])
    assert "2 questions failed, counted neither as right nor as wrong" in capsys.readouterr().out
