"""Activation patching over the kept steps of a run: which part carries what tells two texts apart, and since
when.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor, nn

from qa_research.capture.components import FEED_FORWARD, HEADS, Change
from qa_research.capture.forward import (
    beginning_at,
    changed,
    forward_watched,
    read_by_layers,
)
from qa_research.capture.sites import Site, places_of
from qa_research.console import tracked
from qa_research.interventions.patching.components import (
    KINDS,
    POSITIONS,
    Patchable,
    Positions,
    changes,
    chosen,
    components_of,
)
from qa_research.interventions.patching.pairs import (
    CHANGED,
    Pair,
    PairBatch,
    batches_of,
    drawn_pairs,
    named_pairs,
    pairs_of_file,
    with_unrelated,
)
from qa_research.runs.open import open_run
from qa_research.stats import CONFIDENCE, mean_intervals, ratio_intervals, resampled_ratios
from qa_research.streams import stream
from qa_research.tasks.opened import Opened, OwnExamples
from qa_research.tasks.watching import Watched
from qa_research.text import plural

# Of fewer pairs no interval is told.
LEAST_PAIRS = 5
# What is patched if nothing is named: positions and layers would double the time.
USUAL = (HEADS, FEED_FORWARD)
# What is done to a component, in the order of `_Effects.changed`.
RESTORED, UNRELATED, ZERO, MEAN = MEASURES = ("restored", "unrelated", "zero", "mean")


@dataclass(frozen=True)
class PatchRequest:
    """`questions`: ids of examples; none: `pairs` are drawn. `pairs_file`: pairs of one's own instead.

    `what`: kinds or names of components.
    """

    questions: tuple[str, ...]
    pairs: int
    pairs_file: str | None
    encoding: str
    what: tuple[str, ...]
    seed: int


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number over all pairs with its 95 % interval; None: too few pairs."""

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Patch:
    """What one component does at one step, as shares of the gap between the clean and the corrupted texts.

    `restored`: how much of it comes back in the corrupted text with the component's output in the clean one;
    `unrelated`: with its output in an unrelated text; `specific`: by how much `restored` is more, pair by
    pair. `zero`, `mean`: how much of it is lost in the clean text if the output is zero, or its mean over
    other texts. `chance`: what unrelated texts do in components like this one, itself included (see
    `_bands`; None: too few pairs). All are None if there is no gap. `by_pair`: of each pair the lead of the
    clean answer in the corrupted text with the output restored, in logits.
    """

    name: str
    kind: str
    layer: int | None
    restored: Estimate | None
    unrelated: Estimate | None
    specific: Estimate | None
    zero: Estimate | None
    mean: Estimate | None
    chance: tuple[float, float] | None
    by_pair: tuple[float, ...]

    @property
    def is_beyond_chance(self) -> bool:
        """Whether more is restored than by unrelated texts: in components like this one, and in itself.

        All of the interval of `restored` is above the chance band and above zero, and all of that of
        `specific` is above zero.
        """
        if self.restored is None or self.specific is None or self.chance is None:
            return False
        low, more = self.restored.low, self.specific.low
        return low is not None and more is not None and low > max(self.chance[1], 0.0) and more > 0


@dataclass(frozen=True)
class PatchedStep:
    """All components after `step` optimizer steps (None: not known).

    `clean`, `corrupted`: the lead of the clean answer over the corrupted one in each text, in logits, and
    `gap` the difference; the same by pair. `told_apart`: the number of pairs of which, in both texts, the
    right answer leads the one that is right in the other text. The network may answer neither of them.
    """

    checkpoint: str
    step: int | None
    clean: Estimate
    corrupted: Estimate
    gap: Estimate
    told_apart: int
    clean_by_pair: tuple[float, ...]
    corrupted_by_pair: tuple[float, ...]
    patches: tuple[Patch, ...]

    @property
    def has_gap(self) -> bool:
        """Whether the network tells the texts apart at all, so that shares of the gap mean something."""
        return self.gap.value > 0 if self.gap.low is None else self.gap.low > 0


@dataclass(frozen=True)
class Patched:
    """All of it. `pairs`: as `Pair.told` has them. `reference`: how many texts mean ablation refers to."""

    run: str
    examples: str
    pairs: tuple[dict[str, Any], ...]
    reference: int
    steps: tuple[PatchedStep, ...]
    notes: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """As JSON's values."""
        return asdict(self)


@dataclass(frozen=True)
class Leads:
    """The lead of the clean answer over the corrupted one, in logits: in both texts as they are, and for each
    component with each of MEASURES.
    """

    clean: Float[ndarray, " pair"]
    corrupted: Float[ndarray, " pair"]
    changed: Float[ndarray, "component measure pair"]


