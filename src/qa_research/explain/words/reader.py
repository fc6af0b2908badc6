"""What a network says of one span while words of its text are on or off.

Also which window of a long context is explained, and which span: the one that was answered, or the true one.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from torch import Tensor
from transformers import PreTrainedModel

from qa_research.console import tracked
from qa_research.explain.words.result import OUTPUTS, Values, all_rounded
from qa_research.explain.words.text import Text, masked_ids, texts_of, unit_of_token
from qa_research.model.bert import input_names
from qa_research.model.tokenizer import Off, off_token
from qa_research.tasks.answering.decode import Answer, span_scores
from qa_research.tasks.answering.logits import MOST_TOKENS
from qa_research.tasks.answering.question import Question, asked_question
from qa_research.tasks.answering.trained import TrainedAnswerer
from qa_research.tasks.answering.windows import Windows, make_windows


class Predictions(Protocol):
    """What a network says of texts: the explained outputs, and how probable what it said is."""

    @property
    def outputs(self) -> Float[ndarray, "output text"]: ...
    @property
    def probability(self) -> Float[ndarray, " text"]: ...


class WordReader(Protocol):
    """What reads one text with some of its `units` off, as the methods and their controls need it."""

    @property
    def units(self) -> tuple[int, ...]: ...
    @property
    def besides_answer(self) -> list[int]: ...
    def predict(self, masks: Bool[ndarray, "mask unit"], what: str) -> Predictions: ...
    def by_word(self, values: Float[ndarray, "output unit"]) -> dict[str, Any]: ...


@dataclass(frozen=True)
class Target:
    """A span by its tokens, inclusive (0, 0 is "no answer"), and which spans it competes with.

    Those are all spans of the window's context of at most `max_answer_tokens` tokens, and "no answer"
    where `counts_null`.
    """

    first: int
    last: int
    max_answer_tokens: int
    counts_null: bool

    @property
    def is_null(self) -> bool:
        """Whether it is the span of "no answer"."""
        return self.last == 0


@dataclass(frozen=True)
class SpanPredictions:
    """By text: the start logit at the span's first token and the end logit at its last, and its probability.

    `probability` is exp(start + end) as a share of all spans that compete in this window.
    """

    start: Float[ndarray, " text"]
    end: Float[ndarray, " text"]
    probability: Float[ndarray, " text"]

    @property
    def outputs(self) -> Float[ndarray, "output text"]:
        """In the order of OUTPUTS: start, end, and their sum."""
        return np.stack([self.start, self.end, self.start + self.end])


@dataclass(frozen=True)
class Reader:
    """A network that reads one text with some of its `units` off. `units` are words, by number.

    All other words, and the special tokens, always stay on.
    """

    network: PreTrainedModel
    text: Text
    off: Off
    target: Target
    units: tuple[int, ...]

    @property
    def besides_answer(self) -> list[int]:
        """The indices in `units` of words that are not of the span.

        Whatever ranks words finds the span's own: without them there is no such answer. What else carries it
        is what methods and controls are compared on.
        """
        own = () if self.target.is_null else self.text.words_of(self.target.first, self.target.last)
        return [index for index, number in enumerate(self.units) if number not in set(own)]

    @property
    def batch_size(self) -> int:
        """How many texts of this length make a batch."""
        return int(max(1, MOST_TOKENS[self.network.device.type] // self.text.n_tokens))

    @property
    def unit_of(self) -> Int[Tensor, " token"]:
        """By token the index of its word in `units`, or NO_WORD."""
        return unit_of_token(self.text, self.units)

    @property
    def full_ids(self) -> Int[Tensor, "one token"]:
        """The text as it is."""
        return self.text.inputs["input_ids"].to(self.network.device)

    @property
    def blank_ids(self) -> Int[Tensor, "one token"]:
        """The text with all units off."""
        return self.masked_ids(np.zeros((1, len(self.units)), dtype=bool))

    def masked_ids(self, masks: Bool[ndarray, "mask unit"]) -> Int[Tensor, "mask token"]:
        """The text with the units off that are False."""
        unit_of = self.unit_of.to(self.network.device)
        return masked_ids(self.full_ids[0], unit_of, self.off.token_id, masks)

    def logits(
        self, ids: Int[Tensor, "text token"]
    ) -> tuple[Float[Tensor, "text token"], Float[Tensor, "text token"]]:
        """Start and end logits of texts of this window's length; gradients flow where they are enabled."""
        device, names = self.network.device, input_names(self.network)
        others = {
            name: values.to(device).expand(len(ids), -1)
            for name, values in self.text.inputs.items()
            if name in names and name != "input_ids"
        }
        output = self.network(input_ids=ids, **others)
        return output.start_logits, output.end_logits

    def at_span(self, ids: Int[Tensor, "text token"]) -> Float[Tensor, "text row"]:
        """The start logit at the span's first token and the end logit at its last."""
        start, end = self.logits(ids)
        return torch.stack([start[:, self.target.first], end[:, self.target.last]], dim=1)

    def said_of(
        self, ids: Int[Tensor, "text token"]
    ) -> tuple[Float[Tensor, " text"], Float[Tensor, " text"], Float[Tensor, " text"]]:
        """The span's start and end logit and its probability, for any texts of this window's length."""
        start, end = self.logits(ids)
        first, last = start[:, self.target.first], end[:, self.target.last]
        return first, last, (first + last - self._log_total(start, end)).double().exp()

    def predict(self, masks: Bool[ndarray, "mask unit"], what: str) -> SpanPredictions:
        """The predictions for each mask, in batches; `what` is the label of the progress bar.

        Raises:
            ValueError: the logits are not finite.
        """
        size = self.batch_size
        batches = [masks[i : i + size] for i in range(0, len(masks), size)]
        with torch.inference_mode():
            parts = list(self._batches(batches, what))
        start, end, probability = (
            torch.cat(column).cpu().numpy().astype(np.float64)
            for column in zip(*parts, strict=True)
        )
        if not (np.isfinite(start) & np.isfinite(end)).all():
            raise ValueError(
                "the network's logits are not finite numbers: there is nothing to explain"
            )
        return SpanPredictions(start, end, probability)

    def by_word(self, values: Float[ndarray, "output unit"]) -> dict[str, Values]:
        """The values by output (OUTPUTS), of each word instead of each unit.

        Of four words with the units 0, 2 and 3, a row a, b, c becomes a, None, b, c.
        """
        found = {}
        for output, row in zip(OUTPUTS, values, strict=True):
            of_word = dict(zip(self.units, all_rounded(row), strict=True))
            found[output] = tuple(of_word.get(number) for number in range(len(self.text.words)))
        return found

    def predict_full(self) -> SpanPredictions:
        """The predictions for the text as it is."""
        return self.predict(np.ones((1, len(self.units)), dtype=bool), "Predicting")

    def _batches(
        self, batches: Sequence[Bool[ndarray, "mask unit"]], what: str
    ) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        for masks in tracked(batches, what):
            yield self.said_of(self.masked_ids(masks))

    def _log_total(
        self, start: Float[Tensor, "text token"], end: Float[Tensor, "text token"]
    ) -> Float[Tensor, " text"]:
        """Log of the sum of exp(start + end) over all spans that compete."""
        # With the scores 2, 1 and 0 for the spans of a context the total is e^2 + e + 1 = 11.1, and
        # the first span's probability e^2 / 11.1 = 0.67.
        allowed = self._is_context.to(start.device).expand(len(start), -1)
        scores = span_scores(start, end, allowed, self.target.max_answer_tokens).flatten(1)
        if self.target.counts_null or self.target.is_null:
            scores = torch.cat([scores, (start[:, :1] + end[:, :1]).float()], dim=1)
        if self.target.last - self.target.first >= self.target.max_answer_tokens:
            # A true span may be longer than any predicted one; it competes all the same.
            own = start[:, [self.target.first]] + end[:, [self.target.last]]
            scores = torch.cat([scores, own.float()], dim=1)
        return torch.logsumexp(scores, dim=1)

    @property
    def _is_context(self) -> Bool[Tensor, " token"]:
        inside = torch.zeros(self.text.n_tokens, dtype=torch.bool)
        for word in self.text.words:
            if word.part == "context":
                inside[word.first_token : word.last_token + 1] = True
        return inside


