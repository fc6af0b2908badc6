import hashlib
import json
import sqlite3

import pytest
from typer.testing import CliRunner

from qa_research.cli.ledger import ledger_app
from qa_research.cli.squad import squad_app
from qa_research.efficacy.show import show_standing, show_table
from qa_research.efficacy.standings import Repeat, repeated, standings
from qa_research.ledger.database import VERSION
from qa_research.ledger.old_lab.importing import import_old_lab
from qa_research.ledger.runs import Ledger
from qa_research.stats import exact_ratio
from tests.ledger.old_lab.databases import (
    CUSTOM,
    LATER,
    LONG,
    PRETRAINED,
    RANDOM,
    SHORT,
    as_text,
    index_list,
    rows,
    write_old_lab,
)


def test_what_the_old_lab_counted_is_in_the_standings(place, ledger_path):
    states = [(PRETRAINED, "17", 51, as_text(SHORT)), (RANDOM, 15, 1584, as_text(LONG))]
    import_old_lab(write_old_lab(place, states), ledger_path)
    with Ledger(ledger_path, read_only=True) as ledger:
        pretrained, random = standings(ledger)
    assert (pretrained.ratio.right, pretrained.ratio.asked) == (17, 51)
    assert (random.ratio.right, random.ratio.asked) == (15, 1584)
    # In rounds of three: 17 searches in 17 rounds with 17 right answers, and 15 in 528 with 15.
    assert pretrained.unbiased == pytest.approx(17 / 51)
    assert random.unbiased == pytest.approx(14 / 527 / 3)
    assert (pretrained.state.step, pretrained.state.pretrained) == (1026, True)
    assert (random.state.step, random.state.pretrained) == (1126, False)
    assert pretrained.is_imported and pretrained.state.run_id is None
    assert (pretrained.source.name, pretrained.source.split) == ("squad", "train")
    assert pretrained.source.questions == 87_599 and pretrained.source.fingerprint is None
    assert len(rows(ledger_path, "SELECT * FROM sources")) == 1
    assert random.observed.median == 69
    # Nothing is known of single answers.
    assert random.asked == 0 and random.first_gold is None and random.mean_f1 is None


def test_the_tables_of_the_published_database_give_its_own_sums(place, ledger_path):
    """As its README shows them; where sample_seq was begun later the sums know more than it."""
    states = [
        (PRETRAINED, 17, 51, "3,3,6"),
        ("BertForQuestionAnswering-1026-data.json", 7, 7, ""),
        ("BertForQuestionAnswering-1126-data.json", 1, 1, None),
        (RANDOM, 15, 1584, as_text(LONG[:9])),
        ("BertForQuestionAnswering-10-data.json", 3, 3, "1,1,1"),
        (LATER, 13, 354, "81,6,18,63,3,48,57,9,3,3,27,36"),
    ]
    imported = import_old_lab(write_old_lab(place, states), ledger_path)
    kept = [(state.right, state.asked) for state in imported.states]
    # The last had two right answers in a round that ended one of its twelve searches.
    assert kept == [(17, 51), (7, 7), (1, 1), (15, 1584), (3, 3), (13, 354)]
    assert "14 of 39 are known only as a sum" in " ".join(imported.states[0].sentences)
    assert "13 right answers in 12 searches" in " ".join(imported.states[5].sentences)
    assert imported.states[5].corrections == ()
    with Ledger(ledger_path, read_only=True) as ledger:
        found = {standing.state.run: standing for standing in standings(ledger)}
    assert (found[PRETRAINED].ratio.right, found[PRETRAINED].ratio.asked) == (17, 51)
    # The sum of searches is not the length of a search.
    assert found[PRETRAINED].observed.median == 3 and found[PRETRAINED].unbiased is None
    assert found[LATER].unbiased == pytest.approx(11 / 117 * 13 / 12 / 3)
    assert found[LATER].ratio == exact_ratio(13, 354) and found[LATER].observed.median == 18
    assert found["BertForQuestionAnswering-1126-data.json"].searches[0].ending == "right"
    assert imported.states[3].ratio == exact_ratio(15, 1584)


def test_a_row_with_an_index_that_is_in_no_data_is_skipped(place, ledger_path):
    path = write_old_lab(place, [(RANDOM, 2, 6, "3,3")], [(1, 3, "1,2,87598"), (1, 3, "1,2,87599")])
    imported = import_old_lab(path, ledger_path)
    assert imported.general == (
        "row 2 of sample_indices was skipped because the index 87599 is beyond the 87,599 questions of squad",
    )
    assert rows(ledger_path, "SELECT questions FROM sources") == [(87_599,)]
    assert rows(ledger_path, "SELECT number FROM asked") == [(1,), (2,), (87_598,)]


