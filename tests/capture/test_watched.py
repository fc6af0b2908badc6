"""Which questions are watched, and what is known about their tokens."""

import json
import re

import numpy as np
import pytest

from qa_research.model.tokenizer import trained_wordpiece
from qa_research.tasks.answering.corpus import generate
from qa_research.tasks.answering.question import Gold, Question, texts_of
from qa_research.tasks.answering.squad import squad_json
from qa_research.tasks.answering.watched import PARTS, choose_questions, watched_windows
from tests.capture.conftest import SETTINGS


@pytest.fixture(scope="module")
def corpus():
    return generate(0)


def test_a_number_is_drawn_with_the_seed_half_from_each_split_alternating_kinds(corpus):
    chosen = choose_questions(8, corpus.train, corpus.validation, 0)
    cells = [(split, row.kind) for split, row in chosen]
    for split in ("train", "validation"):
        for kind in ("lookup", "match"):
            assert cells.count((split, kind)) == 2
    assert chosen == choose_questions(8, corpus.train, corpus.validation, 0)
    assert chosen != choose_questions(8, corpus.train, corpus.validation, 1)
    assert len({row.id for _, row in choose_questions(9, corpus.train, corpus.validation, 0)}) == 9


def test_a_split_that_is_too_small_leaves_its_share_to_the_other(questions):
    chosen = choose_questions(7, questions[:2], questions[2:], 0)
    assert [split for split, _ in chosen].count("train") == 2 and len(chosen) == 7
    assert len(choose_questions(8, questions, questions, 0)) == 8
    with pytest.raises(ValueError, match=r"capture.questions=9, but there are only 8"):
        choose_questions(9, questions[:2], questions[2:], 0)


def test_ids_are_found_in_both_splits_and_a_file_may_name_them(questions, tmp_path):
    wanted = [("validation", questions[5]), ("train", questions[0])]
    assert choose_questions(["q5", "q0", "q5"], questions[:4], questions[4:], 0) == wanted
    path = tmp_path / "watched.txt"
    path.write_text("q5\nq0\n")
    assert choose_questions(str(path), questions[:4], questions[4:], 0) == wanted
    assert choose_questions("q5", questions[:4], questions[4:], 0) == wanted[:1]
    with pytest.raises(ValueError, match=r"q99 is in neither split.*q0, q4"):
        choose_questions(["q0", "q99"], questions[:4], questions[4:], 0)


def test_ids_in_a_file_of_windows_are_read_or_its_encoding_is_named(questions, tmp_path):
    path = tmp_path / "ids.txt"
    path.write_bytes("q0\r\nq5\r\n".encode("utf-8-sig"))
    chosen = choose_questions(str(path), questions[:4], questions[4:], 0)
    assert [row.id for _, row in chosen] == ["q0", "q5"]
    path.write_bytes("q0\r\nq5\r\n".encode("utf-16"))
    with pytest.raises(ValueError, match=r"capture\.questions=\S+ids\.txt is UTF-16 text"):
        choose_questions(str(path), questions[:4], questions[4:], 0)


def test_a_file_of_questions_outside_the_data_can_be_watched(questions, tmp_path):
    path = tmp_path / "own.json"
    path.write_text(json.dumps(squad_json(questions[:2], "1.1")))
    chosen = choose_questions(str(path), questions[4:], questions[4:], 0)
    assert [(split, row.id) for split, row in chosen] == [("file", "q0"), ("file", "q1")]
    path.write_text("{}")
    with pytest.raises(ValueError, match=r"capture\.questions"):
        choose_questions(str(path), questions, questions, 0)


def test_parts_spans_and_answers_are_at_their_tokens(watched, questions):
    assert watched.parts.shape == watched.inputs["input_ids"].shape
    for i, row in enumerate(watched.questions):
        tokens, parts = watched.texts[i].tokens, watched.parts[i]
        assert tokens[0] == "[CLS]" and PARTS[parts[0]] == "cls"
        assert [PARTS[p] for t, p in zip(tokens, parts, strict=False) if t == "[SEP]"] == [
            "sep"
        ] * 2
        assert (parts[len(tokens) :] == PARTS.index("padding")).all()
        asked = [t for t, p in zip(tokens, parts, strict=False) if PARTS[p] == "question"]
        assert "".join(asked).replace("##", "") == row.question.lower().replace(" ", "")
        told = [t for t, a in zip(tokens, watched.marked[i], strict=False) if a]
        gold = row.answers[0].text.lower().replace(" ", "")
        assert "".join(told).replace("##", "") == gold


def test_the_window_is_the_first_that_holds_the_answer(tokenizer):
    context = (
        "Nothing of note happens here at all, says the notice. " * 5 + "Ms Lund teaches chess."
    )
    gold = Gold("Ms Lund", context.index("Ms Lund"))
    row = Question("long", "", context, "Who teaches chess?", (gold,), "who")
    watched = watched_windows([("train", row)], tokenizer, 40, 8, SETTINGS)
    assert len(watched.windows) > 2 and watched.indices[0] > 0
    assert int(watched.spans[0, 1]) > 0
    without = Question("none", "", context, "Who teaches chess?", (), "who")
    watched = watched_windows([("train", without)], tokenizer, 40, 8, SETTINGS)
    assert watched.indices == (0,) and watched.spans.tolist() == [[0, 0]]
    assert not watched.marked.any() and not watched.matching.any()


def test_matching_words_are_those_that_pick_out_the_fact(tokenizer):
    context = "Dr Obi leads rowing. Ms Lund leads chess. Zebedee leads judo."
    row = Question(
        "m",
        "",
        context,
        "Who leads chess in Zagreb?",
        (Gold("Ms Lund", context.index("Ms Lund")),),
        "match",
    )
    watched = watched_windows([("train", row)], tokenizer, 64, 16, SETTINGS)
    tokens = np.array(watched.texts[0].tokens)
    places = np.flatnonzero(watched.matching[0])
    assert "[UNK]" in tokens and set(tokens[places]) == {"chess"}
    assert [PARTS[p] for p in watched.parts[0, places]] == ["question", "context"]


def test_every_match_question_of_the_corpus_has_its_subject_as_matching_word(corpus, cache):
    tokenizer = trained_wordpiece(texts_of(corpus.validation), 2000, cache)
    rows = [row for row in corpus.validation if row.kind == "match"][:100]
    watched = watched_windows([("validation", row) for row in rows], tokenizer, 256, 32, SETTINGS)
    for i, row in enumerate(rows):
        letter = re.search(r"group ([A-Z])", row.question)[1].lower()
        told = {t for t, m in zip(watched.texts[i].tokens, watched.matching[i], strict=False) if m}
        assert letter in told, row
        assert (watched.matching[i] & (watched.parts[i] == PARTS.index("context"))).any()
