"""The methods that attribute an answer to its words, as people read them. Imports nothing.

The methods that attribute an answer to its words, by name. Imports nothing heavy.

Which words made an answer, by each method: the result, its warnings, and what of it goes to a file.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from qa_research.explain.words.faithfulness import RANDOM_ORDERS, Faithfulness
from qa_research.explain.words.gradients import Gradients
from qa_research.explain.words.lime import SPAN, WordLime
from qa_research.explain.words.reader import OUTPUTS, Explained, Reader, part_of_word, where
from qa_research.stats import rank_correlation, top_overlap
from qa_research.tasks.answering.decode import Answer

NAMES = {"gradients": "Integrated gradients", "erasure": "Word erasure", "lime": "LIME"}

METHODS = tuple(NAMES)
# LIME asks a thousand times where the others ask a hundred times.
USUAL_OVER_STEPS = ("gradients", "erasure")


def methods_of(words: Sequence[str], usual: tuple[str, ...]) -> tuple[str, ...]:
    """The methods of `--method`, given once or more often, or with commas; none means the `usual` ones.

    Raises:
        ValueError: a method that there is not.
    """
    named = [name.strip() for word in words for name in word.split(",")]
    if unknown := [name for name in named if name not in METHODS]:
        raise ValueError(
            f"--method {unknown[0] or words[0]} is unknown; these are known: {', '.join(METHODS)}"
        )
    return tuple(name for name in METHODS if name in named) or usual


UNSURE = 0.5
BEATS = 0.95


@dataclass(frozen=True)
class State:
    """Which weights were asked: the run by study and name, the checkpoint's name and its step."""

    run: str
    checkpoint: str
    step: int | None


@dataclass(frozen=True)
class Attribution:
    """The attributions of one span's logits to the words of its text.

    `values`: by method, in the order asked for, [output unit] as in OUTPUTS: what the word adds to the
    start logit at the span's first token, to the end logit at its last, and to their sum. `faithfulness`
    judges the rankings for the sum by the span's probability, which other spans' logits decide, too.
    """

    state: State
    explained: Explained
    answer: Answer
    values: Mapping[str, Float[ndarray, "output unit"]]
    gradients: Gradients | None
    lime: WordLime | None
    faithfulness: Faithfulness
    top: int
    seed: int

    @property
    def quantity(self) -> str:
        """What is explained, in a sentence."""
        if self.explained.reader.target.is_null:
            return (
                "The answer is “no answer”. Explained is its score at token 0, [CLS]: the start logit "
                "there, the end logit there, and their sum."
            )
        return (
            f"Explained is the answered span “{self.explained.span_text}”: the start logit at its first "
            "token, the end logit at its last, and their sum."
        )

    @property
    def warnings(self) -> list[str]:
        """What a reader must know before believing it, a sentence each."""
        reader = self.explained.reader
        found = [where(reader.text), part_of_word(self.explained), reader.off.note]
        probability = self.faithfulness.probability
        if probability < UNSURE:
            found.append(
                f"The span's probability is only {probability:.2f}: the network is not sure, and the curves "
                "have little to lose."
            )
        if self.gradients and not self.gradients.is_complete:
            worst = float(self.gradients.error.max())
            found.append(
                f"Integrated gradients do not sum to what they must: {100 * worst:.0f} % is missing after "
                f"{self.gradients.steps} steps."
            )
        if self.lime:
            found.append(self.lime.doubt)
        for name, measured in self.faithfulness.methods.items():
            beats = min(measured.comprehensiveness_beats, measured.sufficiency_beats)
            if beats < BEATS:
                found.append(
                    f"{NAMES[name]} is hardly more faithful than chance: it beats "
                    f"{100 * measured.comprehensiveness_beats:.0f} % (comprehensiveness) and "
                    f"{100 * measured.sufficiency_beats:.0f} % (sufficiency) of {RANDOM_ORDERS} random "
                    "orders."
                )
        return [sentence for sentence in found if sentence]

    def as_json(self) -> dict[str, Any]:
        """Everything, as plain values; equal for equal weights, text and seed on one machine."""
        return {
            "run": self.state.run,
            "checkpoint": self.state.checkpoint,
            "step": self.state.step,
            "answer": self.answer.text,
            "answer_probability": plain(self.answer.probability),
            "probability": plain(self.faithfulness.probability),
            "quantity": self.quantity,
            **text_json(self.explained),
            "methods": {name: self._method(name) for name in self.values},
            "agreement": self._agreement(),
            "faithfulness": faithfulness_json(self.faithfulness),
            "warnings": self.warnings,
            "top": self.top,
            "seed": self.seed,
        }

    def _method(self, name: str) -> dict[str, Any]:
        shown: dict[str, Any] = dict(
            zip(OUTPUTS, by_word(self.explained.reader, self.values[name]), strict=True)
        )
        if name == "gradients" and self.gradients:
            shown |= {"steps": self.gradients.steps, "error": listed(self.gradients.error)}
        if name == "lime" and self.lime:
            shown |= {
                "low": listed(self.lime.low[SPAN]),
                "high": listed(self.lime.high[SPAN]),
                "r2": listed(self.lime.r2),
                "unseen_r2": plain(self.lime.unseen_r2),
                "overlap": plain(self.lime.overlap),
                "correlation": plain(self.lime.correlation),
                "samples": self.lime.samples,
                "doubt": self.lime.doubt,
            }
        return shown

    def _agreement(self) -> list[dict[str, Any]]:
        return [
            {
                "methods": [one, other],
                "rank_correlation": plain(rank_correlation(a[SPAN], b[SPAN])),
                "top_overlap": plain(top_overlap(a[SPAN], b[SPAN], self.top)),
            }
            for (one, a), (other, b) in combinations(self.values.items(), 2)
        ]


