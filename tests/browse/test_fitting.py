from dataclasses import replace

from qa_research.browse.view import count_tokens, fit
from qa_research.tasks.answering.question import Gold


def test_one_window_that_holds_everything(questions, tokenizer):
    found = fit(questions[0], tokenizer, 128, 32)
    (part,) = found.windows
    assert part.holds_answer and part.tokens == found.total_tokens
    assert (part.char_start, part.char_end) == (0, len(questions[0].context))
    lengths = count_tokens([questions[0].question, questions[0].context, "Ms Lund"], tokenizer)
    assert [found.question_tokens, found.context_tokens, found.answer_tokens] == lengths
    assert found.total_tokens == lengths[0] + lengths[1] + 3


def test_windows_that_hold_the_answer_are_distinguished_from_others(questions, tokenizer):
    found = fit(questions[2], tokenizer, 20, 4)
    row = questions[2]
    begin, end = row.answers[0].start, row.answers[0].start + len(row.answers[0].text)
    assert len(found.windows) > 1 and any(part.holds_answer for part in found.windows)
    for part in found.windows:
        assert part.tokens <= 20
        assert part.holds_answer == (part.char_start <= begin and end <= part.char_end)


def test_an_answer_longer_than_what_windows_share_may_be_in_none(questions, tokenizer):
    row = replace(questions[0], answers=(Gold(questions[0].context, 0),))
    found = fit(row, tokenizer, 20, 4)
    assert not any(part.holds_answer for part in found.windows)


def test_a_question_that_leaves_no_room_has_no_windows(questions, tokenizer):
    found = fit(questions[0], tokenizer, 10, 4)
    assert found.windows == () and found.question_tokens > found.room == 2


def test_without_an_answer_no_window_holds_one(questions, tokenizer):
    found = fit(replace(questions[0], answers=()), tokenizer, 20, 4)
    assert found.answer_tokens is None
    assert not any(part.holds_answer for part in found.windows)
