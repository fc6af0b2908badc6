"""A report's view of the network: its graph in numbered boxes, and the legend that says what each is."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from qa_research.model.architecture import ARCHITECTURE, Blueprint
from qa_research.pages.document import (
    Block,
    Code,
    Column,
    Paragraph,
    Picture,
    Piece,
    Section,
    Table,
    Text,
)
from qa_research.report.diagram import Diagram, NoDotError, laid_out, stacked
from qa_research.report.drawing import drawn
from qa_research.report.legend import Entry, shapes_text
from qa_research.report.sources import Source, taken_from

COLUMNS = (
    Column("number"),
    Column("what it is"),
    Column("takes → gives"),
    Column("parameters", is_number=True),
    Column("share", is_number=True),
)


@taken_from(ARCHITECTURE)
def network(source: Source, of: str) -> float | None:
    """Of the whole network: its `parameters`, its `modules`, the length of the axis `hidden`.

    `share`: that of the parameters which the legend's rows have together, which is 1.
    """
    blueprint = source.architecture
    if of == "share":
        return sum(entry.together for entry in source.legend) / sum(blueprint.sizes.values())
    if of == "hidden":
        return blueprint.graph.hidden if blueprint.graph else None
    return len(blueprint.modules) if of == "modules" else sum(blueprint.sizes.values())


@taken_from(ARCHITECTURE)
def legend(source: Source, row: int, of: str) -> Any:
    """A cell of the legend: numbers, where, takes, gives, each or share."""
    entry = source.legend[row]
    if of == "numbers":
        return _listed(entry.numbers)
    if of in ("takes", "gives"):
        return shapes_text(getattr(entry, of))
    if of == "share":
        return entry.together / sum(source.architecture.sizes.values())
    return getattr(entry, of)


@taken_from(ARCHITECTURE)
def no_graph(source: Source) -> str | None:
    """Why the network has no graph."""
    return source.architecture.no_graph


def architecture_section(source: Source) -> Section:
    """The network's graph, drawn in numbered boxes, and their legend.

    Raises:
        ValueError: the run's architecture.json is damaged.
    """
    heading = "The architecture"
    if not (source.directory / ARCHITECTURE).is_file():
        words = (f"The run has no {ARCHITECTURE}, which a training writes when it starts.",)
        return Section("architecture", heading, (Paragraph(words, "lack"),))
    blueprint = source.architecture
    if not sum(blueprint.sizes.values()) or not blueprint.nodes:
        words = ("The network has no parameters, or no parts that could be drawn.",)
        return Section("architecture", heading, (Paragraph(words, "lack"),))
    diagram, note = _placed(source, blueprint)
    blocks: list[Block] = [Paragraph(_whole(source, blueprint))]
    blocks.append(_picture(source, diagram, blueprint))
    if note:
        blocks.append(Paragraph(note, "hint"))
    blocks.append(_table(source))
    return Section("architecture", heading, tuple(blocks))


def _placed(source: Source, blueprint: Blueprint) -> tuple[Diagram, Text]:
    """The diagram, and what is to be said if it is not the whole graph."""
    if blueprint.graph is None:
        words = ("There is no graph: ", source.value("no_graph"), ". ")
        return stacked(blueprint.nodes, blueprint.layers), (
            *words,
            "The boxes are the modules in the order in which the network lists them.",
        )
    try:
        return laid_out(blueprint.nodes, blueprint.graph.edges, blueprint.layers), ()
    except NoDotError as error:
        return stacked(blueprint.nodes, blueprint.layers), (
            f"Drawn as blocks, equal layers once, because {error}; install Graphviz (graphviz.org; apt, brew "
            "and conda have it) and write the report again for the whole graph.",
        )


def _whole(source: Source, blueprint: Blueprint) -> Text:
    value = source.value
    most = max(range(len(source.legend)), key=lambda row: source.legend[row].together)
    words: Text = (
        Code(blueprint.modules[0].class_name),
        " has ",
        value("network", "whole", of="parameters"),
        " parameters in ",
        value("network", "whole", of="modules"),
        " modules; the largest share of them, ",
        value("legend", "percent", row=most, of="share"),
        ", is in ",
        Code(source.legend[most].name),
        ". Each box is a module, a function or an input; look its number up below.",
    )
    if blueprint.graph and blueprint.graph.hidden:
        words = (
            *words,
            " The axis hidden has a length of ",
            value("network", "whole", of="hidden"),
            ".",
        )
    return words


def _picture(source: Source, diagram: Diagram, blueprint: Blueprint) -> Picture:
    row_of = {n: row for row, entry in enumerate(source.legend, start=1) for n in entry.numbers}
    nodes, sizes = blueprint.nodes, blueprint.sizes
    edges = blueprint.graph.edges if blueprint.graph else ()
    data: dict[str, Sequence[Any]] = {
        "number": [node.number for node in nodes],
        "kind": [node.kind for node in nodes],
        "name": [node.name for node in nodes],
        "module": [node.place for node in nodes],
        "takes": [shapes_text(node.inputs) for node in nodes],
        "gives": [shapes_text(node.outputs) for node in nodes],
        "gives_to": [
            _listed(end for start, end in edges if start == node.number) for node in nodes
        ],
        "parameters": [
            sum(sizes[name] for name in set(blueprint.parameters_of(node.place)))
            if node.kind == "module"
            else 0
            for node in nodes
        ],
        "legend_row": [row_of[node.number] for node in nodes],
    }
    what = "graph" if blueprint.graph else "modules"
    largest = max(source.legend, key=lambda entry: entry.together)
    alt = (
        f"The {what} of {blueprint.modules[0].class_name} as {len(nodes)} numbered boxes, from "
        f"{nodes[0].name} (1) to {nodes[-1].name} ({len(nodes)}), with a row for each layer. "
        f"Most parameters are in {largest.name}. The table below lists every number."
    )
    caption = (
        "Blue is a module, grey a function, yellow with round corners an input or output. A framed row is a "
        "layer, from left to right; an arrow over a box is a residual connection.",
    )
    return Picture("architecture", drawn(diagram), alt, caption, data)


def _listed(numbers: Iterable[int]) -> str:
    return ", ".join(map(str, numbers))


def _table(source: Source) -> Table:
    rows = [_row(source, row, entry) for row, entry in enumerate(source.legend)]
    total = source.value("network", "whole", of="parameters")
    share = source.value("network", "percent", of="share")
    rows.append((("all",), ("the network",), ("",), (total,), (share,)))
    caption = (
        "Equal boxes share a row. Parameters are those of one box; the share is what all boxes of the row "
        "have of the network's."
    )
    return Table(COLUMNS, tuple(rows), (caption,))


def _row(source: Source, row: int, entry: Entry) -> tuple[Text, ...]:
    def cell(of: str, form: str = "text") -> Text:
        return (source.value("legend", form, row=row, of=of),)

    between = " in " if entry.kind == "function" else " "
    counts = [("each", "whole"), ("share", "percent")]
    return (
        cell("numbers") if entry.numbers else ("not drawn",),
        (Code(entry.name), between, *cell("where")) if entry.where else (Code(entry.name),),
        tuple(_shapes(entry, cell)),
        *(cell(of, form) if entry.each else ("",) for of, form in counts),
    )


def _shapes(entry: Entry, cell: Callable[[str], Text]) -> Iterator[Piece]:
    """What goes in and what comes out; an input of the network takes nothing, an output gives nothing."""
    if entry.takes:
        yield from cell("takes")
    if entry.takes and entry.gives:
        yield " → "
    if entry.gives:
        yield from cell("gives")
