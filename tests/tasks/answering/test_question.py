import pytest

from qa_research.tasks.answering.question import (
    Gold,
    Question,
    asked_question,
    describe_bad_rows,
    find_bad_rows,
    question_word,
)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("Who won?", "who"),
        ("In what year did it end?", "what"),
        ("To whom was it given?", "who"),
        ("What's the name?", "what"),
        ("Name a river.", "other"),
    ],
)
def test_question_word_is_the_first_one(text, word):
    assert question_word(text) == word


def row(**changes) -> Question:
    values = {
        "id": "1",
        "title": "",
        "context": "It was red.",
        "question": "Which colour?",
        "answers": (Gold("red", 7),),
        "kind": "which",
    }
    return Question(**(values | changes))


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (row(answers=(Gold("red", 6),)), "is not at character 6"),
        (row(answers=(Gold("red", -4),)), "is not at character -4"),
        (row(answers=(Gold("", 3),)), "empty answer"),
        (row(context=" \n"), "empty context"),
        (row(question=" "), "empty question"),
    ],
)
def test_a_bad_row_is_found_with_its_reason(bad, reason):
    assert [found.reason for found in find_bad_rows([bad]) if reason in found.reason]


def test_a_repeated_id_is_bad_and_an_unanswerable_question_is_not():
    (bad,) = find_bad_rows([row(), row()])
    assert (bad.position, bad.reason) == (1, "duplicate id")
    assert find_bad_rows([row(answers=())]) == []


def test_describing_bad_rows_says_how_many_more_there_are():
    bad = find_bad_rows([row(id=str(i), context="") for i in range(5)])
    assert describe_bad_rows(bad, 2) == "0: empty context; 1: empty context; and 3 more"


@pytest.mark.parametrize(
    ("question", "context", "said"),
    [
        (" ", "A text.", "the question is empty"),
        ("Who?", "\n", "the context is empty"),
        ("Who \ud83d?", "A text.", r"its question has half a character \('\\ud83d' at 4"),
        ("Who?", "A text\udce9.", r"its context has half a character \('\\udce9' at 6"),
    ],
)
def test_a_question_that_cannot_be_asked_is_refused(question, context, said):
    with pytest.raises(ValueError, match=said):
        asked_question(question, context)


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (row(id="a\ud83d"), "its id has half a character"),
        (row(title="\ud83d"), "its title has half a character"),
        (row(context="It was red. \ud83d"), "its context has half a character"),
        (row(answers=(Gold("\ud83d", 7),)), "its answer has half a character"),
        (row(fault="yes and no"), "yes and no"),
    ],
)
def test_what_cannot_be_asked_is_bad_also_without_training(bad, reason):
    for for_training in (True, False):
        (found,) = find_bad_rows([bad], for_training)
        assert reason in found.reason
        (found.id + found.reason).encode()


def test_training_alone_needs_answers_at_their_offsets():
    for other in (row(answers=(Gold("red", 2),)), row(answers=(), is_labelled=False)):
        assert len(find_bad_rows([other])) == 1 and find_bad_rows([other], False) == []
