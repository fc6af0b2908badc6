from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qa_research.tasks.answering.question import Question
from qa_research.tasks.answering.windows import TokenText, make_windows, pieces
from tests.conftest import CONTEXT


@pytest.fixture
def second(questions, tokenizer) -> TokenText:
    """The second window of a context that takes several."""
    windows = make_windows(questions[:1], tokenizer, 16, 4)
    assert len(windows) >= 3
    return windows.text(1, CONTEXT, tokenizer)


def test_a_window_says_what_each_token_belongs_to(questions, tokenizer):
    windows = make_windows(questions, tokenizer, 64, 8)
    text = windows.text(1, questions[1].context, tokenizer)
    assert text.tokens[0] == "[CLS]" and text.tokens[-1] == "[SEP]"
    first, last = int(windows.context_first[1]), int(windows.context_last[1])
    assert text.context_tokens == list(range(first, last + 1))
    assert text.parts[0] == "cls" and text.parts[1] == "question"
    assert [place for place, part in enumerate(text.parts) if part == "sep"] == [
        first - 1,
        last + 1,
    ]
    assert len(text) == windows.lengths[1]


def test_spans_of_tokens_and_of_characters_are_each_others_inverse(second):
    inside = second.context_tokens
    for first in inside:
        for last in range(first, inside[-1] + 1):
            start, end = second.chars[first][0], second.chars[last][1]
            assert second.text(first, last) == CONTEXT[start:end]
            assert second.span_of(start, end) == (first, last)


def test_no_answer_is_the_empty_text(second):
    assert second.text(0, 0) == ""


def test_characters_within_a_token_or_outside_the_window_are_no_span(second):
    start, end = second.chars[second.context_tokens[1]]
    assert end - start > 1 and second.span_of(start + 1, end) is None
    assert second.span_of(0, end) is None
    assert second.span_of(end, start) is None


def test_a_window_knows_which_characters_it_covers(second):
    start, end = second.context_chars
    assert 0 < start < end < len(CONTEXT)
    assert CONTEXT[start:end] == second.text(second.context_tokens[0], second.context_tokens[-1])


def test_a_context_without_tokens_covers_nothing(tokenizer):
    row = Question("blank", "", "\u200b", "Who?", (), "who")
    text = make_windows([row], tokenizer, 64, 8).text(0, row.context, tokenizer)
    assert text.context_tokens == [] and text.context_chars == (0, 0)
    assert text.context_pieces() == [("\u200b", None)]


def test_pieces_are_the_whole_context_also_where_tokens_share_a_character(second):
    a, b = second.context_tokens[1:3]
    chars = list(second.chars)
    chars[b] = (chars[a][1] - 1, chars[b][1])
    shared = replace(second, chars=tuple(chars))
    for text in (second, shared):
        found = text.context_pieces()
        assert "".join(piece for piece, _ in found) == CONTEXT
        assert [token for _, token in found if token is not None] == second.context_tokens
    assert {token: piece for piece, token in second.context_pieces()}[a] == second.text(a, a)


@given(
    st.text(max_size=30), st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=8)
)
def test_pieces_joined_are_the_text(text, spans):
    ordered = sorted((min(a, b, len(text)), min(max(a, b), len(text))) for a, b in spans)
    found = pieces(text, ordered)
    assert "".join(piece for piece, _ in found) == text
    assert [number for _, number in found if number is not None] == list(range(len(ordered)))
