import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from qa_research.tasks.answering.decode import (
    Answer,
    Candidate,
    WindowSpans,
    context_mask,
    join_windows,
    spans_of_batch,
    top_spans,
)
from qa_research.tasks.answering.question import Question
from qa_research.tasks.answering.windows import make_windows


def every_span(start, end, allowed, longest):
    """All allowed spans of one window and their scores, by trying each pair of tokens."""
    pairs = itertools.product(range(len(start)), repeat=2)
    return {
        (i, j): start[i] + end[j]
        for i, j in pairs
        if allowed[i] and allowed[j] and i <= j < i + longest
    }


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 12), st.integers(1, 14), st.integers(1, 30), st.integers(0, 10**6))
def test_top_spans_are_the_best_of_all_spans(n_tokens, longest, n_best, seed):
    generator = torch.Generator().manual_seed(seed)
    start, end = torch.randn(2, 1, n_tokens, generator=generator)
    allowed = torch.rand(1, n_tokens, generator=generator) < 0.7
    top = top_spans(start, end, allowed, longest, n_best)
    wanted = every_span(start[0].tolist(), end[0].tolist(), allowed[0].tolist(), longest)
    found = [
        (first, last, score)
        for first, last, score in zip(
            top.first[0].tolist(), top.last[0].tolist(), top.score[0].tolist(), strict=True
        )
        if score > -math.inf
    ]
    best = sorted(wanted.values(), reverse=True)[:n_best]
    assert [score for *_, score in found] == pytest.approx(best, abs=1e-5)
    for first, last, score in found:
        assert wanted[first, last] == pytest.approx(score, abs=1e-5)
    if wanted:
        total = math.log(sum(math.exp(score) for score in wanted.values()))
        assert top.log_total.item() == pytest.approx(total, abs=1e-4)


def test_an_answer_has_the_score_of_what_was_chosen():
    candidates = (Candidate("", 0, 0, 3.0, 0.6), Candidate("a b", 2, 5, 2.5, 0.4))
    assert Answer("q", "a b", 0.4, 2, 5, 0.5, candidates).score == 2.5
    assert Answer("q", "", 0.6, 0, 0, 0.5, candidates).score == 3.0


def test_best_span_never_ends_before_it_starts():
    start = torch.tensor([[0.0, 0.0, 9.0]])
    end = torch.tensor([[0.0, 9.0, 0.0]])
    top = top_spans(start, end, torch.ones(1, 3, dtype=torch.bool), 3, 9)
    valid = top.score > -math.inf
    assert (top.first[valid] <= top.last[valid]).all()
    assert (top.first[0, 0], top.last[0, 0]) in ((2, 2), (1, 1), (0, 1))


def test_the_null_score_is_that_of_the_first_token():
    logits = torch.tensor([[1.5, 2.0]], dtype=torch.bfloat16)
    top = top_spans(logits, logits, torch.tensor([[False, True]]), 2, 1)
    assert top.null_score.item() == 3.0
    assert top.score.dtype == torch.float32


@pytest.fixture
def long_windows(questions, tokenizer):
    """The first question cut into several windows."""
    windows = make_windows(questions[:1], tokenizer, 20, 6)
    assert len(windows) >= 2
    return windows


def logits_for(windows, window, first, last, height):
    n_tokens = int(windows.lengths.max())
    start, end = torch.zeros(2, len(windows), n_tokens)
    start[window, first] = end[window, last] = height
    return start, end


def test_only_context_tokens_are_allowed(questions, tokenizer):
    windows = make_windows(questions, tokenizer, 64, 8)
    mask = context_mask(windows, range(8), int(windows.lengths.max()))
    for i in range(8):
        inside = mask[i].nonzero().flatten().tolist()
        offset = windows.starts[i]
        assert all(windows.char_end[offset + t] > 0 for t in inside)
        assert len(inside) == windows.context_last[i] - windows.context_first[i] + 1


