"""What stands beside the recorded numbers: the watched questions, their tokens and true spans."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from qa_research.capture.arrays import Coordinate
from qa_research.capture.recorders.recorder import ROWS
from qa_research.capture.watched import PARTS, Watched


def about(watched: Watched) -> dict[str, Any]:
    """The root's attributes: all text of the watched questions, in the order of the axis."""
    rows = zip(watched.splits, watched.questions, watched.tokens, strict=True)
    return {
        "questions": [
            {
                "id": row.id,
                "split": split,
                "kind": row.kind,
                "title": row.title,
                "question": row.question,
                "context": row.context,
                "answers": [gold.text for gold in row.answers],
                "tokens": tokens,
            }
            for split, row, tokens in rows
        ]
    }


def shared_coordinates(watched: Watched, axes: Iterable[str]) -> Mapping[str, Coordinate]:
    """What stands along the axes `row`, `question` and `token`, where a recorder has them."""
    has = set(axes)
    found = {"row": Coordinate(("row",), ROWS)} if "row" in has else {}
    if "question" not in has:
        return found
    spans = watched.spans.numpy().astype(np.int32)
    by_question, by_token = ("question",), ("question", "token")
    found |= {
        "question": Coordinate(by_question, np.arange(len(spans), dtype=np.int32)),
        "tokens": Coordinate(by_question, watched.mask.sum(dim=1).numpy().astype(np.int32)),
        "true_first": Coordinate(by_question, spans[:, 0]),
        "true_last": Coordinate(by_question, spans[:, 1]),
    }
    if not has & {"token", "query"}:
        return found
    windows = watched.windows
    shape = watched.parts.shape
    offsets = {name: np.zeros(shape, dtype=np.int32) for name in ("char_start", "char_end")}
    for row, index in enumerate(watched.indices):
        begin, end = windows.starts[index], windows.starts[index + 1]
        offsets["char_start"][row, : end - begin] = windows.char_start[begin:end]
        offsets["char_end"][row, : end - begin] = windows.char_end[begin:end]
    found |= {
        "token": Coordinate(("token",), np.arange(shape[1], dtype=np.int32)),
        "token_id": Coordinate(by_token, watched.batch["input_ids"].numpy().astype(np.int32)),
        "part": Coordinate(by_token, watched.parts, PARTS),
    }
    return found | {name: Coordinate(by_token, values) for name, values in offsets.items()}
