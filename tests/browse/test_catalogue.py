import json
import os
import random
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qa_research.browse.catalogue import PLACES, Catalogue, hit_in
from qa_research.console import start_logging
from qa_research.tasks.answering.question import Gold, Question
from qa_research.tasks.answering.source import NamedSource, find_source
from qa_research.tasks.answering.squad import squad_json

ODD = [
    Question(
        "ä/1", "Straße", "100 % of 'it'_\"x\" isn't\nhere.", "Wo?", (Gold("100 %", 0),), "other"
    ),
    Question("ä/2", "", "Die Straße ist naß.", "ÜBER was?", (), "what"),
    Question("ä/3", "", "ab and b", "Which?", (Gold("ab", 0), Gold("b", 7), Gold("b", 1)), "which"),
]


def source_of(rows: list[Question], name: str = "here", state: str = "1") -> NamedSource:
    return NamedSource("--data", name, None, name, state, (384, 128), lambda: list(rows))


def unread(source: NamedSource) -> NamedSource:
    """The same source, which must not be read any more."""

    def read() -> list[Question]:
        raise AssertionError("it was read again")

    return replace(source, read=read)


@pytest.fixture
def rows(questions) -> list[Question]:
    return [*questions, *ODD]


def test_questions_come_back_as_they_were(rows, tmp_path):
    with Catalogue(source_of(rows), tmp_path) as catalogue:
        assert len(catalogue) == len(rows)
        assert [catalogue.question(i) for i in range(len(rows))] == rows == catalogue.all()
        assert catalogue.at([3, 99, 0]) == [rows[3], rows[0]]
        assert catalogue.has_unanswerable


def test_what_is_said_of_an_answer_comes_back(rows, tmp_path):
    odd = [replace(rows[0], answers=(), is_labelled=False), replace(rows[1], fault="both")]
    with Catalogue(source_of(odd), tmp_path) as catalogue:
        assert catalogue.all() == odd and not catalogue.has_unanswerable


def test_the_second_opening_does_not_read_the_source(rows, tmp_path, capsys):
    start_logging()
    Catalogue(source_of(rows), tmp_path).close()
    assert "Reading here\nLater calls read it from" in capsys.readouterr().err
    with Catalogue(unread(source_of(rows)), tmp_path) as catalogue:
        assert catalogue.all() == rows
    assert capsys.readouterr().err == ""


def test_a_source_in_another_state_is_read_again_and_the_old_catalogue_removed(rows, tmp_path):
    Catalogue(source_of(rows), tmp_path).close()
    Catalogue(source_of(rows, name="other"), tmp_path).close()
    with Catalogue(source_of(rows[:2], state="2"), tmp_path) as catalogue:
        assert len(catalogue) == 2
    assert len(list(tmp_path.iterdir())) == 2
    Catalogue(unread(source_of(rows, name="other")), tmp_path).close()


@pytest.mark.parametrize(
    ("text", "place", "ids"),
    [
        ("MS LUND", None, ["q0", "q1", "q2", "q3"]),
        ("ms lund", "question", ["q3"]),
        ("ms lund", "answer", ["q0"]),
        ("über", None, ["ä/2"]),
        ("STRASSE", "context", ["ä/2"]),
        ("NASS", None, ["ä/2"]),
        ("%", None, ["ä/1"]),
        ("_", None, ["ä/1"]),
        ("'it'_\"x\" ISN'T\nhere", None, ["ä/1"]),
        ("[a-z]*", None, []),
        ("abb", "answer", []),
        ("b", "answer", ["q4", "ä/3"]),
        ("  ms", None, []),
    ],
)
def test_search_takes_any_text_literally_but_for_its_case(rows, tmp_path, text, place, ids):
    with Catalogue(source_of(rows), tmp_path) as catalogue:
        assert [rows[i].id for i in catalogue.search(text, place)] == ids


@pytest.mark.parametrize(
    "separator", ["\x1f", "\x1e", "\x00", "\n", "\t", ",", '", "', "|", "%", "_"]
)
def test_no_search_matches_across_two_texts(tmp_path, separator):
    """Nor is a separator found that only joins texts; one within a text is found like any letter."""
    golds = (Gold("a", 0), Gold("b", 2))
    apart = Question("apart", "b", f"a b{separator}", "b?", golds, "other")
    within = replace(apart, id="within", answers=(Gold(f"a{separator}b", 0),))
    with Catalogue(source_of([apart, within]), tmp_path) as catalogue:
        assert catalogue.search(f"a{separator}b") == [1]
        assert catalogue.search(f"{separator}b", "answer") == [1]
        assert catalogue.search(f"a{separator}", "answer") == [1]
        assert catalogue.search(f"b{separator}", "answer") == []
        assert catalogue.search(f"b{separator}", "context") == [0, 1]
        assert catalogue.search(f"b?{separator}a") == []


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.text(alphabet="msLUNDeß b%_'\"\x1f\x00", min_size=1, max_size=4).filter(str.strip),
    st.sampled_from([None, *PLACES]),
)
def test_search_finds_what_looking_at_every_question_finds(catalogue, text, place):
    wanted = [i for i, row in enumerate(catalogue.all()) if hit_in(i, row, text, place).matches]
    assert catalogue.search(text, place) == wanted


@pytest.fixture
def catalogue(rows, tmp_path):
    with Catalogue(source_of(rows), tmp_path) as opened:
        yield opened


