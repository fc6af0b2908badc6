"""The legend of a network's numbered boxes: a row for what is equal, with its share of the parameters."""

from collections.abc import Sequence
from dataclasses import dataclass

from qa_research.model.architecture import Blueprint
from qa_research.model.graph import Node, Shape
from qa_research.report.diagram import layer_number


@dataclass(frozen=True)
class Entry:
    """Equal boxes; without numbers, a module that is not drawn and has parameters of its own.

    `where`: in the network, in words. `each`: the parameters of one box; `together`: of all, each parameter
    counted once in the legend, where it is first drawn.
    """

    numbers: tuple[int, ...]
    kind: str
    name: str
    where: str
    takes: tuple[Shape, ...]
    gives: tuple[Shape, ...]
    each: int
    together: int


def legend_of(blueprint: Blueprint) -> list[Entry]:
    """A row for each kind of box, in the order of the first, then one for each module left over.

    Modules are equal if they and their parts have the same classes and sizes, and take and give the same
    shapes; functions, if they have the same name and shapes.
    """
    groups: dict[object, list[Node]] = {}
    for node in blueprint.nodes:
        groups.setdefault(_likeness(blueprint, node), []).append(node)
    free = dict(blueprint.sizes)
    entries = []
    for nodes in groups.values():
        modules = [node.place for node in nodes if node.kind == "module"]
        held = [blueprint.parameters_of(place) for place in modules]
        entries.append(
            Entry(
                numbers=tuple(node.number for node in nodes),
                kind=nodes[0].kind,
                name=nodes[0].name,
                where=_where([node.place for node in nodes], blueprint.layers),
                takes=nodes[0].inputs,
                gives=nodes[0].outputs,
                each=sum(blueprint.sizes[name] for name in dict.fromkeys(held[0])) if held else 0,
                together=sum(free.pop(name, 0) for names in held for name in names),
            )
        )
    return entries + _left_over(blueprint, free)


def _left_over(blueprint: Blueprint, free: dict[str, int]) -> list[Entry]:
    """What no box holds: parts that answering does not run, and parameters of modules made of others."""
    entries = []
    for module in blueprint.modules:
        own = sum(free.pop(f"{module.name}.{name}".lstrip("."), 0) for name in module.parameters)
        if own:
            where = _where([module.name], blueprint.layers)
            entries.append(Entry((), "module", module.class_name, where, (), (), own, own))
    return entries


def _likeness(blueprint: Blueprint, node: Node) -> object:
    shapes = (node.inputs, node.outputs)
    if node.kind != "module":
        return (node.kind, node.name, shapes)
    start = len(node.place)
    parts = [
        (m.name[start:], m.class_name, tuple((k, tuple(s)) for k, s in m.parameters.items()))
        for m in blueprint.within(node.place)
    ]
    return (node.kind, node.name, shapes, tuple(parts))


def _where(places: Sequence[str], layers: Sequence[str]) -> str:
    """Where in the network some modules are, by their names.

    Example: bert.encoder.layer.0.attention and bert.encoder.layer.1.attention are `attention of 2 layers`,
    bert.embeddings.LayerNorm is `embeddings.LayerNorm`.
    """
    found: dict[str, list[str]] = {}
    for place in dict.fromkeys(places):
        layer = next((name for name in layers if f"{place}.".startswith(f"{name}.")), None)
        if layer is None:
            found.setdefault(".".join(place.split(".")[-2:]), [])
        else:
            found.setdefault(place.removeprefix(layer).lstrip("."), []).append(layer)
    return ", ".join(
        " of ".join(filter(None, (name, _layers(inside)))) for name, inside in found.items()
    )


def _layers(places: Sequence[str]) -> str:
    if len(places) == 1:
        return f"layer {layer_number(places[0])}"
    return f"{len(places)} layers" if places else ""


def shapes_text(shapes: Sequence[Shape]) -> str:
    """Each shape once, its axes by name or length, such as `window`, `token` and `1,536`."""
    return ", ".join(
        " × ".join(axis if isinstance(axis, str) else f"{axis:,}" for axis in shape) or "one number"
        for shape in dict.fromkeys(shapes)
    )