def by_word(reader: Reader, values: Float[ndarray, "output unit"]) -> list[list[float | None]]:
    """[output][word]: None for words that always stay on."""
    units = {number: place for place, number in enumerate(reader.units)}
    words = range(len(reader.text.words))
    return [[plain(row[units[w]]) if w in units else None for w in words] for row in values]


def text_json(explained: Explained) -> dict[str, Any]:
    """Question, context, span, window and words, as plain values."""
    reader, text = explained.reader, explained.reader.text
    inside = set(explained.span_words)
    start, end = text.context_chars
    return {
        "question": text.question,
        "context": text.context,
        "span": {
            "text": explained.span_text,
            "char_start": explained.char_start,
            "char_end": explained.char_end,
            "first_token": reader.target.first,
            "last_token": reader.target.last,
        },
        "window": {"number": text.window, "of": text.windows, "char_start": start, "char_end": end},
        "off": reader.off.token,
        "words": [
            {
                "text": word.text,
                "part": word.part,
                "char_start": word.char_start,
                "char_end": word.char_end,
                "in_span": number in inside,
                "switched": number in reader.units,
            }
            for number, word in enumerate(text.words)
        ],
    }


def faithfulness_json(found: Faithfulness) -> dict[str, Any]:
    """Curves and areas of the methods; mean and ends of the random orders."""
    random = {}
    for name in ("comprehensiveness", "sufficiency"):
        curves = getattr(found.random, name)
        areas = found.area(curves)
        random[name] = {
            "mean": listed(curves.mean(axis=0)),
            "low": listed(curves.min(axis=0)),
            "high": listed(curves.max(axis=0)),
            "area": [plain(areas.mean()), plain(areas.min()), plain(areas.max())],
        }
    methods = {
        name: {
            kind: {
                "curve": listed(getattr(measured, kind)),
                "area": plain(getattr(measured, f"{kind}_area")),
                "beats": plain(getattr(measured, f"{kind}_beats")),
            }
            for kind in ("comprehensiveness", "sufficiency")
        }
        for name, measured in found.methods.items()
    }
    return {
        "counts": [int(count) for count in found.counts],
        "orders": len(found.random.sufficiency),
        "methods": methods,
        "random": random,
    }


def plain(value: float | np.floating[Any]) -> float | None:
    """A number for JSON with seven digits; None for what is no finite number."""
    return float(f"{value:.7g}") if math.isfinite(value) else None


def listed(values: Sequence[float] | Float[ndarray, " _"]) -> list[float | None]:
    """`plain` of each."""
    return [plain(float(value)) for value in values]