def test_an_empty_search_is_refused(catalogue):
    for text in ("", " \n"):
        with pytest.raises(ValueError, match="the text to search for is empty"):
            catalogue.search(text)


def test_half_a_character_cannot_be_searched(catalogue):
    with pytest.raises(ValueError, match=r"not valid Unicode: 'x\\udc80'"):
        catalogue.search("x\udc80")


def test_an_index_out_of_range_names_the_range(catalogue):
    for index in (11, -1, 10**30):
        with pytest.raises(
            ValueError, match=f"no question {index}: --data=here has the indices 0 to 10"
        ):
            catalogue.question(index)


def test_ids_are_found_and_repeated_ones_all(rows, tmp_path):
    twice = [*rows, replace(rows[2], question="Again?")]
    with Catalogue(source_of(twice), tmp_path) as catalogue:
        assert catalogue.indices_of("ä/1") == [8]
        assert catalogue.indices_of("q2") == [2, 11]


@pytest.mark.parametrize(
    "wrong",
    [
        "56de49a8cffd8e1900b4b7aX",
        "X6de49a8cffd8e1900b4b7a7",
        "56de49a8cffd8e190b4b7a7",
        "56DE49A8CFFD8E1900B4B7A7",
    ],
)
def test_an_unknown_id_is_answered_with_the_nearest(rows, tmp_path, wrong):
    near = [replace(rows[0], id=f"56de49a8cffd8e1900b4b7a{i}") for i in range(8)]
    with (
        Catalogue(source_of([*rows, *near]), tmp_path) as catalogue,
        pytest.raises(ValueError, match=f"has the id '{wrong}'; the closest: 56de49a8"),
    ):
        catalogue.indices_of(wrong)


def test_an_id_like_no_other_gets_no_suggestion(catalogue):
    for wrong in ("nothing like it", "", "\U0010ffff"):
        with pytest.raises(ValueError) as refusal:
            catalogue.indices_of(wrong)
        assert "closest" not in str(refusal.value)


def no_database(path: Path) -> None:
    path.write_bytes(b"no database" * 1000)


def cut_short(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 5000)


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def another_database(path: Path) -> None:
    path.unlink()
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE t (x)")
    other.close()


def random_inside(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[4096:] = random.Random(1).randbytes(len(content) - 4096)
    path.write_bytes(content)


@pytest.mark.parametrize(
    "damage", [no_database, cut_short, emptied, another_database, random_inside]
)
def test_a_damaged_catalogue_is_made_again_with_a_warning(rows, tmp_path, capsys, damage):
    start_logging()
    source = source_of(rows)
    with Catalogue(source, tmp_path) as catalogue:
        path = catalogue.path
    damage(path)
    capsys.readouterr()
    with Catalogue(source, tmp_path) as catalogue:
        assert catalogue.search("ms lund", "answer") == [0]
        assert catalogue.all() == rows
    assert f"The catalogue {path} is damaged" in capsys.readouterr().err
    Catalogue(unread(source), tmp_path).close()


@pytest.mark.parametrize(
    "flips", [10, pytest.param(200, marks=pytest.mark.slow)], ids=["some", "two hundred"]
)
def test_no_flipped_bit_is_believed(rows, tmp_path, capsys, flips):
    start_logging()
    source = source_of(rows)
    with Catalogue(source, tmp_path) as catalogue:
        path = catalogue.path
    draw = random.Random(20261126)
    for _ in range(flips):
        content = bytearray(path.read_bytes())
        content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
        path.write_bytes(content)
        capsys.readouterr()
        with Catalogue(source, tmp_path) as catalogue:
            assert catalogue.all() == rows
        assert f"The catalogue {path} is damaged" in capsys.readouterr().err


def test_where_the_cache_cannot_be_written_it_works_from_memory(rows, tmp_path, capsys):
    start_logging()
    (tmp_path / "file").touch()
    with Catalogue(source_of(rows), tmp_path / "file" / "cache") as catalogue:
        assert catalogue.all() == rows and catalogue.search("über") == [9]
    note = capsys.readouterr().err
    assert "The catalogue cannot be kept in" in note and "--cache DIR names another" in note


def test_empty_sources_and_half_characters_are_refused_and_leave_no_file(rows, tmp_path):
    with pytest.raises(ValueError, match="here has no questions"):
        Catalogue(source_of([]), tmp_path / "a")
    half = replace(rows[0], question="Who \ud83d?")
    with pytest.raises(
        ValueError, match="one of the questions 0 to 11 has half a character.*: id "
    ):
        Catalogue(source_of([*rows, half]), tmp_path / "b")
    assert list(tmp_path.glob("*/*")) == []


def test_equal_contexts_are_kept_once(rows, tmp_path):
    with Catalogue(source_of(rows), tmp_path) as catalogue:
        path = catalogue.path
    database = sqlite3.connect(path)
    assert database.execute("SELECT count(*) FROM contexts").fetchone() == (5,)
    database.close()


def test_a_file_is_catalogued_as_it_is_read(questions, tmp_path):
    file = tmp_path / "a file with 100% odd 'name'?.json"
    file.write_text(json.dumps(squad_json(questions, "1.1")))
    with Catalogue(find_source(str(file), None), tmp_path / "cache #1") as catalogue:
        assert [row.id for row in catalogue.all()] == [row.id for row in questions]
    Catalogue(unread(find_source(str(file), None)), tmp_path / "cache #1").close()
