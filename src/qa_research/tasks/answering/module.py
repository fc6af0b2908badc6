"""The LightningModule of question answering: its network, loss and validation. See also learning.py."""

from collections.abc import Mapping, Sequence, Set
from pathlib import Path
from typing import Annotated, Any

import torch
from annotated_types import Ge, Gt, Le, Lt
from torch import Tensor, nn
from transformers import PreTrainedModel

from qa_research.model.attention import use_plain_below
from qa_research.model.bert import (
    Architecture,
    Family,
    build,
    check_sizes,
    head_of,
    in_float32,
    input_names,
)
from qa_research.model.tokenizer import load_tokenizer, trained_wordpiece
from qa_research.model.weights import first_line
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
from qa_research.tasks.learning import Decay, LearningModule


class QuestionAnswering(LearningModule):
    """Extractive question answering with an unmodified Hugging Face network.

    Call `make_tokenizer(...)`, then `build(...)`, then train. The loss is Hugging Face's own: the mean
    cross entropy of start and end in nats, over all tokens of a padded window. So it depends a little on
    which windows share a batch; scores do not. The output layer is always computed in float32.
    """

    network: PreTrainedModel

    def __init__(
        self,
        name: str,
        weights: str,
        family: Family,
        tokenizer: str | None,
        vocab_size: Annotated[int, Ge(100), Le(10_000_000)],
        hidden_size: Annotated[int, Ge(1), Le(100_000)] | None,
        num_hidden_layers: Annotated[int, Ge(1), Le(1_000)] | None,
        num_attention_heads: Annotated[int, Ge(1), Le(10_000)] | None,
        intermediate_size: Annotated[int, Ge(1), Le(1_000_000)] | None,
        max_position_embeddings: Annotated[int, Ge(8), Le(1_000_000)] | None,
        dropout: Annotated[float, Ge(0), Lt(1)] | None,
        lr: Annotated[float, Gt(0)],
        weight_decay: Annotated[float, Ge(0)],
        adam_beta1: Annotated[float, Ge(0), Lt(1)],
        adam_beta2: Annotated[float, Ge(0), Lt(1)],
        adam_epsilon: Annotated[float, Gt(0)],
        warmup_fraction: Annotated[float, Ge(0), Lt(1)],
        decay: Decay,
        plain_attention_below: Annotated[int, Ge(0)],
        compile: bool,  # noqa: A002 - the user's word for it
    ) -> None:
        super().__init__(
            lr, weight_decay, adam_beta1, adam_beta2, adam_epsilon, warmup_fraction, decay
        )
        self.name = name
        self.weights = weights
        self.family: Family = family
        self.tokenizer_source = tokenizer
        self.vocab_size = vocab_size
        self.architecture = Architecture(
            hidden_size,
            num_hidden_layers,
            num_attention_heads,
            intermediate_size,
            max_position_embeddings,
        )
        if weights == "random":
            check_sizes(self.architecture, vocab_size)
        self.dropout = dropout
        self.plain_attention_below = plain_attention_below
        self.compiles = compile
        self.answers: list[Answer] = []
        self.scores: list[QuestionScore] = []
        self._spans: list[WindowSpans] = []
        self._losses: list[tuple[int, float]] = []

    def make_tokenizer(self, questions: Sequence[Question], cache: Path) -> Any:
        """The tokenizer: the one named in the config, the weights' own, or one trained on the questions."""
        if self.tokenizer_source is not None:
            self.tokenizer = load_tokenizer(self.tokenizer_source, "model.tokenizer")
        elif self.weights == "random":
            self.tokenizer = trained_wordpiece(texts_of(questions), self.vocab_size, cache)
        else:
            self.tokenizer = load_tokenizer(self.weights, "model.weights")
        return self.tokenizer

    def build(self, vocab_size: int, seed: int, answering: AnswerSettings) -> tuple[str, ...]:
        """Make the network; a sentence for all that was loaded or newly initialised."""
        built = build(self.weights, self.architecture, self.dropout, vocab_size, seed, self.family)
        self.network = built.network
        self.answering = answering
        self._input_names = input_names(built.network)
        head_of(self.network).register_forward_hook(in_float32)
        use_plain_below(self.network, self.plain_attention_below)
        if self.compiles:
            self.network.compile(dynamic=True)
        return built.report

    def check_reading(self, windows: Windows, pad_token_id: int) -> None:
        """Let the network score the first window, before anything is slow.

        Raises:
            ValueError: it cannot, as a Longformer whose config knows another [SEP] than the tokenizer.
        """
        inputs = self._inputs(padded_batch(windows, [0], pad_token_id))
        self.network.eval()
        try:
            # Not called as a whole, which would compile it.
            with torch.no_grad(), torch.random.fork_rng():
                found = self.network.forward(**inputs).start_logits
        except Exception as error:
            # Networks are not ours, and raise errors of any kind.
            raise ValueError(
                f"model.weights={self.weights}: the {self.network.config.model_type} network cannot read a "
                f"question with its context: {first_line(error)}"
            ) from error
        finally:
            self.network.train()
        if found.shape != inputs["input_ids"].shape:
            raise ValueError(
                f"model.weights={self.weights}: the {self.network.config.model_type} network gives "
                f"{tuple(found.shape)} start scores to {tuple(inputs['input_ids'].shape)} tokens"
            )

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        loss: Tensor = self.network(**self._inputs(batch)).loss
        return self.share_of_step(loss, batch_idx)

    def validation_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        output = self.network(**self._inputs(batch))
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

    def _inputs(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        return {name: tensor for name, tensor in batch.items() if name in self._input_names}

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
