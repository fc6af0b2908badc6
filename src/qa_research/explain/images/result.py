"""All that is known of one explanation, and its plain form that is written down.

The folder of an explanation: explanation.json, and arrays.npz for whatever draws.

An explanation as it was written to its folder, read for those that draw it.
"""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8
from numpy import ndarray

from qa_research.explain.images.blanking import Control, Counterfactual, Curve
from qa_research.explain.images.picture import Picture
from qa_research.explain.images.sampling import Sampled
from qa_research.explain.images.segments import Pixels, Segments, areas_of, innermost_points
from qa_research.explain.images.trust import Verdict

FORMAT = "explanation-1"
CLASSES = 10


@dataclass(frozen=True)
class Explanation:
    """Why a classifier says a class of a picture, with every control that was made.

    `pixels` is what the classifier saw, `off` what stood where a segment was off. `probabilities` are of the
    whole picture, `empty` of the one with all segments off. `label`: the class that is explained. `curves`:
    deletion and insertion, where they were wished for.
    """

    picture: Picture
    pixels: Pixels
    off: Float[ndarray, "height width 3"]
    segments: Segments
    labels: tuple[str, ...]
    classifier: Mapping[str, Any]
    probabilities: Float[ndarray, " label"]
    empty: Float[ndarray, " label"]
    label: int
    sampled: Sampled
    curves: tuple[Curve, Curve] | None
    verdict: Verdict
    counterfactual: Counterfactual | None
    command: str
    config: Mapping[str, Any]
    versions: Mapping[str, str]

    def as_json(self) -> dict[str, Any]:
        """Plain values, floats with six digits; no times, and no paths but those that were typed."""
        picture, height, width = self.picture, *self.picture.pixels.shape[:2]
        plain = {
            "format": FORMAT,
            "picture": {
                "name": picture.name,
                "source": picture.source,
                "width": width,
                "height": height,
                "sha256": picture.digest,
                "notes": list(picture.notes),
                "seen": [self.pixels.shape[1], self.pixels.shape[0]],
            },
            "classifier": dict(self.classifier),
            "explained": self._class(self.label) | {"probability_all_off": self.empty[self.label]},
            "classes": classes(self.probabilities, self.labels, CLASSES),
            "classes_all_off": classes(self.empty, self.labels, 3),
            "segments": self._segments(),
            "surrogate": {
                "kind": self.config["lime"]["surrogate"],
                "intercept": self.sampled.fit.intercept,
                "r2": self.sampled.fit.r2,
            },
            **sampling_json(self.sampled, np.arange(len(self.sampled.low))),
            "curves": None
            if self.curves is None
            else {
                name: asdict(curve)
                for name, curve in zip(("deletion", "insertion"), self.curves, strict=True)
            },
            "verdict": {"word": self.verdict.word, "doubts": list(self.verdict.doubts)},
            "counterfactual": self._counterfactual(),
            "command": self.command,
            "config": dict(self.config),
            "versions": dict(self.versions),
        }
        rounded: dict[str, Any] = plain_values(plain)
        return rounded

    def arrays(self) -> dict[str, ndarray]:
        """What figures are drawn from, beside the plain form.

        `pixels`, `off_pixels` [height, width, 3], `segments` [height, width]; `masks` [mask, segment],
        `outputs`, `weights`, `predicted` [mask] of all seeds; `by_seed` [seed, segment] coefficients.
        """
        sampled = self.sampled
        return {
            "pixels": self.pixels,
            "off_pixels": self.off.round().astype(np.uint8),
            "segments": self.segments,
            "masks": sampled.masks,
            "outputs": sampled.outputs,
            "weights": sampled.weights,
            "predicted": sampled.fit.predicted(sampled.masks),
            "by_seed": np.stack([fit.coefficients for fit in sampled.fits]),
        }

    def _class(self, label: int) -> dict[str, Any]:
        return one_class(label, self.probabilities, self.labels)

    def _segments(self) -> list[dict[str, Any]]:
        """Best first."""
        areas, points = areas_of(self.segments), innermost_points(self.segments)
        sampled, tied = self.sampled, self.sampled.separation.tied
        return [
            {
                "number": int(i),
                "rank": rank,
                "coefficient": sampled.fit.coefficients[i],
                "low": sampled.low[i],
                "high": sampled.high[i],
                "area": areas[i] / areas.sum(),
                "centre": [int(points[i, 0]), int(points[i, 1])],
                "tied": len(tied) > 1 and int(i) in tied,
            }
            for rank, i in enumerate(sampled.order, start=1)
        ]

    def _counterfactual(self) -> dict[str, Any] | None:
        found = self.counterfactual
        if found is None:
            return None
        second = found.second
        shown: dict[str, Any] = {
            "segments": list(found.segments),
            "area": found.share,
            "classes_before": classes(self.probabilities, self.labels, 3),
            "classes_after": classes(found.probabilities, self.labels, 3),
            "first": self._class(found.explained)
            | {"probability_after": found.probabilities[found.explained]},
            "second": self._class(found.label)
            | {"probability_after": found.probabilities[found.label]},
            "flipped": found.label != found.winner,
            "control": self._control(found.control),
            "flip": None
            if found.flip is None
            else {
                "segments": None if found.flip.segments is None else list(found.flip.segments),
                "proven_smallest": found.flip.proven,
                "tried": found.flip.tried,
            },
            "explained_again": None,
        }
        if second is not None:
            shown["explained_again"] = sampling_json(second, found.left) | {
                "r2": second.fit.r2,
                "segments": [
                    {
                        "number": int(found.left[i]),
                        "rank": rank,
                        "coefficient": second.fit.coefficients[i],
                        "low": second.low[i],
                        "high": second.high[i],
                    }
                    for rank, i in enumerate(second.order, start=1)
                ],
            }
        return shown

    def _control(self, control: Control) -> dict[str, Any]:
        return {
            "sets": [list(one) for one in control.sets],
            "areas": control.shares,
            "probabilities": control.probabilities,
            "winners": [self.labels[i] for i in control.winners],
            "p_value": control.p_value,
        }


