"""Where the numbered boxes of a network go: by Graphviz's `dot` or, where it is missing, stacked.

What runs within one layer is a row. Points are 1/72 inch, from the top left corner.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

import graphviz

from qa_research.model.graph import Edge, Node

INCH = 72
HEIGHT, GAP, BETWEEN, MARGIN = 36, 14, 16, 10
# Of a name in a box: the width of a character, the room beside it, the longest line.
CHARACTER, PAD, LONGEST = 6.1, 9, 19
# In a stack, a row has no more boxes outside of layers.
ABREAST = 4

Point = tuple[float, float]


class NoDotError(Exception):
    """Why Graphviz laid out nothing, as the rest of a sentence."""


@dataclass(frozen=True)
class Row:
    """What runs in a row; `name`: of a layer, as it is written beside it, or None outside of layers."""

    nodes: tuple[Node, ...]
    name: str | None


@dataclass(frozen=True)
class Box:
    """A node's rectangle, by its upper left corner."""

    node: Node
    x: float
    y: float
    width: float


@dataclass(frozen=True)
class Diagram:
    """`lines`: of arrows, as the points of Bezier curves. `rows`: those that are framed."""

    width: float
    height: float
    boxes: Mapping[int, Box]
    lines: Sequence[Sequence[Point]]
    rows: Sequence[Row]


def rows_of(nodes: Sequence[Node], layers: Sequence[str]) -> list[Row]:
    """The nodes in order; those of one pass through a layer together.

    A module that comes again begins another pass, as in ALBERT, whose layers share one module.
    """
    rows: list[tuple[str | None, list[Node]]] = []
    for node in nodes:
        layer = next((name for name in layers if f"{node.place}.".startswith(f"{name}.")), None)
        here = {n.place for n in rows[-1][1] if n.kind == "module"} if rows else set()
        comes_again = node.kind == "module" and node.place in here
        if layer is None or layer != rows[-1][0] or comes_again:
            rows.append((layer, []))
        rows[-1][1].append(node)
    order = [layer for layer, _ in rows]
    return [
        Row(tuple(found), _name(layer, order[:place].count(layer), order.count(layer)))
        for place, (layer, found) in enumerate(rows)
    ]


def _name(layer: str | None, earlier: int, passes: int) -> str | None:
    if layer is None:
        return None
    number = layer_number(layer)
    return f"layer {number}" if passes == 1 else f"layer {number}, pass {earlier + 1}"


def layer_number(place: str) -> str:
    """A layer's number as it is everywhere, from 0. Example: that of bert.encoder.layer.3 is 3."""
    return ".".join(word for word in place.split(".") if word.isdigit())


def laid_out(nodes: Sequence[Node], edges: Sequence[Edge], layers: Sequence[str]) -> Diagram:
    """Where `dot` puts a graph.

    Raises:
        NoDotError: there is no such program, or it fails.
    """
    rows = rows_of(nodes, layers)
    width = box_width(nodes)
    try:
        plain = graphviz.pipe("dot", "plain", _dot(rows, edges, width).encode(), quiet=True)
    except graphviz.ExecutableNotFound as error:
        raise NoDotError("Graphviz's program dot is not installed") from error
    except graphviz.CalledProcessError as error:
        said = " ".join(error.stderr.decode("utf-8", "replace").split())
        raise NoDotError(f"Graphviz's program dot fails ({said or error.returncode})") from error
    return _read(plain.decode(), nodes, rows, width)


def stacked(nodes: Sequence[Node], layers: Sequence[str]) -> Diagram:
    """The boxes in order, row by row; rows of equal boxes once, outputs last."""
    outputs = [node for node in nodes if node.kind == "tensor" and node.inputs]
    others = [node for node in nodes if node not in outputs]
    rows = list(_rows_once([*rows_of(others, layers), *rows_of(outputs, layers)]))
    width = box_width(nodes)
    inner = [len(row.nodes) * (width + GAP) - GAP for row in rows]
    total = max(inner)
    boxes, lines = {}, []
    y = float(MARGIN)
    for row, own in zip(rows, inner, strict=True):
        x = MARGIN + (total - own) / 2
        for node in row.nodes:
            boxes[node.number] = Box(node, x, y, width)
            x += width + GAP
        y += HEIGHT + 2 * BETWEEN
    middle = MARGIN + total / 2
    for number in range(len(rows) - 1):
        above = MARGIN + number * (HEIGHT + 2 * BETWEEN) + HEIGHT
        ends = (above + BETWEEN / 2, above + 1.5 * BETWEEN)
        lines.append([(middle, ends[0]), (middle, ends[0]), (middle, ends[1]), (middle, ends[1])])
    return Diagram(total + 2 * MARGIN, y - 2 * BETWEEN + MARGIN, boxes, lines, rows)


