"""A network's modules and graph, as torchview records it, written to architecture.json when a run starts.

The network is made again on torch's meta device, where a tensor is a shape without content, so nothing is
allocated or computed.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from transformers import PreTrainedModel

from qa_research.files import write_text
from qa_research.model.adapters import Adapters
from qa_research.model.architecture import ARCHITECTURE, VERSION, Blueprint, Module
from qa_research.model.bert import input_names, longest_window, without_memory
from qa_research.model.graph import Axis, Edge, Graph, Node, Shape, drawn_depth
from qa_research.model.weights import first_line

if TYPE_CHECKING:
    from torchview import ComputationGraph

MOST_TOKENS = 127
INPUTS = ("input_ids", "token_type_ids", "position_ids")
MASK = "attention_mask"
# Functions that give the same numbers another shape or type: not drawn.
RESHAPING = frozenset(
    (
        *(
            "__getitem__",
            "bool",
            "clone",
            "contiguous",
            "detach",
            "expand",
            "expand_as",
            "flatten",
            "float",
        ),
        *(
            "int",
            "long",
            "permute",
            "reshape",
            "squeeze",
            "to",
            "transpose",
            "type",
            "type_as",
            "unflatten",
        ),
        *("unsqueeze", "view"),
    )
)


class UntraceableError(Exception):
    """Why a network has no graph, as the rest of a sentence."""


def describe(network: PreTrainedModel, adapters: Adapters | None = None) -> Blueprint:
    """The architecture of a network, whose graph is traced on a device without memory.

    `adapters`: what was added to it.

    Takes a tenth of a second for a BERT of base size, and changes nothing: neither the network nor the
    state of any random generator.
    """
    modules = _modules(network)
    try:
        return Blueprint(modules, traced(network, adapters), None)
    except UntraceableError as error:
        return Blueprint(modules, None, str(error))


def write_architecture(
    directory: Path, network: PreTrainedModel, adapters: Adapters | None = None
) -> None:
    """Write `describe(network, adapters)` into a run's directory."""
    found = describe(network, adapters)
    content = {
        "version": VERSION,
        "modules": [_as_json(module) for module in found.modules],
        "graph": found.graph and asdict(found.graph),
        "no_graph": found.no_graph,
    }
    write_text(directory / ARCHITECTURE, _text(content))


def traced(network: PreTrainedModel, adapters: Adapters | None = None) -> Graph:
    """The graph of a network down to the parts of its layers, such as BERT's attention.

    Shapes are those of several windows of some tokens; both lengths are told apart from any other by
    being no size of the network.

    Raises:
        UntraceableError: it cannot be followed without knowing the content of its tensors, or not by
            torchview.
    """
    from torchview import draw_graph

    bare = without_memory(network, adapters)
    classes = {name: type(module).__name__ for name, module in bare.named_modules()}
    axes = _axes(bare)
    known = [name for name in INPUTS if name in input_names(bare)]
    # Most networks look into a mask, which has no content here; some look for padding if there is none.
    for names in (known, [*known, MASK]):
        shape = [axes.lengths["window"], axes.lengths["token"]]
        inputs = {n: torch.ones(shape, dtype=torch.long, device="meta") for n in names}
        try:
            drawn = draw_graph(bare, inputs, depth=drawn_depth(classes), device="meta")
            return _joined(_recorded(drawn, bare, names, axes), axes.hidden)
        except (RuntimeError, KeyError, AssertionError) as error:
            # The first has what the network raised as its cause; the others are torchview's own book-keeping.
            cause = error.__cause__
            lost = "it loses track of a tensor"
            reason = first_line(cause) if isinstance(cause, Exception) else lost
    raise UntraceableError(f"torchview cannot follow {type(bare).__name__} ({reason})")


@dataclass(frozen=True)
class _Axes:
    """The lengths that have names."""

    lengths: Mapping[str, int]
    hidden: int | None

    def shape(self, lengths: Iterable[int]) -> Shape:
        """Example: 3 x 127 x 384 is window x token x hidden; 254 is 2·token, as of relative positions."""
        tokens = self.lengths["token"]
        names = {n * tokens: f"{n}·token" for n in (2, 3, 4)}
        names |= {length: name for name, length in self.lengths.items()}
        found: list[Axis] = [names.get(length, length) for length in lengths]
        if found and found[-1] == self.hidden:
            found[-1] = "hidden"
        return tuple(found)


def _axes(network: PreTrainedModel) -> _Axes:
    sizes = {1} | {size for parameter in network.parameters() for size in parameter.shape}
    most = min(longest_window(network.config) or MOST_TOKENS, MOST_TOKENS)
    tokens = next(size for size in range(most, 1, -1) if size not in sizes)
    windows = next(size for size in range(2, 10**6) if size not in sizes | {tokens})
    hidden = getattr(network.config, "hidden_size", None)
    return _Axes({"window": windows, "token": tokens}, hidden)


@dataclass
class _Record:
    """Nodes by torchview's numbers, in order, and what each gives to which."""

    nodes: dict[int, Node]
    edges: list[Edge]