@dataclass(frozen=True)
class Explained:
    """A span, as a reader of its window, and its characters of the context (0, 0: "no answer")."""

    reader: Reader
    char_start: int
    char_end: int

    @property
    def span_text(self) -> str:
        """The span's characters; empty for "no answer"."""
        return self.reader.text.context[self.char_start : self.char_end]

    @property
    def span_words(self) -> tuple[int, ...]:
        """The words of the span, by number; none for "no answer"."""
        target = self.reader.target
        if target.is_null:
            return ()
        return tuple(self.reader.text.words_of(target.first, target.last))

    @property
    def part_of_word(self) -> str | None:
        """That the span starts or ends inside a word, as a sentence; None where it does not."""
        words = [self.reader.text.words[number] for number in self.span_words]
        if not words:
            return None
        start, end = words[0].char_start, words[-1].char_end
        if (start, end) == (self.char_start, self.char_end):
            return None
        whole = self.reader.text.context[start:end]
        return f"The span is only a part of “{whole}”: words are switched off as a whole."

    @property
    def notes(self) -> list[str]:
        """What a reader of any attribution of it has to know, a sentence each."""
        sentences = self.reader.text.note, self.part_of_word, self.reader.off.note
        return [sentence for sentence in sentences if sentence]


def answered_span(
    run: TrainedAnswerer, question: str, context: str, keep_answer: bool
) -> tuple[Explained, Answer]:
    """The span that a run answers with, in the window where its score is highest, and the answer.

    "No answer" is at token 0; its window is the one whose null score decided, the lowest.
    `keep_answer`: the answer's own words always stay on.

    Raises:
        ValueError: question or context is empty, the question is longer than a window, or there are
            no words that may be switched off.
    """
    answer = run.ask(question, context)
    row = asked_question(question, context)
    windows = _windows(run, row)
    texts = _texts(run, row, windows)
    if not answer.text:
        if keep_answer:
            raise ValueError(
                "--keep-answer keeps the words of the answer on, but the answer is “no answer”"
            )
        readers = [_reader(run, text, 0, 0, keep_answer=False) for text in texts]
        return Explained(min(readers, key=_score), 0, 0), answer
    readers = []
    for index, text in enumerate(texts):
        window = windows.text(index, context, run.tokenizer)
        span = window.span_of(answer.char_start, answer.char_end)
        if span is not None:
            readers.append(_reader(run, text, *span, keep_answer))
    assert readers, "some window holds the answer"
    return Explained(max(readers, key=_score), answer.char_start, answer.char_end), answer


