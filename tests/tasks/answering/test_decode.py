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
    answer = join_windows([row], long_windows, found, 10, 5, None)[0]
    assert row.context.endswith(answer.text)
    assert row.context[answer.char_start : answer.char_end] == answer.text
    assert answer.candidates[0].text == answer.text
    assert answer.candidates[0].score == 16.0
    assert len(answer.candidates) == 5
    assert first < last


def by_characters(windows, start, end, longest):
    """The best score of each span of the context, by trying each pair of tokens of each window."""
    best: dict[tuple[int, int], float] = {}
    for window in range(len(windows)):
        n_tokens = int(windows.lengths[window])
        inside = context_mask(windows, [window], n_tokens)[0].tolist()
        logits = (part[window, :n_tokens].tolist() for part in (start, end))
        own = every_span(*logits, inside, longest)
        offset = windows.starts[window]
        for (first, last), score in own.items():
            chars = int(windows.char_start[offset + first]), int(windows.char_end[offset + last])
            if chars[0] < chars[1]:
                best[chars] = max(score, best.get(chars, -math.inf))
    return best


@pytest.mark.parametrize("threshold", [None, -2.0, 2.0])
@pytest.mark.parametrize(("max_tokens", "stride"), [(64, 8), (20, 6), (16, 4), (16, 6)])
@pytest.mark.parametrize("seed", range(3))
def test_a_probability_is_a_share_of_the_distinct_spans(
    questions, tokenizer, threshold, max_tokens, stride, seed
):
    windows = make_windows(questions[:1], tokenizer, max_tokens, stride)
    assert len(windows) == {8: 1, 6: 2 if max_tokens == 20 else 4, 4: 3}[stride]
    generator = torch.Generator().manual_seed(seed)
    shape = (2, len(windows), int(windows.lengths.max()))
    start, end = 2 * torch.randn(shape, generator=generator)
    best = by_characters(windows, start, end, 5)
    null = (start[:, 0] + end[:, 0]).min().item()
    wanted = best | ({(0, 0): null} if threshold is not None else {})
    total = sum(map(math.exp, wanted.values()))
    found = spans_of_batch(start, end, windows, range(len(windows)), 5, 10_000)
    answer = join_windows(questions[:1], windows, found, 5, 10_000, threshold)[0]
    shares = {(c.char_start, c.char_end): c.probability for c in answer.candidates}
    assert shares == pytest.approx(
        {key: math.exp(s) / total for key, s in wanted.items()}, rel=1e-5
    )
    assert sum(shares.values()) == pytest.approx(1)
    # In whichever order windows come, and also where processes have answered one of them twice.
    again = join_windows(questions[:1], windows, [*found[::-1], found[0]], 5, 10_000, threshold)[0]
    assert again.probability == pytest.approx(answer.probability, rel=1e-9)


def shared_token(windows):
    """The context's token that stands in most windows: its place in each."""
    places: dict[int, list[tuple[int, int]]] = {}
    for window in range(len(windows)):
        for token in range(
            int(windows.context_first[window]), int(windows.context_last[window]) + 1
        ):
            char = int(windows.char_start[windows.starts[window] + token])
            places.setdefault(char, []).append((window, token))
    return max(places.values(), key=len)


@pytest.mark.parametrize(("max_tokens", "stride", "times"), [(20, 6, 2), (16, 6, 3)])
def test_a_certain_answer_is_certain_also_where_it_stands_in_several_windows(
    questions, tokenizer, max_tokens, stride, times
):
    windows = make_windows(questions[:1], tokenizer, max_tokens, stride)
    places = shared_token(windows)
    assert len(places) == times
    start, end = torch.full((2, len(windows), int(windows.lengths.max())), -40.0)
    for window, token in places:
        start[window, token] = end[window, token] = 40.0
    found = spans_of_batch(start, end, windows, range(len(windows)), 10, 3)
    assert join_windows(questions[:1], windows, found, 10, 3, None)[0].probability == pytest.approx(
        1
    )
    start[:, 0] = end[:, 0] = 40.0
    found = spans_of_batch(start, end, windows, range(len(windows)), 10, 3)
    answer = join_windows(questions[:1], windows, found, 10, 3, 0.0)[0]
    assert [c.probability for c in answer.candidates][:2] == pytest.approx([0.5, 0.5])