def _recorded(
    drawn: "ComputationGraph", network: nn.Module, inputs: Sequence[str], axes: _Axes
) -> _Record:
    """What torchview would draw. It knows a module by its id, and inputs by their order."""
    places = {id(module): name for name, module in network.named_modules()}
    names = dict(zip(map(id, drawn.root_container), inputs, strict=True))
    nodes: dict[int, Node] = {}

    def add(found: Any, place: str) -> None:
        number = drawn.id_dict.get(found.node_id)
        if number is not None and number not in nodes:
            nodes[number] = _node(number + 1, found, place, names.get(id(found)), axes)

    def walk(entry: Any, place: str) -> None:
        # A module is there as {module: what it calls}.
        calls = entry if isinstance(entry, dict) else {entry: ()}
        for found, inner in calls.items():
            own = places.get(getattr(found, "compute_unit_id", 0), place)
            add(found, own)
            for part in inner:
                walk(part, own)

    walk(drawn.node_hierarchy, "")
    edges = [
        (drawn.id_dict[a.node_id], drawn.id_dict[b.node_id])
        for a, b in drawn.edge_list
        if id(getattr(a, "main_node", a)) not in names or _uses(b, a)
    ]
    return _Record(dict(sorted(nodes.items())), list(dict.fromkeys(edges)))


def _node(number: int, found: Any, place: str, name: str | None, axes: _Axes) -> Node:
    """One of torchview's nodes; `name`: of an input."""
    if type(found).__name__ == "TensorNode":
        shape = (axes.shape(found.tensor_shape),)
        if found.parents:
            return Node(number, "tensor", "output", "", 0, shape, ())
        return Node(number, "tensor", name or "constant", "", 0, (), shape)
    is_module = type(found).__name__ == "ModuleNode"
    given = _inputs_of(found) if is_module else found.input_shape
    return Node(
        number,
        "module" if is_module else "function",
        found.name,
        place,
        found.depth,
        tuple(map(axes.shape, given)),
        tuple(map(axes.shape, found.output_shape)),
    )


def _inputs_of(module: Any) -> list[tuple[int, ...]]:
    """The shapes of the tensors that a module is given and uses; positions reach BERT's attention unused."""
    return [c.tensor_shape for c in module.children if c.is_aux and _uses(module, c)]


def _uses(node: Any, tensor: Any) -> bool:
    """Whether torchview's `node` computes with a tensor that it is given, or passes it to what does."""
    if type(node).__name__ != "ModuleNode":
        return True
    inside = [c for c in node.children if c.is_aux and c.main_node is tensor.main_node]
    return any(_uses(reader, tensor) for found in inside for reader in found.children)


def _joined(record: _Record, hidden: int | None) -> Graph:
    """The graph without functions that only reshape, or that prepare masks and positions.

    What such a function gets, what comes after it gets instead. A function prepares if no module comes
    before it.
    """
    after: set[int] = set()
    for number, node in record.nodes.items():
        before = [a for a, b in record.edges if b == number]
        if node.kind == "module" or any(a in after for a in before):
            after.add(number)
    for number, node in list(record.nodes.items()):
        if node.kind == "function" and (number not in after or node.name in RESHAPING):
            _bridge(record, number)
    used = {end for edge in record.edges for end in edge}
    kept = {old: new for new, old in enumerate((n for n in record.nodes if n in used), start=1)}
    return Graph(
        hidden,
        tuple(replace(record.nodes[old], number=new) for old, new in kept.items()),
        tuple(sorted((kept[a], kept[b]) for a, b in record.edges)),
    )


def _bridge(record: _Record, number: int) -> None:
    """Remove a node; what comes before it is joined to what comes after it."""
    before = [a for a, b in record.edges if b == number]
    behind = [b for a, b in record.edges if a == number]
    bridges = [(a, b) for a in before for b in behind]
    rest = [edge for edge in record.edges if number not in edge]
    record.edges = list(dict.fromkeys(rest + bridges))
    del record.nodes[number]


def _modules(network: nn.Module) -> list[Module]:
    """Every module in order; a parameter that several have is counted where it is first."""
    first: dict[int, str] = {}
    found = []
    for place, module in network.named_modules():
        shapes, shared = {}, {}
        for name, parameter in module.named_parameters(recurse=False):
            here = f"{place}.{name}".lstrip(".")
            shapes[name] = list(parameter.shape)
            if first.setdefault(id(parameter), here) != here:
                shared[name] = first[id(parameter)]
        found.append(Module(place, type(module).__name__, shapes, shared))
    return found


def _as_json(module: Module) -> dict[str, Any]:
    shown = {"name": module.name, "class": module.class_name, "parameters": module.parameters}
    return shown | ({"shared": module.shared} if module.shared else {})


def _text(content: Mapping[str, Any]) -> str:
    """JSON with a module or a node a line, to be read by people, too."""
    lines = []
    for key, value in content.items():
        if key in ("modules", "nodes"):
            rows = ",\n  ".join(json.dumps(row) for row in value)
            lines.append(f"{json.dumps(key)}: [\n  {rows}\n ]")
        elif isinstance(value, dict):
            lines.append(f"{json.dumps(key)}: {_text(value)}".rstrip("\n"))
        else:
            lines.append(f"{json.dumps(key)}: {json.dumps(value)}")
    return "{\n " + ",\n ".join(lines) + "\n}\n"
