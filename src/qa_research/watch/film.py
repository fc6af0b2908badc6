"""A film's attention: which captures are kept, and each weight as one byte. Pure.

The film of one watched question: what a network answers to it, capture by capture. Pure.

Reads no file and draws nothing: `film_strip` and `film_page` draw it.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import xarray as xr

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from scipy.special import softmax

# One byte a weight; in base64 a third more, so that a page stays below about 15 MB.
ATTENTION_BYTES = 10_000_000
NOT_A_NUMBER = 255
FULL = 254


@dataclass(frozen=True)
class FilmAttention:
    """Attention weights of the kept captures, as bytes.

    `weights` [step, layer, head, query, key]: byte b stands for the weight (b / 254)^2, which is
    off by at most 0.4 percentage points near 100 % and 0.02 near 0.3 %; 255 is not a number.
    `layers` are the numbers of the recorded layers. `note` says what was left out; empty: nothing.
    """

    steps: NDArray[np.int64]
    layers: tuple[int, ...]
    weights: NDArray[np.uint8]
    note: str

    @property
    def n_heads(self) -> int:
        """Heads a layer."""
        return int(self.weights.shape[2])


@dataclass(frozen=True)
class FilmHeads:
    """How sharp each head's attention is: `entropy` in nats, `distance` in tokens, both
    [step, layer, head], means over the window's query tokens.
    """

    steps: NDArray[np.int64]
    layers: tuple[int, ...]
    entropy: NDArray[np.float64]
    distance: NDArray[np.float64]


def film_attention(
    attention: "xr.Dataset", index: int, n_tokens: int, max_bytes: int
) -> FilmAttention:
    """Question `index`'s attention, at evenly chosen captures where all of them exceed `max_bytes`.

    Raises:
        ValueError: the window has other than `n_tokens` tokens.
    """
    _check_tokens(attention, "attention", index, n_tokens)
    sizes = attention["weight"].sizes
    n_captures = sizes["step"]
    capture_bytes = sizes["layer"] * sizes["head"] * n_tokens**2
    kept = evenly_chosen(n_captures, max_bytes // capture_bytes)
    window = slice(n_tokens)
    chosen = attention["weight"].isel(question=index, query=window, key=window)
    weights = np.zeros((len(kept), sizes["layer"], sizes["head"], n_tokens, n_tokens), np.uint8)
    for position, capture in enumerate(kept):
        weight = chosen.isel(step=capture).transpose("layer", "head", "query", "key")
        weights[position] = as_bytes(weight.to_numpy())
    return FilmAttention(
        steps=attention["step"].to_numpy()[kept].astype(np.int64),
        layers=tuple(int(layer) for layer in attention["layer"].to_numpy()),
        weights=weights,
        note=_note(len(kept), n_captures, capture_bytes),
    )


def film_heads(heads: "xr.Dataset", index: int, n_tokens: int) -> FilmHeads:
    """Question `index`'s entropy and distance of every head.

    Raises:
        ValueError: the window has other than `n_tokens` tokens.
    """
    _check_tokens(heads, "heads", index, n_tokens)
    chosen = heads.isel(question=index)
    entropy, distance = (
        chosen[name].transpose("step", "layer", "head").to_numpy().astype(np.float64)
        for name in ("entropy", "distance")
    )
    return FilmHeads(
        steps=heads["step"].to_numpy().astype(np.int64),
        layers=tuple(int(layer) for layer in heads["layer"].to_numpy()),
        entropy=entropy,
        distance=distance,
    )


def as_bytes(weight: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Attention weights in [0, 1] as `FilmAttention` keeps them.

    The square root gives small weights, which most are, the larger part of the bytes.
    """
    missing = ~np.isfinite(weight)
    roots = np.sqrt(np.where(missing, 0, weight).astype(np.float32).clip(0, 1))
    return np.where(missing, NOT_A_NUMBER, np.rint(FULL * roots)).astype(np.uint8)


def as_weights(codes: NDArray[np.uint8]) -> NDArray[np.float64]:
    """What `as_bytes` took, as near as bytes can say."""
    return np.where(codes == NOT_A_NUMBER, np.nan, (codes / FULL) ** 2)


def evenly_chosen(n: int, at_most: int) -> NDArray[np.int64]:
    """At most `at_most` of the indices 0..n-1, evenly, with the last and, from two on, the first."""
    if at_most >= n:
        return np.arange(n)
    if at_most <= 1:
        return np.arange(n)[n - max(at_most, 0) :]
    return np.unique(np.rint(np.linspace(0, n - 1, at_most)).astype(np.int64))


def _note(n_kept: int, n_captures: int, capture_bytes: int) -> str:
    if n_captures == 0:
        return "No attention was captured yet."
    if n_kept == n_captures:
        return ""
    why = f"one capture of it takes {capture_bytes / 1e6:.1f} MB, and the page is to stay small"
    if n_kept == 0:
        return f"Attention was recorded, but is left out here: {why}."
    if n_kept == 1:
        return f"Attention is here for the last of {n_captures} captures alone: {why}."
    return f"Attention is here for {n_kept} of {n_captures} captures, evenly chosen: {why}."


def _check_tokens(group: "xr.Dataset", name: str, index: int, n_tokens: int) -> None:
    found = int(group["tokens"][index])
    if found != n_tokens:
        raise ValueError(
            f"question number {index} has {found} tokens in {name}, but {n_tokens} in logits"
        )


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
