"""Captures whose values depend on the step: two groups, small arrays that share chunks, and a large one."""

from typing import Any

import numpy as np
import xarray as xr

from qa_research.capture.recording.arrays import Array, Coordinate


def described(name: str, tokens: list[str], split: str = "train") -> dict[str, Any]:
    """A watched question as a recording's root has it."""
    texts = dict.fromkeys(("kind", "title", "question", "context"), "")
    return {"id": name, "split": split, **texts, "answers": [], "tokens": tokens}


ABOUT: dict[str, Any] = {
    "questions": [described("q0", ["[CLS]", "wer?"]), described("q1", ["[CLS]"])]
}
PARTS = ("padding", "cls", "question")
KEYS = 5000


def coordinates() -> dict[str, dict[str, Coordinate]]:
    by_question = {
        "question": Coordinate(("question",), np.arange(2, dtype=np.int32)),
        "tokens": Coordinate(("question",), np.array([2, 1], np.int32)),
    }
    parts = np.array([[1, 2], [1, 0]], np.int8)
    return {
        "logits": {
            **by_question,
            "row": Coordinate(("row",), ("start", "end")),
            "part": Coordinate(("question", "token"), parts, PARTS),
        },
        "attention": by_question | {"layer": Coordinate(("layer",), np.array([0, 11], np.int32))},
    }


def logits(step: int) -> dict[str, Array]:
    logit = step + np.arange(8, dtype=np.float32).reshape(2, 2, 2) / 8
    logit[1, :, 1] = np.nan
    return {
        "logit": Array(("question", "row", "token"), logit, "logits", "start and end logit"),
        "rank": Array(("question",), np.array([step, step + 1], np.int32), "1", "rank"),
        "count": Array((), np.array(step, np.int16), "1", "how many"),
    }


def attention(step: int) -> dict[str, Array]:
    weight = np.full((2, 2, KEYS), step % 1000, np.float16)
    axes = ("question", "layer", "key")
    return {"weight": Array(axes, weight, "probability", "attention")}


def capture(step: int) -> dict[str, dict[str, Array]]:
    """Attention only at even steps."""
    return {"logits": logits(step)} | ({"attention": attention(step)} if step % 2 == 0 else {})


def is_right(group: str, recorded: xr.Dataset) -> bool:
    """Whether every value of a group is the one of its step."""
    make = {"logits": logits, "attention": attention}[group]
    return all(
        np.array_equal(recorded[name][place], array.values, equal_nan=True)
        and recorded[name].dtype == array.values.dtype
        for place, step in enumerate(recorded.step.values)
        for name, array in make(int(step)).items()
    )