def _rows_once(rows: Sequence[Row]) -> Iterator[Row]:
    """Rows as a stack has them: equal layers after one another once, and outside of layers some abreast."""

    def alike(row: Row) -> tuple[object, ...]:
        return () if row.name is None else tuple((n.kind, n.name) for n in row.nodes)

    for _, equal in groupby(rows, alike):
        found = list(equal)
        if found[0].name is not None:
            times = f" and {len(found) - 1} more like it" if len(found) > 1 else ""
            yield Row(found[0].nodes, f"{found[0].name}{times}")
            continue
        nodes = [node for row in found for node in row.nodes]
        for start in range(0, len(nodes), ABREAST):
            yield Row(tuple(nodes[start : start + ABREAST]), None)


def lines_of(name: str) -> list[str]:
    """A name in lines that fit a box, broken before a capital or after an underscore.

    Example: ModernBertRotaryEmbedding is ModernBertRotary and Embedding.
    """
    if len(name) <= LONGEST:
        return [name]
    breaks = [
        i
        for i in range(1, len(name))
        if name[i - 1] == "_" or (name[i].isupper() and name[i - 1].islower())
    ]
    at = max((i for i in breaks if i <= LONGEST), default=LONGEST)
    return [
        name[:at],
        name[at:] if len(name) - at <= LONGEST else f"{name[at : at + LONGEST - 1]}…",
    ]


def box_width(nodes: Sequence[Node]) -> float:
    """The width in which every name fits."""
    longest = max(len(line) for node in nodes for line in lines_of(node.name))
    return CHARACTER * longest + 2 * PAD


def _dot(rows: Sequence[Row], edges: Sequence[Edge], width: float) -> str:
    """A graph in dot's language, of boxes without text, so that no font is asked for."""
    lines = [
        f"graph [ordering=in nodesep={GAP / INCH:.3f} ranksep={BETWEEN / INCH:.3f}]",
        f'node [shape=box fixedsize=true label="" width={width / INCH:.3f} height={HEIGHT / INCH:.3f}]',
        "edge [dir=none]",
    ]
    lines += [str(node.number) for row in rows for node in row.nodes]
    framed = [[node.number for node in row.nodes] for row in rows if row.name is not None]
    row_of = {number: row for row, numbers in enumerate(framed) for number in numbers}
    gives = {start for start, _ in edges}
    for row, numbers in enumerate(framed):
        # What a layer gives to nothing else, such as XLNet's memories, stands at its end.
        ends = [b for a, b in edges if b not in gives and b not in row_of and row_of.get(a) == row]
        lines.append(f"{{rank=same {' '.join(map(str, numbers + ends))}}}")
    # Boxes of one place in their layers stand below one another.
    lines += [
        f"{a} -> {b} [style=invis weight=50]"
        for above, below in pairwise(framed)
        for a, b in zip(above, below, strict=False)
    ]
    for start, end in edges:
        # What many layers are given, such as positions, does not move them.
        goes_far = start not in row_of and end in row_of
        lines.append(f"{start} -> {end}" + (" [weight=0]" if goes_far and row_of[end] else ""))
    return "digraph {\n" + "\n".join(lines) + "\n}\n"


def _read(plain: str, nodes: Sequence[Node], rows: Sequence[Row], width: float) -> Diagram:
    """What dot's plain format says, in inches from below: see graphviz.org/docs/outputs/plain."""
    known = {str(node.number): node for node in nodes}
    boxes, lines = {}, []
    high = wide = 0.0

    def point(x: str, y: str) -> Point:
        return MARGIN + INCH * float(x), MARGIN + high - INCH * float(y)

    for words in (line.split() for line in plain.splitlines()):
        if words[0] == "graph":
            wide, high = INCH * float(words[2]), INCH * float(words[3])
        elif words[0] == "node":
            x, y = point(words[2], words[3])
            node = known[words[1]]
            boxes[node.number] = Box(node, x - width / 2, y - HEIGHT / 2, width)
        elif words[0] == "edge" and words[-2] != "invis":
            numbers = words[4 : 4 + 2 * int(words[3])]
            lines.append([point(x, y) for x, y in zip(numbers[::2], numbers[1::2], strict=True)])
    framed = [row for row in rows if row.name is not None]
    return Diagram(wide + 2 * MARGIN, high + 2 * MARGIN, boxes, lines, framed)
