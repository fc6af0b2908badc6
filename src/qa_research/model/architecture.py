"""architecture.json: the modules of a network, and the graph of what calls what (model/tracing.py writes it).

Read here and nowhere else, without torch, which a report does not need.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from pathlib import Path
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError

from qa_research.config import first_fault
from qa_research.files import json_kind, read_json
from qa_research.model.graph import Graph, Node, drawn_places, layers
from qa_research.plain import check_plain

ARCHITECTURE = "architecture.json"
VERSION = 2
EARLIER = "the run was begun by version 0.2 or earlier, which did not write one"
_REPAIR = "restore it from a copy, or remove it to have a report without the architecture"

Size = Annotated[int, Field(strict=True, ge=0)]


@dataclass(frozen=True)
class Module:
    """A module, by its place in the network.

    `parameters`: the shapes of its own, by name. `shared`: those that an earlier module has, too, and where.
    """

    name: str
    class_name: Annotated[str, Field(alias="class")]
    parameters: Mapping[str, Sequence[Size]]
    shared: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Blueprint:
    """A network's modules in order, its own first, and their graph; without one, `no_graph` says why."""

    modules: Sequence[Module]
    graph: Graph | None
    no_graph: str | None

    @cached_property
    def by_name(self) -> Mapping[str, Module]:
        """The modules, by their places."""
        return {module.name: module for module in self.modules}

    @cached_property
    def layers(self) -> list[str]:
        """The places of its layers."""
        return layers({module.name: module.class_name for module in self.modules})

    @cached_property
    def sizes(self) -> Mapping[str, int]:
        """How many numbers each parameter holds, by where it is first."""
        return {
            f"{module.name}.{name}".lstrip("."): prod(shape)
            for module in self.modules
            for name, shape in module.parameters.items()
            if name not in module.shared
        }

    @cached_property
    def nodes(self) -> Sequence[Node]:
        """What is drawn: the nodes of the graph or, without one, the modules as deep, in their own order."""
        if self.graph:
            return self.graph.nodes
        classes = {module.name: module.class_name for module in self.modules}
        places = drawn_places(classes)
        return [
            Node(number, "module", classes[place], place, depth, (), ())
            for number, (place, depth) in enumerate(places.items(), start=1)
        ]

    def within(self, name: str) -> list[Module]:
        """A module and all that are parts of it."""
        inside = f"{name}." if name else ""
        return [m for m in self.modules if m.name == name or m.name.startswith(inside)]

    def parameters_of(self, name: str) -> list[str]:
        """The parameters of a module and its parts, by where they are first."""
        return [
            module.shared.get(key, f"{module.name}.{key}".lstrip("."))
            for module in self.within(name)
            for key in module.parameters
        ]


def read_architecture(directory: Path) -> Blueprint:
    """What a run's architecture.json says; that of version 0.2 is a list of modules without a graph.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it is damaged, or a newer version wrote it.
    """
    path = directory / ARCHITECTURE
    content = read_json(path)
    if isinstance(content, list):
        content = {"version": 1, "modules": content, "graph": None, "no_graph": EARLIER}
    if not isinstance(content, dict):
        raise ValueError(
            f"{path} holds {json_kind(content)} and no modules of a network; {_REPAIR}"
        )
    try:
        check_plain(content, str(path))
        file = _FILE.validate_python(content)
    except ValidationError as error:
        raise ValueError(f"{path} {first_fault(error)}; {_REPAIR}") from error
    except ValueError as error:
        raise ValueError(f"{error}; {_REPAIR}") from error
    if file.version > VERSION:
        raise ValueError(
            f"{path} is of version {file.version}, and this program reads up to version {VERSION}; update "
            "qa-research"
        )
    found = Blueprint(file.modules, file.graph, file.no_graph)
    if fault := _contradiction(found):
        raise ValueError(f"{path} {fault}; {_REPAIR}")
    return found


@dataclass(frozen=True)
class _File:
    version: Annotated[int, Field(strict=True, ge=1)]
    modules: Annotated[list[Module], Field(min_length=1)]
    graph: Graph | None
    no_graph: str | None


_FILE = TypeAdapter(_File)


def _contradiction(found: Blueprint) -> str | None:
    """What of a file does not fit the rest of it."""
    if len(found.by_name) < len(found.modules):
        return "names a module twice"
    wrong = [
        place for m in found.modules for place in m.shared.values() if place not in found.sizes
    ]
    if wrong:
        return f"has no parameter {wrong[0]}, which a module shares"
    if found.graph is None:
        return None if found.no_graph else "has neither a graph nor the reason why"
    numbers = [node.number for node in found.graph.nodes]
    if numbers != list(range(1, len(numbers) + 1)):
        return "has a graph whose nodes are not numbered from 1"
    unknown = [node.place for node in found.graph.nodes if node.place not in found.by_name]
    if unknown:
        return f"has no module {unknown[0]!r}, which its graph has"
    ends = {end for edge in found.graph.edges for end in edge}
    if beyond := ends - set(numbers):
        return f"has an edge of the node {min(beyond)}, which it has not"
    return None