def test_the_same_file_is_refused_and_a_later_one_is_added(place, ledger_path):
    import_old_lab(write_old_lab(place, [(RANDOM, 1, 3, "3")]), ledger_path)
    with pytest.raises(ValueError, match=r"has already been imported, as stack_trace\.db at 20"):
        import_old_lab(place, ledger_path)
    assert rows(ledger_path, "SELECT count(*) FROM states") == [(1,)]
    connection = sqlite3.connect(place)
    connection.execute(
        "UPDATE model_efficacy SET correct_num = 2, sample_num = 9, sample_seq = '3,6'"
    )
    connection.commit()
    connection.close()
    imported = import_old_lab(place, ledger_path)
    assert f"{RANDOM} was also imported from stack_trace.db" in imported.general[0]
    with Ledger(ledger_path, read_only=True) as ledger:
        assert [s.ratio.asked for s in standings(ledger)] == [3, 9]


def crashed_and_replayed(place):
    """Six searches with two crashes, two replays and a round with two right answers."""
    # stored 7 right of 42 = 9 + 9 + 6 + 3 + 3 + 12
    # the crashes:  a round of 104 alone, and one of 204 and 205: 3 + 3 questions that were not answered
    # the replays:  304, 305, 306 twice again: 2 right, 6 asked
    # so kept       7 - 2 = 5 right of 42 - 6 - 6 = 30, in 4 searches of 6, 6, 6 and 12
    return write_old_lab(
        place,
        [(LATER, "7", "42", "9,9,6,3,3,12"), (RANDOM, "a few", 9, "9")],
        [
            ("1", "9", "101,102,103,104,,105,106,107"),
            (1, 9, "201,202,203,204,205,,206,207,208"),
            (1, 6, "301,302,303,304,305,306"),
            (1, 3, "304,305,306"),
            (1, 3, "304,305,306"),
            (1, 12, "601,602,103,604,605,606,607,608,609,610,611,612"),
            (1, 3, "1,two,3"),
        ],
    )


def test_crashes_replays_and_a_second_right_answer_give_the_counts_by_hand(place, ledger_path):
    imported = import_old_lab(crashed_and_replayed(place), ledger_path)
    (state,) = imported.states
    assert (state.right, state.asked, state.ratio) == (5, 30, exact_ratio(5, 30))
    assert [(c.right, c.asked) for c in state.corrections] == [(-2, -6), (0, -6)]
    assert [s.asked for s in state.searches if not s.is_sum] == [6, 6, 6, 12]
    with Ledger(ledger_path, read_only=True) as ledger:
        (standing,) = standings(ledger)
    assert standing.ratio == exact_ratio(5, 30) and standing.failed == 2
    # 4 searches in 10 rounds with 5 right answers.
    assert standing.observed.median == 6 and standing.unbiased == pytest.approx(3 / 9 * 5 / 4 / 3)
    asked = rows(ledger_path, "SELECT number, status FROM asked WHERE number IN (104, 204, 205)")
    assert sorted(asked) == [(104, "failed"), (204, "not kept"), (205, "failed")]
    assert rows(ledger_path, "SELECT told_row FROM states") == [(1,)]
    kept = rows(ledger_path, "SELECT told_row FROM searches WHERE goal = 'right'")
    assert kept == [(1,), (2,), (3,), (6,)]


def test_repeats_name_the_records_of_the_old_lab(place, ledger_path):
    import_old_lab(crashed_and_replayed(place), ledger_path)
    with Ledger(ledger_path, read_only=True) as ledger:
        (found,) = repeated(ledger)
    assert found.questions == (Repeat(103, None, None, 2, (1, 6)),)
    shown = CliRunner().invoke(squad_app, ["repeats", "--runs", str(ledger_path.parent)])
    assert "  2 times    103  in records 1 & 6 of sample_indices" in shown.stdout


def test_a_record_that_has_a_question_twice_is_named_once(place, ledger_path):
    write_old_lab(place, [(LATER, 2, 9, "6,3")], [(1, 6, "11,12,13,11,14,15"), (1, 3, "11,16,17")])
    import_old_lab(place, ledger_path)
    with Ledger(ledger_path, read_only=True) as ledger:
        (found,) = repeated(ledger)
    assert found.questions == (Repeat(11, None, None, 3, (1, 2)),)


def test_repeats_of_a_state_without_indices_are_not_known(place, ledger_path):
    import_old_lab(write_old_lab(place, [(RANDOM, 1, 3, "3")]), ledger_path)
    shown = CliRunner().invoke(squad_app, ["repeats", "--runs", str(ledger_path.parent)])
    assert "squad train: it is not known which questions were asked" in shown.stdout


