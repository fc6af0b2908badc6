"""The pictures of an attribution, drawn from what stands in its attribution.json."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure
from numpy import ndarray

from qa_research.figures.word_curves import Band
from qa_research.figures.word_sheet import Sheet, word_sheet
from qa_research.figures.word_steps import words_over_steps
from qa_research.figures.word_text import ShownWord
from qa_research.report.attribution_names import NAMES


def sheet_of(document: Mapping[str, Any]) -> Figure:
    """The text with its words coloured by each method, for the sum of both logits, and the curves."""
    faithful = document["faithfulness"]
    kinds = ("comprehensiveness", "sufficiency")
    curves = {
        kind: {NAMES[name]: numbers(m[kind]["curve"]) for name, m in faithful["methods"].items()}
        for kind in kinds
    }
    bands = [
        Band(*(numbers(faithful["random"][kind][name]) for name in ("mean", "low", "high")))
        for kind in kinds
    ]
    return word_sheet(
        Sheet(
            title=document["question"],
            quantity=document["quantity"],
            words=shown_words_of(document),
            values={name: numbers(found["span"]) for name, found in document["methods"].items()},
            captions={name: caption(name, found) for name, found in document["methods"].items()},
            counts=np.array(faithful["counts"]),
            comprehensiveness=curves["comprehensiveness"],
            sufficiency=curves["sufficiency"],
            random=(bands[0], bands[1]),
            notes=document["warnings"],
        )
    )


def steps_figure(document: Mapping[str, Any]) -> Figure:
    """Words by steps, a column a method, for the sum of both logits."""
    return words_over_steps(
        f"{document['question']} - the words of {said(document)}",
        shown_words_of(document),
        np.array(document["steps"]),
        {
            NAMES[name]: np.stack([numbers(row) for row in found["span"]])
            for name, found in document["methods"].items()
        },
        numbers(document["probability"]),
    )


def said(document: Mapping[str, Any]) -> str:
    """The span in quotation marks, or "no answer"."""
    return f"“{document['span']['text']}”" if document["span"]["text"] else "“no answer”"


def caption(name: str, found: Mapping[str, Any]) -> str:
    """A method's name, and what tells how well it worked."""
    if name == "gradients":
        worst = max(error if error is not None else float("inf") for error in found["error"])
        return f"{NAMES[name]} ({found['steps']} steps, {100 * worst:.1f} % of the sum missing)"
    if name == "lime":
        unseen = found["unseen_r2"]
        r2 = "not a number" if unseen is None else f"{unseen:.2f}"
        return f"{NAMES[name]} (R2 on unseen masks {r2}, overlap of repeats {found['overlap']:.2f})"
    return f"{NAMES[name]} (one word at a time)"


def shown_words_of(document: Mapping[str, Any]) -> list[ShownWord]:
    """The words with what a figure must know of each."""
    found = []
    end = {"question": 0, "context": 0}
    for word in document["words"]:
        part = word["part"]
        between = document[part][end[part] : word["char_start"]]
        found.append(ShownWord(word["text"], part, word["in_span"], between != ""))
        end[part] = word["char_end"]
    return found


def numbers(values: Sequence[float | None]) -> Float[ndarray, " value"]:
    """Numbers from JSON: null is NaN."""
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)
