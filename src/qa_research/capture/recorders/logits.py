"""Start and end logits, losses, the true span's probability and rank, and the current answer."""

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from qa_research.capture.forward import Forward
from qa_research.capture.recorders.recorder import Recorder, Subject, Summaries, to_numpy
from qa_research.capture.recording.arrays import Array
from qa_research.tasks.answering.decode import context_mask, span_rank
from qa_research.tasks.answering.score import rules_for, score_question
from qa_research.tasks.answering.watched import WatchedQuestions

CURVES_AT_MOST = 8


class LogitsRecorder(Recorder):
    """The network's answers in the watched windows, and how close the true span is to being the answer."""

    of = ("spans",)

    def prepare(self, key: str, subject: Subject) -> None:
        watched = subject.watched
        assert isinstance(watched, WatchedQuestions)
        self.watched = watched
        self.rules = rules_for(watched.questions)
        # Questions whose window does not contain the answer: training points to [CLS], but that is wrong.
        self.is_outside = torch.tensor(
            [
                bool(row.answers) and last == 0
                for row, (_, last) in zip(watched.questions, watched.spans.tolist(), strict=True)
            ]
        )

    def record(self, forward: Forward) -> Mapping[str, Array]:
        watched, logits = self.watched, forward.scores
        found = span_rank(
            logits[:, 0],
            logits[:, 1],
            context_mask(watched.windows, watched.indices, logits.shape[2]),
            watched.spans,
            watched.settings.max_answer_tokens,
            watched.settings.threshold,
        )
        exact = [
            score_question(question, text.text(*span), self.rules).exact_match
            for question, text, span in zip(
                watched.questions, watched.texts, found.answer.tolist(), strict=True
            )
        ]
        logit = to_numpy(logits.masked_fill(~watched.mask[:, None, :], torch.nan))
        loss = to_numpy(own_losses(logits, watched))
        probability = to_numpy(found.probability.masked_fill(self.is_outside, torch.nan))
        rank = to_numpy(found.rank.masked_fill(self.is_outside, -1), "int32")
        answer = to_numpy(found.answer, "int32")
        answer_probability = to_numpy(found.answer_probability)
        exact_match = to_numpy(torch.tensor(exact), "int32")
        question, row = ("question",), ("question", "row")
        return {
            "logit": Array(
                (*row, "token"), logit, "logits", "score of each token as start and end"
            ),
            "loss": Array(
                row, loss, "nats", "cross entropy of the true start and end over the own tokens"
            ),
            "probability": Array(
                question, probability, "probability", "of the true span among all allowed spans"
            ),
            "rank": Array(
                question, rank, "1", "of the true span among them; 1: the answer, -1: not allowed"
            ),
            "answer": Array(
                row, answer, "token", "first and last token of the answer; 0, 0: no answer"
            ),
            "answer_probability": Array(
                question, answer_probability, "probability", "of the answer among all allowed spans"
            ),
            "exact_match": Array(
                question, exact_match, "1", "1 if the answer is correct by SQuAD's rules"
            ),
        }

    def summaries(self, captured: Mapping[str, Array], with_pictures: bool) -> Summaries:
        losses, probability = captured["loss"].values, captured["probability"].values
        curves = {
            "watched/loss": float(losses.mean()),
            "watched/exact_match": 100 * float(captured["exact_match"].values.mean()),
        }
        for i, row in enumerate(self.watched.questions[:CURVES_AT_MOST]):
            curves[f"watched_loss/{row.id}"] = float(losses[i].mean())
            curves[f"watched_probability/{row.id}"] = float(probability[i])
        return Summaries(curves=curves)


def own_losses(
    logits: Float[Tensor, "question row token"], watched: WatchedQuestions
) -> Float[Tensor, "question row"]:
    """Cross entropy of the true start and end in nats, each question over its own tokens only.

    Unlike the loss of a padded batch, it does not depend on which questions are watched together.
    """
    masked = logits.masked_fill(~watched.mask[:, None, :], -torch.inf)
    return -masked.log_softmax(dim=2).gather(2, watched.spans[:, :, None]).squeeze(2)
