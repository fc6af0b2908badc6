"""The sections of an explanation's config that belong to the explanation itself."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Lt

from qa_research.explain.images.segments import Baseline
from qa_research.explain.surrogate import Surrogate


@dataclass(frozen=True, slots=True)
class LimeSettings:
    """`baseline`: what stands where a segment is off, when perturbing and when blanking alike.

    `samples`: masks of each seed at first; `more_samples` are added to each until rank `trust.top` and the
    next one separate, `max_samples` at most. `alpha`: the penalty of ridge and lasso. `cache`: whether
    predictions are kept.
    """

    baseline: Baseline
    surrogate: Surrogate
    alpha: Annotated[float, Gt(0)]
    kernel_width: Annotated[float, Gt(0)]
    samples: Annotated[int, Ge(10)]
    more_samples: Annotated[int, Ge(1)]
    max_samples: Annotated[int, Ge(10)]
    cache: bool


@dataclass(frozen=True, slots=True)
class TrustSettings:
    """How the explanation is doubted.

    `top`: how many segments make the answer; `seeds`: how often masks are drawn anew; `resamples` of the
    bootstrap; `random_orders`: how many the curves are compared with (0: no curves).
    """

    top: Annotated[int, Ge(1)]
    seeds: Annotated[int, Ge(1)]
    confidence: Annotated[float, Gt(0.5), Lt(1)]
    resamples: Annotated[int, Ge(50)]
    random_orders: Annotated[int, Ge(0)]


@dataclass(frozen=True, slots=True)
class CounterfactualSettings:
    """`top`: how many of the top segments are blanked (null: none); `until`: `flip` looks for the smallest
    set that changes the class, with at most `max_predictions`. `controls`: how many times as much area of
    random segments is blanked beside it."""

    top: Annotated[int, Ge(1)] | None
    until: Literal["flip"] | None
    controls: Annotated[int, Ge(1)]
    max_predictions: Annotated[int, Ge(1)]


@dataclass(frozen=True, slots=True)
class ExplainPaths:
    """`explanations`: where each gets a folder of its own; `cache`: what predictions are kept in."""

    explanations: str
    cache: str


@dataclass(frozen=True, slots=True)
class ExplainSettings:
    """All that may stand in a composed config; sections are checked against their `_target_`."""

    image: str
    label: str | int | None
    seed: Annotated[int, Ge(0)]
    classifier: dict[str, Any]
    segmenter: dict[str, Any]
    lime: dict[str, Any]
    trust: dict[str, Any]
    counterfactual: dict[str, Any]
    paths: dict[str, Any]
