"""Which validation questions choose: whole contexts, about the share, whatever the run's model and seed."""

import json
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qa_research.tasks.answering.choosing import (
    choosing_ids,
    context_digest,
    divided,
    note_on_choosing,
    those_left,
)
from qa_research.tasks.answering.corpus import generate
from qa_research.tasks.answering.data import FileData
from qa_research.tasks.answering.squad import squad_json
from tests.conftest import make_question
from tests.tasks.answering.test_data import SETTINGS


def about(*sizes: int):
    """Questions about contexts of these numbers of questions."""
    contexts = [f"Ms Lund teaches chess on day {i}." for i, n in enumerate(sizes) for _ in range(n)]
    return [make_question(i, "Who?", "Ms Lund", context) for i, context in enumerate(contexts)]


@given(
    st.lists(st.integers(1, 40), min_size=2, max_size=40).filter(lambda sizes: sum(sizes) >= 100),
    st.floats(0.01, 0.99),
    st.integers(0, 3),
)
def test_whole_contexts_choose_and_something_is_left(sizes, share, seed):
    rows = about(*sizes)
    chosen = choosing_ids(rows, share, seed)
    by_context = Counter((row.context, row.id in chosen) for row in rows)
    assert len(by_context) == len(sizes)
    assert 0 < len(chosen) < len(rows)
    # Neither the order of the questions nor that of the contexts matters.
    assert choosing_ids(rows[::-1], share, seed) == chosen


@given(
    st.lists(st.integers(1, 40), min_size=2, max_size=40),
    st.floats(0.01, 0.99),
    st.integers(0, 3),
)
def test_no_context_is_on_both_sides_of_a_file_and_no_side_is_empty(sizes, share, seed):
    rows = about(*sizes)
    train, validation = divided(rows, share, seed)
    assert len(train) + len(validation) == len(rows) and train and validation
    assert not {row.context for row in train} & {row.context for row in validation}
    # Neither the order of the questions nor case and blanks matter.
    others = [replace(row, context=f" {row.context.upper()}") for row in rows[::-1]]
    assert [row.id for row in divided(others, share, seed)[1]][::-1] == [r.id for r in validation]


def test_the_share_is_met_where_contexts_are_small():
    corpus = generate(0)
    rows = corpus.validation
    for share in (0.1, 0.2, 0.5, 0.9):
        assert len(choosing_ids(rows, share, 0)) / len(rows) == pytest.approx(share, abs=0.005)
    fifth = choosing_ids(rows, 0.2, 0)
    assert fifth != choosing_ids(rows, 0.2, 1)
    # With a greater share the same questions choose, and more.
    assert len(fifth - choosing_ids(rows, 0.5, 0)) < 5


def test_a_context_is_drawn_by_its_text_so_that_equal_data_divide_equally():
    """These ids must not change: recorded runs were chosen by them."""
    found = choosing_ids(about(*[1] * 100), 0.05, 0)
    assert sorted(found) == ["q0", "q18", "q36", "q54", "q98"]


@pytest.mark.parametrize(
    ("rows", "share"),
    [(about(*[1] * 99), 0.2), (about(*[1] * 200), 1.0), (about(200), 0.2), (about(1), 0.5)],
)
def test_all_choose_where_there_is_nothing_to_divide(rows, share):
    assert choosing_ids(rows, share, 0) == {row.id for row in rows}


def test_questions_that_are_left_out_later_leave_a_division_or_none():
    rows = about(*[1] * 100)
    assert those_left(frozenset({"q0", "q1"}), rows[1:]) == {"q1"}
    everything = {"q1", "q2"}
    assert those_left(frozenset({"q0"}), rows[1:3]) == everything
    assert those_left(frozenset({"q1", "q2"}), rows[1:3]) == everything


def test_data_of_a_file_are_divided_by_its_own_seed(tmp_path):
    path = tmp_path / "questions.json"
    path.write_text(json.dumps(squad_json(about(*[2] * 60), "1.1")))
    paths = {"train_path": str(path), "validation_path": str(path), "encoding": "utf-8"}
    paths["validation_share"] = None

    def divided(**changes):
        data = FileData(**paths, **SETTINGS | changes)
        data.load()
        return data

    data = divided()
    assert len(data.choosing) == 24 and not data.all_choose
    assert divided(validation_questions=100).choosing != data.choosing
    assert divided(seed=1).choosing != data.choosing
    assert divided(validation_questions=99).all_choose and divided(choosing_share=1.0).all_choose
    assert divided(validate_on_train=True).choosing == data.choosing


def test_other_questions_that_chose_are_found_by_id_and_by_context():
    rows = about(1, 1, 1)
    digests = {context_digest(row.context) for row in rows[1:2]}
    said = note_on_choosing(rows, {"q0"}, digests)
    assert (
        said.startswith("2 of 3 questions chose the best weights") and "(1 by id, 1 by cont" in said
    )
    assert note_on_choosing(rows, {"q7"}, set()) is None
    # A number may be a row's, in any file.
    assert note_on_choosing([replace(rows[0], id="7")], {"7"}, set()) is None
