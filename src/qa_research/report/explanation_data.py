"""What the page's script needs of an explanation: plain lists and numbers. Pure."""

import math
from typing import Any

import numpy as np
from jaxtyping import Int
from numpy import ndarray

from qa_research.figures.segment_lines import room
from qa_research.report.explanation_story import Story


def explanation_data(story: Story) -> dict[str, Any]:
    """Segments by rank, the map of their numbers as runs, and what is predicted of the top k.

    `runs`: number, length, number, length ... row by row. `room`: how many pixels wide and high a segment
    is at its innermost pixel. `top_only` and `top_off`: for k from 0 to all what the
    classifier (None where it was not asked) and the surrogate say of the picture with only the top k on, or
    without them.
    """
    height, width = story.segments.shape
    rows = [
        {**row, "room": list(room(story.segments, *row["centre"]))}
        for row in story.document["segments"]
    ]
    return {
        "width": width,
        "height": height,
        "runs": runs(story.segments),
        "segments": rows,
        "top": story.top,
        "digits": decimals(story),
        "exact": story.document["sampling"]["exact"],
        "confidence": story.confidence,
        "top_only": _predicted(story, "insertion"),
        "top_off": _predicted(story, "deletion"),
    }


def decimals(story: Story) -> int:
    """Decimals with which the largest coefficient has three digits, three at least."""
    most = float(np.abs(story.of_segments("coefficient")).max())
    return 3 if most == 0 else max(3, 2 - math.floor(math.log10(most)))


def runs(segments: Int[ndarray, "height width"]) -> list[int]:
    """Run-length code of the map, row by row: number, length, number, length ..."""
    flat = segments.ravel()
    starts = np.flatnonzero(np.diff(flat, prepend=-1))
    lengths = np.diff(starts, append=len(flat))
    return [int(value) for value in np.stack([flat[starts], lengths], axis=1).ravel()]


def _predicted(story: Story, name: str) -> list[dict[str, float | None]]:
    coefficients = story.of_segments("coefficient")[list(story.order)]
    along = np.concatenate([[0.0], np.cumsum(coefficients)])
    intercept = float(story.document["surrogate"]["intercept"])
    surrogate = intercept + (along if name == "insertion" else along[-1] - along)
    classifier = _measured(story, name)
    return [
        {"surrogate": float(f"{value:.6g}"), "classifier": classifier.get(k)}
        for k, value in enumerate(surrogate)
    ]


def _measured(story: Story, name: str) -> dict[int, float]:
    """By k what the classifier gave along the curve, whose steps are told by the area they switch."""
    if story.document["curves"] is None:
        return {}
    curve = story.document["curves"][name]
    areas = np.cumsum([0.0, *(row["area"] for row in story.document["segments"])])
    found = {}
    for share, probability in zip(curve["share"], curve["probability"], strict=True):
        k = int(np.abs(areas - share).argmin())
        # Shares have six digits, and no segment is as small as what they leave out.
        if abs(areas[k] - share) < 1e-5:
            found[k] = float(probability)
    return found