def test_the_best_window_of_a_question_wins_and_gives_back_its_characters(questions, long_windows):
    row = questions[0]
    last_window = len(long_windows) - 1
    first, last = (
        int(long_windows.context_first[last_window]),
        int(long_windows.context_last[last_window]),
    )
    start, end = logits_for(long_windows, last_window, last - 1, last, 8.0)
    found = spans_of_batch(start, end, long_windows, range(len(long_windows)), 10, 5)
    answer = join_windows([row], long_windows, found, 5, None)[0]
    assert row.context.endswith(answer.text)
    assert row.context[answer.char_start : answer.char_end] == answer.text
    assert answer.candidates[0].text == answer.text
    assert answer.candidates[0].score == 16.0
    assert len(answer.candidates) == 5
    assert first < last


def test_probabilities_are_shares_of_all_spans_of_all_windows(questions, long_windows):
    start, end = logits_for(long_windows, 0, int(long_windows.context_first[0]), 9, 2.0)
    found = spans_of_batch(start, end, long_windows, range(len(long_windows)), 10, 10_000)
    total = sum(math.exp(score) for spans in found for *_, score in spans.spans)
    answer = join_windows(questions[:1], long_windows, found, 10_000, None)[0]
    assert answer.probability == pytest.approx(
        math.exp(answer.candidates[0].score) / total, rel=1e-5
    )


def test_a_span_that_two_windows_share_is_listed_once(questions, long_windows):
    start, end = logits_for(long_windows, 0, 0, 0, 0.0)
    found = spans_of_batch(start, end, long_windows, range(len(long_windows)), 10, 10_000)
    answer = join_windows(questions[:1], long_windows, found, 10_000, None)[0]
    places = [(c.char_start, c.char_end) for c in answer.candidates]
    assert len(places) == len(set(places))


@pytest.mark.parametrize(("threshold", "text"), [(None, "Ms"), (0.0, ""), (1.9, ""), (2.0, "Ms")])
def test_the_answer_is_empty_where_null_wins_by_more_than_the_threshold(
    questions, tokenizer, threshold, text
):
    windows = make_windows(questions[:1], tokenizer, 64, 8)
    token = int(windows.span_first[0])
    found = [WindowSpans(0, ((token, token, 5.0),), 5.0, 7.0)]
    answer = join_windows(questions[:1], windows, found, 3, threshold)[0]
    assert answer.text == text
    assert answer.null_odds == 2.0
    if threshold is not None:
        assert sum(c.probability for c in answer.candidates) == pytest.approx(1)
        assert {c.text for c in answer.candidates} == {"", "Ms"}


def test_null_takes_the_lowest_score_of_all_windows(questions, long_windows):
    token = int(long_windows.context_first[0])
    found = [
        WindowSpans(w, ((token, token, 1.0),), 1.0, 9.0 if w == 0 else 0.0)
        for w in range(len(long_windows))
    ]
    assert join_windows(questions[:1], long_windows, found, 3, 0.0)[0].text != ""


def test_a_context_without_a_token_has_no_answer_and_finite_odds(questions, tokenizer):
    row = Question("blank", "", "\u200b", "Who?", (), "who")
    windows = make_windows([row], tokenizer, 64, 8)
    logits = torch.zeros(1, int(windows.lengths[0]))
    found = spans_of_batch(logits, logits, windows, [0], 5, 3)
    for threshold in (None, 0.0):
        answer = join_windows([row], windows, found, 3, threshold)[0]
        assert answer.text == "" and math.isfinite(answer.null_odds)
        assert math.isfinite(answer.probability)


def test_a_question_without_windows_is_an_error(questions, tokenizer):
    windows = make_windows(questions[:2], tokenizer, 64, 8)
    with pytest.raises(ValueError, match="no window of question q1"):
        join_windows(questions[:2], windows, [WindowSpans(0, ((5, 5, 0.0),), 0.0, 0.0)], 3, None)
