"""The graph of a network as data: boxes, what calls what, and how deep it is drawn. Needs no torch."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

# Of networks without a list of layers: torchview's own.
USUAL_DEPTH = 3
LIST = "ModuleList"
# An axis is a name (window, token, hidden) or, where it has none, its length.
Axis = str | Annotated[int, Field(strict=True, ge=0)]
Shape = tuple[Axis, ...]
Number = Annotated[int, Field(strict=True, ge=1)]
Edge = tuple[Number, Number]


@dataclass(frozen=True)
class Node:
    """A box of the graph.

    `number`: in the order in which the network runs, from 1. `name`: the class of a module, the name of a
    function or an input. `place`: the module itself, or the one in which a function is called. `depth`: how
    many modules call one another on the way to it.
    """

    number: Number
    kind: Literal["module", "function", "tensor"]
    name: str
    place: str
    depth: Annotated[int, Field(strict=True, ge=0)]
    inputs: tuple[Shape, ...]
    outputs: tuple[Shape, ...]


@dataclass(frozen=True)
class Graph:
    """`hidden`: the length of the axis of that name. `edges`: the numbers of two nodes, from and to."""

    hidden: Number | None
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]


def layers(classes: Mapping[str, str]) -> list[str]:
    """The places of a network's layers, of its module classes by place: what its lists of modules hold.

    Lists within a layer are parts of it, unless a layer has nothing else and all in it are of one class,
    as in ALBERT's groups of layers.
    """
    parts: dict[str, list[str]] = {}
    for name in classes:
        if name:
            parts.setdefault(name.rpartition(".")[0], []).append(name)

    def of_list(name: str) -> Iterator[str]:
        for entry in parts.get(name, []):
            inner = [entry] if classes[entry] == LIST else parts.get(entry, [])
            kinds = {classes[part] for part in parts.get(inner[0], [])} if inner else set()
            if len(inner) == 1 and classes[inner[0]] == LIST and len(kinds) == 1:
                yield from of_list(inner[0])
            else:
                yield entry

    outermost = [
        name
        for name, kind in classes.items()
        if kind == LIST and LIST not in (classes[above] for above in _above(name))
    ]
    return [layer for name in outermost for layer in of_list(name)]


def drawn_depth(classes: Mapping[str, str]) -> int:
    """How deep a network is drawn: to the parts of its layers."""
    return 1 + max((_depth(classes, name) for name in layers(classes)), default=USUAL_DEPTH - 1)


def drawn_places(classes: Mapping[str, str]) -> dict[str, int]:
    """The modules that are drawn where there is no graph, and their depths: as deep, or without parts."""
    whole = {name.rpartition(".")[0] for name in classes}
    deepest = drawn_depth(classes)
    depths = {name: _depth(classes, name) for name in classes if name and classes[name] != LIST}
    return {
        name: depth
        for name, depth in depths.items()
        if depth == deepest or (depth < deepest and name not in whole)
    }


def _depth(classes: Mapping[str, str], place: str) -> int:
    """How many modules call one another down to a module; lists are not called."""
    return sum(classes[name] != LIST for name in (*_above(place), place))


def _above(place: str) -> list[str]:
    """The modules that a module is a part of, without the network. Example: a.b.c is in a and a.b."""
    words = place.split(".")
    return [".".join(words[:end]) for end in range(1, len(words))]
