"""The LightningModule of question answering: its network, loss and validation. See also learning.py."""

from collections.abc import Mapping, Sequence, Set
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from qa_research.model.bert import QUESTIONS
from qa_research.tasks.answering.batches import padded_batch
from qa_research.tasks.answering.data import QuestionData
from qa_research.tasks.answering.decode import (
    Answer,
    AnswerSettings,
    WindowSpans,
    join_windows,
    spans_of_batch,
)
from qa_research.tasks.answering.question import Question, texts_of
from qa_research.tasks.answering.score import (
    QuestionScore,
    by_kind,
    mean_scores,
    rules_for,
    score_questions,
)
from qa_research.tasks.answering.windows import Windows
from qa_research.tasks.pretrained import TextModule


class QuestionAnswering(TextModule):
    """Extractive question answering with an unmodified Hugging Face network.

    Call `make_tokenizer(...)`, then `build(...)`, then train. The loss is Hugging Face's own: the mean
    cross entropy of start and end in nats, over all tokens of a padded window. So it depends a little on
    which windows share a batch; scores do not. The output layer is always computed in float32.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.answers: list[Answer] = []
        self.scores: list[QuestionScore] = []
        self._spans: list[WindowSpans] = []
        self._losses: list[tuple[int, float]] = []

    def make_tokenizer(self, questions: Sequence[Question], cache: Path) -> Any:
        """The tokenizer: the one named in the config, the weights' own, or one trained on the questions."""
        return self.tokenizer_of(texts_of(questions), cache)

    def build(self, seed: int, answering: AnswerSettings) -> tuple[str, ...]:
        """Make the network; a sentence for all that was loaded or newly initialised."""
        self.answering = answering
        return self.make_network(QUESTIONS, seed)

    def check_reading(self, windows: Windows, pad_token_id: int) -> None:
        """Let the network score the first window, before anything is slow.

        Raises:
            ValueError: it cannot.
        """
        inputs = self.inputs_of(padded_batch(windows, [0], pad_token_id))
        found = self.reads(inputs, "a question with its context").start_logits
        if found.shape != inputs["input_ids"].shape:
            raise ValueError(
                f"model.weights={self.weights}: the {self.network.config.model_type} network gives "
                f"{tuple(found.shape)} start scores to {tuple(inputs['input_ids'].shape)} tokens"
            )

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        output = self.network(**self.inputs_of(batch))
        self.note_losses(batch["window"], lambda: _losses(output, batch))
        return self.share_of_step(output.loss, batch_idx)

    def validation_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        output = self.network(**self.inputs_of(batch))
        losses = _losses(output, batch)
        self._losses += zip(batch["window"].tolist(), losses.tolist(), strict=True)
        self._spans += spans_of_batch(
            output.start_logits,
            output.end_logits,
            self._data.validation_windows,
            batch["window"].tolist(),
            self.answering.max_answer_tokens,
            self.answering.n_best,
        )

    def on_validation_epoch_start(self) -> None:
        self._spans, self._losses = [], []

    def on_validation_epoch_end(self) -> None:
        if self.trainer.sanity_checking:
            return
        data = self._data
        spans = self.from_all_processes(self._spans)
        self.answers = join_windows(
            data.validation,
            data.validation_windows,
            spans,
            self.answering.max_answer_tokens,
            self.answering.n_best,
            self.answering.threshold,
        )
        predictions = {answer.question_id: answer.text for answer in self.answers}
        self.scores = score_questions(data.validation, predictions, rules_for(data.validation))
        # Averaged here: Lightning's `sync_dist` averages the processes' numbers of windows to a whole one,
        # so with 10 and 9 windows it divides by 18.
        losses = dict(self.from_all_processes(self._losses))
        measured = self._measured("val", {row.id for row in data.fresh}, losses)
        measured |= self._measured("choosing", data.choosing, losses)
        # Only for the callbacks: what is written, and at which step, is decided in training.metrics.
        self.log_dict(measured, logger=False)

    def _measured(self, split: str, ids: Set[str], losses: Mapping[int, float]) -> dict[str, float]:
        """Loss and scores of the validation questions with these ids. `losses`: by window."""
        data = self._data
        rows = [score for score in self.scores if score.id in ids]
        asked = data.validation_windows.question.tolist()
        of_these = [losses[w] for w, i in enumerate(asked) if data.validation[i].id in ids]
        measured = {f"{split}/loss": sum(of_these) / len(of_these)}
        for ending, some in {
            "": rows,
            **{f"_{k}": part for k, part in by_kind(rows).items()},
        }.items():
            exact_match, f1 = mean_scores(some)
            measured |= {f"{split}/exact_match{ending}": exact_match, f"{split}/f1{ending}": f1}
        return measured

    @property
    def _data(self) -> QuestionData:
        untyped: Any = self.trainer  # Lightning's types do not know its datamodule
        data: QuestionData = untyped.datamodule
        return data


def _losses(output: Any, batch: Mapping[str, Tensor]) -> Tensor:
    """The loss of each window, whose mean is the network's own loss of the batch."""
    pairs = (("start_logits", "start_positions"), ("end_logits", "end_positions"))
    start, end = (
        nn.functional.cross_entropy(getattr(output, logits), batch[gold], reduction="none")
        for logits, gold in pairs
    )
    return (start + end) / 2
