"""Parts of a network that can be changed while it computes, by name: heads, feed-forward networks, layers.

`heads.3.5` is head 5 of layer 3, `feed_forward.3` the feed-forward network of layer 3, `feed_forward.3.100`
unit 100 of what it puts out, and `layers.3` heads and feed-forward network. All count from 0.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool
from torch import Tensor, nn

from qa_research.capture.sites import Anatomy, Site
from qa_research.text import near_names

HEADS, FEED_FORWARD, LAYERS = "heads", "feed_forward", "layers"
# Where a part's output passes: what all heads put out before their projection, and what the feed-forward
# network adds.
CONTEXT, ADDED = "context", "mlp"
_SITES = {HEADS: (CONTEXT,), FEED_FORWARD: (ADDED,), LAYERS: (CONTEXT, ADDED)}
# What a part puts out instead: nothing, or the mean of what it puts out over all tokens of the batch.
Silence = Literal["zero", "mean"]
# What is made of a value that passes a site.
Change = Callable[[Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class Component:
    """A part of a layer. `number`: of heads, which; of feed-forward networks, which unit; None: all of it."""

    kind: str
    layer: int
    number: int | None = None

    @property
    def name(self) -> str:
        """Such as `heads.3.5`."""
        number = "" if self.number is None else f".{self.number}"
        return f"{self.kind}.{self.layer}{number}"

    @property
    def sites(self) -> tuple[Site, ...]:
        """Where it puts out what it computes."""
        return tuple(Site(name, self.layer) for name in _SITES[self.kind])


def parts_of(network: nn.Module) -> list[Component]:
    """All heads, feed-forward networks and layers of a network, kind by kind; without single units.

    Raises:
        ValueError: where it computes what is not known.
    """
    anatomy = Anatomy(network)
    layers = range(anatomy.layers)
    found: list[Component] = []
    if anatomy.heads and CONTEXT in anatomy.sites:
        found += [Component(HEADS, layer, n) for layer in layers for n in range(anatomy.heads)]
    if ADDED in anatomy.sites:
        found += [Component(FEED_FORWARD, layer) for layer in layers]
    if {CONTEXT, ADDED} <= anatomy.sites.keys():
        found += [Component(LAYERS, layer) for layer in layers]
    return found


def units_like(parts: Iterable[Component], network: nn.Module) -> list[Component]:
    """All units of the feed-forward networks of which single units are among the parts."""
    layers = {one.layer for one in parts if one.kind == FEED_FORWARD and one.number is not None}
    width = Anatomy(network).hidden_size
    return [
        Component(FEED_FORWARD, layer, unit) for layer in sorted(layers) for unit in range(width)
    ]


def named(names: Iterable[str], network: nn.Module, option: str) -> list[Component]:
    """The parts that names stand for; `heads.3` are all heads of layer 3.

    Raises:
        ValueError: a name of none; `option`: where it was given.
    """
    known = parts_of(network)
    width = Anatomy(network).hidden_size
    found: list[Component] = []
    for name in names:
        own = [one for one in known if one.name == name or one.name.startswith(f"{name}.")]
        kind, _, rest = name.partition(".")
        layer, _, unit = rest.partition(".")
        if kind == FEED_FORWARD and unit.isdecimal() and layer.isdecimal():
            whole = Component(FEED_FORWARD, int(layer))
            own = [Component(FEED_FORWARD, int(layer), int(unit))] if int(unit) < width else []
            own = own if whole in known else []
        if not own:
            raise ValueError(f"{option} {name} is no part of this network; {_near(name, known)}")
        found += own
    return list(dict.fromkeys(found))


def _near(name: str, known: Sequence[Component]) -> str:
    names = [one.name for one in known]
    last = {one.kind: one.name for one in known}
    ranges = ", ".join(
        f"{names[0] if kind == HEADS else f'{kind}.0'} to {end}" for kind, end in last.items()
    )
    return near_names(name, names, ranges)


def silencing(
    components: Iterable[Component], network: nn.Module, how: Silence
) -> Mapping[Site, Change]:
    """What makes parts put out nothing, or only their mean, at each site; see `forward.changed`.

    Example with 2 heads of 2 units: silencing head 1 turns the context [1, 2, 3, 4] of a token into
    [1, 2, 0, 0], or with a mean of [5, 6] over the batch's tokens into [1, 2, 5, 6]. The mean is a number for
    each unit: no gradient goes through it, and padding counts as the tokens do.
    """
    anatomy = Anatomy(network)
    where: dict[Site, Bool[Tensor, " unit"]] = {}
    for one in components:
        for site in one.sites:
            own = where.setdefault(site, torch.zeros(anatomy.hidden_size, dtype=torch.bool))
            own |= units_of(one, anatomy)
    return {site: _without(units, how) for site, units in where.items()}


def units_of(one: Component, anatomy: Anatomy) -> Bool[Tensor, "..."]:
    """Which units of its sites are a part's own; of one that is not divided, a single True."""
    units = torch.arange(anatomy.hidden_size)
    if one.number is None:
        return torch.tensor(True)
    if one.kind == HEADS:
        # Heads are next to each other: of 384 units and 12 heads, head 2 has 64 to 95.
        return units // (anatomy.hidden_size // anatomy.heads) == one.number
    return units == one.number


def _without(units: Bool[Tensor, " unit"], how: Silence) -> Change:
    def change(passing: Tensor) -> Tensor:
        own = units.to(passing.device)
        if how == "zero":
            return passing.masked_fill(own, 0.0)
        mean = passing.detach().flatten(0, -2).mean(dim=0)
        return torch.where(own, mean, passing)

    return change
