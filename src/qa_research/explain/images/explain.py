"""The story of an explanation, top to bottom: picture, segments, masks, surrogate, controls, blanking."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from qa_research.explain.images.blanking import (
    Flip,
    blanked,
    control_by_area,
    smallest_flip,
    steps_of,
    switching_curve,
)
from qa_research.explain.images.classifier import ImageClassifier, find_label
from qa_research.explain.images.picture import Picture
from qa_research.explain.images.predictions import MaskedPicture
from qa_research.explain.images.result import (
    Arrays,
    BlankedClass,
    Counterfactual,
    Curves,
    ExplainedClass,
    Explanation,
    PictureFacts,
    RankedSegment,
    Sampling,
    SecondExplanation,
    Segment,
    SurrogateFacts,
    likeliest,
)
from qa_research.explain.images.sampling import Sampled, most_predictions, sample
from qa_research.explain.images.segments import (
    Pixels,
    Segmenter,
    Segments,
    areas_of,
    innermost_points,
    off_pixels,
    segmented,
)
from qa_research.explain.images.settings import CounterfactualSettings, LimeSettings, TrustSettings
from qa_research.explain.images.trust import Evidence, Verdict, verdict
from qa_research.explain.ranking import tie_of
from qa_research.explain.surrogate import (
    Predict,
    chance_of_r2,
    fit_surrogate,
    r2_without_penalty,
)
from qa_research.streams import stream

# Masks of a bfloat16 classifier that are predicted again in float32: so many, or five for each segment.
REPEATED, REPEATED_EACH = 128, 5
# How many classes are listed of the whole picture, and of one with segments off.
CLASSES, CLASSES_OFF = 10, 3
PACKAGES = (
    "qa-research",
    "torch",
    "torchvision",
    "scikit-image",
    "scikit-learn",
    "numpy",
    "pillow",
)


class Screen(Protocol):
    """Shows progress: a part that predicts at most `most` masks starts; `n` more masks were predicted."""

    def part(self, what: str, most: int) -> None: ...
    def tick(self, n: int) -> None: ...


@dataclass(frozen=True)
class ExplanationRequest:
    """All that decides an explanation, except the picture and the classifier.

    `label`: the class to explain, None for the winner. `command` repeats the explanation; `config` is what
    it was composed of.
    """

    label: str | int | None
    seed: int
    segmenter: Segmenter
    lime: LimeSettings
    trust: TrustSettings
    counterfactual: CounterfactualSettings
    command: str
    config: Mapping[str, Any]


def explain(
    picture: Picture,
    classifier: ImageClassifier,
    request: ExplanationRequest,
    cache: Path,
    screen: Screen,
) -> Explanation:
    """Explain why the classifier gives the picture its class (or `request.label`), and test the explanation.

    `cache`: where predictions are kept, unless `request.lime.cache` is false.

    Raises:
        ValueError: no such class; only one segment; a top or more segments to blank than there are; settings
            that contradict each other, or that are too few for `trust.confidence`.
    """
    _check(request)
    pixels = classifier.seen(picture.pixels)
    segments = segmented(request.segmenter, pixels)
    n_segments = int(segments.max()) + 1
    _check_top(request, n_segments)
    asked = None if request.label is None else find_label(request.label, classifier.labels)
    off = off_pixels(request.lime.baseline, pixels, segments, stream(request.seed, "noise"))
    masked = MaskedPicture(classifier, pixels, off, segments, cache if request.lime.cache else None)
    whole, empty = masked.predictions(np.array([[True] * n_segments, [False] * n_segments]))
    label = int(whole.argmax()) if asked is None else asked
    _check_flip(request.counterfactual, label, whole, classifier.labels)

    subject = _Subject(masked, request, screen, areas_of(segments), whole, empty)
    sampled = subject.sample(label, np.arange(n_segments), f"Explaining {classifier.labels[label]}")
    curves = subject.curves(label, sampled.order)
    counterfactual = subject.counterfactual(label, sampled.order)
    return _result(picture, subject, label, sampled, curves, counterfactual)


@dataclass(frozen=True)
class _Subject:
    """One picture, one classifier, and the request; predictions of the `whole` and of the `empty` picture."""

    masked: MaskedPicture
    request: ExplanationRequest
    screen: Screen
    areas: Int[ndarray, " segment"]
    whole: Float[ndarray, " label"]
    empty: Float[ndarray, " label"]

    @property
    def labels(self) -> Sequence[str]:
        return self.masked.classifier.labels

    def predict(self, masks: Bool[ndarray, "mask segment"]) -> Float[ndarray, "mask label"]:
        return self.masked.predictions(masks, self.screen.tick)

    def probability(self, label: int, segments: Int[ndarray, " varied"]) -> Predict:
        """The probability of one class by masks of these segments; all others are off."""

        def predict(masks: Bool[ndarray, "mask varied"]) -> Float[ndarray, " mask"]:
            among_all = np.zeros((len(masks), len(self.areas)), dtype=bool)
            among_all[:, segments] = masks
            return self.predict(among_all)[:, label].astype(np.float64)

        return predict

    def sample(self, label: int, segments: Int[ndarray, " varied"], what: str) -> Sampled:
        """LIME of one class on these segments."""
        request, n = self.request, len(segments)
        self.screen.part(what, most_predictions(n, request.lime, request.trust))
        predict = self.probability(label, segments)
        return sample(predict, n, request.lime, request.trust, request.seed)

    def curves(self, label: int, order: Int[ndarray, " segment"]) -> Curves | None:
        """Deletion and insertion along the ranking; None if no random orders are requested."""
        orders = self.request.trust.random_orders
        if not orders:
            return None
        self.screen.part("Deletion and insertion", 2 * (orders + 1) * len(steps_of(len(order))))
        predict = self.probability(label, np.arange(len(order)))
        both = (
            switching_curve(
                predict,
                order,
                self.areas,
                orders,
                stream(self.request.seed, name),
                deleting=name == "deletion",
            )
            for name in ("deletion", "insertion")
        )
        return Curves(*both)

    def counterfactual(
        self, explained: int, order: Int[ndarray, " segment"]
    ) -> Counterfactual | None:
        """Blank the top of the ranking, or the fewest that flip the class; None if neither is requested."""
        settings, labels, whole = self.request.counterfactual, self.labels, self.whole
        if settings.until is None and settings.top is None:
            return None
        chosen, flip = self._blanked_segments([int(i) for i in order])
        mask = blanked(chosen, len(order))
        self.screen.part("Blanking as much area at random", 1 + settings.controls)
        after = self.predict(mask[None])[0]
        winner = int(after.argmax())
        return Counterfactual(
            segments=chosen,
            area=float(self.areas[list(chosen)].sum() / self.areas.sum()),
            classes_before=likeliest(whole, labels, CLASSES_OFF),
            classes_after=likeliest(after, labels, CLASSES_OFF),
            first=BlankedClass.of(
                explained, whole, labels, probability_after=float(after[explained])
            ),
            second=BlankedClass.of(winner, whole, labels, probability_after=float(after[winner])),
            flipped=winner != int(whole.argmax()),
            control=control_by_area(
                self.predict,
                chosen,
                self.areas,
                labels,
                explained,
                float(after[explained]),
                settings.controls,
                stream(self.request.seed, "control"),
                searched=flip is not None and flip.segments is not None,
            ),
            flip=flip,
            explained_again=self._explained_again(
                winner, np.flatnonzero(mask), float(after[winner])
            ),
        )

    def in_float32(self, label: int, sampled: Sampled) -> SurrogateFacts:
        """The surrogate, and how much better it fits masks that are predicted without bfloat16's rounding."""
        fit = sampled.fit
        facts = SurrogateFacts(sampled.surrogate, fit.intercept, fit.r2)
        precise = self.masked.in_float32()
        if precise is None:
            return facts
        # Drawn independently, so the first ones are as good as any.
        n = min(len(sampled.masks), max(REPEATED, REPEATED_EACH * sampled.masks.shape[1]))
        masks, weights = sampled.masks[:n], sampled.weights[:n]
        self.screen.part("Repeating masks in float32", n)
        outputs = precise.predictions(masks, self.screen.tick)[:, label].astype(np.float64)
        lime = self.request.lime
        of_these, of_float32 = (
            fit_surrogate(masks, known, weights, sampled.surrogate, lime.alpha).r2
            for known in (sampled.outputs[:n], outputs)
        )
        return replace(facts, repeated=n, r2_repeated=of_these, r2_in_float32=of_float32)

    def judged(
        self, sampled: Sampled, surrogate: SurrogateFacts, probability: float, curves: Curves | None
    ) -> Verdict:
        """The verdict on one explanation of a class that has this probability."""
        return verdict(
            Evidence(
                coefficients=sampled.fit.coefficients,
                r2=surrogate.r2,
                r2_by_chance=chance_of_r2(surrogate.r2, sampled.weights, sampled.masks.shape[1]),
                r2_without_penalty=r2_without_penalty(
                    sampled.masks, sampled.outputs, sampled.weights
                ),
                r2_in_float32=surrogate.r2_in_float32,
                stable_top=sampled.stable_top,
                probability=probability,
                curves=vars(curves) if curves else {},
                confidence=self.request.trust.confidence,
            )
        )

    def _blanked_segments(self, order: Sequence[int]) -> tuple[tuple[int, ...], Flip | None]:
        settings = self.request.counterfactual
        if settings.until is None:
            return tuple(order[: settings.top]), None
        self.screen.part(
            "Looking for the fewest segments that change the class", settings.max_predictions
        )
        flip = smallest_flip(
            self.predict, order, int(self.whole.argmax()), settings.max_predictions
        )
        # If nothing flips the class, the top of the ranking is blanked to show what that does.
        return flip.segments or tuple(order[: self.request.trust.top]), flip

    def _explained_again(
        self, label: int, left: Int[ndarray, " left"], probability: float
    ) -> SecondExplanation | None:
        if len(left) < 2:
            return None
        sampled = self.sample(label, left, f"Explaining {self.labels[label]} without them")
        fit = sampled.fit
        surrogate = SurrogateFacts(sampled.surrogate, fit.intercept, fit.r2)
        # The second LIME counts the segments that are left from 0: of segments 2 5 6 its number 1 is 5.
        separation, stability, stable = sampled.separation, sampled.stability, sampled.stable_top
        return SecondExplanation(
            sampling=_sampling(sampled),
            separation=replace(separation, tied=_numbers(separation.tied, left)),
            stability=stability
            and replace(stability, tops=tuple(_numbers(top, left) for top in stability.tops)),
            r2=fit.r2,
            segments=tuple(
                replace(segment, number=int(left[segment.number])) for segment in _ranked(sampled)
            ),
            verdict=self.judged(sampled, surrogate, probability, None),
            stable_top=stable and replace(stable, tied=_numbers(stable.tied, left)),
        )


