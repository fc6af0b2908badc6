"""What is patched: heads, feed-forward networks, layers and positions, by name, and the values put there."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool
from torch import Tensor, nn

from qa_research.capture.components import (
    ADDED,
    CONTEXT,
    FEED_FORWARD,
    HEADS,
    LAYERS,
    Change,
    Component,
    parts_of,
    units_of,
)
from qa_research.capture.sites import Anatomy, Site
from qa_research.text import near_names

POSITIONS = "positions"
KINDS = (HEADS, FEED_FORWARD, LAYERS, POSITIONS)
EMBEDDINGS = "embeddings"
# Where tokens pass on their way: the residual stream.
STREAM = "layer_output"


@dataclass(frozen=True, slots=True)
class Positions:
    """Some tokens on their way through the network, after a layer (None: the embeddings).

    `group`: which tokens they are.
    """

    kind: ClassVar[str] = POSITIONS
    number: ClassVar[None] = None
    layer: int | None
    group: str

    @property
    def name(self) -> str:
        """Such as `positions.embeddings.changed`."""
        layer = EMBEDDINGS if self.layer is None else str(self.layer)
        return ".".join(filter(None, (POSITIONS, layer, self.group)))

    @property
    def sites(self) -> tuple[Site, ...]:
        """Where they pass."""
        return (Site(EMBEDDINGS) if self.layer is None else Site(STREAM, self.layer),)


Patchable = Component | Positions


def components_of(network: nn.Module, groups: Iterable[str]) -> list[Patchable]:
    """All that a network has, layer by layer; `groups`: of tokens, by name.

    Raises:
        ValueError: where it computes what is not known.
    """
    anatomy = Anatomy(network)
    found: list[Patchable] = [*parts_of(network)]
    if STREAM in anatomy.sites:
        at = (None, *range(anatomy.layers))
        found += [Positions(layer, group) for layer in at for group in groups]
    return found


def chosen(names: Sequence[str], known: Sequence[Patchable]) -> list[Patchable]:
    """Those of `known` that are named, or whose names begin with a given one and a dot; in their order.

    Example: `heads.3` is all heads of layer 3, `positions.embeddings.changed` one component.

    Raises:
        ValueError: a name of none.
    """
    starts = {".".join(one.name.split(".")[:n]): None for one in known for n in (1, 2, 3)}
    for name in names:
        if name not in starts:
            kinds = ", ".join(kind for kind in KINDS if kind in starts)
            near = near_names(name, starts, kinds)
            raise ValueError(f"--what {name} is no part of this network; {near}")
    return [one for one in known if any(f"{one.name}.".startswith(f"{name}.") for name in names)]


def everything(network: nn.Module) -> tuple[Site, ...]:
    """Sites that decide all that a network computes: its embeddings, and what each part adds to them."""
    anatomy = Anatomy(network)
    names = [name for name in (CONTEXT, ADDED) if name in anatomy.sites]
    inside = [Site(name, layer) for layer in range(anatomy.layers) for name in names]
    return (Site(EMBEDDINGS), *inside)


def changes(
    component: Patchable,
    network: nn.Module,
    values: Mapping[Site, Tensor],
    groups: Mapping[str, Bool[Tensor, "example token"]],
) -> dict[Site, Change]:
    """What puts `values` where a component puts out its own, and leaves the rest to the bit.

    `values`: by site [example token unit], or what is broadcast to it. `groups`: by name its tokens.
    """
    if isinstance(component, Positions):
        where: Bool[Tensor, ...] = groups[component.group][:, :, None]
    else:
        where = units_of(component, Anatomy(network))
    return {site: putting(values[site], where) for site in component.sites}


def putting(values: Tensor, where: Bool[Tensor, "..."]) -> Change:
    """The change that puts `values` where `where` is true; both are broadcast to what passes."""

    def change(passing: Tensor) -> Tensor:
        return torch.where(where.to(passing.device), values.to(passing), passing)

    return change