def true_span(
    run: TrainedAnswerer, described: Mapping[str, Any], first: int, last: int
) -> Explained | None:
    """The true span of a watched question, as a recording describes it: tokens `first` to `last`.

    The window is the one that was watched. For a question that has no answer it is "no answer"; None
    where there is an answer, but not in that window (first and last are 0 then).

    Raises:
        ValueError: the run's tokenizer does not make that window.
    """
    if described["answers"] and not last:
        return None
    question, context = described["question"], described["context"]
    row = Question(described["id"], described["title"], context, question, (), described["kind"])
    windows = _windows(run, row)
    for index in range(len(windows)):
        window = windows.text(index, context, run.tokenizer)
        if list(window.tokens) == list(described["tokens"]):
            text = _texts(run, row, windows)[index]
            reader = _reader(run, text, first, last, keep_answer=False)
            return Explained(reader, window.chars[first][0], window.chars[last][1])
    raise ValueError(
        f"question {row.id} was watched in a window that the run's tokenizer does not make; was model/ "
        "replaced?"
    )


def _windows(run: TrainedAnswerer, row: Question) -> Windows:
    data = run.config["data"]
    return make_windows([row], run.tokenizer, data["max_tokens"], data["stride_tokens"])


def _texts(run: TrainedAnswerer, row: Question, windows: Windows) -> list[Text]:
    data = run.config["data"]
    return texts_of(row, windows, run.tokenizer, data["max_tokens"], data["stride_tokens"])


def _reader(run: TrainedAnswerer, text: Text, first: int, last: int, keep_answer: bool) -> Reader:
    kept = set(text.words_of(first, last)) if keep_answer else set()
    units = tuple(number for number in range(len(text.words)) if number not in kept)
    if not units:
        raise ValueError("every word belongs to the answer, so there is none to switch off")
    answering = run.answering
    counts_null = answering.threshold is not None
    target = Target(first, last, answering.max_answer_tokens, counts_null)
    return Reader(run.network, text, off_token(run.tokenizer), target, units)


def _score(reader: Reader) -> float:
    with torch.inference_mode():
        return float(reader.at_span(reader.full_ids).sum())
