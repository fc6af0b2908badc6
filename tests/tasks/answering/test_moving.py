"""Answers away from their offset: each way of counting is found and named, and nothing unclear is moved."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qa_research.tasks.answering.moving import explained, find_move, with_moved_answers
from qa_research.tasks.answering.question import NOT_SAID, Gold, Question, find_bad_rows

FERRY = "🎏🎏 Blå dør, gate 7.\r\nThe boat sails at noon.\r\nIt is Zoë's café."


def moved(context: str, text: str, start: int) -> tuple[str, int, str] | None:
    move = find_move(context, Gold(text, start))
    return None if move is None else (move.gold.text, move.gold.start, move.why)


def counted(text: str, count) -> int:
    return count(FERRY[: FERRY.index(text)])


@pytest.mark.parametrize(
    ("count", "why"),
    [
        (lambda before: len(before.encode()), "the offset counts bytes of UTF-8"),
        (lambda before: len(before.encode("utf-16-le")) // 2, "the offset counts UTF-16 units"),
        (lambda before: len(before.replace("\r\n", "\n")), "counts a line end of two characters as one"),
        (lambda before: len(before) + 1, "1 to the left"),
        (lambda before: len(before) - 1, "1 to the right"),
        (lambda before: 0, "48 to the right"),
    ],
)  # fmt: skip
def test_an_offset_of_another_unit_is_named_and_moved(count, why):
    text, start, reason = moved(FERRY, "Zoë", counted("Zoë", count))
    assert (text, start) == ("Zoë", FERRY.index("Zoë"))
    assert why.replace("48", str(start)) in reason


def test_line_ends_counted_as_two_characters():
    context = "One.\nTwo.\nThree."
    assert moved(context, "Three", 12)[1:] == (10, "the offset counts a line end as two characters")


@pytest.mark.parametrize(
    ("context", "answer", "found", "why"),
    [
        (
            "Rådet møtes i Ålesund.",
            unicodedata.normalize("NFD", "Ålesund"),
            "Ålesund",
            "the answer is in decomposed (NFD) Unicode, the context in composed (NFC)",
        ),
        (
            unicodedata.normalize("NFD", "Rådet møtes i Ålesund."),
            "Ålesund",
            unicodedata.normalize("NFD", "Ålesund"),
            "the answer is in composed (NFC) Unicode, the context in decomposed (NFD)",
        ),
        ("It costs 12\u00a0000 crowns.", "12 000", "12\u00a0000", "other blanks or invisible"),
        ("The lime\u200btree stands.", "limetree", "lime\u200btree", "other blanks or invisible"),
        ("Ask IDA BERG first.", "Ida Berg", "IDA BERG", "with another case"),
        ("In der STRASSE.", "Straße", "STRASSE", "with another case"),
        (
            "Ask IDA\u00a0BERG.",
            "Ida Berg",
            "IDA\u00a0BERG",
            "invisible characters and another case",
        ),
    ],
)
def test_another_spelling_of_the_same_letters_is_named_and_taken_from_the_context(
    context, answer, found, why
):
    text, start, reason = moved(context, answer, context.index(found))
    assert (text, start) == (found, context.index(found)) and why in reason
    text, start, reason = moved(context, answer, context.index(found) + 3)
    assert (text, start) == (found, context.index(found)) and "3 to the left" in reason


@pytest.mark.parametrize(
    ("context", "answer", "start"),
    [
        ("It is red.", "blue", 6),
        ("Red, red, and red again; far from it, red.", "red", 10),
        ("ab ab", "ab", 1),
        ("The résumé.", "resume", 4),
        ("cafe\u0301", "cafe ", 0),
        ("text", " ", 2),
        ("text", "", 2),
        ("ﬁsh", "f", 1),
        ("", "a", 0),
    ],
)
def test_what_is_not_clear_is_not_moved(context, answer, start):
    assert find_move(context, Gold(answer, start)) is None


def test_a_way_of_counting_tells_equal_texts_apart():
    context = "Åse 7, Åge 7, Øya 7."
    assert moved(context, "7", len("Åse 7, Åge ".encode()))[1] == 11


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)


@given(TEXTS, st.data())
def test_a_moved_answer_stands_where_it_says(context, data):
    begin = data.draw(st.integers(0, len(context) - 1))
    end = data.draw(st.integers(begin + 1, len(context)))
    change = data.draw(st.sampled_from([str.upper, str.casefold, str]))
    form = data.draw(st.sampled_from(["NFC", "NFD"]))
    answer = unicodedata.normalize(form, change(context[begin:end]))
    move = find_move(context, Gold(answer, data.draw(st.integers(0, 40))))
    if move:
        assert context.startswith(move.gold.text, move.gold.start) and move.gold.text and move.why


def row(identity: str, *golds: Gold) -> Question:
    return Question(identity, "", "The code is 4417. The guard is Tove.", "Who?", golds, "who")


def test_questions_are_moved_and_reported_and_the_others_left_alone():
    questions = [
        row("good", Gold("Tove", 31)),
        row("near", Gold("Tove", 30), Gold("tove", 31)),
        row("nowhere", Gold("Olav", 3)),
    ]
    mended, moves = with_moved_answers(questions)
    assert mended[0] is questions[0] and mended[2] is questions[2]
    assert mended[1].answers == (Gold("Tove", 31), Gold("Tove", 31))
    assert [(move.position, move.id) for move in moves] == [(1, "near")]
    assert "'Tove' stands at 31, not 30 (1 to the right)" in moves[0].reason
    assert "'tove' stands at 31 in another spelling" in moves[0].reason
    bad, movable = explained(questions, find_bad_rows(questions))
    assert movable == 1 and "stands at 31" in bad[0].reason
    assert bad[1].reason.endswith("(found ' cod'): it does not stand in the context")
    several = [row("several", Gold("e", NOT_SAID))]
    bad, movable = explained(several, find_bad_rows(several))
    assert not movable
    assert bad[0].reason == "answer 'e' has no answer_start: it stands 4 times in the context"
