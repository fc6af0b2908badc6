"""An explanation as it was written to its folder, read for those that draw it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8
from numpy import ndarray

FORMAT = "explanation-1"
ARRAYS = (
    "pixels",
    "off_pixels",
    "segments",
    "masks",
    "outputs",
    "weights",
    "predicted",
    "by_seed",
)


@dataclass(frozen=True)
class Story:
    """`document` is explanation.json, the other fields are arrays.npz.

    `off_pixels` is what stood where a segment was off; `predicted` is the surrogate's output for `masks`,
    `outputs` the classifier's; the axis `segment` counts segments by their number.
    """

    document: Mapping[str, Any]
    pixels: UInt8[ndarray, "height width 3"]
    off_pixels: UInt8[ndarray, "height width 3"]
    segments: Int[ndarray, "height width"]
    masks: Bool[ndarray, "mask segment"]
    outputs: Float[ndarray, " mask"]
    weights: Float[ndarray, " mask"]
    predicted: Float[ndarray, " mask"]
    by_seed: Float[ndarray, "seed segment"]

    @property
    def n_segments(self) -> int:
        """How many segments the picture has."""
        return len(self.document["segments"])

    @cached_property
    def order(self) -> tuple[int, ...]:
        """Segments' numbers by rank, best first."""
        return tuple(row["number"] for row in self.document["segments"])

    @property
    def top(self) -> int:
        """How many segments make the answer."""
        stable = self.document["stability"]
        if stable is not None:
            return len(stable["tops"][0])
        return min(int(self.document["config"]["trust"]["top"]), self.n_segments)

    @cached_property
    def tied(self) -> frozenset[int]:
        """Segments that cannot be told from rank `top`; empty where that rank is alone."""
        return frozenset(row["number"] for row in self.document["segments"] if row["tied"])

    @property
    def winner(self) -> Mapping[str, Any]:
        """The class that is likeliest; the explained one, unless another was asked for."""
        first: Mapping[str, Any] = self.document["classes"][0]
        return first

    def of_segments(self, name: str) -> Float[ndarray, " segment"]:
        """`coefficient`, `low`, `high` or `area` by number."""
        return by_number(self.document["segments"], name, self.n_segments)

    @property
    def centres(self) -> Int[ndarray, "segment 2"]:
        """Row and column of each segment's innermost pixel, by number."""
        points = np.empty((self.n_segments, 2), dtype=np.int64)
        for row in self.document["segments"]:
            points[row["number"]] = row["centre"]
        return points

    @property
    def r2(self) -> float | None:
        """Of the surrogate; None where nothing changed whatever was off."""
        value = self.document["surrogate"]["r2"]
        return None if value is None else float(value)

    @property
    def confidence(self) -> str:
        """What the intervals are called."""
        level = self.document["config"].get("trust", {}).get("confidence")
        return "bootstrap interval" if level is None else f"{100 * level:g} % interval"


def by_number(
    rows: Sequence[Mapping[str, Any]], name: str, n_segments: int
) -> Float[ndarray, " segment"]:
    """One field of segments' rows, by number; NaN for a segment that has none."""
    values = np.full(n_segments, np.nan)
    for row in rows:
        values[row["number"]] = row[name]
    return values


def read_story(folder: Path) -> Story:
    """Read explanation.json and arrays.npz.

    Raises:
        FileNotFoundError: one of them is not there.
        ValueError: it is another format, or the two do not belong together.
    """
    for name in ("explanation.json", "arrays.npz"):
        if not (folder / name).is_file():
            raise FileNotFoundError(
                f"{folder} holds no explanation: {name} is missing; name a folder that explain wrote"
            )
    document = json.loads((folder / "explanation.json").read_text(encoding="utf-8"))
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        found = document.get("format") if isinstance(document, dict) else type(document).__name__
        raise ValueError(f"{folder}/explanation.json has the format {found}; drawn is {FORMAT}")
    with np.load(folder / "arrays.npz", allow_pickle=False) as arrays:
        missing = [name for name in ARRAYS if name not in arrays]
        if missing:
            raise ValueError(f"{folder}/arrays.npz lacks {', '.join(missing)}")
        story = Story(document, **{name: arrays[name] for name in ARRAYS})
    _check(story, folder)
    return story


def _check(story: Story, folder: Path) -> None:
    n = story.n_segments
    found = {
        "segments": int(story.segments.max()) + 1,
        "masks": story.masks.shape[1],
        "by_seed": story.by_seed.shape[1],
    }
    wrong = [f"{name} has {count}" for name, count in found.items() if count != n]
    if wrong or sorted(story.order) != list(range(n)):
        raise ValueError(
            f"{folder}: explanation.json has {n} segments, but in arrays.npz {', '.join(wrong)}"
            if wrong
            else f"{folder}/explanation.json does not number its segments from 0 to {n - 1}"
        )
