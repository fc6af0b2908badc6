"""How logits become answers: scores of spans, the n best of each window, one answer per question.

Also how close the true span is to being the answer (`span_rank`). Pure: no model, no files.
"""

import html
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
import torch
from annotated_types import Ge
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from torch import Tensor

from qa_research.tasks.answering.question import Question
from qa_research.tasks.answering.windows import Windows
from qa_research.text import disarmed


@dataclass(frozen=True, slots=True)
class AnswerSettings:
    """How spans become answers.

    `abstain`: whether "no answer" is a possible answer (None: only if some training question has no
    answer). `null_threshold`, in logits: the answer is empty if the [CLS] score exceeds the best
    span's by more than this.
    """

    max_answer_tokens: Annotated[int, Ge(1)]
    n_best: Annotated[int, Ge(1)]
    abstain: bool | None
    null_threshold: float

    @property
    def threshold(self) -> float | None:
        """The null threshold, or None if every question is answered with a span."""
        return self.null_threshold if self.abstain else None

    def resolved(self, has_unanswerable: bool) -> "AnswerSettings":
        """These settings with `abstain` decided."""
        return self if self.abstain is not None else replace(self, abstain=has_unanswerable)


# The null odds of a context without any token: above every threshold, and JSON can hold it.
NO_SPAN_ODDS = 1e6
# How an empty answer is shown.
NO_ANSWER = "(no answer)"


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
    """One window's best spans as plain numbers, best first: (first token, last token, score).

    `log_total`, `null_score`: as in `TopSpans`. `ends`: start and end logits of the context's tokens, for a
    window that may hold a span more than once, or share some with another; else None.
    """

    window: int
    spans: tuple[tuple[int, int, float], ...]
    log_total: float
    null_score: float
    ends: Float[ndarray, "2 token"] | None


@dataclass(frozen=True, slots=True)
class Candidate:
    """A span of the context: `context[char_start:char_end] == text`; empty for "no answer".

    `probability` is its share of exp(score) among all allowed spans of the context and, if the model may
    abstain, "no answer". A span that stands in several windows counts once, with its highest score.
    """

    text: str
    char_start: int
    char_end: int
    score: float
    probability: float


@dataclass(frozen=True, slots=True, repr=False)
class Answer:
    """A model's answer to one question, and the candidates it was chosen from (at least one).

    The candidates are the n best spans and, if the model may abstain, "no answer". `null_odds` is the
    [CLS] score minus the best span's score; above the threshold the model abstains and `text` is empty.
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
        """Start logit + end logit of the chosen candidate."""
        chars = (self.char_start, self.char_end)
        return next(c.score for c in self.candidates if (c.char_start, c.char_end) == chars)

    def __repr__(self) -> str:
        lines = [f"{self.text or NO_ANSWER}  (probability {self.probability:.3f})"]
        if self.text:
            lines[0] += f", characters {self.char_start} to {self.char_end}"
        lines += [
            f"  {candidate.probability:.3f}  {candidate.text or NO_ANSWER}"
            for candidate in self.candidates
        ]
        return disarmed("\n".join(lines))

    def _repr_html_(self) -> str:
        """The candidates with a bar for each one's probability."""
        rows = "".join(
            f"<tr><td>{candidate.probability:.3f}</td><td><div style='background:#0b6e99;height:0.7em;"
            f"width:{8 * candidate.probability:.2f}em'></div></td>"
            f"<td style='text-align:left'>{html.escape(candidate.text or NO_ANSWER)}</td></tr>"
            for candidate in self.candidates
        )
        chosen = html.escape(self.text or NO_ANSWER)
        return f"<b>{chosen}</b><table>{rows}</table>"


