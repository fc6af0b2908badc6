"""What happens to a question before and after the network, for `qa-research forward`: text, spans, scores."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from qa_research.tasks.answering.decode import (
    NO_ANSWER,
    Answer,
    AnswerSettings,
    context_mask,
    span_scores,
    top_spans,
)
from qa_research.tasks.answering.question import Gold, Question
from qa_research.tasks.answering.score import normalize, rules_for, score_question
from qa_research.tasks.answering.watched import WatchedQuestions, watched_windows
from qa_research.tasks.answering.windows import make_windows
from qa_research.tasks.stages import (
    NOBODY_KNOWS,
    QUANTITY,
    Passing,
    Stage,
    Table,
    preprocess_texts,
)


def passing_of(
    row: Question,
    answer: Answer,
    tokenizer: Any,
    window: tuple[int, int],
    settings: AnswerSettings,
    n_best: int,
) -> Passing:
    """A question on its way through the network: the window that holds the `answer` it is given.

    `window`: its most tokens, and those that two of them share. `n_best`: so many spans are shown.
    """
    given = (Gold(answer.text, answer.char_start),) if answer.text else ()
    marked = replace(row, answers=given, is_labelled=True)
    watched = watched_windows([("asked", marked)], tokenizer, *window, settings)
    first, last = watched.spans[0].tolist()
    # The windows do not depend on the answers; the labels do.
    true = make_windows([row], tokenizer, *window)
    index = watched.indices[0]
    gold = (int(true.span_first[index]), int(true.span_last[index]))

    def finish(scores: Float[Tensor, "row token"]) -> list[Stage]:
        return [
            _postprocess(scores, watched, answer, n_best),
            _evaluate(scores, row, answer, gold),
        ]

    asked = [("question", row.question.lstrip()), ("context", row.context)]
    return Passing(watched, preprocess_texts(asked, tokenizer), (first, last), finish)


def _postprocess(
    scores: Float[Tensor, "row token"],
    watched: WatchedQuestions,
    answer: Answer,
    n_best: int,
) -> Stage:
    """Scores of tokens -> scores and probabilities of spans -> the answer."""
    start, end, settings = scores[:1], scores[1:], watched.settings
    allowed = context_mask(watched.windows, watched.indices, scores.shape[1])
    most = settings.max_answer_tokens
    top = top_spans(start, end, allowed, most, n_best)
    spans = int(span_scores(start, end, allowed, most).isfinite().sum())
    total = top.log_total
    if settings.threshold is not None:
        total = torch.logaddexp(total, top.null_score)
    quantities = [
        ("tokens of the context", int(allowed.sum())),
        (f"spans of at most {most} tokens among them", spans),
        ("logarithm of the sum of exp(score) over all answers", total.item()),
    ]
    if settings.threshold is not None:
        quantities.append(("score of no answer, start + end of [CLS]", top.null_score.item()))
    found = []
    ranked = zip(top.first[0].tolist(), top.last[0].tolist(), top.score[0].tolist(), strict=True)
    for rank, (first, last, score) in enumerate(ranked, start=1):
        if score > -math.inf:
            parts = (float(start[0, first]), float(end[0, last]), score)
            probability, text = math.exp(score - total.item()), watched.texts[0].text(first, last)
            found.append((rank, first, last, *parts, probability, text))
    columns = ("rank", "first", "last", "start", "end", "score", "probability", "text")
    return Stage(
        "postprocess",
        "logits -> probabilities -> answer",
        tuple(_told(watched, answer)),
        (Table(QUANTITY, tuple(quantities)), Table(columns, tuple(found))),
    )


def _told(watched: WatchedQuestions, answer: Answer) -> Sequence[str]:
    """How the answer follows, in sentences."""
    first, last = watched.spans[0].tolist()
    sentences = ["A span's score is start + end, its probability exp(score - logarithm)."]
    if answer.text:
        sentences.append(
            f"The best span, tokens {first} to {last}, is the characters {answer.char_start} to "
            f"{answer.char_end} of the context: {answer.text}"
        )
    else:
        sentences.append(
            "No answer is given: its score exceeds that of every span by more than the threshold."
        )
    if (count := len(watched.windows)) > 1:
        sentences.append(
            f"The text has {count} windows, and this is the one with the answer, whose probability among "
            f"the spans of all of them is {answer.probability:.4f}."
        )
    return sentences


def _evaluate(
    scores: Float[Tensor, "row token"], row: Question, answer: Answer, gold: tuple[int, int]
) -> Stage:
    """The answer beside the right one; `gold`: its tokens in this window, both 0 if it is not there."""
    if not row.is_labelled:
        return NOBODY_KNOWS
    scored = score_question(row, answer.text, rules_for([row]))
    quantities: list[tuple[str, object]] = [
        ("right", " | ".join(gold.text for gold in row.answers) or NO_ANSWER),
        ("right, normalised", " | ".join(normalize(gold.text) for gold in row.answers)),
        ("answer, normalised", normalize(answer.text)),
        ("exact match", scored.exact_match),
        ("F1", scored.f1),
    ]
    sentences = []
    if gold != (0, 0) or not row.answers:
        chosen = scores.log_softmax(dim=1)[[0, 1], list(gold)]
        quantities.append(("loss", float(-chosen.mean())))
        sentences.append(
            f"The loss is the mean of -ln softmax(start)[{gold[0]}] and -ln softmax(end)[{gold[1]}], over "
            "all tokens of the window."
        )
    return Stage(
        "evaluate", "answer -> score", tuple(sentences), (Table(QUANTITY, tuple(quantities)),)
    )