def _result(
    picture: Picture,
    subject: _Subject,
    label: int,
    sampled: Sampled,
    curves: Curves | None,
    counterfactual: Counterfactual | None,
) -> Explanation:
    request, masked, fit = subject.request, subject.masked, sampled.fit
    whole, empty, labels = subject.whole, subject.empty, subject.labels
    surrogate = subject.in_float32(label, sampled)
    return Explanation(
        picture=_picture_facts(picture, masked.pixels),
        classifier=masked.classifier.described(),
        explained=ExplainedClass.of(label, whole, labels, probability_all_off=float(empty[label])),
        classes=likeliest(whole, labels, CLASSES),
        classes_all_off=likeliest(empty, labels, CLASSES_OFF),
        segments=_segments(sampled, masked.segments),
        surrogate=surrogate,
        sampling=_sampling(sampled),
        separation=sampled.separation,
        stability=sampled.stability,
        curves=curves,
        verdict=subject.judged(sampled, surrogate, float(whole[label]), curves),
        counterfactual=counterfactual,
        command=request.command,
        config=request.config,
        versions={name: version(name) for name in PACKAGES},
        arrays=Arrays(
            pixels=masked.pixels,
            off_pixels=masked.off.round().astype(np.uint8),
            segments=masked.segments,
            masks=sampled.masks,
            outputs=sampled.outputs,
            weights=sampled.weights,
            predicted=fit.predicted(sampled.masks),
            by_seed=np.stack([one.coefficients for one in sampled.fits]),
        ),
        stable_top=sampled.stable_top,
    )


