"""The result of an explanation: a tree of dataclasses that saves itself to a folder and loads itself again.

The folder holds explanation.json (numbers and words) and arrays.npz (what figures are drawn from).
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8
from numpy import ndarray

from qa_research.explain.images.blanking import Control, Curve, Flip
from qa_research.explain.images.picture import Picture
from qa_research.explain.images.trust import Separation, Stability, Verdict
from qa_research.explain.ranking import StableTop, tie_of
from qa_research.explain.saved import read_document, restored, write_document
from qa_research.files import readable_name, written_whole

FORMAT = "explanation-1"
EXPLANATION = "explanation.json"
ARRAYS = "arrays.npz"


@dataclass(frozen=True)
class PictureFacts:
    """The picture as it was read; `notes`: what that took; `seen`: width and height for the classifier."""

    name: str
    source: str
    width: int
    height: int
    sha256: str
    notes: tuple[str, ...]
    seen: tuple[int, int]


@dataclass(frozen=True)
class ClassifierFacts:
    """What the classifier is; `fingerprint`: of its weights, `size`: pixels a side of its input."""

    name: str
    weights: str
    fingerprint: str
    classes: int
    size: int
    fit: str
    precision: str
    device: str


@dataclass(frozen=True)
class ClassScore:
    """A class with its probability and its place among all classes, 1 for the winner."""

    label: str
    index: int
    probability: float
    place: int

    @classmethod
    def of(
        cls,
        index: int,
        probabilities: Float[ndarray, " label"],
        labels: Sequence[str],
        **more: float,
    ) -> Self:
        """The score of one class; `more`: the fields that a subclass adds."""
        place = 1 + int((probabilities > probabilities[index]).sum())
        return cls(labels[index], index, float(probabilities[index]), place, **more)


@dataclass(frozen=True)
class ExplainedClass(ClassScore):
    """The class that is explained."""

    probability_all_off: float


@dataclass(frozen=True)
class BlankedClass(ClassScore):
    """A class before blanking, and its probability afterwards."""

    probability_after: float


@dataclass(frozen=True)
class RankedSegment:
    """A segment by its number, with its rank (1: the best), coefficient and interval."""

    number: int
    rank: int
    coefficient: float
    low: float
    high: float


@dataclass(frozen=True)
class Segment(RankedSegment):
    """`area`: share of the picture; `centre`: row, column of the innermost pixel; `tied`: with any other.

    In files of earlier versions only the first run of ties below the stable top is `tied`; see
    `Explanation.tied_ranks`.
    """

    area: float
    centre: tuple[int, int]
    tied: bool


@dataclass(frozen=True)
class SurrogateFacts:
    """The linear surrogate; `r2` is NaN if nothing changed whatever was off.

    `repeated`: so many masks were predicted again in float32, 0 if the classifier is that precise;
    `r2_repeated` and `r2_in_float32`: of surrogates that were fitted to these masks alone, with the outputs
    of the classifier and with those in float32.
    """

    kind: str
    intercept: float
    r2: float
    repeated: int = 0
    r2_repeated: float | None = None
    r2_in_float32: float | None = None


@dataclass(frozen=True)
class Sampling:
    """How many masks there were, `samples` of them per seed; `exact`: all possible ones, once."""

    exact: bool
    seeds: int
    samples: int
    masks: int


@dataclass(frozen=True)
class Curves:
    """What happens to the class while segments are switched off, or on, one after the other."""

    deletion: Curve
    insertion: Curve


@dataclass(frozen=True)
class SecondExplanation:
    """The explanation of the blanked picture's winner, by the segments that are left.

    `verdict` and `stable_top` are None in files of earlier versions.
    """

    sampling: Sampling
    separation: Separation
    stability: Stability | None
    r2: float
    segments: tuple[RankedSegment, ...]
    verdict: Verdict | None = None
    stable_top: StableTop | None = None

    @property
    def tied_ranks(self) -> list[tuple[int, int]]:
        """First and last rank of each run whose order is not known."""
        if self.stable_top is not None:
            return self.stable_top.tied_ranks
        return _one_run([one.rank for one in self.segments if one.number in self.separation.tied])


@dataclass(frozen=True)
class Counterfactual:
    """The picture without some segments, predicted and explained again.

    `first` is the class whose top segments were blanked, `second` the one that wins without them; `flipped`:
    another one won before. `explained_again` is None if fewer than two segments were left.
    """

    segments: tuple[int, ...]
    area: float
    classes_before: tuple[ClassScore, ...]
    classes_after: tuple[ClassScore, ...]
    first: BlankedClass
    second: BlankedClass
    flipped: bool
    control: Control
    flip: Flip | None
    explained_again: SecondExplanation | None

    @property
    def searched(self) -> bool:
        """Whether the segments were found by trying sets until the class changed."""
        return self.flip is not None and self.flip.segments is not None


@dataclass(frozen=True)
class Arrays:
    """What figures are drawn from; the axis `segment` counts segments by their number.

    `pixels`: what the classifier saw; `off_pixels`: what replaced a segment that was off; `segments`: the map
    of their numbers; `masks` of all seeds with the classifier's `outputs`, their `weights`, and the outputs
    `predicted` by the surrogate; `by_seed`: coefficients from each seed's masks.
    """

    pixels: UInt8[ndarray, "height width 3"]
    off_pixels: UInt8[ndarray, "height width 3"]
    segments: Int[ndarray, "height width"]
    masks: Bool[ndarray, "mask segment"]
    outputs: Float[ndarray, " mask"]
    weights: Float[ndarray, " mask"]
    predicted: Float[ndarray, " mask"]
    by_seed: Float[ndarray, "seed segment"]


@dataclass(frozen=True)
class Explanation:
    """Why a classifier gives a picture a class, with every control that was made.

    `classes`: the likeliest of the whole picture, `classes_all_off` with all segments off; `segments`: best
    first; `curves`: None if none were requested; `config`: what the explanation was composed of.
    `stable_top`: None if only one seed drew masks, and in files of earlier versions.
    """

    picture: PictureFacts
    classifier: ClassifierFacts
    explained: ExplainedClass
    classes: tuple[ClassScore, ...]
    classes_all_off: tuple[ClassScore, ...]
    segments: tuple[Segment, ...]
    surrogate: SurrogateFacts
    sampling: Sampling
    separation: Separation
    stability: Stability | None
    curves: Curves | None
    verdict: Verdict
    counterfactual: Counterfactual | None
    command: str
    config: Mapping[str, Any]
    versions: Mapping[str, str]
    arrays: Arrays
    stable_top: StableTop | None = None

    @property
    def n_segments(self) -> int:
        """How many segments the picture has."""
        return len(self.segments)

    @cached_property
    def order(self) -> tuple[int, ...]:
        """Segments' numbers by rank, best first."""
        return tuple(segment.number for segment in self.segments)

    @property
    def top(self) -> int:
        """How many segments are taken for the answer."""
        if self.stability is not None:
            return len(self.stability.tops[0])
        return min(int(self.config["trust"]["top"]), self.n_segments)

    @property
    def highlighted(self) -> int:
        """How many segments figures show: the stable top if the seeds agree on one, else `top`."""
        return highlighted(self.stable_top, self.top)

    @property
    def tied_ranks(self) -> list[tuple[int, int]]:
        """First and last rank of each run whose order is not known."""
        if self.stable_top is not None:
            return self.stable_top.tied_ranks
        return _one_run([one.rank for one in self.segments if one.tied])

    def by_number(self, field: str) -> Float[ndarray, " segment"]:
        """`coefficient`, `low`, `high` or `area`, by the segments' numbers."""
        return by_number(self.segments, field, self.n_segments)

    @property
    def centres(self) -> Int[ndarray, "segment 2"]:
        """Row and column of each segment's innermost pixel, by number."""
        return np.array([s.centre for s in sorted(self.segments, key=lambda s: s.number)])

    @property
    def baseline(self) -> str:
        """What replaces a segment that is off."""
        return str(self.config["lime"]["baseline"])

    @property
    def interval(self) -> str:
        """What the intervals are called."""
        return f"{100 * self.config['trust']['confidence']:g} % interval"

    @property
    def segmenter(self) -> tuple[str, Mapping[str, Any]]:
        """The segmenter's name and its settings."""
        settings = dict(self.config["segmenter"])
        return settings.pop("_target_").rsplit(".", 1)[-1].lower(), settings

    def as_json(self) -> dict[str, Any]:
        """All but the arrays, floats with six digits. It holds no times, and only paths that were typed.

        Each segment has the `tied_ranks` of its run of ties, first and last, or null, if they are known.
        """
        plain: dict[str, Any] = {"format": FORMAT} | _plain(self)
        del plain["arrays"]
        if self.stable_top is not None:
            for row in plain["segments"]:
                row["tied_ranks"] = _plain(tie_of(row["rank"], self.tied_ranks))
        return plain

    def save(self, folder: Path) -> None:
        """Write both files; the same explanation gives the same bytes."""
        with written_whole(folder / ARRAYS, "wb") as file:
            np.savez_compressed(file, allow_pickle=False, **vars(self.arrays))
        write_document(folder / EXPLANATION, self.as_json())

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote.

        Raises:
            FileNotFoundError: one of the files is missing.
            ValueError: the format is another one, or the two files do not belong together.
        """
        for name in (EXPLANATION, ARRAYS):
            if not (folder / name).is_file():
                raise FileNotFoundError(
                    f"{folder} does not hold an explanation: {name} is missing; "
                    "name a folder that `qa-research explain` wrote"
                )
        plain = read_document(folder / EXPLANATION, FORMAT)
        with np.load(folder / ARRAYS, allow_pickle=False) as arrays:
            names = [field.name for field in fields(Arrays)]
            if missing := [name for name in names if name not in arrays]:
                raise ValueError(f"{folder / ARRAYS} does not have {', '.join(missing)}")
            plain["arrays"] = Arrays(**{name: arrays[name] for name in names})
        try:
            explanation: Self = restored(cls, plain)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{folder / EXPLANATION} is incomplete: {error}") from error
        explanation._check(folder)
        return explanation

    def _check(self, folder: Path) -> None:
        n, arrays = self.n_segments, self.arrays
        if sorted(self.order) != list(range(n)):
            raise ValueError(
                f"{folder / EXPLANATION} does not number its segments from 0 to {n - 1}"
            )
        found = {
            "segments": int(arrays.segments.max()) + 1,
            "masks": arrays.masks.shape[1],
            "by_seed": arrays.by_seed.shape[1],
        }
        if wrong := [f"{name} has {count}" for name, count in found.items() if count != n]:
            raise ValueError(
                f"{folder}: {EXPLANATION} has {n} segments, but in {ARRAYS} {', '.join(wrong)}"
            )


def highlighted(stable: StableTop | None, top: int) -> int:
    """The size of the stable top if there is one that seeds were compared for, else `top`."""
    return stable.k if stable is not None and stable.repeats > 1 and stable.k else top


def _one_run(ranks: Sequence[int]) -> list[tuple[int, int]]:
    """Ranks that an earlier version called tied, as a run; a rank is not tied with itself."""
    return [(min(ranks), max(ranks))] if len(ranks) > 1 else []


def by_number(
    segments: Sequence[RankedSegment], field: str, n_segments: int
) -> Float[ndarray, " segment"]:
    """One field of the segments, by number; NaN for a segment that is not among them."""
    values = np.full(n_segments, np.nan)
    for segment in segments:
        values[segment.number] = getattr(segment, field)
    return values


def likeliest(
    probabilities: Float[ndarray, " label"], labels: Sequence[str], n: int
) -> tuple[ClassScore, ...]:
    """The n likeliest classes, the winner first."""
    best = np.argsort(-probabilities, kind="stable")[:n]
    return tuple(ClassScore.of(int(i), probabilities, labels) for i in best)


def explanation_folder(explanations: Path, picture: Picture, config: Mapping[str, Any]) -> Path:
    """`<explanations>/<picture>-<classifier>-<hash8>`, with the hash of the pixels and of all settings.

    Settings that cannot change an explanation (paths, the cache) are not part of the hash.
    """
    deciding = {key: value for key, value in config.items() if key not in ("paths", "image")}
    deciding["lime"] = {key: value for key, value in config["lime"].items() if key != "cache"}
    text = json.dumps([deciding, picture.digest], sort_keys=True)
    classifier = config["classifier"]
    name = classifier.get("name", classifier["_target_"].rsplit(".", 1)[-1].lower())
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    shown = (readable_name(part, 60) for part in (picture.name, str(name)))
    return explanations / "-".join((*shown, digest))


def _plain(value: Any) -> Any:
    """Lists, dicts and numbers as JSON has them; floats with six digits, None for NaN and infinity.

    A field that has its default is not written, so that a file of an earlier version stays as it is.
    """
    if isinstance(value, Arrays):
        return None
    if is_dataclass(value):
        named = {field.name: getattr(value, field.name) for field in fields(value)}
        return {
            field.name: _plain(named[field.name])
            for field in fields(value)
            if field.default is MISSING or named[field.name] != field.default
        }
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, ndarray):
        return _plain(value.tolist())
    if isinstance(value, float):
        return float(f"{value:.6g}") if np.isfinite(value) else None
    return value
