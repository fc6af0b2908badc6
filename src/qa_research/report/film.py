"""The film of one watched question: what a network answers to it, capture by capture. Pure.

Reads no file and draws nothing: `film_strip` and `film_page` draw it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from qa_research.report.film_attention import (
    ATTENTION_BYTES,
    FilmAttention,
    FilmHeads,
    film_attention,
    film_heads,
)

if TYPE_CHECKING:
    import xarray as xr

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

_NEEDED = ("id", "split", "kind", "title", "question", "context", "answers", "tokens")


@dataclass(frozen=True)
class Segment:
    """A piece of the context's text, and the window's token that it is; None between tokens."""

    text: str
    token: int | None


@dataclass(frozen=True)
class Film:
    """One watched question over a training; the axis `step` is that of its captures.

    `start` and `end` [step, token] are probabilities (softmax over the window's own tokens), `loss`
    [step, 2] start and end loss in nats, `answers` [step, 2] the first and last token of the answer
    given then (0, 0: "no answer"), `rank` 1 where the true span is the answer. A number that is not
    finite, as after a diverged training, stays so. `truth` is the true span, first and last token;
    0, 0 where the question has no answer or the window does not hold it.
    """

    question_id: str
    split: str
    kind: str
    title: str
    question: str
    context: str
    true_texts: tuple[str, ...]
    tokens: tuple[str, ...]
    parts: tuple[str, ...]
    char_start: Ints
    char_end: Ints
    truth: tuple[int, int]
    steps: Ints
    start: Floats
    end: Floats
    loss: Floats
    answers: Ints
    answer_probability: Floats
    true_probability: Floats
    rank: Ints
    right: NDArray[np.bool_]
    attention: FilmAttention | None
    heads: FilmHeads | None

    def text(self, first: int, last: int) -> str:
        """The context's characters from token `first` to `last`; empty for "no answer"."""
        return self.context[int(self.char_start[first]) : int(self.char_end[last])]

    @property
    def segments(self) -> list[Segment]:
        """The whole context in pieces whose texts joined are the context."""
        pieces: list[Segment] = []
        reached = 0
        for token in self.context_tokens:
            first, last = int(self.char_start[token]), int(self.char_end[token])
            if first > reached:
                pieces.append(Segment(self.context[reached:first], None))
            # Byte-level tokens may share a character: it belongs to the first of them.
            pieces.append(Segment(self.context[max(reached, first) : last], token))
            reached = max(reached, last)
        if reached < len(self.context):
            pieces.append(Segment(self.context[reached:], None))
        return pieces

    @property
    def context_tokens(self) -> list[int]:
        """The window's tokens that belong to the context."""
        return [token for token, part in enumerate(self.parts) if part == "context"]

    @property
    def first_right(self) -> int | None:
        """The first capture whose answer is right, as an index of `steps`."""
        found = np.flatnonzero(self.right)
        return int(found[0]) if len(found) else None

    @property
    def settled(self) -> int | None:
        """The capture from which on every answer is right, as an index of `steps`."""
        if not self.right[-1]:
            return None
        wrong = np.flatnonzero(~self.right)
        return int(wrong[-1]) + 1 if len(wrong) else 0

    @property
    def outcome(self) -> str:
        """One sentence without a full stop: when the answer becomes right."""
        if self.first_right is None:
            return "the answer is wrong at every captured step"
        if self.settled == 0:
            return "the answer is right at every captured step"
        first = self.steps[self.first_right]
        if self.settled is None:
            return f"the answer is right for the first time at step {first}, but wrong at the last"
        sentence = f"the answer is right from step {self.steps[self.settled]} on"
        return sentence + (
            f", for the first time at step {first}" if self.first_right < self.settled else ""
        )


def make_film(
    question: Mapping[str, Any],
    index: int,
    logits: "xr.Dataset",
    attention: "xr.Dataset | None" = None,
    heads: "xr.Dataset | None" = None,
    max_attention_bytes: int = ATTENTION_BYTES,
) -> Film:
    """The film of watched question number `index`, which `question` describes.

    `logits`, `attention` and `heads` are the groups of a recording; the latter two may have steps of
    their own. Attention beyond `max_attention_bytes` (one byte a weight) is left out capture-wise.

    Raises:
        ValueError: no such question, another question's description, or no capture.
    """
    watched = logits.sizes["question"]
    if not 0 <= index < watched:
        raise ValueError(
            f"question number {index} is not in the recording: it watches {watched}, "
            f"counted from 0 to {watched - 1}"
        )
    missing = [name for name in _NEEDED if name not in question]
    if missing:
        raise ValueError(f"the question's description lacks {', '.join(missing)}")
    if logits.sizes["step"] == 0:
        raise ValueError("the recording holds no capture of the logits yet")
    seen = logits.isel(question=index)
    n_tokens = int(seen["tokens"])
    if n_tokens != len(question["tokens"]):
        raise ValueError(
            f"question {question['id']} has {len(question['tokens'])} tokens, "
            f"but number {index} of the recording has {n_tokens}"
        )
    window = seen.isel(token=slice(n_tokens))
    return Film(
        question_id=str(question["id"]),
        split=question["split"],
        kind=question["kind"],
        title=question["title"],
        question=question["question"],
        context=question["context"],
        true_texts=tuple(question["answers"]),
        tokens=tuple(question["tokens"]),
        parts=tuple(str(part) for part in window["part"].to_numpy()),
        char_start=_ints(window["char_start"]),
        char_end=_ints(window["char_end"]),
        truth=(int(seen["true_first"]), int(seen["true_last"])),
        steps=_ints(seen["step"]),
        start=_probabilities(window, "start"),
        end=_probabilities(window, "end"),
        loss=_floats(seen["loss"].sel(row=["start", "end"]).transpose("step", "row")),
        answers=_ints(seen["answer"].sel(row=["start", "end"]).transpose("step", "row")),
        answer_probability=_floats(seen["answer_probability"]),
        true_probability=_floats(seen["probability"]),
        rank=_ints(seen["rank"]),
        right=seen["exact_match"].to_numpy() == 1,
        attention=None
        if attention is None
        else film_attention(attention, index, n_tokens, max_attention_bytes),
        heads=None if heads is None else film_heads(heads, index, n_tokens),
    )


def _probabilities(window: "xr.Dataset", row: str) -> Floats:
    logit = _floats(window["logit"].sel(row=row).transpose("step", "token"))
    with np.errstate(invalid="ignore"):  # infinite logits give NaN, which is shown as such
        return np.asarray(softmax(logit, axis=1))


def _ints(array: "xr.DataArray") -> Ints:
    return array.to_numpy().astype(np.int64)


def _floats(array: "xr.DataArray") -> Floats:
    return array.to_numpy().astype(np.float64)