def _numbers(places: Sequence[int], numbers: Int[ndarray, " left"]) -> tuple[int, ...]:
    return tuple(int(numbers[place]) for place in places)


def _ranked(sampled: Sampled) -> list[RankedSegment]:
    """Best first."""
    values = sampled.fit.coefficients, sampled.low, sampled.high
    return [
        RankedSegment(int(i), rank, *(float(value[i]) for value in values))
        for rank, i in enumerate(sampled.order, start=1)
    ]


def _segments(sampled: Sampled, segments: Segments) -> tuple[Segment, ...]:
    areas, points, stable = areas_of(segments), innermost_points(segments), sampled.stable_top
    tied = [] if stable is None else stable.tied_ranks
    return tuple(
        Segment(
            **vars(one),
            area=float(areas[one.number] / areas.sum()),
            centre=(int(points[one.number, 0]), int(points[one.number, 1])),
            tied=tie_of(one.rank, tied) is not None,
        )
        for one in _ranked(sampled)
    )


def _sampling(sampled: Sampled) -> Sampling:
    return Sampling(sampled.exact, len(sampled.fits), sampled.samples, len(sampled.masks))


def _picture_facts(picture: Picture, seen: Pixels) -> PictureFacts:
    height, width = picture.pixels.shape[:2]
    return PictureFacts(
        name=picture.name,
        source=picture.source,
        width=width,
        height=height,
        sha256=picture.digest,
        notes=picture.notes,
        seen=(seen.shape[1], seen.shape[0]),
    )