def patch_steps(directory: Path, checkpoints: Sequence[str], request: PatchRequest) -> Patched:
    """Patching of the same pairs at each of some checkpoints of a run.

    Raises:
        ValueError: a run without minimal pairs, an unusable pair, a component that there is not, or a
            network that cannot be looked into.
        FileNotFoundError: there is no such checkpoint or file.
    """
    opened = open_run(directory, checkpoints[0])
    # Before examples are read, which takes longer; what groups of tokens there are is only known then.
    without_groups = [name for name in request.what if not name.startswith(f"{POSITIONS}.")]
    chosen(without_groups, components_of(opened.network, (CHANGED,)))
    pairs, reference, notes = _pairs(opened, request)
    batches = batches_of(opened, pairs)
    known = components_of(opened.network, batches[0].groups)
    components = chosen(request.what or _usual(known), known)
    means_of = [opened.watched(reference[i : i + 16]) for i in range(0, len(reference), 16)]
    steps = []
    for name in checkpoints:
        now = opened if name == checkpoints[0] else open_run(directory, name)
        means = mean_values(now.network, means_of, _sites(components))
        told = f"Patching checkpoint {name}"
        leads = measure(now.network, batches, components, means, request.seed, told)
        steps.append(_told(name, now.step, leads, components, _groups(batches)))
    ordered = tuple(pair.told() for batch in batches for pair in batch.pairs)
    return Patched(opened.name, opened.examples, ordered, len(reference), tuple(steps), notes)


def _pairs(
    opened: Opened[Any], request: PatchRequest
) -> tuple[list[Pair], list[Any], tuple[str, ...]]:
    """The pairs with their unrelated texts, the examples of mean ablation, and what is to be said."""
    own = OwnExamples(opened)
    if request.pairs_file is not None:
        pairs = pairs_of_file(opened, request.pairs_file, request.encoding)
    elif request.questions:
        pairs = named_pairs(own, request.questions, request.seed)
    else:
        pairs = drawn_pairs(own, request.pairs, request.seed)
    completed, reference = with_unrelated(own, pairs, request.seed)
    notes = []
    is_drawn = not request.questions and request.pairs_file is None
    if is_drawn and len(pairs) < request.pairs:
        notes.append(f"There are {plural(len(pairs), 'usable pair')}, not {request.pairs}.")
    if is_drawn and own.validation.all_chose:
        notes.append(
            f"All validation {opened.examples} {opened.chose}, and so did those of the pairs."
        )
    if len(pairs) < LEAST_PAIRS:
        notes.append(f"Of fewer than {LEAST_PAIRS} pairs, no interval is reported.")
    if other := sum(len(one.unrelated[0].read.tokens) != one.tokens for one in completed):
        notes.append(
            f"Of {plural(other, 'pair')} no unrelated text is as long; the nearest in length are taken."
        )
    return completed, reference, tuple(notes)


def _usual(known: Sequence[Patchable]) -> list[str]:
    """Heads and feed-forward networks, or whatever else the network has."""
    kinds = [kind for kind in KINDS if any(one.kind == kind for one in known)]
    if not kinds:
        raise ValueError(
            "this network has no parts whose outputs are known, so nothing can be patched"
        )
    return [kind for kind in kinds if kind in USUAL] or kinds


def _sites(components: Sequence[Patchable]) -> list[Site]:
    return list(dict.fromkeys(site for one in components for site in one.sites))


def _groups(batches: Sequence[PairBatch]) -> Int[ndarray, " pair"]:
    """A number for each pair: those about one text have the same."""
    numbers: dict[str, int] = {}
    texts = [pair.clean.read.text for batch in batches for pair in batch.pairs]
    return np.array([numbers.setdefault(text, len(numbers)) for text in texts])


def mean_values(
    network: nn.Module, watched: Sequence[Watched], sites: Sequence[Site]
) -> dict[Site, Float[Tensor, " unit"]]:
    """What passes each site on average over all tokens of some examples, padding left out."""
    sums: dict[Site, Tensor] = {}
    count = 0
    for batch in watched:
        values = forward_watched(network, batch, 0, sites).values
        count += int(batch.mask.sum())
        for site in sites:
            own = values[site][batch.mask].double().sum(dim=0)
            sums[site] = sums.get(site, torch.zeros_like(own)) + own
    return {site: (total / count).float() for site, total in sums.items()}


