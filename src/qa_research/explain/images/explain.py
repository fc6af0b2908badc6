"""The story of an explanation, top to bottom: picture, segments, masks, surrogate, controls, blanking."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from qa_research.explain.images.blanking import (
    Counterfactual,
    Flip,
    blanked,
    control_by_area,
    deletion,
    insertion,
    smallest_flip,
    steps_of,
)
from qa_research.explain.images.classifier import ImageClassifier, find_label
from qa_research.explain.images.picture import Picture
from qa_research.explain.images.predictions import MaskedPicture
from qa_research.explain.images.result import Explanation
from qa_research.explain.images.sampling import most_predictions, sample
from qa_research.explain.images.segments import Segmenter, areas_of, off_pixels, segmented
from qa_research.explain.images.settings import CounterfactualSettings, LimeSettings, TrustSettings
from qa_research.explain.images.trust import verdict
from qa_research.streams import stream

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
    """Who is told what happens: a part begins that predicts `most` masks at most, some were predicted."""

    def part(self, what: str, most: int) -> None: ...
    def tick(self, n: int) -> None: ...


@dataclass(frozen=True)
class ExplanationRequest:
    """All that decides an explanation, beside the picture and the classifier.

    `command` repeats it; `config` is what it was composed of.
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
    wish: ExplanationRequest,
    cache: Path,
    screen: Screen,
) -> Explanation:
    """Explain why the classifier gives the picture its class (or `wish.label`), and doubt it.

    `cache`: where predictions are kept, unless `wish.lime.cache` is false.

    Raises:
        ValueError: no such class; one segment only; more segments to blank than there are; settings that
            contradict each other.
    """
    _check(wish)
    pixels = classifier.seen(picture.pixels)
    segments = segmented(wish.segmenter, pixels)
    n_segments = int(segments.max()) + 1
    _check_top(wish.counterfactual, n_segments)
    asked = None if wish.label is None else find_label(wish.label, classifier.labels)
    off = off_pixels(wish.lime.baseline, pixels, segments, stream(wish.seed, "noise"))
    masked = MaskedPicture(classifier, pixels, off, segments, cache if wish.lime.cache else None)
    ends = np.array([[True] * n_segments, [False] * n_segments])
    whole, empty = masked.predictions(ends)
    label = int(whole.argmax()) if asked is None else asked
    if wish.counterfactual.until and label != whole.argmax():
        raise ValueError(
            f"counterfactual.until=flip changes the class that wins, which is "
            f"{classifier.labels[int(whole.argmax())]} and not {classifier.labels[label]}; leave label= or "
            "counterfactual.until away"
        )

    def all_labels(masks: Bool[ndarray, "mask segment"]) -> Float[ndarray, "mask label"]:
        return masked.predictions(masks, screen.tick)

    def of_label(masks: Bool[ndarray, "mask segment"]) -> Float[ndarray, " mask"]:
        return all_labels(masks)[:, label].astype(np.float64)

    screen.part(
        f"Explaining {classifier.labels[label]}",
        most_predictions(n_segments, wish.lime, wish.trust),
    )
    sampled = sample(of_label, n_segments, wish.lime, wish.trust, wish.seed)
    areas = areas_of(segments)
    curves = None
    if orders := wish.trust.random_orders:
        screen.part("Deletion and insertion", 2 * (orders + 1) * len(steps_of(n_segments)))
        by_rank = sampled.order
        curves = (
            deletion(of_label, by_rank, areas, orders, stream(wish.seed, "deletion")),
            insertion(of_label, by_rank, areas, orders, stream(wish.seed, "insertion")),
        )
    judged = verdict(
        sampled.fit.coefficients,
        sampled.stability,
        sampled.fit.r2,
        sampled.separation,
        wish.trust.top,
        float(whole[label]),
        {} if curves is None else {"deletion": curves[0].beaten, "insertion": curves[1].beaten},
        exact=sampled.exact,
    )
    return Explanation(
        picture=picture,
        pixels=pixels,
        off=off,
        segments=segments,
        labels=classifier.labels,
        classifier=classifier.described(),
        probabilities=whole,
        empty=empty,
        label=label,
        sampled=sampled,
        curves=curves,
        verdict=judged,
        counterfactual=_counterfactual(
            all_labels, sampled.order, label, whole, areas, wish, classifier.labels, screen
        ),
        command=wish.command,
        config=wish.config,
        versions={name: version(name) for name in PACKAGES},
    )


def _counterfactual(
    predict: Any,
    order: Int[ndarray, " segment"],
    explained: int,
    whole: Float[ndarray, " label"],
    areas: Int[ndarray, " segment"],
    wish: ExplanationRequest,
    labels: Sequence[str],
    screen: Screen,
) -> Counterfactual | None:
    settings = wish.counterfactual
    winner, n_segments = int(whole.argmax()), len(order)
    flip: Flip | None = None
    if settings.until == "flip":
        screen.part(
            "Looking for the fewest segments that change the class", settings.max_predictions
        )
        flip = smallest_flip(predict, [int(i) for i in order], winner, settings.max_predictions)
        # Where nothing flips it, all of the ranking's top is blanked all the same, to show what that does.
        chosen = flip.segments or tuple(int(i) for i in order[: wish.trust.top])
    elif settings.top is not None:
        chosen = tuple(int(i) for i in order[: settings.top])
    else:
        return None
    mask = blanked(chosen, n_segments)
    left = np.flatnonzero(mask)
    screen.part("Blanking as much area at random", 1 + settings.controls)
    after = predict(mask[None])[0]
    control = control_by_area(
        predict,
        chosen,
        areas,
        explained,
        float(after[explained]),
        settings.controls,
        stream(wish.seed, "control"),
    )
    label = int(after.argmax())
    second = None
    if len(left) > 1:
        screen.part(
            f"Explaining {labels[label]} without them",
            most_predictions(len(left), wish.lime, wish.trust),
        )

        def of_left(masks: Bool[ndarray, "mask left"]) -> Float[ndarray, " mask"]:
            among_all = np.zeros((len(masks), n_segments), dtype=bool)
            among_all[:, left] = masks
            outputs: ndarray = predict(among_all)[:, label].astype(np.float64)
            return outputs

        second = sample(of_left, len(left), wish.lime, wish.trust, wish.seed)
    return Counterfactual(
        segments=chosen,
        share=float(areas[list(chosen)].sum() / areas.sum()),
        probabilities=after,
        explained=explained,
        winner=winner,
        label=label,
        second=second,
        left=left,
        control=control,
        flip=flip,
    )


def _check(wish: ExplanationRequest) -> None:
    lime, settings = wish.lime, wish.counterfactual
    if lime.max_samples < lime.samples:
        raise ValueError(
            f"lime.max_samples={lime.max_samples} is less than lime.samples={lime.samples}"
        )
    if settings.top is not None and settings.until is not None:
        raise ValueError(
            "counterfactual.top names how many segments are blanked and counterfactual.until=flip finds how "
            "many: name one of them"
        )


def _check_top(settings: CounterfactualSettings, n_segments: int) -> None:
    if settings.top is not None and settings.top >= n_segments:
        raise ValueError(
            f"counterfactual.top={settings.top}, but there are {n_segments} segments, and one at least must "
            "be left to be seen"
        )