def _check(request: ExplanationRequest) -> None:
    lime, settings, trust = request.lime, request.counterfactual, request.trust
    if lime.max_samples < lime.samples:
        raise ValueError(
            f"lime.max_samples={lime.max_samples} is less than lime.samples={lime.samples}"
        )
    if settings.top is not None and settings.until is not None:
        raise ValueError(
            "counterfactual.top says how many segments are blanked, and counterfactual.until=flip finds out "
            "how many: name only one of them"
        )
    if 0 < trust.random_orders < trust.orders_needed:
        raise ValueError(
            f"trust.random_orders={trust.random_orders} cannot show at trust.confidence={trust.confidence:g} "
            f"that a ranking is better than chance: at least {trust.orders_needed} can (0: no curves)"
        )


def _check_top(request: ExplanationRequest, n_segments: int) -> None:
    top, blanked_top = request.trust.top, request.counterfactual.top
    if blanked_top is not None and blanked_top >= n_segments:
        raise ValueError(
            f"counterfactual.top={blanked_top}, but there are {n_segments} segments, and at least one must "
            "remain visible"
        )
    if top >= n_segments:
        raise ValueError(
            f"trust.top={top}, but there are {n_segments} segments, and a top of all of them says "
            f"nothing; set trust.top={n_segments - 1} or less, or make more segments with segmenter"
        )


def _check_flip(
    settings: CounterfactualSettings,
    label: int,
    whole: Float[ndarray, " label"],
    labels: Sequence[str],
) -> None:
    winner = int(whole.argmax())
    if settings.until and label != winner:
        raise ValueError(
            f"counterfactual.until=flip changes the winning class, which is {labels[winner]}, not "
            f"{labels[label]}; remove label= or counterfactual.until"
        )
