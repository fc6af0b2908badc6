"""The film of one watched question: what the network answers to it, capture by capture. Reads no file and
draws nothing; see `strip` and `page`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.special import softmax

from qa_research.figures.panels import evenly_spaced
from qa_research.tasks.answering.windows import TokenText

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

# Of attention, one byte for each weight; base64 adds a third, so a page stays below about 15 MB.
ATTENTION_BYTES = 10_000_000
NOT_A_NUMBER = 255
# The split of a question that was asked once, whose true answer nobody said.
ASKED = "asked"
FULL = 254


@dataclass(frozen=True)
class FilmAttention:
    """Attention weights of some captures, as bytes.

    `weights` [step, layer, head, query, key]: byte b stands for the weight (b / 254)^2, which is off by at
    most 0.4 percentage points near 100 % and 0.02 near 0.3 %; 255 is not a number. `layers` are the numbers
    of the recorded layers. `note` says what is omitted; empty if nothing is.
    """

    steps: Ints
    layers: tuple[int, ...]
    weights: NDArray[np.uint8]
    note: str


@dataclass(frozen=True)
class FilmHeads:
    """How focused each head is: `entropy` in nats and `distance` in tokens, both [step, layer, head], means
    over the window's query tokens.
    """

    steps: Ints
    layers: tuple[int, ...]
    entropy: Floats
    distance: Floats


class Turning:
    """When something becomes right: at which of the captures, an index of `steps`, and in words."""

    steps: Ints
    right: NDArray[np.bool_]

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
    def turn(self) -> int | None:
        """The step from which on every answer is right, else the first right one; None: never or always."""
        place = self.settled or self.first_right
        return int(self.steps[place]) if place else None

    @property
    def opening(self) -> int:
        """The capture worth looking at first, as an index of `steps`: where the answer becomes right.

        The last one if it never does, or always is.
        """
        return self.settled or self.first_right or len(self.steps) - 1

    @property
    def outcome(self) -> str:
        """When the answer becomes right, as a sentence without a full stop."""
        if self.first_right is None:
            return "the answer is wrong at every captured step"
        if self.settled == 0:
            return "the answer is right at every captured step"
        first = self.steps[self.first_right]
        if self.settled is None:
            return f"the answer is first right at step {first}, but wrong at the last captured one"
        sentence = f"the answer is right at every captured step from {self.steps[self.settled]} on"
        if self.first_right < self.settled:
            sentence += f", and first right at step {first}"
        return sentence


@dataclass(frozen=True)
class Film(Turning):
    """One watched question over a training; the axis `step` is that of its captures.

    `text` is the window that was watched. `start` and `end` [step, token] are probabilities (softmax over
    the window's own tokens), `loss` [step, 2] start and end loss in nats, `answers` [step, 2] the first and
    last token of the answer at each step (0, 0: "no answer"), `rank` 1 where the true span is the answer.
    Numbers that are not finite, as after a diverged training, stay so. `truth` is the true span, first and
    last token; 0, 0 if the question has no answer or the window does not contain it. If `is_asked`, it is the
    answer that was given, and right and wrong mean nothing.
    """

    question_id: str
    split: str
    kind: str
    title: str
    question: str
    true_texts: tuple[str, ...]
    text: TokenText
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

    @property
    def is_asked(self) -> bool:
        """Whether the question was asked once, and nobody said what is true."""
        return self.split == ASKED

    def answer_span(self, capture: int) -> tuple[int, int]:
        """First and last token of the answer at a capture, an index of `steps`; (0, 0) is "no answer"."""
        first, last = self.answers[capture]
        return int(first), int(last)

    def answer_text(self, capture: int) -> str:
        """The answer at a capture; empty for "no answer"."""
        return self.text.text(*self.answer_span(capture))


def make_film(
    question: Mapping[str, Any],
    index: int,
    logits: xr.Dataset,
    attention: xr.Dataset | None = None,
    heads: xr.Dataset | None = None,
) -> Film:
    """The film of watched question number `index`, which `question` describes.

    `logits`, `attention` and `heads` are groups of a recording; the latter two may have steps of their own.
    Captures of attention beyond ATTENTION_BYTES (one byte for each weight) are omitted.
    """
    own = logits.isel(question=index)
    window = own.isel(token=slice(len(question["tokens"])))
    chars = np.stack([window["char_start"], window["char_end"]], axis=1)
    text = TokenText(
        context=question["context"],
        tokens=tuple(question["tokens"]),
        parts=tuple(window["part"].to_numpy().tolist()),
        chars=tuple((first, last) for first, last in chars.tolist()),
    )
    return Film(
        question_id=str(question["id"]),
        split=question["split"],
        kind=question["kind"],
        title=question["title"],
        question=question["question"],
        true_texts=tuple(question["answers"]),
        text=text,
        truth=(int(own["true_first"]), int(own["true_last"])),
        steps=_ints(own["step"]),
        start=_probabilities(window, "start"),
        end=_probabilities(window, "end"),
        loss=_floats(own["loss"].sel(row=["start", "end"]).transpose("step", "row")),
        answers=_ints(own["answer"].sel(row=["start", "end"]).transpose("step", "row")),
        answer_probability=_floats(own["answer_probability"]),
        true_probability=_floats(own["probability"]),
        rank=_ints(own["rank"]),
        right=own["exact_match"].to_numpy() == 1,
        attention=None
        if attention is None
        else film_attention(attention, index, len(text), ATTENTION_BYTES),
        heads=None if heads is None else film_heads(heads, index),
    )


def film_attention(
    attention: xr.Dataset, index: int, n_tokens: int, max_bytes: int
) -> FilmAttention:
    """The attention of question `index`, at evenly spaced captures if all of them exceed `max_bytes`."""
    sizes = attention["weight"].sizes
    n_captures = sizes["step"]
    capture_bytes = sizes["layer"] * sizes["head"] * n_tokens**2
    kept = evenly_spaced(n_captures, max_bytes // capture_bytes)
    window = slice(n_tokens)
    own = attention["weight"].isel(question=index, query=window, key=window)
    weights = np.zeros((len(kept), sizes["layer"], sizes["head"], n_tokens, n_tokens), np.uint8)
    for position, capture in enumerate(kept):
        weight = own.isel(step=capture).transpose("layer", "head", "query", "key")
        weights[position] = as_bytes(weight.to_numpy())
    return FilmAttention(
        steps=attention["step"].to_numpy()[kept].astype(np.int64),
        layers=tuple(int(layer) for layer in attention["layer"].to_numpy()),
        weights=weights,
        note=_note(len(kept), n_captures, capture_bytes),
    )


def moved_most(before: Floats, after: Floats) -> tuple[int, int]:
    """The indices of the layer and head whose attention moved most between two captures.

    Both are weights [layer, head, query, key] of the queries that count. A query moves by the sum of absolute
    changes, in [0, 2]; weights that are not numbers count as unmoved. Example: a token that attended to token
    3 alone and then to token 7 alone has moved by 2.
    """
    moved = np.nansum(np.abs(after - before), axis=(2, 3))
    layer, head = np.unravel_index(int(moved.argmax()), moved.shape)
    return int(layer), int(head)


def as_weights(codes: NDArray[np.uint8]) -> Floats:
    """The weights that `as_bytes` stored, NaN where there was none."""
    return np.where(codes == NOT_A_NUMBER, np.nan, (codes.astype(np.float64) / FULL) ** 2)


def film_heads(heads: xr.Dataset, index: int) -> FilmHeads:
    """Entropy and distance of every head for question `index`."""
    own = heads.isel(question=index)
    return FilmHeads(
        steps=_ints(heads["step"]),
        layers=tuple(int(layer) for layer in heads["layer"].to_numpy()),
        entropy=_floats(own["entropy"].transpose("step", "layer", "head")),
        distance=_floats(own["distance"].transpose("step", "layer", "head")),
    )


def as_bytes(weight: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Attention weights in [0, 1] as `FilmAttention` stores them: rint(254 sqrt(weight)).

    Most weights are small, and the square root spends most bytes on them: 0.01 becomes 25, 0.25 becomes 127.
    """
    missing = ~np.isfinite(weight)
    roots = np.sqrt(np.where(missing, 0, weight).astype(np.float32).clip(0, 1))
    return np.where(missing, NOT_A_NUMBER, np.rint(FULL * roots)).astype(np.uint8)


def _note(n_kept: int, n_captures: int, capture_bytes: int) -> str:
    if n_captures == 0:
        return "No attention has been captured yet."
    if n_kept == n_captures:
        return ""
    why = f"one capture takes {capture_bytes / 1e6:.1f} MB, and the page has to stay small"
    if n_kept == 0:
        return f"Attention was recorded, but is omitted here: {why}."
    if n_kept == 1:
        return f"Attention is shown for only the last of {n_captures} captures: {why}."
    return f"Attention is shown for {n_kept} of {n_captures} captures, evenly spaced: {why}."


def _probabilities(window: xr.Dataset, row: str) -> Floats:
    logit = _floats(window["logit"].sel(row=row).transpose("step", "token"))
    with np.errstate(invalid="ignore"):  # infinite logits become NaN, which is shown as such
        return np.asarray(softmax(logit, axis=1))


def _ints(array: xr.DataArray) -> Ints:
    return array.to_numpy().astype(np.int64)


def _floats(array: xr.DataArray) -> Floats:
    return array.to_numpy().astype(np.float64)
