"""How logits become an answer: the settings that decoding needs, in training and afterwards.

Logits and windows -> the n best answer spans of each question. Pure: no model, no files.

How near the true span is to being the answer: its probability and its place among all. Pure.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Annotated

import torch
from annotated_types import Ge
from jaxtyping import Bool, Float, Int
from torch import Tensor

from qa_research.tasks.answering.question import Question
from qa_research.tasks.answering.windows import Windows


@dataclass(frozen=True, slots=True)
class AnswerSettings:
    """`abstain`: whether "no answer" is an answer (None: where a training question has none).

    `null_threshold`: the answer is empty where the [CLS] score exceeds the best span's by more than
    this, in logits.
    """

    max_answer_tokens: Annotated[int, Ge(1)]
    n_best: Annotated[int, Ge(1)]
    abstain: bool | None
    null_threshold: float

    @property
    def threshold(self) -> float | None:
        """The null threshold, or None where every question gets a span."""
        return self.null_threshold if self.abstain else None

    def resolved(self, has_unanswerable: bool) -> "AnswerSettings":
        """These settings with `abstain` decided."""
        return self if self.abstain is not None else replace(self, abstain=has_unanswerable)


# The null odds of a context without any token: more than any threshold, and still JSON.
NO_SPAN_ODDS = 1e6


@dataclass(frozen=True)
class TopSpans:
    """The best spans of each window of a batch, best first.

    `score` is start logit + end logit (-inf where a window has fewer spans); `log_total` is the
    logarithm of the sum of exp(score) over all allowed spans; `null_score` is the [CLS] token's.
    """

    first: Int[Tensor, "window n"]
    last: Int[Tensor, "window n"]
    score: Float[Tensor, "window n"]
    log_total: Float[Tensor, " window"]
    null_score: Float[Tensor, " window"]


@dataclass(frozen=True, slots=True)
class WindowSpans:
    """One window's best spans as plain numbers: (first token, last token, score)."""

    window: int
    spans: tuple[tuple[int, int, float], ...]
    log_total: float
    null_score: float


