"""Where the true span stands, against all spans written out one by one."""

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from qa_research.tasks.answering.decode import span_rank

TOKENS = 6
scores = st.lists(
    st.floats(-5, 5, width=32).filter(lambda v: v == 0 or abs(v) > 1e-3),
    min_size=TOKENS,
    max_size=TOKENS,
)


@settings(deadline=None, max_examples=60)
@given(
    start=scores,
    end=scores,
    allowed_from=st.integers(1, TOKENS - 1),
    true=st.tuples(st.integers(0, TOKENS - 1), st.integers(0, TOKENS - 1)),
    longest=st.integers(1, TOKENS),
    threshold=st.one_of(st.none(), st.sampled_from([-1.0, 0.0, 1.5])),
)
def test_probability_rank_and_answer_are_those_of_all_spans_written_out(
    start, end, allowed_from, true, longest, threshold
):
    true = (min(true), max(true))
    if true[0] == 0:
        true = (0, 0)
    allowed = torch.arange(TOKENS) >= allowed_from
    found = span_rank(
        *(torch.tensor([row]) for row in (start, end)),
        allowed[None],
        torch.tensor([true]),
        longest,
        threshold,
    )
    spans = {
        (a, b): start[a] + end[b]
        for a, b in itertools.product(range(allowed_from, TOKENS), repeat=2)
        if a <= b < a + longest
    }
    candidates = dict(spans)
    null = start[0] + end[0]
    if threshold is not None:
        candidates[0, 0] = null
    total = math.log(sum(math.exp(score) for score in candidates.values()))
    best = max(spans, key=spans.__getitem__)
    gives_none = threshold is not None and null - spans[best] > threshold + 1e-5
    near = threshold is not None and abs(null - spans[best] - threshold) <= 1e-5
    answer = tuple(found.answer[0].tolist())
    if not near:
        assert candidates[answer] == pytest.approx(null if gives_none else spans[best], abs=1e-5)
        assert (answer == (0, 0)) == gives_none
        wanted = math.exp(candidates[answer] - total)
        assert found.answer_probability[0].item() == pytest.approx(wanted, rel=1e-4)
    if true not in candidates:
        assert found.rank[0] == -1 and found.probability[0].isnan()
        return
    wanted = math.exp(candidates[true] - total)
    assert found.probability[0].item() == pytest.approx(wanted, rel=1e-4)
    # No answer stands as if it scored less by the threshold.
    standing_scores = {
        span: score - (threshold if span == (0, 0) else 0) for span, score in candidates.items()
    }
    own = standing_scores[true]
    others = [score for span, score in standing_scores.items() if span != true]
    least = sum(score > own + 1e-5 for score in others)
    most = sum(score > own - 1e-5 for score in others)
    assert least + 1 <= found.rank[0] <= most + 1


def test_the_answer_has_rank_1():
    start, end = torch.zeros(1, 5), torch.zeros(1, 5)
    start[0, 2], end[0, 3] = 4.0, 4.0
    allowed = torch.tensor([[False, True, True, True, True]])
    found = span_rank(start, end, allowed, torch.tensor([[2, 3]]), 4, None)
    assert found.rank.tolist() == [1] and found.answer.tolist() == [[2, 3]]
    assert found.probability == found.answer_probability