def top_spans(
    start: Float[Tensor, "window token"],
    end: Float[Tensor, "window token"],
    allowed: Bool[Tensor, "window token"],
    max_answer_tokens: int,
    n_best: int,
) -> TopSpans:
    """The `n_best` spans of each window by start + end score, over all allowed spans.

    A span starts no later than it ends, has at most `max_answer_tokens` tokens, and both its ends
    are `allowed`. Scores are computed in float32.
    """
    by_first = span_scores(start, end, allowed, max_answer_tokens)
    width = by_first.shape[2]
    scores = by_first.flatten(1)
    best = scores.topk(min(n_best, scores.shape[1]), dim=1)
    # Flattened entry i is the span from token i // width with i % width further tokens: with a width
    # of 30, entry 95 is the span from token 3 to token 8.
    first = best.indices // width
    return TopSpans(
        first=first,
        last=first + best.indices % width,
        score=best.values,
        log_total=torch.logsumexp(scores, dim=1),
        null_score=_null_scores(start, end),
    )


def _null_scores(
    start: Float[Tensor, "window token"], end: Float[Tensor, "window token"]
) -> Float[Tensor, " window"]:
    """The score of "no answer": that of the span that is the [CLS] token."""
    return start[:, 0].float() + end[:, 0].float()


def span_scores(
    start: Float[Tensor, "window token"],
    end: Float[Tensor, "window token"],
    allowed: Bool[Tensor, "window token"],
    max_answer_tokens: int,
) -> Float[Tensor, "window token width"]:
    """Start + end score of each span, by its first token and its number of further tokens.

    -inf where the first or the last token is not `allowed`, or the span runs past the window.
    """
    # Width 2, starts [a b c], ends [x y z] padded to [x y z -inf], whose sliding pairs are
    # [x y] [y z] [z -inf]. Added to the starts: [a+x a+y] [b+y b+z] [c+z -inf]. Entry (1, 1) is the
    # span from token 1 to token 2. This has token x width entries instead of token x token.
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
    # A window without context has first = last = 0, which is the [CLS] token and not context.
    return (position >= first[:, None]) & (position <= last[:, None]) & (first > 0)[:, None]


def spans_of_batch(
    start: Float[Tensor, "window token"],
    end: Float[Tensor, "window token"],
    windows: Windows,
    indices: Sequence[int],
    max_answer_tokens: int,
    n_best: int,
) -> list[WindowSpans]:
    """The best spans of each window of a batch, for `join_windows`."""
    allowed = context_mask(windows, indices, start.shape[1]).to(start.device)
    top = top_spans(start, end, allowed, max_answer_tokens, n_best)
    first, last, score = top.first.tolist(), top.last.tolist(), top.score.tolist()
    log_total, null_score = top.log_total.tolist(), top.null_score.tolist()
    repeating = [_holds_repeats(windows, window) for window in indices]
    logits = torch.stack([start, end]).float().cpu().numpy() if any(repeating) else None
    return [
        WindowSpans(
            window=window,
            spans=tuple(
                span
                for span in zip(first[i], last[i], score[i], strict=True)
                if span[2] > -math.inf
            ),
            log_total=log_total[i],
            null_score=null_score[i],
            ends=logits[:, i, _context_of(windows, window)].copy()
            if logits is not None and repeating[i]
            else None,
        )
        for i, window in enumerate(indices)
    ]


def _context_of(windows: Windows, window: int) -> slice:
    """The tokens of a window that belong to the context; none if the first of them is [CLS]."""
    first = int(windows.context_first[window])
    return slice(first, int(windows.context_last[window]) + 1) if first else slice(0)


def _chars_of(windows: Windows, window: int) -> tuple[ndarray, ndarray]:
    """First and last character of each of its context's tokens."""
    inside = _context_of(windows, window)
    tokens = windows.tokens(window)
    return windows.char_start[tokens][inside], windows.char_end[tokens][inside]


def _holds_repeats(windows: Windows, window: int) -> bool:
    """Whether spans of it may be those of another window of its question, or of other tokens of its own.

    The latter are byte-level tokens of one character, and tokens without any, as RoBERTa has for blanks.
    """
    around = windows.question[max(window - 1, 0) : window + 2]
    if (around == windows.question[window]).sum() > 1:
        return True
    start, end = _chars_of(windows, window)
    return bool((np.diff(start) <= 0).any() or (np.diff(end) <= 0).any() or (start >= end).any())


