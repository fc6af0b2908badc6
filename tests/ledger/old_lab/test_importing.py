import hashlib
import json
import sqlite3

import pytest
from typer.testing import CliRunner

from qa_research.cli.ledger import ledger_app
from qa_research.efficacy.standings import standings
from qa_research.ledger.old_lab.importing import import_old_lab
from qa_research.ledger.runs import Ledger
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
    assert pretrained.unbiased == 16 / 50 and random.unbiased == 14 / 1583
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
    # The last had two right answers in a round: twelve searches, which each count once.
    assert kept == [(17, 51), (7, 7), (1, 1), (15, 1584), (3, 3), (12, 354)]
    assert "14 of 39 are known only as a sum" in " ".join(imported.states[0].sentences)
    assert "12 of 354 questions (-1 right, +0 asked)" in " ".join(imported.states[5].sentences)
    with Ledger(ledger_path, read_only=True) as ledger:
        found = {standing.state.run: standing for standing in standings(ledger)}
    assert (found[PRETRAINED].ratio.right, found[PRETRAINED].ratio.asked) == (17, 51)
    # The sum of searches is not the length of a search.
    assert found[PRETRAINED].unbiased == 2 / 11 and found[PRETRAINED].observed.median == 3
    assert found["BertForQuestionAnswering-1126-data.json"].searches[0].ending == "right"
    assert [state.bounds for state in imported.states][:2] == [(1 / 3, 1.0), (1.0, 1.0)]
    assert imported.states[3].bounds == (15 / 1584, 15 / 1554)


def test_an_index_beyond_squad_makes_its_size_unknown(place, ledger_path):
    path = write_old_lab(place, [(RANDOM, 1, 3, "3")], [(1, 3, "1,2,87599")])
    imported = import_old_lab(path, ledger_path)
    assert any("beyond the 87,599 questions of squad" in note for note in imported.general)
    assert rows(ledger_path, "SELECT questions FROM sources") == [(None,)]


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


def test_a_failed_import_leaves_nothing_behind(place, ledger_path):
    write_old_lab(place, [(RANDOM, 1, 3, "3")])
    with Ledger(ledger_path) as ledger, ledger.writing() as connection:
        connection.execute(
            "CREATE TRIGGER no_searches BEFORE INSERT ON searches "
            "BEGIN SELECT RAISE(ABORT, 'the disk is full'); END"
        )
    with pytest.raises(sqlite3.IntegrityError):
        import_old_lab(place, ledger_path)
    for table in ("imports", "states", "sources"):
        assert rows(ledger_path, f"SELECT count(*) FROM {table}") == [(0,)]


def test_the_verb_explains_every_state(place, tmp_path):
    path = write_old_lab(
        place,
        [(RANDOM, "15", 1584, as_text(LONG)), (CUSTOM, 2, 2, "1,1")],
        [(1, "33", as_text([*index_list(30)]) + ",")],
    )
    shown = CliRunner().invoke(ledger_app, ["import", str(path), "--runs", str(tmp_path)])
    assert shown.exit_code == 0
    assert "2 states, 17 searches, 30 asked questions known by their index" in shown.stdout
    assert "stored 15 of 1,584, kept 15 of 1,581" in shown.stdout
    low, high = f"{1500 / 1581:.2f} %", f"{1500 / 1551:.2f} %"
    assert (
        f"between {low} and {high} right, because each round of three was counted in full"
        in shown.stdout
    )
    assert "(+0 right, -3 asked)" in shown.stdout and "  100.00 % right" in shown.stdout
    other = CliRunner().invoke(
        ledger_app, ["import", str(path), "--runs", str(tmp_path / "other"), "--json"]
    )
    found = json.loads(other.stdout)
    assert found["states"][0]["stored"] == {"right": 15, "asked": 1584}
    assert found["states"][0]["kept"] == {"right": 15, "asked": 1581}
    assert found["states"][0]["between"] == [15 / 1581, 15 / 1551]
    assert found["states"][0]["corrections"][0]["asked"] == -3
    assert found["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest() and found["notes"]