def measure(
    network: nn.Module,
    batches: Sequence[PairBatch],
    components: Sequence[Patchable],
    means: Mapping[Site, Float[Tensor, " unit"]],
    seed: int,
    told: str = "Patching",
) -> Leads:
    """The leads of all pairs, in the order of the batches; `told`: of the progress shown."""
    parts = []
    for number, batch in enumerate(batches):
        # A stream for each, so that what is found of a component does not depend on which others are patched.
        rngs = [stream(seed, f"unrelated-of {one.name}", number) for one in components]
        parts.append(_measure_batch(network, batch, components, means, rngs, told))
    return Leads(
        np.concatenate([part.clean for part in parts]),
        np.concatenate([part.corrupted for part in parts]),
        np.concatenate([part.changed for part in parts], axis=2),
    )


def _measure_batch(
    network: nn.Module,
    batch: PairBatch,
    components: Sequence[Patchable],
    means: Mapping[Site, Float[Tensor, " unit"]],
    rngs: Sequence[np.random.Generator],
    told: str,
) -> Leads:
    sites = _sites(components)
    with _read_by_layers(network) as clean_read:
        clean = forward_watched(network, batch.clean, 0, sites)
    with _read_by_layers(network) as corrupted_read:
        corrupted = forward_watched(network, batch.corrupted, 0)
    others = [
        {site: batch.as_long(value, text) for site, value in _values(network, text, sites).items()}
        for text in batch.unrelated
    ]
    nothing = {site: torch.zeros_like(value) for site, value in means.items()}
    changed_leads = []
    for component, rng in zip(tracked(components, told), rngs, strict=True):
        mixed = _one_of(others, component.sites, rng, len(batch.pairs))
        for text, read, values in (
            (batch.corrupted, corrupted_read, clean.values),
            (batch.corrupted, corrupted_read, mixed),
            (batch.clean, clean_read, nothing),
            (batch.clean, clean_read, means),
        ):
            change = changes(component, network, values, batch.groups)
            with _beginning_at(network, component.layer, read):
                changed_leads.append(lead(network, batch, text, change))
    return Leads(
        batch.difference(clean.scores).double().numpy(),
        batch.difference(corrupted.scores).double().numpy(),
        torch.stack(changed_leads).view(len(components), len(MEASURES), -1).double().numpy(),
    )


def _read_by_layers(network: nn.Module) -> AbstractContextManager[dict[int, Tensor]]:
    """What each layer reads, of the networks that can begin in the middle."""
    return read_by_layers(network) if places_of(network) is None else nullcontext({})


def _beginning_at(
    network: nn.Module, layer: int | None, read: Mapping[int, Tensor]
) -> AbstractContextManager[None]:
    """What lies below the layer, where nothing changes, is not computed again."""
    return beginning_at(network, layer, read[layer]) if layer and layer in read else nullcontext()


def _values(network: nn.Module, text: Watched, sites: Sequence[Site]) -> dict[Site, Tensor]:
    return forward_watched(network, text, 0, sites).values


def _one_of(
    others: Sequence[Mapping[Site, Tensor]],
    sites: Sequence[Site],
    rng: np.random.Generator,
    pairs: int,
) -> dict[Site, Float[Tensor, "pair token unit"]]:
    """What passes the sites in one of the unrelated texts, which is drawn for each pair."""
    drawn = rng.integers(len(others), size=pairs).tolist()
    return {
        site: torch.stack([others[number][site][row] for row, number in enumerate(drawn)])
        for site in sites
    }


def lead(
    network: nn.Module, batch: PairBatch, text: Watched, change: Mapping[Site, Change]
) -> Float[Tensor, " pair"]:
    """The lead of the clean answers in one of both texts, with something changed inside."""
    with changed(network, change):
        return batch.difference(forward_watched(network, text, 0).scores)


def _told(
    checkpoint: str,
    step: int | None,
    leads: Leads,
    components: Sequence[Patchable],
    groups: Int[ndarray, " pair"],
) -> PatchedStep:
    gaps = leads.clean - leads.corrupted
    clean, corrupted, gap = _means(np.stack([leads.clean, leads.corrupted, gaps]), groups)
    found = PatchedStep(
        checkpoint=checkpoint,
        step=step,
        clean=clean,
        corrupted=corrupted,
        gap=gap,
        told_apart=int(((leads.clean > 0) & (leads.corrupted < 0)).sum()),
        clean_by_pair=tuple(leads.clean.tolist()),
        corrupted_by_pair=tuple(leads.corrupted.tolist()),
        patches=(),
    )
    shares = _shares(leads, groups) if found.has_gap else None
    bands = _bands(leads, components, groups) if found.has_gap else None
    patches = []
    for place, one in enumerate(components):
        restored, unrelated, zero, mean, specific = (
            shares[place] if shares else [None] * (len(MEASURES) + 1)
        )
        by_pair = tuple(leads.changed[place, MEASURES.index(RESTORED)].tolist())
        patches.append(
            Patch(
                *(one.name, one.kind, one.layer),
                restored=restored,
                unrelated=unrelated,
                specific=specific,
                zero=zero,
                mean=mean,
                chance=bands[place] if bands else None,
                by_pair=by_pair,
            )
        )
    return replace(found, patches=tuple(patches))