def join_windows(
    questions: Sequence[Question],
    windows: Windows,
    found: Iterable[WindowSpans],
    max_answer_tokens: int,
    n_best: int,
    null_threshold: float | None,
) -> list[Answer]:
    """One answer per question, in the questions' order, from the spans of all their windows.

    `max_answer_tokens` and `n_best` are those that the spans were found with. With a `null_threshold` the
    answer is empty if the lowest [CLS] score of the windows exceeds the best span's score by more than that;
    with None every question is answered with a span.

    Raises:
        ValueError: no window of some question was given.
    """
    # By window, too: where the windows do not divide evenly, two processes have answered the same one.
    by_question: dict[int, dict[int, WindowSpans]] = {}
    for spans in found:
        by_question.setdefault(int(windows.question[spans.window]), {})[spans.window] = spans
    answers = []
    for i, row in enumerate(questions):
        if i not in by_question:
            raise ValueError(f"no window of question {row.id} was answered")
        own = list(by_question[i].values())
        log_total = _log_total(windows, own, max_answer_tokens)
        answers.append(_join(row, windows, own, log_total, n_best, null_threshold))
    return answers


def _log_total(windows: Windows, found: Sequence[WindowSpans], max_answer_tokens: int) -> float:
    """The logarithm of the sum of exp(score) over a question's spans, each once, with its highest score.

    Example: 10-17 scores 9 in one window and 8.5 in the next, and all else is negligible. The sum is e^9,
    so its probability is 1; with the spans of both windows it would be e^9 / (e^9 + e^8.5) = 0.62.
    """
    if len(found) == 1 and found[0].ends is None:
        return found[0].log_total
    scored = [_scores_by_chars(windows, spans, max_answer_tokens) for spans in found]
    keys, scores = (np.concatenate(parts) for parts in zip(*scored, strict=True))
    distinct, place = np.unique(keys, return_inverse=True)
    best = np.full(len(distinct), -np.inf)
    np.maximum.at(best, place, scores)
    return float(torch.from_numpy(best).logsumexp(dim=0))


def _scores_by_chars(
    windows: Windows, spans: WindowSpans, max_answer_tokens: int
) -> tuple[ndarray, ndarray]:
    """A number that stands for the characters of each span of a window, and the span's score."""
    if spans.ends is None:
        raise ValueError(f"window {spans.window} shares spans with another, and has no logits")
    start_char, end_char = (chars.astype(np.int64) for chars in _chars_of(windows, spans.window))
    if not len(start_char):
        return np.zeros(0, dtype=np.int64), np.zeros(0)
    start, end = torch.from_numpy(spans.ends)[:, None]
    scores = span_scores(start, end, torch.ones_like(start, dtype=torch.bool), max_answer_tokens)
    by_first = scores[0].double().numpy()
    first, further = np.isfinite(by_first).nonzero()
    begin, stop = start_char[first], end_char[first + further]
    kept = begin < stop
    return (begin << 32 | stop)[kept], by_first[first, further][kept]


def _join(
    row: Question,
    windows: Windows,
    found: list[WindowSpans],
    log_total: float,
    n_best: int,
    null_threshold: float | None,
) -> Answer:
    """One question's answer; `log_total`: of its spans. Example, with a threshold of 1 and two windows:

        window  [CLS] score  spans (characters: score)
        0       6.0          10-17: 7.5   10-22: 6.1
        1       4.5          10-17: 7.2   40-43: 5.0

    A window without the answer points at [CLS] with good reason, so only the lowest [CLS] score, 4.5,
    counts for the question. The span 10-17 is in both windows and counts once, with its higher score.
    `null_odds` is 4.5 - 7.5 = -3, not above 1: the answer is 10-17. The shares are taken of its three
    spans and, because the model may abstain, of exp(4.5): 10-17 has e^7.5 of e^7.5 + e^6.1 + e^5 + e^4.5.
    """
    null_score = min(spans.null_score for spans in found)
    if null_threshold is not None:
        log_total = float(np.logaddexp(log_total, null_score))
    candidates = [
        Candidate(row.context[a:b], a, b, score, _share(score, log_total))
        for (a, b), score in _ranked_spans(windows, found)[:n_best]
    ]
    best = candidates[0] if candidates else None
    nothing = Candidate("", 0, 0, null_score, _share(null_score, log_total))
    null_odds = null_score - best.score if best else NO_SPAN_ODDS
    if null_threshold is not None:
        candidates = sorted([*candidates, nothing], key=lambda candidate: -candidate.score)
    abstains = null_threshold is not None and null_odds > null_threshold
    chosen = nothing if best is None or abstains else best
    return Answer(
        question_id=row.id,
        text=chosen.text,
        probability=chosen.probability,
        char_start=chosen.char_start,
        char_end=chosen.char_end,
        null_odds=null_odds,
        candidates=tuple(candidates) or (nothing,),
    )


