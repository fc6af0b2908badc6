"""How probable a network finds the true span of each question, in the terms of its training."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor

from qa_research.tasks.answering.decode import AnswerSettings, join_windows, spans_of_batch
from qa_research.tasks.answering.logits import logits_of
from qa_research.tasks.answering.question import Question
from qa_research.tasks.answering.score import rules_for, score_questions
from qa_research.tasks.answering.windows import Windows, make_windows
from qa_research.tasks.opened import OnTruth, TruthOf


def truth_of_questions(
    questions: Sequence[Question], tokenizer: Any, window: tuple[int, int], settings: AnswerSettings
) -> TruthOf:
    """What measures a network on these questions; `window`: its tokens, and those that two of them share.

    The probability is that of the true start times that of the true end, each of a softmax over all tokens of
    a window: `exp(-2 loss)` of the window's training loss, but for padding. Of several true answers it is
    that of the first, the one that is trained. A question about a long text has several windows: its
    probability is the mean over those that hold the answer, and NaN if none does. Where a question has no
    answer, the true span is [CLS], in all of its windows. `is_right` is exact match of the question's answer,
    which may be any true one, from all windows together.

    Raises:
        ValueError: nobody said of some questions what is true.
    """
    if unlabelled := [row.id for row in questions if not row.is_labelled]:
        raise ValueError(f"question {unlabelled[0]} has no answer in the data")
    windows = make_windows(questions, tokenizer, *window)
    rules = rules_for(questions)

    def measure(network: Any) -> OnTruth:
        chances, spans = np.zeros(len(windows)), []
        for indices, start, end in logits_of(network, windows, tokenizer.pad_token_id):
            chances[indices] = _of_batch(start, end, windows, indices).numpy()
            spans += spans_of_batch(
                start, end, windows, indices, settings.max_answer_tokens, settings.n_best
            )
        answers = join_windows(
            questions,
            windows,
            spans,
            settings.max_answer_tokens,
            settings.n_best,
            settings.threshold,
        )
        predictions = {answer.question_id: answer.text for answer in answers}
        scores = score_questions(questions, predictions, rules)
        right = np.array([score.exact_match == 1 for score in scores], dtype=bool)
        group = np.array([score.paragraph for score in scores])
        return OnTruth(_of_questions(chances, windows, questions), right, group)

    return measure


def true_probability(
    start: Float[Tensor, "window token"],
    end: Float[Tensor, "window token"],
    lengths: Int[Tensor, " window"],
    true: Int[Tensor, "window 2"],
) -> Float[Tensor, " window"]:
    """The probability of the true span (first and last token) in each window of so many tokens, in float64.

    Example: start logits 0, 0, log 2 and end logits 0, 0, 0 over three tokens, and the true span 2 to 2. Its
    start has 2 / (1 + 1 + 2) = 1/2, its end 1/3, and both together 1/6.
    """
    outside = torch.arange(start.shape[1]) >= lengths[:, None]
    logs = [
        torch.log_softmax(logits.double().masked_fill(outside, -torch.inf), dim=1)
        for logits in (start, end)
    ]
    own = [row.gather(1, true[:, i : i + 1])[:, 0] for i, row in enumerate(logs)]
    return (own[0] + own[1]).exp()


def _of_batch(start: Tensor, end: Tensor, windows: Windows, indices: Sequence[int]) -> Tensor:
    places = list(indices)
    spans = np.stack([windows.span_first[places], windows.span_last[places]], axis=1)
    lengths = torch.from_numpy(windows.lengths[places])
    return true_probability(start, end, lengths, torch.from_numpy(spans.astype(np.int64)))


def _of_questions(
    chances: Float[ndarray, " window"], windows: Windows, questions: Sequence[Question]
) -> Float[ndarray, " question"]:
    """The mean over a question's windows that hold its answer; over all of them if it has none."""
    has_answer = np.array([bool(row.answers) for row in questions], dtype=bool)
    # The span of a window without the answer is [CLS], token 0.
    holds = (windows.span_last > 0) | ~has_answer[windows.question]
    own = windows.question[holds]
    counts = np.bincount(own, minlength=len(questions))
    sums = np.bincount(own, weights=chances[holds], minlength=len(questions))
    found = np.full(len(questions), np.nan)
    np.divide(sums, counts, out=found, where=counts > 0)
    return found