def test_tokens_of_one_character_are_one_span(questions, tokenizer):
    windows = make_windows(questions[:1], tokenizer, 64, 8)
    first = int(windows.context_first[0])
    # As byte-level tokens have it: the first two tokens own the same characters, the third none.
    for array in (windows.char_start, windows.char_end):
        array[first + 1] = array[first]
    windows.char_end[first + 2] = windows.char_start[first + 2]
    logits = torch.full((1, int(windows.lengths[0])), -40.0)
    logits[0, first : first + 3] = 0.0
    found = spans_of_batch(logits, logits, windows, [0], 1, 3)
    answer = join_windows(questions[:1], windows, found, 1, 3, None)[0]
    assert answer.probability == pytest.approx(1)


def test_a_span_that_two_windows_share_is_listed_once(questions, long_windows):
    start, end = logits_for(long_windows, 0, 0, 0, 0.0)
    found = spans_of_batch(start, end, long_windows, range(len(long_windows)), 10, 10_000)
    answer = join_windows(questions[:1], long_windows, found, 10, 10_000, None)[0]
    places = [(c.char_start, c.char_end) for c in answer.candidates]
    assert len(places) == len(set(places))


@pytest.mark.parametrize(("threshold", "text"), [(None, "Ms"), (0.0, ""), (1.9, ""), (2.0, "Ms")])
def test_the_answer_is_empty_where_null_wins_by_more_than_the_threshold(
    questions, tokenizer, threshold, text
):
    windows = make_windows(questions[:1], tokenizer, 64, 8)
    token = int(windows.span_first[0])
    found = [WindowSpans(0, ((token, token, 5.0),), 5.0, 7.0, None)]
    answer = join_windows(questions[:1], windows, found, 10, 3, threshold)[0]
    assert answer.text == text
    assert answer.null_odds == 2.0
    if threshold is not None:
        assert sum(c.probability for c in answer.candidates) == pytest.approx(1)
        assert {c.text for c in answer.candidates} == {"", "Ms"}


def test_null_takes_the_lowest_score_of_all_windows(questions, long_windows):
    start, end = logits_for(long_windows, 0, int(long_windows.context_first[0]), 9, 2.0)
    start[0, 0] = 9.0
    found = spans_of_batch(start, end, long_windows, range(len(long_windows)), 10, 3)
    assert [spans.null_score for spans in found] == [9.0] + [0.0] * (len(found) - 1)
    assert join_windows(questions[:1], long_windows, found, 10, 3, 0.0)[0].text != ""


def test_a_context_without_a_token_has_no_answer_and_finite_odds(questions, tokenizer):
    row = Question("blank", "", "\u200b", "Who?", (), "who")
    windows = make_windows([row], tokenizer, 64, 8)
    logits = torch.zeros(1, int(windows.lengths[0]))
    found = spans_of_batch(logits, logits, windows, [0], 5, 3)
    for threshold in (None, 0.0):
        answer = join_windows([row], windows, found, 10, 3, threshold)[0]
        assert answer.text == "" and math.isfinite(answer.null_odds)
        assert math.isfinite(answer.probability)


def test_a_question_without_windows_is_an_error(questions, tokenizer):
    windows = make_windows(questions[:2], tokenizer, 64, 8)
    found = [WindowSpans(0, ((5, 5, 0.0),), 0.0, 0.0, None)]
    with pytest.raises(ValueError, match="no window of question q1"):
        join_windows(questions[:2], windows, found, 10, 3, None)