def _ranked_spans(
    windows: Windows, found: Iterable[WindowSpans]
) -> list[tuple[tuple[int, int], float]]:
    """All spans of one question by their characters, each with its highest score, best first."""
    best: dict[tuple[int, int], float] = {}
    for spans in found:
        offset = int(windows.starts[spans.window])
        for first, last, score in spans.spans:
            chars = (int(windows.char_start[offset + first]), int(windows.char_end[offset + last]))
            if chars[0] >= chars[1]:
                continue  # a token without characters, as RoBERTa has for blanks
            best[chars] = max(score, best.get(chars, -math.inf))
    return sorted(best.items(), key=lambda item: (-item[1], item[0]))


def _share(score: float, log_total: float) -> float:
    """exp(score) as a share of the total; 0 if no span is allowed at all."""
    return math.exp(score - log_total) if math.isfinite(log_total) else 0.0


@dataclass(frozen=True)
class SpanRank:
    """How close the true span of each window is to being the answer.

    `probability` and `rank` (1: it is the answer) of the true span among all possible answers, NaN and
    -1 if it is not one of them. `answer` is the first and last token of the model's answer (both 0: no
    answer), `answer_probability` its probability among the same answers.
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
    """Where the `true` span (first and last token; both 0: no answer) ranks in each window.

    Possible answers are the spans of at most `max_answer_tokens` tokens with both ends `allowed` and,
    with a `null_threshold`, "no answer", which is chosen if its score exceeds the best span's by more
    than that.
    """
    scores = span_scores(start, end, allowed, max_answer_tokens)
    width = scores.shape[2]
    null = _null_scores(start, end)
    first, further = true[:, 0], true[:, 1] - true[:, 0]
    is_null = true[:, 1] == 0
    span_score = scores[torch.arange(len(true)), first, further.clamp(0, width - 1)]
    own = torch.where(is_null, null, span_score)
    null_is_possible = torch.tensor(null_threshold is not None)
    possible = torch.where(is_null, null_is_possible, (further < width) & own.isfinite())
    flat = scores.flatten(1)
    best, place = flat.max(dim=1)
    total = flat.logsumexp(dim=1)
    better = (flat > own[:, None]).sum(dim=1)
    abstains = ~best.isfinite()
    if null_threshold is not None:
        # Ranked as if "no answer" scored less by the threshold. Spans of 7, 5 and 4, [CLS] 6 and a
        # threshold of 1.5: no answer ranks as 4.5, so it is third, and the span of 4 is fourth. The
        # span of 7 is the answer, because 6 - 7 is not above 1.5.
        total = torch.logaddexp(total, null)
        null_rank_score = null - null_threshold
        better_than_null = (flat > null_rank_score[:, None]).sum(dim=1)
        better_than_span = better + (null_rank_score > own).long()
        better = torch.where(is_null, better_than_null, better_than_span)
        abstains |= null - best > null_threshold
    answer = torch.stack([place // width, place // width + place % width], dim=1)
    given = torch.where(abstains, null, best)
    return SpanRank(
        probability=(own - total).exp().masked_fill(~possible, torch.nan),
        rank=(better + 1).masked_fill(~possible, -1),
        answer=answer.masked_fill(abstains[:, None], 0),
        answer_probability=(given - total).exp(),
    )
