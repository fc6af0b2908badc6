"""The film of a watched example of which the network says one thing: a label, or a number. See also `film`.

Reads no file and draws nothing; `example_strip` and `page` draw it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from qa_research.watch.film import (
    ATTENTION_BYTES,
    Film,
    FilmAttention,
    FilmHeads,
    Floats,
    Ints,
    Turning,
    film_attention,
    film_heads,
)

# What a network says of an example; see tasks.watching.Outputs, which needs torch.
LABELS, NUMBER = "labels", "number"


@dataclass(frozen=True)
class ExampleFilm(Turning):
    """One watched example over a training; the axis `step` is that of its captures.

    `rows`: the labels, or what the number is called. `scores` [step, row]: the labels' probabilities, or the
    number. `true`: the number of the true label, or the true number. `right`: by step, of labels; a number is
    neither right nor wrong. `text` is what the tokens are of, which have `parts` and characters, as in
    `tasks.watching.WatchedExample`. `marked`: tokens that carry the truth, which are called `marked_as`.
    """

    question_id: str
    split: str
    kind: str
    title: str
    question: str
    true_texts: tuple[str, ...]
    text: str
    tokens: tuple[str, ...]
    parts: tuple[str, ...]
    chars: tuple[tuple[int, int], ...]
    marked: tuple[int, ...]
    marked_as: str
    says: str
    rows: tuple[str, ...]
    true: float
    steps: Ints
    scores: Floats
    loss: Floats
    right: NDArray[np.bool_]
    attention: FilmAttention | None
    heads: FilmHeads | None

    @property
    def is_number(self) -> bool:
        """Whether the network says a number."""
        return self.says == NUMBER

    @property
    def is_letters(self) -> bool:
        """Whether each token is one letter."""
        return all(last - first <= 1 for first, last in self.chars)

    @property
    def errors(self) -> Floats:
        """By step, the number minus the true one."""
        return self.scores[:, 0] - self.true

    def answer_text(self, capture: int) -> str:
        """What the network says at a capture, an index of `steps`: the likeliest label, or the number."""
        scores = self.scores[capture]
        if not np.isfinite(scores).all():
            return "not a number"
        return number_text(scores[0]) if self.is_number else self.rows[int(scores.argmax())]

    def answer_probability(self, capture: int) -> float:
        """The probability of the likeliest label at a capture."""
        return float(self.scores[capture].max())

    @property
    def true_probability(self) -> Floats:
        """By step, the probability of the true label; of a number how near it is, 1 where it is equal.

        A number counts as nearer the smaller its error is beside the largest one of all captures.
        """
        if not self.is_number:
            return self.scores[:, int(self.true)]
        errors = np.abs(self.errors)
        return np.asarray(1 - errors / (np.nanmax(errors) or 1.0))

    @property
    def opening(self) -> int:
        """The capture worth looking at first: where the label becomes right; of a number the last one."""
        return len(self.steps) - 1 if self.is_number else super().opening

    @property
    def settled(self) -> int | None:
        """As of answers; None of a number."""
        return None if self.is_number else super().settled

    @property
    def first_right(self) -> int | None:
        """As of answers; None of a number."""
        return None if self.is_number else super().first_right

    @property
    def outcome(self) -> str:
        """How it ends, as a sentence without a full stop."""
        if not self.is_number:
            return super().outcome.replace("the answer", "the label")
        first, last = self.answer_text(0), self.answer_text(-1)
        return (
            f"the {self.rows[0]} goes from {first} at step {self.steps[0]} to {last} at step "
            f"{self.steps[-1]}, where {number_text(self.true)} is true"
        )


AnyFilm = Film | ExampleFilm


def number_text(value: float) -> str:
    """A number with three digits after the point, and a real minus."""
    return f"{value:.3f}".replace("-", "−")


def make_example_film(
    question: Mapping[str, Any],
    index: int,
    about: Mapping[str, Any],
    outputs: xr.Dataset,
    attention: xr.Dataset | None = None,
    heads: xr.Dataset | None = None,
) -> ExampleFilm:
    """The film of watched example number `index`, which `question` describes.

    `about`: the recording's attribute `outputs`. `outputs`, `attention` and `heads`: groups of a recording;
    the latter two may have steps of their own.
    """
    own = outputs.isel(question=index)
    tokens = tuple(question["tokens"])
    is_number = about["kind"] == NUMBER
    if is_number:
        scores = _floats(own["prediction"])[:, None]
        true = float(own["true_value"])
        right = np.zeros(len(scores), dtype=bool)
    else:
        logits = _floats(own["logit"].transpose("step", "row"))
        with np.errstate(invalid="ignore", over="ignore"):
            shares = np.exp(logits - logits.max(axis=1, keepdims=True))
            scores = shares / shares.sum(axis=1, keepdims=True)
        true = float(list(about["rows"]).index(str(own["true_label"].values)))
        right = own["exact_match"].to_numpy() == 1
    return ExampleFilm(
        question_id=str(question["id"]),
        split=question["split"],
        kind=question["kind"],
        title=question["title"],
        question=question["question"],
        true_texts=tuple(question["answers"]),
        text=question["context"],
        tokens=tokens,
        parts=tuple(question["parts"]),
        chars=tuple((first, last) for first, last in question["chars"]),
        marked=tuple(question["marked"]),
        marked_as=about["marked_as"],
        says=about["kind"],
        rows=tuple(about["rows"]),
        true=true,
        steps=own["step"].to_numpy().astype(np.int64),
        scores=scores,
        loss=_floats(own["loss"]),
        right=right,
        attention=None
        if attention is None
        else film_attention(attention, index, len(tokens), ATTENTION_BYTES),
        heads=None if heads is None else film_heads(heads, index),
    )


def hardest_example(films: Sequence[ExampleFilm]) -> int:
    """The index of the example to show unless one is named: of validation if there is one.

    Of labels the one that was learned last, of numbers the one whose error fell most.
    """

    def rank(film: ExampleFilm) -> tuple[bool, bool, float]:
        if film.is_number:
            fell = np.nan_to_num(abs(film.errors[0]) - abs(film.errors[-1]))
            return True, film.split == "validation", float(fell)
        late = -float(np.nanmean(film.true_probability)) if film.settled else 0.0
        return bool(film.settled), film.split == "validation", late

    return max(range(len(films)), key=lambda i: (rank(films[i]), -i))


def _floats(array: xr.DataArray) -> Floats:
    return array.to_numpy().astype(np.float64)
