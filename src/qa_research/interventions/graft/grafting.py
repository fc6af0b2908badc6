"""Weights of one step in which one part is replaced by that part's weights of another step, both ways round:
what each scores on questions that chose nothing, beside random sets of as many weights; and Shapley values.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from qa_research.console import tracked
from qa_research.interventions.graft.effects import (
    Asked,
    Effect,
    RandomSets,
    Scored,
    base_of,
    effect_of,
)
from qa_research.interventions.graft.parts import (
    Control,
    Dissection,
    Division,
    Masks,
    Part,
    chosen_parts,
    size_of,
    tensors_of,
    united,
)
from qa_research.interventions.graft.shapley import (
    MOST_EXACT,
    State,
    all_states,
    drawn_orders,
    states_of,
)
from qa_research.interventions.graft.sharing import Shared, shared
from qa_research.interventions.graft.swapping import Scorer, same_tensors
from qa_research.streams import stream
from qa_research.tasks.opened import Opened
from qa_research.tasks.scoring import Columns
from qa_research.tasks.task import Metric
from qa_research.text import did_you_mean

# The two networks: that of --into with parts of --from, and the other way round.
INTO, FROM = "into", "from"
SIDES = (INTO, FROM)
# What has Shapley values. Of heads each order would be dozens of states.
SHARING: tuple[Division, ...] = ("layers", "modules")


@dataclass(frozen=True)
class GraftRequest:
    """`parts`: divisions, or names of parts. `kinds`: only such examples (empty: all), `examples` at most.

    `metric`: None: the task's most telling one. `random`: draws of each control. `orders`: for Shapley values
    of more than MOST_EXACT parts; None: no Shapley values.
    """

    parts: tuple[str, ...]
    kinds: tuple[str, ...]
    metric: str | None
    examples: int
    random: int
    orders: int | None
    seed: int


@dataclass(frozen=True)
class GraftedPart:
    """A part, replaced. `size`: its numbers. `moved`: the norm of how they differ, as a share of their own.

    `control`: the name of its random sets; None: nothing else is of its kind. `effects`: by side, and by kind
    of example (`all` first).
    """

    name: str
    kind: str
    layer: int | None
    number: int | None
    size: int
    moved: float
    control: str | None
    effects: dict[str, dict[str, Effect]]


@dataclass(frozen=True)
class Grafted:
    """All of it. `labels`: what the two sides are called, such as `step 60`. `base`: their scores by kind.

    `chose_nothing`: whether none of the examples chose the best weights.
    """

    run: str
    examples: str
    chose_nothing: bool
    metric: Metric
    labels: dict[str, str]
    base: dict[str, dict[str, Scored]]
    parts: dict[Division, tuple[GraftedPart, ...]]
    random: dict[str, RandomSets]
    shapley: dict[Division, Shared]
    notes: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """As JSON's values."""
        return asdict(self)

    @property
    def kinds(self) -> list[str]:
        """`all`, and the kinds of examples if there are several."""
        return list(self.base[INTO])


@dataclass(frozen=True)
class _Job:
    """A state to be scored: some of the other side's weights in those of `side`."""

    side: str
    name: str
    masks: Masks