def classes(
    probabilities: Float[ndarray, " label"], labels: Sequence[str], n: int
) -> list[dict[str, Any]]:
    """The n likeliest classes, first the winner."""
    best = np.argsort(-probabilities, kind="stable")[:n]
    return [one_class(int(i), probabilities, labels) for i in best]


def one_class(
    label: int, probabilities: Float[ndarray, " label"], labels: Sequence[str]
) -> dict[str, Any]:
    """A class by name, with its probability and its place, 1 for the winner."""
    place = 1 + int((probabilities > probabilities[label]).sum())
    return {
        "label": labels[label],
        "index": label,
        "probability": probabilities[label],
        "place": place,
    }


def sampling_json(sampled: Sampled, numbers: Int[ndarray, " segment"]) -> dict[str, Any]:
    """How masks were drawn, and what separates the ranks; `numbers`: of the sampled segments."""
    apart, stable = sampled.separation, sampled.stability
    return {
        "sampling": {
            "exact": sampled.exact,
            "seeds": len(sampled.fits),
            "samples": sampled.samples,
            "masks": len(sampled.masks),
        },
        "separation": {
            "separate": apart.separate,
            "z": apart.z,
            "needed": apart.needed,
            "tied": numbers[list(apart.tied)],
        },
        "stability": None
        if stable is None
        else {
            "jaccard": stable.jaccard,
            "least_jaccard": stable.least_jaccard,
            "chance_jaccard": stable.chance_jaccard,
            "rank_correlation": stable.rank_correlation,
            "sign_agreement": stable.sign_agreement,
            "tops": [numbers[list(one)] for one in stable.tops],
        },
    }


def plain_values(value: Any) -> Any:
    """Lists, dicts and numbers that JSON has; floats with six digits, None for NaN and infinity."""
    if isinstance(value, Mapping):
        return {key: plain_values(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain_values(one) for one in value]
    if isinstance(value, np.ndarray):
        return plain_values(value.tolist())
    if isinstance(value, np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return float(f"{value:.6g}") if np.isfinite(value) else None
    return value


EXPLANATION = "explanation.json"
ARRAYS = "arrays.npz"


def explanation_folder(explanations: Path, picture: Picture, config: Mapping[str, Any]) -> Path:
    """`<explanations>/<picture>-<classifier>-<hash8>`, the hash that of the pixels and of all settings.

    Where things lie, and whether predictions are kept, changes nothing and is no part of it.
    """
    kept = {key: value for key, value in config.items() if key not in ("paths", "image")}
    kept["lime"] = {key: value for key, value in config["lime"].items() if key != "cache"}
    text = json.dumps([kept, picture.digest], sort_keys=True)
    classifier = config["classifier"]
    name = classifier.get("name", classifier["_target_"].rsplit(".", 1)[-1].lower())
    stem = "".join(c if c.isalnum() or c in "._" else "_" for c in picture.name)[:60]
    return explanations / f"{stem}-{name}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def write_explanation(folder: Path, explanation: Explanation) -> None:
    """Write both; the same explanation gives the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f".{ARRAYS}.tmp").open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **explanation.arrays())
    text = json.dumps(explanation.as_json(), ensure_ascii=False, indent=2, allow_nan=False)
    (folder / f".{EXPLANATION}.tmp").write_text(text + "\n", encoding="utf-8")
    for name in (ARRAYS, EXPLANATION):
        os.replace(folder / f".{name}.tmp", folder / name)


ARRAY_NAMES = (
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
        missing = [name for name in ARRAY_NAMES if name not in arrays]
        if missing:
            raise ValueError(f"{folder}/arrays.npz lacks {', '.join(missing)}")
        story = Story(document, **{name: arrays[name] for name in ARRAY_NAMES})
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
