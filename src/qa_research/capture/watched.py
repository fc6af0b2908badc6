"""What a recording says about the watched examples, of any task."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from qa_research.capture.recording.arrays import Coordinate
from qa_research.tasks.watching import Watched, WatchedExample


def describe(watched: Watched) -> dict[str, Any]:
    """A recording's root attributes: all text of the watched examples, in the order of the axis.

    Whatever the task, the axis is called `question`, and an example is described as a question and its
    context are: so one reader reads all recordings.
    """
    outputs, rows = watched.outputs, [_described(row) for row in watched.examples]
    if outputs.kind == "spans":
        return {"questions": rows}
    # Of questions all this is in the coordinates of their logits.
    for described, row in zip(rows, watched.examples, strict=True):
        described |= {"parts": row.parts, "chars": row.chars, "marked": row.marked}
    said = {"kind": outputs.kind, "rows": outputs.rows, "marked_as": watched.marked_as}
    return {"questions": rows, "outputs": said}


def _described(row: WatchedExample) -> dict[str, Any]:
    return {
        "id": row.id,
        "split": row.split,
        "kind": row.kind,
        "title": row.title,
        "question": row.heading,
        "context": row.text,
        "answers": list(row.truths),
        "tokens": list(row.tokens),
    }


def shared_coordinates(watched: Watched, axes: Iterable[str]) -> Mapping[str, Coordinate]:
    """The coordinates along the axes `row`, `question` and `token`, as far as a recorder has these axes."""
    has, outputs = set(axes), watched.outputs
    found = {"row": Coordinate(("row",), outputs.rows)} if "row" in has else {}
    if "question" not in has:
        return found
    by_question, by_token = ("question",), ("question", "token")
    numbers = np.arange(len(watched.examples), dtype=np.int32)
    found |= {
        "question": Coordinate(by_question, numbers),
        "tokens": Coordinate(by_question, watched.mask.sum(dim=1).numpy().astype(np.int32)),
    }
    true = outputs.true.numpy()
    if outputs.kind == "spans":
        found["true_first"] = Coordinate(by_question, true[:, 0].astype(np.int32))
        found["true_last"] = Coordinate(by_question, true[:, 1].astype(np.int32))
    elif outputs.kind == "labels":
        found["true_label"] = Coordinate(by_question, true.astype(np.int32), outputs.rows)
    else:
        found["true_value"] = Coordinate(by_question, true.astype(np.float32))
    if not has & {"token", "query"}:
        return found
    shape = tuple(watched.mask.shape)
    chars = np.zeros((2, *shape), dtype=np.int32)
    for i, row in enumerate(watched.examples):
        chars[:, i, : len(row.chars)] = np.array(row.chars).T
    found["token"] = Coordinate(("token",), np.arange(shape[1], dtype=np.int32))
    if "input_ids" in watched.inputs:
        ids = watched.inputs["input_ids"].numpy().astype(np.int32)
        found["token_id"] = Coordinate(by_token, ids)
    found |= {
        "part": Coordinate(by_token, watched.parts, watched.part_names),
        "char_start": Coordinate(by_token, chars[0]),
        "char_end": Coordinate(by_token, chars[1]),
    }
    if outputs.kind != "spans" and watched.marked_as:
        found["marked"] = Coordinate(by_token, watched.marked.astype(np.int8))
    return found