def graft(into: Opened[Any], source: Opened[Any], request: GraftRequest) -> Grafted:
    """Parts of `source` in the weights of `into`, and the other way round; two checkpoints of one run.

    Raises:
        ValueError: the same weights, parts that the network does not have, no such examples, or a network
            whose layers are not known.
    """
    dissection = Dissection(into.network)
    own, theirs = dissection.tensors, tensors_of(source.network)
    labels = dict(zip(SIDES, _labels(into, source), strict=True))
    if same_tensors(own, theirs):
        raise ValueError(
            f"{labels[FROM]} and {labels[INTO]} have the same weights: nothing to graft"
        )
    parts, whole = chosen_parts(dissection, request.parts)
    sharing = _sharing(whole, request)
    metric = _metric(into, request.metric)
    rows, note = into.drawn(request.examples, stream(request.seed, "graft-examples"), request.kinds)
    asked = Asked.about(into.rows(rows), metric)
    scorers = {INTO: Scorer(into, theirs, rows, metric), FROM: Scorer(source, own, rows, metric)}
    controls = _controls(dissection, [part for some in parts.values() for part in some])
    jobs = [*_part_jobs(parts), *_random_jobs(dissection, controls, request)]
    columns = {
        (job.side, job.name): scorers[job.side](job.masks) for job in tracked(jobs, "Grafting")
    }
    random = _random_sets(columns, asked, controls, request)

    def grafted(part: Part) -> GraftedPart:
        control = controls.get(part.name)
        sets = None if control is None else random[control.name]
        return _grafted_part(part, columns, asked, sets, (own, theirs))

    found = {division: tuple(map(grafted, some)) for division, some in parts.items()}
    shapley = {
        division: _shapley(parts[division], columns, scorers[INTO], asked, request)
        for division in sharing
    }
    return Grafted(
        run=into.name,
        examples=into.examples,
        chose_nothing=not note,
        metric=metric,
        labels=labels,
        base={side: base_of(columns[side, ""], asked) for side in SIDES},
        parts=found,
        random=random,
        shapley=shapley,
        notes=tuple(filter(None, (note, _without_control(found)))),
    )


def _labels(into: Opened[Any], source: Opened[Any]) -> tuple[str, str]:
    """What the two are called: `step 60`, or their files, where the steps are equal or not known."""
    steps = [into.step, source.step]
    if None in steps or into.step == source.step:
        names = [opened.label for opened in (into, source)]
        if names[0] == names[1]:
            names = [str(opened.checkpoint) for opened in (into, source)]
        return names[0], names[1]
    return f"step {into.step:,}", f"step {source.step:,}"


def _metric(opened: Opened[Any], name: str | None) -> Metric:
    """The task's metric of this name, without `val/`; None: the most telling one."""
    if name is None:
        return opened.metrics[0]
    known = {metric["name"].rpartition("/")[2]: metric for metric in opened.metrics}
    if name not in known:
        near = did_you_mean(name, known)
        raise ValueError(f"--metric={name} is not a metric of {opened.examples}{near}")
    return known[name]


def _sharing(whole: frozenset[str], request: GraftRequest) -> list[Division]:
    """The divisions that get Shapley values.

    Raises:
        ValueError: they were asked for, and neither layers nor modules are all there.
    """
    if request.orders is None:
        return []
    found: list[Division] = [division for division in SHARING if division in whole]
    if not found:
        raise ValueError(
            "--shapley shares the difference among all layers or all modules: --parts layers, modules or both"
        )
    return found


def _controls(dissection: Dissection, parts: Sequence[Part]) -> dict[str, Control]:
    """By part what it is compared with, if there is something."""
    found = {part.name: dissection.control_of(part) for part in parts}
    return {name: control for name, control in found.items() if control is not None}


def _draw_name(control: Control, draw: int) -> str:
    """What a draw is called; no part is called so."""
    return f"random {control.name}, draw {draw}"


def _part_jobs(parts: Mapping[Division, Sequence[Part]]) -> list[_Job]:
    """Both sides as they are, and with each part; one that is in several divisions once."""
    each: dict[str, Masks] = {"": {}}
    each |= {part.name: part.masks for some in parts.values() for part in some}
    return [_Job(side, name, masks) for name, masks in each.items() for side in SIDES]


def _random_jobs(
    dissection: Dissection, controls: Mapping[str, Control], request: GraftRequest
) -> list[_Job]:
    """The draws of each control, both ways round: the same weights are replaced either way."""
    jobs = []
    for control in dict.fromkeys(controls.values()):
        for draw in range(request.random):
            rng = stream(request.seed, f"graft-random {control.name}", draw)
            masks = dissection.random(control, rng)
            jobs += [_Job(side, _draw_name(control, draw), masks) for side in SIDES]
    return jobs