@dataclass(frozen=True, slots=True)
class Candidate:
    """A span of the context: `context[char_start:char_end] == text`; empty for "no answer".

    `probability` is the span's share of exp(score) among all allowed spans of all windows.
    """

    text: str
    char_start: int
    char_end: int
    score: float
    probability: float


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model answers to one question, and its best candidates (never empty).

    There are at most n best spans, and "no answer" beside them where it is allowed.
    `null_odds` is the [CLS] score minus the best span's score: above the threshold the answer is
    that there is none. `text` is empty then.
    """

    question_id: str
    text: str
    probability: float
    char_start: int
    char_end: int
    null_odds: float
    candidates: tuple[Candidate, ...]

    @property
    def score(self) -> float:
        """Start logit + end logit of what is answered."""
        place = (self.text, self.char_start, self.char_end)
        candidates = ((c.text, c.char_start, c.char_end, c.score) for c in self.candidates)
        return next(score for *where, score in candidates if tuple(where) == place)


def top_spans(
    start: Float[Tensor, "window token"],
    end: Float[Tensor, "window token"],
    allowed: Bool[Tensor, "window token"],
    max_answer_tokens: int,
    n_best: int,
) -> TopSpans:
    """The `n_best` spans of each window by start + end score, jointly over all allowed spans.

    A span starts no later than it ends, has at most `max_answer_tokens` tokens, and both its ends
    are `allowed`. Scores are computed in float32.
    """
    by_start = span_scores(start, end, allowed, max_answer_tokens)
    width = by_start.shape[2]
    scores = by_start.flatten(1)
    best = scores.topk(min(n_best, scores.shape[1]), dim=1)
    first = best.indices // width
    log_total = torch.logsumexp(scores, dim=1)
    return TopSpans(
        first=first,
        last=first + best.indices % width,
        score=best.values,
        log_total=log_total,
        null_score=start[:, 0].float() + end[:, 0].float(),
    )


def span_scores(
    start: Float[Tensor, "window token"],
    end: Float[Tensor, "window token"],
    allowed: Bool[Tensor, "window token"],
    max_answer_tokens: int,
) -> Float[Tensor, "window token width"]:
    """start + end score by first token and by number of further tokens; -inf where not allowed."""
    starts = start.float().masked_fill(~allowed, -torch.inf)
    ends = end.float().masked_fill(~allowed, -torch.inf)
    width = min(max_answer_tokens, starts.shape[1])
    padded = torch.nn.functional.pad(ends, (0, width - 1), value=-torch.inf)
    return starts[:, :, None] + padded.unfold(1, width, 1)


def context_mask(windows: Windows, indices: Sequence[int], n_tokens: int) -> Bool[Tensor, "w t"]:
    """Which tokens of the chosen windows, padded to `n_tokens`, belong to the context."""
    first = torch.from_numpy(windows.context_first[list(indices)].astype("int64"))
    last = torch.from_numpy(windows.context_last[list(indices)].astype("int64"))
    position = torch.arange(n_tokens)
    # A window without context has first = last = 0, the [CLS] token, which is none.
    return (position >= first[:, None]) & (position <= last[:, None]) & (first > 0)[:, None]


def spans_of_batch(
    start: Float[Tensor, "window token"],
    end: Float[Tensor, "window token"],
    windows: Windows,
    indices: Sequence[int],
    max_answer_tokens: int,
    n_best: int,
) -> list[WindowSpans]:
    """The best spans of each window of a batch, ready to be joined by question."""
    allowed = context_mask(windows, indices, start.shape[1]).to(start.device)
    top = top_spans(start, end, allowed, max_answer_tokens, n_best)
    first, last, score = top.first.tolist(), top.last.tolist(), top.score.tolist()
    log_total, null_score = top.log_total.tolist(), top.null_score.tolist()
    return [
        WindowSpans(
            window=window,
            spans=tuple(
                span
                for span in zip(first[i], last[i], score[i], strict=True)
                if span[2] > -float("inf")
            ),
            log_total=log_total[i],
            null_score=null_score[i],
        )
        for i, window in enumerate(indices)
    ]


def join_windows(
    questions: Sequence[Question],
    windows: Windows,
    found: Iterable[WindowSpans],
    n_best: int,
    null_threshold: float | None,
) -> list[Answer]:
    """One answer a question, in the questions' order, from the spans of all their windows.

    With a `null_threshold` the answer is empty where the lowest [CLS] score of the windows exceeds
    the best span's score by more than that; with None every question gets a span.

    Raises:
        ValueError: a question none of whose windows was given.
    """
    grouped: dict[int, list[WindowSpans]] = {}
    for spans in found:
        grouped.setdefault(int(windows.question[spans.window]), []).append(spans)
    answers = []
    for i, row in enumerate(questions):
        if i not in grouped:
            raise ValueError(f"no window of question {row.id} was answered")
        answers.append(_join(row, windows, grouped[i], n_best, null_threshold))
    return answers


def _join(
    row: Question,
    windows: Windows,
    found: list[WindowSpans],
    n_best: int,
    null_threshold: float | None,
) -> Answer:
    null_score = min(spans.null_score for spans in found)
    totals = [spans.log_total for spans in found]
    if null_threshold is not None:
        totals.append(null_score)
    log_total = float(torch.logsumexp(torch.tensor(totals, dtype=torch.float64), dim=0))
    best: dict[tuple[int, int], float] = {}
    for spans in found:
        offset = int(windows.starts[spans.window])
        for first, last, score in spans.spans:
            place = (int(windows.char_start[offset + first]), int(windows.char_end[offset + last]))
            if place[0] >= place[1]:
                continue  # a token without characters, as RoBERTa has for blanks
            best[place] = max(score, best.get(place, -float("inf")))
    ranked = sorted(best.items(), key=lambda item: (-item[1], item[0]))[:n_best]
    candidates = [
        Candidate(row.context[a:b], a, b, score, _share(score, log_total))
        for (a, b), score in ranked
    ]
    nothing = Candidate("", 0, 0, null_score, _share(null_score, log_total))
    null_odds = null_score - ranked[0][1] if ranked else NO_SPAN_ODDS
    if null_threshold is not None:
        candidates.append(nothing)
        candidates.sort(key=lambda candidate: -candidate.score)
    abstains = null_threshold is not None and null_odds > null_threshold
    spans_only = [candidate for candidate in candidates if candidate.text]
    chosen = nothing if abstains or not spans_only else spans_only[0]
    return Answer(
        question_id=row.id,
        text=chosen.text,
        probability=chosen.probability,
        char_start=chosen.char_start,
        char_end=chosen.char_end,
        null_odds=null_odds,
        candidates=tuple(candidates) or (nothing,),
    )


def _share(score: float, log_total: float) -> float:
    """exp(score) as a share of the total; 0 where no span is allowed at all."""
    return math.exp(score - log_total) if math.isfinite(log_total) else 0.0


@dataclass(frozen=True)
class SpanRank:
    """By window. `probability` and `rank` (1: it is the answer) of the true span among all spans that may
    be answered, NaN and -1 where it may not be; `answer`, the first and last token given (both 0: no answer),
    and its probability among the same.
    """

    probability: Float[Tensor, " window"]
    rank: Int[Tensor, " window"]
    answer: Int[Tensor, "window 2"]
    answer_probability: Float[Tensor, " window"]


def span_rank(
    start: Float[Tensor, "window token"],
    end: Float[Tensor, "window token"],
    allowed: Bool[Tensor, "window token"],
    true: Int[Tensor, "window 2"],
    max_answer_tokens: int,
    null_threshold: float | None,
) -> SpanRank:
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
    return SpanRank(
        probability=(own - total).exp().masked_fill(~possible, torch.nan),
        rank=(before + 1).masked_fill(~possible, -1),
        answer=answer,
        answer_probability=(given - total).exp(),
    )
