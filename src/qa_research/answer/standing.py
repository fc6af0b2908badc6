"""How near the true span is to being the answer: its probability and its place among all. Pure."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from qa_research.answer.decode import span_scores


@dataclass(frozen=True)
class Standing:
    """By window. `probability` and `rank` (1: it is the answer) of the true span among all spans that may
    be answered, NaN and -1 where it may not be; `answer`, the first and last token given (both 0: no answer),
    and its probability among the same.
    """

    probability: Float[Tensor, " window"]
    rank: Int[Tensor, " window"]
    answer: Int[Tensor, "window 2"]
    answer_probability: Float[Tensor, " window"]


def standing(
    start: Float[Tensor, "window token"],
    end: Float[Tensor, "window token"],
    allowed: Bool[Tensor, "window token"],
    true: Int[Tensor, "window 2"],
    max_answer_tokens: int,
    null_threshold: float | None,
) -> Standing:
    """Where the `true` span (first and last token; both 0: no answer) stands in each window.

    Spans that may be answered: both ends `allowed`, at most `max_answer_tokens` tokens; and, with a
    `null_threshold`, no answer, which is given where its score exceeds the best span's by more than that.
    """
    scores = span_scores(start, end, allowed, max_answer_tokens)
    width = scores.shape[2]
    null = start[:, 0].float() + end[:, 0].float()
    first, further = true[:, 0], true[:, 1] - true[:, 0]
    is_null = true[:, 1] == 0
    own = scores[torch.arange(len(true)), first, further.clamp(0, width - 1)]
    own = torch.where(is_null, null, own)
    possible = torch.where(
        is_null,
        torch.tensor(null_threshold is not None),
        (further < width) & own.isfinite(),
    )
    flat = scores.flatten(1)
    best, place = flat.max(dim=1)
    total = flat.logsumexp(dim=1)
    before = (flat > own[:, None]).sum(dim=1)
    abstains = ~best.isfinite()
    if null_threshold is not None:
        total = torch.logaddexp(total, null)
        # No answer comes before all spans that do not beat it by the threshold.
        before = torch.where(is_null, (flat > (null - null_threshold)[:, None]).sum(dim=1), before)
        before += ~is_null & (null - null_threshold > own)
        abstains |= null - best > null_threshold
    last = place // width + place % width
    answer = torch.stack([place // width, last], dim=1).masked_fill(abstains[:, None], 0)
    given = torch.where(abstains, null, best)
    return Standing(
        probability=(own - total).exp().masked_fill(~possible, torch.nan),
        rank=(before + 1).masked_fill(~possible, -1),
        answer=answer,
        answer_probability=(given - total).exp(),
    )