def _random_sets(
    columns: Mapping[tuple[str, str], Columns],
    asked: Asked,
    controls: Mapping[str, Control],
    request: GraftRequest,
) -> dict[str, RandomSets]:
    """What the draws of each control scored, by its name."""
    found = {}
    for control in dict.fromkeys(controls.values()):
        draws = [_draw_name(control, draw) for draw in range(request.random)]
        scores = {side: [asked.values(columns[side, draw]) for draw in draws] for side in SIDES}
        found[control.name] = RandomSets(
            control.name,
            {
                side: {kind: tuple(one[kind] for one in some) for kind in asked.by_kind}
                for side, some in scores.items()
            },
        )
    return found


def _grafted_part(
    part: Part,
    columns: Mapping[tuple[str, str], Columns],
    asked: Asked,
    control: RandomSets | None,
    tensors: tuple[Mapping[str, Tensor], Mapping[str, Tensor]],
) -> GraftedPart:
    """What a part does; `tensors`: those of --into, and those of --from."""
    effects: dict[str, dict[str, Effect]] = {}
    for side, other in zip(SIDES, SIDES[::-1], strict=True):
        before, after = columns[side, ""], columns[side, part.name]
        goal = asked.values(columns[other, ""])
        effects[side] = {
            kind: effect_of(
                (asked.of(before, kind), asked.of(after, kind)),
                goal[kind],
                None if control is None else control.scores[side][kind],
                asked.metric,
                asked.groups_of(kind),
            )
            for kind in asked.by_kind
        }
    size = size_of(part.masks, tensors[0])
    return GraftedPart(
        name=part.name,
        kind=part.kind,
        layer=part.layer,
        number=part.number,
        size=size,
        moved=_moved(part.masks, *tensors),
        control=None if control is None else control.name,
        effects=effects,
    )


def _moved(masks: Masks, own: Mapping[str, Tensor], theirs: Mapping[str, Tensor]) -> float:
    """The norm of the difference, as a share of the norm of `own`; 0 where that is zero."""
    apart = before = 0.0
    for name, mask in masks.items():
        ours, other = own[name].double().cpu(), theirs[name].double().cpu()
        keep = torch.ones_like(ours) if mask is None else mask.expand_as(ours).double()
        apart += float(((other - ours) * keep).square().sum())
        before += float((ours * keep).square().sum())
    return float(np.sqrt(apart / before)) if before else 0.0


def _shapley(
    parts: Sequence[Part],
    columns: Mapping[tuple[str, str], Columns],
    scorer: Scorer,
    asked: Asked,
    request: GraftRequest,
) -> Shared:
    """How much of the whole difference each part accounts for, by kind of example.

    States that have been scored already are not scored again: --from with one part of --into is all parts
    but one.
    """
    assert request.orders is not None
    count = len(parts)
    everyone = frozenset(range(count))
    known: dict[State, Columns] = {frozenset(): columns[INTO, ""], everyone: columns[FROM, ""]}
    for number, part in enumerate(parts):
        known[frozenset({number})] = columns[INTO, part.name]
        known[everyone - {number}] = columns[FROM, part.name]
    orders = None if count <= MOST_EXACT else drawn_orders(count, request.orders, request.seed)
    wanted = all_states(count) if orders is None else [s for o in orders for s in states_of(o)]
    # In the order of depth, so that states which begin alike follow each other.
    missing = sorted(
        {state for state in wanted if state not in known},
        key=lambda state: [number in state for number in range(count)],
    )
    for state in tracked(missing, "Sharing the difference"):
        known[state] = scorer(united(parts[number].masks for number in sorted(state)))
    names = [part.name for part in parts]
    by_kind = {
        kind: {state: asked.of(some, kind) for state, some in known.items()}
        for kind in asked.by_kind
    }
    groups = {kind: asked.groups_of(kind) for kind in asked.by_kind}
    return shared(names, by_kind, groups, asked.metric, orders)


def _without_control(found: Mapping[Division, Sequence[GraftedPart]]) -> str:
    """A sentence on the parts that have no random sets."""
    names = dict.fromkeys(
        part.name for some in found.values() for part in some if part.control is None
    )
    if not names:
        return ""
    shown = [name for name in names if not name.startswith("norms.")]
    if len(shown) < len(names):
        shown.append("norms")
    return (
        f"No random sets for {', '.join(shown)}: nothing else in this network is of that kind, or it cannot "
        "be divided into units."
    )
