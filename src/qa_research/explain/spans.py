"""Which window of a long context is explained, and which span: the one that was answered, or the true one."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from qa_research.answer.decode import Answer
from qa_research.data.question import Question, question_word
from qa_research.data.windows import Ints, Windows, make_windows
from qa_research.explain.reading import Reader, Target
from qa_research.explain.text import Text, off_token, text_of
from qa_research.run.opened import OpenRun


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
