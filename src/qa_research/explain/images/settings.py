"""The sections of an explanation's config."""

import math
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Le, Lt

from qa_research.explain.images.segments import Baseline
from qa_research.explain.surrogate import Surrogate

# More would take days; they are kept in memory.
MOST_MASKS = 1_000_000


@dataclass(frozen=True, slots=True)
class LimeSettings:
    """`baseline`: what replaces a segment that is off, in masks and when blanking.

    `samples`: masks of each seed at first; `more_samples` are added until rank `trust.top` is separate from
    those below, up to `max_samples`. `alpha`: the penalty of ridge and lasso, relative to the total weight of
    the masks. `cache`: whether predictions are kept on disk.
    """

    baseline: Baseline
    surrogate: Surrogate
    alpha: Annotated[float, Gt(0)]
    kernel_width: Annotated[float, Gt(0)]
    samples: Annotated[int, Ge(10), Le(MOST_MASKS)]
    more_samples: Annotated[int, Ge(1), Le(MOST_MASKS)]
    max_samples: Annotated[int, Ge(10), Le(MOST_MASKS)]
    cache: bool


@dataclass(frozen=True, slots=True)
class TrustSettings:
    """How the explanation is tested.

    `top`: how many segments are highlighted; `seeds`: how often masks are drawn independently;
    `confidence`: 1 minus the error that is allowed; `resamples` of the bootstrap; `random_orders` that the
    curves are compared with (0: no curves).
    """

    top: Annotated[int, Ge(1)]
    seeds: Annotated[int, Ge(1), Le(1_000)]
    confidence: Annotated[float, Gt(0.5), Lt(1)]
    resamples: Annotated[int, Ge(50), Le(100_000)]
    random_orders: Annotated[int, Ge(0), Le(10_000)]

    @property
    def orders_needed(self) -> int:
        """The fewest random orders of which a ranking that beats them all is better than chance."""
        # p = 1 / (1 + orders) at best: 19 orders reach 0.05, 99 reach 0.01.
        return math.ceil(1 / (1 - self.confidence) - 1e-9) - 1


@dataclass(frozen=True, slots=True)
class CounterfactualSettings:
    """What is blanked.

    `top`: how many of the top segments (None: none); `until`: `flip` looks for the smallest set that changes
    the class, with at most `max_predictions`. `controls`: how many other sets of segments with as much area
    are blanked for comparison.
    """

    top: Annotated[int, Ge(1)] | None
    until: Literal["flip"] | None
    controls: Annotated[int, Ge(1), Le(10_000)]
    max_predictions: Annotated[int, Ge(1)]


@dataclass(frozen=True, slots=True)
class ExplainPaths:
    """`explanations`: where each gets its own folder; `cache`: where predictions are kept."""

    explanations: str
    cache: str


@dataclass(frozen=True, slots=True)
class ExplainSettings:
    """All keys of a composed config; sections are checked against their `_target_`."""

    image: str
    label: str | int | None
    seed: Annotated[int, Ge(0), Le(2**63 - 1)]
    threads: Annotated[int, Ge(1)] | None
    classifier: dict[str, Any]
    segmenter: dict[str, Any]
    lime: dict[str, Any]
    trust: dict[str, Any]
    counterfactual: dict[str, Any]
    paths: dict[str, Any]
