"""What is patched: heads, feed-forward networks, layers and positions, by name, and the values put there."""

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool
from torch import Tensor, nn

from qa_research.capture.sites import Anatomy, Site

HEADS, FEED_FORWARD, LAYERS, POSITIONS = KINDS = ("heads", "feed_forward", "layers", "positions")
EMBEDDINGS = "embeddings"
# Where a component's output passes: what all heads put out before their projection, what the feed-forward
# network adds, and the residual stream.
CONTEXT, ADDED, STREAM = "context", "mlp", "layer_output"
NEAR_NAMES = 3

# What is made of a value that passes a site.
Change = Callable[[Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class Component:
    """A part of a network, or some tokens on their way through it.

    `layer`: from 0; None: the embeddings, of positions. `head`: of heads. `group`: of positions, what tokens
    they are.
    """

    kind: str
    layer: int | None
    head: int | None = None
    group: str = ""

    @property
    def name(self) -> str:
        """Such as `heads.3.2`, `feed_forward.1`, `layers.0` or `positions.embeddings.changed`."""
        part = self.group if self.head is None else str(self.head)
        layer = EMBEDDINGS if self.layer is None else str(self.layer)
        return ".".join(filter(None, (self.kind, layer, part)))

    @property
    def sites(self) -> tuple[Site, ...]:
        """Where it puts out what it computes."""
        if self.kind == POSITIONS:
            return (Site(EMBEDDINGS) if self.layer is None else Site(STREAM, self.layer),)
        names = {HEADS: (CONTEXT,), FEED_FORWARD: (ADDED,), LAYERS: (CONTEXT, ADDED)}[self.kind]
        return tuple(Site(name, self.layer) for name in names)


def components_of(network: nn.Module, groups: Iterable[str]) -> list[Component]:
    """All that a network has, layer by layer; `groups`: of tokens, by name.

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
    if STREAM in anatomy.sites:
        at = (None, *layers)
        found += [Component(POSITIONS, layer, group=group) for layer in at for group in groups]
    return found


def chosen(names: Sequence[str], known: Sequence[Component]) -> list[Component]:
    """Those of `known` that are named, or whose names begin with a given one and a dot; in their order.

    Example: `heads.3` is all heads of layer 3, `positions.embeddings.changed` one component.

    Raises:
        ValueError: a name of none.
    """
    starts = {".".join(one.name.split(".")[:n]): None for one in known for n in (1, 2, 3)}
    for name in names:
        if name not in starts:
            raise ValueError(f"--what {name} is no part of this network; {_near(name, starts)}")
    return [one for one in known if any(f"{one.name}.".startswith(f"{name}.") for name in names)]


def _near(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, known, NEAR_NAMES)
    kinds = ", ".join(kind for kind in KINDS if kind in known)
    return f"did you mean {' or '.join(near)}?" if near else f"it has {kinds}"


def everything(network: nn.Module) -> tuple[Site, ...]:
    """Sites that decide all that a network computes: its embeddings, and what each part adds to them."""
    anatomy = Anatomy(network)
    names = [name for name in (CONTEXT, ADDED) if name in anatomy.sites]
    inside = [Site(name, layer) for layer in range(anatomy.layers) for name in names]
    return (Site(EMBEDDINGS), *inside)


def changes(
    component: Component,
    network: nn.Module,
    values: Mapping[Site, Tensor],
    groups: Mapping[str, Bool[Tensor, "example token"]],
) -> dict[Site, Change]:
    """What puts `values` where a component puts out its own, and leaves the rest to the bit.

    `values`: by site [example token unit], or what is broadcast to it. `groups`: by name its tokens.
    """
    where = _units(component, network)
    if component.kind == POSITIONS:
        where = groups[component.group][:, :, None]
    return {site: putting(values[site], where) for site in component.sites}


def putting(values: Tensor, where: Bool[Tensor, "..."]) -> Change:
    """The change that puts `values` where `where` is true; both are broadcast to what passes."""

    def change(passing: Tensor) -> Tensor:
        return torch.where(where.to(passing.device), values.to(passing), passing)

    return change


def _units(component: Component, network: nn.Module) -> Bool[Tensor, "..."]:
    """Which units of its sites are a component's own."""
    if component.head is None:
        return torch.tensor(True)
    anatomy = Anatomy(network)
    # Heads are next to each other: of 384 units and 12 heads, head 2 has 64 to 95.
    size = anatomy.hidden_size // anatomy.heads
    return torch.arange(anatomy.hidden_size) // size == component.head
