"""What a network says of one span while words of its text are on or off.

Which window of a long context is explained, and which span: the one that was answered, or the true one.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from torch import Tensor
from transformers import PreTrainedModel

from qa_research.console import tracked
from qa_research.explain.words.text import Off, Text, ids_with, off_token, text_of, unit_of_token
from qa_research.model.bert import input_names
from qa_research.runs.open import MOST_TOKENS, OpenRun
from qa_research.tasks.answering.decode import Answer, span_scores
from qa_research.tasks.answering.question import Question, question_word
from qa_research.tasks.answering.windows import Ints, Windows, make_windows

# What is explained: the span's two logits, and their sum, the score that decides between spans.
OUTPUTS = ("start", "end", "span")


@dataclass(frozen=True)
class Target:
    """A span by its tokens, inclusive (0, 0 is "no answer"), and which spans it competes with.

    All spans of the window's context compete, of at most `max_answer_tokens` tokens, and "no answer"
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
class Said:
    """By text: the start logit at the span's first token and the end logit at its last, and its probability.

    `probability` is exp(start + end) as a share of all spans that compete in this window.
    """

    start: Float[ndarray, " text"]
    end: Float[ndarray, " text"]
    probability: Float[ndarray, " text"]

    @property
    def outputs(self) -> Float[ndarray, "output text"]:
        """In the order of OUTPUTS."""
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
    def at_once(self) -> int:
        """How many texts make a batch."""
        return int(max(1, MOST_TOKENS[self.network.device.type] // self.text.n_tokens))

    @property
    def unit_of(self) -> Int[Tensor, " token"]:
        """By token the place of its word in `units`, or NO_WORD."""
        return unit_of_token(self.text, self.units)

    @property
    def whole(self) -> Int[Tensor, "one token"]:
        """The text as it is."""
        return self.text.inputs["input_ids"].to(self.network.device)

    @property
    def blank(self) -> Int[Tensor, "one token"]:
        """The text with all units off."""
        return self.ids(np.zeros((1, len(self.units)), dtype=bool))

    def ids(self, masks: Bool[ndarray, "mask unit"]) -> Int[Tensor, "mask token"]:
        """The text with the units off that are False."""
        unit_of = self.unit_of.to(self.network.device)
        return ids_with(self.whole[0], unit_of, self.off.token_id, masks)

    def logits(
        self, ids: Int[Tensor, "text token"]
    ) -> tuple[Float[Tensor, "text token"], Float[Tensor, "text token"]]:
        """Start and end logits of texts of this window's length; gradients flow where they are on."""
        device, names = self.network.device, input_names(self.network)
        beside = {
            name: values.to(device).expand(len(ids), -1)
            for name, values in self.text.inputs.items()
            if name in names and name != "input_ids"
        }
        output = self.network(input_ids=ids, **beside)
        return output.start_logits, output.end_logits

    def at_span(self, ids: Int[Tensor, "text token"]) -> Float[Tensor, "text row"]:
        """The start logit at the span's first token and the end logit at its last."""
        start, end = self.logits(ids)
        return torch.stack([start[:, self.target.first], end[:, self.target.last]], dim=1)

    def say(self, masks: Bool[ndarray, "mask unit"], what: str) -> Said:
        """What the network says to each mask, in batches; `what` names the work to whoever waits.

        Raises:
            ValueError: the logits are no finite numbers.
        """
        batches = [masks[i : i + self.at_once] for i in range(0, len(masks), self.at_once)]
        with torch.inference_mode():
            parts = list(self._batches(batches, what))
        start, end, probability = (
            torch.cat(column).cpu().numpy().astype(np.float64)
            for column in zip(*parts, strict=True)
        )
        if not (np.isfinite(start) & np.isfinite(end)).all():
            raise ValueError(
                "the network's logits are no finite numbers: there is nothing to explain"
            )
        return Said(start, end, probability)

    def _batches(
        self, batches: Sequence[Bool[ndarray, "mask unit"]], what: str
    ) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        for masks in tracked(batches, what):
            start, end = self.logits(self.ids(masks))
            first, last = start[:, self.target.first], end[:, self.target.last]
            yield first, last, (first + last - self._log_total(start, end)).double().exp()

    def _log_total(
        self, start: Float[Tensor, "text token"], end: Float[Tensor, "text token"]
    ) -> Float[Tensor, " text"]:
        allowed = self._allowed.to(start.device).expand(len(start), -1)
        scores = span_scores(start, end, allowed, self.target.max_answer_tokens).flatten(1)
        if self.target.counts_null or self.target.is_null:
            scores = torch.cat([scores, (start[:, :1] + end[:, :1]).float()], dim=1)
        if self.target.last - self.target.first >= self.target.max_answer_tokens:
            # A true span may be longer than any that is answered with: it competes all the same.
            own = start[:, [self.target.first]] + end[:, [self.target.last]]
            scores = torch.cat([scores, own.float()], dim=1)
        return torch.logsumexp(scores, dim=1)

    @property
    def _allowed(self) -> Bool[Tensor, " token"]:
        inside = torch.zeros(self.text.n_tokens, dtype=torch.bool)
        for word in self.text.words:
            if word.part == "context":
                inside[word.first_token : word.last_token + 1] = True
        return inside


@dataclass(frozen=True)
class Explained:
    """A span, as a reader of its window, and its characters of the context (0, 0: none)."""

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


def answered(
    opened: OpenRun, question: str, context: str, keep_answer: bool
) -> tuple[Explained, Answer]:
    """The span that a run answers, in the window where its score is highest, and the answer.

    "No answer" stands at token 0.

    Of "no answer" the window is the one whose null score decided: the lowest. `keep_answer`: the
    answer's own words always stay on.

    Raises:
        ValueError: question or context is empty, the question longer than a window, or there are no
            words that may be switched off.
    """
    answer = opened.ask(question, context)
    row = Question("asked", "", context, question, (), question_word(question))
    windows = _windows(opened, row)
    texts = [_text(opened, row, windows, index) for index in range(len(windows))]
    if not answer.text:
        if keep_answer:
            raise ValueError(
                "--keep-answer keeps the words of the answer, but the answer is that there is none"
            )
        readers = [_reader(opened, text, 0, 0, False) for text in texts]
        return Explained(min(readers, key=_score), 0, 0), answer
    holding = []
    for index, text in enumerate(texts):
        starts, ends = _chars(windows, index)
        first = np.flatnonzero((starts == answer.char_start) & (ends > starts))
        last = np.flatnonzero((ends == answer.char_end) & (ends > starts))
        if len(first) and len(last) and first[0] <= last[-1]:
            holding.append(_reader(opened, text, int(first[0]), int(last[-1]), keep_answer))
    assert holding, "the answer stands in a window"
    return Explained(max(holding, key=_score), answer.char_start, answer.char_end), answer


def true_span(
    opened: OpenRun, described: Mapping[str, Any], first: int, last: int
) -> Explained | None:
    """The true span of a watched question, as a recording describes it: token `first` to `last`.

    The window is the one that was watched. Of a question that has no answer it is "no answer"; None
    where there is an answer, but not in that window (first and last are 0 then).

    Raises:
        ValueError: the run's tokenizer cuts no such window.
    """
    if described["answers"] and not last:
        return None
    question, context = described["question"], described["context"]
    row = Question(described["id"], described["title"], context, question, (), described["kind"])
    windows = _windows(opened, row)
    for index in range(len(windows)):
        starts, ends = _chars(windows, index)
        tokens = slice(int(windows.starts[index]), int(windows.starts[index + 1]))
        ids = windows.input_ids[tokens].tolist()
        if opened.tokenizer.convert_ids_to_tokens(ids) == described["tokens"]:
            reader = _reader(opened, _text(opened, row, windows, index), first, last, False)
            return Explained(reader, int(starts[first]), int(ends[last]))
    raise ValueError(
        f"question {row.id} was watched in a window that the run's tokenizer does not cut; is model/ its own?"
    )


def where(text: Text) -> str | None:
    """Which part of a context that is longer than a window is explained; None where it is all."""
    if text.windows == 1:
        return None
    start, end = text.context_chars
    return (
        f"The context is longer than a window: characters {start} to {end} of {len(text.context)} "
        f"are explained (window {text.window + 1} of {text.windows})."
    )


def part_of_word(explained: Explained) -> str | None:
    """That the span begins or ends inside a word, which goes off as a whole; None where it does not."""
    words = [explained.reader.text.words[number] for number in explained.span_words]
    if not words:
        return None
    start, end = words[0].char_start, words[-1].char_end
    if (start, end) == (explained.char_start, explained.char_end):
        return None
    whole = explained.reader.text.context[start:end]
    return f"The span is a part of “{whole}”: words are switched off as a whole."


def _windows(opened: OpenRun, row: Question) -> Windows:
    data = opened.config["data"]
    return make_windows([row], opened.tokenizer, data["max_tokens"], data["stride_tokens"])


def _text(opened: OpenRun, row: Question, windows: Windows, index: int) -> Text:
    data = opened.config["data"]
    sizes = data["max_tokens"], data["stride_tokens"]
    return text_of(row, windows, index, opened.tokenizer, *sizes)


def _chars(windows: Windows, index: int) -> tuple[Ints, Ints]:
    tokens = slice(int(windows.starts[index]), int(windows.starts[index + 1]))
    return windows.char_start[tokens], windows.char_end[tokens]


def _reader(opened: OpenRun, text: Text, first: int, last: int, keep_answer: bool) -> Reader:
    answering = opened.answering
    kept = set(text.words_of(first, last)) if keep_answer else set()
    units = tuple(number for number in range(len(text.words)) if number not in kept)
    if not units:
        raise ValueError("every word belongs to the answer, so there is none to switch off")
    counts_null = answering.threshold is not None
    target = Target(first, last, answering.max_answer_tokens, counts_null)
    return Reader(opened.network, text, off_token(opened.tokenizer), target, units)


def _score(reader: Reader) -> float:
    with torch.inference_mode():
        return float(reader.at_span(reader.whole).sum())