def moved(leads: Leads) -> Float[ndarray, "component measure pair"]:
    """How far each change moves the lead, in logits: towards the clean text's, or away from it.

    Example: the clean answer leads by 6 in the clean text and by -4 in the corrupted one, a gap of 10. With a
    head restored it leads by 1 in the corrupted one: 5 of 10, or 50 % is restored. With the head's output
    zero it leads by 4 in the clean one: 2 of 10, or 20 % is lost.
    """
    start = [leads.corrupted if name in (RESTORED, UNRELATED) else leads.clean for name in MEASURES]
    sign = [1 if name in (RESTORED, UNRELATED) else -1 for name in MEASURES]
    found: Float[ndarray, "component measure pair"] = (leads.changed - np.stack(start)) * np.array(
        sign
    )[:, None]
    return found


def _shares(leads: Leads, groups: Int[ndarray, " pair"]) -> list[list[Estimate | None]]:
    """Of each component all of MEASURES: the sum of moves by the sum of gaps, over all pairs.

    So a pair whose texts the network hardly tells apart, and which would be divided by little, counts little.
    After them, by how much RESTORED is more than UNRELATED.
    """
    gaps = leads.clean - leads.corrupted
    moves = moved(leads)
    more = moves[:, MEASURES.index(RESTORED)] - moves[:, MEASURES.index(UNRELATED)]
    flat = np.concatenate([moves, more[:, None]], axis=1).reshape(-1, len(gaps))
    values = flat.sum(axis=1) / gaps.sum()
    if len(np.unique(groups)) < LEAST_PAIRS:
        estimates = [Estimate(float(value), None, None) for value in values]
    else:
        ends = ratio_intervals(flat, gaps, groups)
        estimates = [Estimate(float(v), *end) for v, end in zip(values, ends, strict=True)]
    width = len(MEASURES) + 1
    return [list(estimates[i : i + width]) for i in range(0, len(estimates), width)]


def _bands(
    leads: Leads, components: Sequence[Patchable], groups: Int[ndarray, " pair"]
) -> list[tuple[float, float] | None]:
    """Of each component the chance band of `restored`: what unrelated texts do in one component like it.

    The middle 95 % of what they move in any of the like ones, each over other pairs as its interval has them.
    Alike are heads of one layer, feed-forward networks and layers wherever they are, and positions with the
    same tokens. A component is one of those like it. Where they are fewer than 40, the draws of each are more
    than the 2.5 % above the band, so it reaches to what unrelated texts do in the one where they do most.
    """
    gaps = leads.clean - leads.corrupted
    if len(np.unique(groups)) < LEAST_PAIRS:
        return [None] * len(components)
    moves = moved(leads)[:, MEASURES.index(UNRELATED)]
    keys = [_alike(one) for one in components]
    tail = 100 * (1 - CONFIDENCE) / 2
    found: dict[tuple[Any, ...], tuple[float, float]] = {}
    for key in dict.fromkeys(keys):
        own = moves[[place for place, other in enumerate(keys) if other == key]]
        # The draws of one component after the other, and not of their mean: the question is how far a single
        # one goes. Of 12 heads of which one moves 40 % and the others nothing, the mean moves 3 %.
        low, high = np.percentile(resampled_ratios(own, gaps, groups), [tail, 100 - tail])
        found[key] = float(low), float(high)
    return [found[key] for key in keys]


def _alike(component: Patchable) -> tuple[Any, ...]:
    if component.kind == HEADS:
        return component.kind, component.layer
    return component.kind, component.group if isinstance(component, Positions) else ""


def _means(values: Float[ndarray, "measure pair"], groups: Int[ndarray, " pair"]) -> list[Estimate]:
    averages = values.mean(axis=1).tolist()
    if len(np.unique(groups)) < LEAST_PAIRS:
        return [Estimate(average, None, None) for average in averages]
    intervals = mean_intervals(values, None, groups)
    return [Estimate(a, i.low, i.high) for a, i in zip(averages, intervals, strict=True)]