def test_importing_twice_changes_nothing(place, ledger_path):
    import_old_lab(crashed_and_replayed(place), ledger_path)
    before = dump(ledger_path)
    with pytest.raises(ValueError, match="already been imported, as .* nothing was changed"):
        import_old_lab(place, ledger_path)
    assert dump(ledger_path) == before


def test_an_import_of_version_0_2_is_replaced_and_its_ledger_read_until_then(place, ledger_path):
    import_old_lab(crashed_and_replayed(place), ledger_path)
    connection = sqlite3.connect(ledger_path)
    connection.executescript(
        "ALTER TABLE states DROP COLUMN told_row; ALTER TABLE searches DROP COLUMN told_row;"
        "UPDATE searches SET told_counted = 1; PRAGMA user_version = 2;"
    )
    connection.close()
    with Ledger(ledger_path, read_only=True) as ledger:
        (found,) = repeated(ledger)
    assert found.questions == (Repeat(103, None, None, 2),) and found.standing.ratio.asked == 5
    imported = import_old_lab(place, ledger_path)
    assert "replaces the import of 20" in imported.notes[-3] + imported.general[-1]
    with Ledger(ledger_path, read_only=True) as ledger:
        assert [s.ratio for s in standings(ledger)] == [exact_ratio(5, 30)]
    for table in ("imports", "sources"):
        assert rows(ledger_path, f"SELECT count(*) FROM {table}") == [(1,)]
    assert rows(ledger_path, "PRAGMA user_version") == [(VERSION,)]


def test_nothing_is_said_of_imported_ratios_that_their_rounds_do_not_allow(
    place, ledger_path, capsys
):
    import_old_lab(crashed_and_replayed(place), ledger_path)
    with Ledger(ledger_path, read_only=True) as ledger:
        (standing,) = standings(ledger)
    show_standing(standing)
    show_table([standing])
    out = capsys.readouterr().out
    assert "imported   all right of all asked, in rounds of three: consistent" in out
    assert "imported: all right of all asked, in rounds of three: consistent" in out
    assert "unbiased   13.9 % over 4 searches" in out and "higher" not in out


def dump(ledger_path):
    """All that a ledger has, as statements."""
    connection = sqlite3.connect(ledger_path)
    statements = list(connection.iterdump())
    connection.close()
    return statements


def test_a_failed_import_leaves_nothing_behind(place, ledger_path):
    write_old_lab(place, [(RANDOM, 2, 6, "3,3")])
    with Ledger(ledger_path) as ledger, ledger.writing() as connection:
        # The second search cannot be written.
        connection.execute("CREATE UNIQUE INDEX one_search ON searches (draw * 0)")
    with pytest.raises(sqlite3.IntegrityError):
        import_old_lab(place, ledger_path)
    for table in ("imports", "states", "sources"):
        assert rows(ledger_path, f"SELECT count(*) FROM {table}") == [(0,)]


def test_the_verb_explains_every_state(place, tmp_path):
    path = write_old_lab(
        place,
        [(RANDOM, "15", 1584, as_text(LONG)), (CUSTOM, 2, 2, "1,1")],
        [(1, "33", f"5,,{as_text(index_list(30))}")],
    )
    shown = CliRunner().invoke(ledger_app, ["import", str(path), "--runs", str(tmp_path)])
    assert shown.exit_code == 0
    assert "2 states, 17 searches, 31 asked questions known by their index" in shown.stdout
    assert "stored 15 of 1,584, kept 15 of 1,581" in shown.stdout
    assert "  0.95 [0.53, 1.56] % right\n" in shown.stdout
    assert "  100.00 [15.81, 100.00] % right\n" in shown.stdout
    assert "(+0 right, -3 asked)" in shown.stdout
    assert "data.json is custom data, of which the old lab asked the first question" in shown.stdout
    assert "consistent, but too high on average after few searches" in shown.stdout
    other = CliRunner().invoke(
        ledger_app, ["import", str(path), "--runs", str(tmp_path / "other"), "--json"]
    )
    found = json.loads(other.stdout)
    assert found["states"][0]["stored"] == {"right": 15, "asked": 1584}
    assert found["states"][0]["kept"] == {"right": 15, "asked": 1581}
    assert found["states"][0]["percent"] == pytest.approx(1500 / 1581)
    assert found["states"][0]["percent_95"] == pytest.approx([0.532, 1.560], abs=1e-3)
    assert found["states"][0]["corrections"][0]["asked"] == -3
    assert found["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest() and found["notes"]
