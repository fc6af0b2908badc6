"""The weights of a network, divided into parts in three ways, and random sets of as many of the same kind."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, get_args

import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor, nn

from qa_research.model.halves import layered
from qa_research.model.places import Half
from qa_research.text import near_names

Division = Literal["layers", "modules", "heads"]
DIVISIONS: tuple[Division, ...] = get_args(Division)
EMBEDDINGS, LAYER, ATTENTION, MLP, HEAD = "embeddings", "layer", "attention", "feed-forward", "head"
ATTENTION_HEAD, NORM = "attention head", "norm"
# What the names of parts inside layers begin with; heads and feed-forward networks are called as elsewhere
# (see capture.components).
STEMS = {
    LAYER: "layers",
    ATTENTION: "attention",
    MLP: "feed_forward",
    ATTENTION_HEAD: "heads",
    NORM: "norms",
}
# By name of a tensor, which of its numbers: a mask that broadcasts to its shape; None: all of them.
Masks = Mapping[str, Tensor | None]


@dataclass(frozen=True)
class Part:
    """A part of a network's weights: `embeddings`, `feed_forward.2`, or `heads.3.5`, head 5 of layer 3.

    `layer`: None outside the layers. `number`: of an attention head in its layer, else None.
    """

    name: str
    kind: str
    layer: int | None
    masks: Masks
    number: int | None = None


@dataclass(frozen=True)
class Control:
    """Random sets of as many weights as a part of this kind has. `layer`: of that layer; None: of all."""

    kind: str
    layer: int | None

    @property
    def name(self) -> str:
        """`attention`, or `attention head of layer 3`."""
        return self.kind if self.layer is None else f"{self.kind} of layer {self.layer}"


@dataclass(frozen=True)
class Units:
    """The tensors of one layer's attention or feed-forward network, by which of its units they belong to.

    `rows`, `columns`: of one unit, each has a row (several where a tensor has several numbers of rows for a
    unit), or a column. `vectors`: with one number for each of the layer's `width` outputs, such as the bias
    of the output and LayerNorm. `others`: that cannot be divided, such as an adapter's.
    """

    count: int
    width: int
    rows: Mapping[str, Tensor]
    columns: str
    vectors: tuple[str, ...]
    others: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """All of its tensors."""
        return (*self.rows, *((self.columns,) if self.columns else ()), *self.vectors, *self.others)

    def of(
        self, units: Bool[Tensor, " unit"] | None, outputs: Bool[Tensor, " output"] | None
    ) -> dict[str, Tensor | None]:
        """What belongs to some units, and to some outputs; None: to no units, or no outputs.

        Example: 2 units, of which [True, False], of ModernBERT's matrix of queries, keys and values [6, 2]:
        the rows 0, 2 and 4.
        """
        masks: dict[str, Tensor | None] = {}
        if units is not None:
            for name, tensor in self.rows.items():
                repeated = units.repeat(tensor.shape[0] // self.count)
                masks[name] = repeated if tensor.ndim == 1 else repeated[:, None]
            masks[self.columns] = units[None, :]
        if outputs is not None:
            masks |= dict.fromkeys(self.vectors, outputs)
        return masks


class Dissection:
    """A network as parts: each of its numbers is in exactly one part of a division.

    `layers`: embeddings, each layer, and the head, which is all that comes after the last layer.
    `modules`: a layer's attention and its feed-forward network, each with the LayerNorm of its sum (of what
    it reads, where a network normalises that). `heads`: an attention as its heads, which are rows of query,
    key and value with their biases and columns of the output's matrix; what no head has of it, the output's
    bias and LayerNorm, is called `norm`. What an adapter added belongs to the module that it was added to.

    Raises:
        ValueError: it is not known where the network has its layers.
    """

    def __init__(self, network: nn.Module) -> None:
        self.built = layered(network)
        self.tensors = tensors_of(network)
        self.layer_names: list[list[str]] = [[] for _ in range(self.built.layers)]
        self.ends: dict[str, list[str]] = {EMBEDDINGS: [], HEAD: []}
        stem = f"{self.built.stem}."
        for name in self.tensors:
            if name.startswith(stem):
                self.layer_names[int(name[len(stem) :].partition(".")[0])].append(name)
            else:
                place = EMBEDDINGS if name.startswith(self.built.before) else HEAD
                self.ends[place].append(name)

    def parts(self, division: Division) -> list[Part]:
        """Its parts, in the order of depth.

        Raises:
            ValueError: `heads` of a network whose attention cannot be divided into them.
        """
        inside = {"layers": self._layers, "modules": self._modules, "heads": self._heads}
        first, last = (
            Part(name, name, None, dict.fromkeys(own)) for name, own in self.ends.items()
        )
        found = [first, *inside[division](), last]
        return [part for part in found if part.masks]

    @cached_property
    def attention(self) -> list[Units]:
        """The attention of each layer."""
        return [self._units(number, self.built.attention) for number in range(self.built.layers)]

    @cached_property
    def mlp(self) -> list[Units]:
        """All else of each layer: its feed-forward network."""
        return [
            self._units(number, self.built.mlp, self.attention[number].names)
            for number in range(self.built.layers)
        ]

    def _layers(self) -> list[Part]:
        return [
            Part(f"{STEMS[LAYER]}.{number}", LAYER, number, dict.fromkeys(names))
            for number, names in enumerate(self.layer_names)
        ]

    def _modules(self) -> list[Part]:
        return [
            Part(f"{STEMS[kind]}.{number}", kind, number, dict.fromkeys(units.names))
            for number, both in enumerate(zip(self.attention, self.mlp, strict=True))
            for kind, units in zip((ATTENTION, MLP), both, strict=True)
        ]

    def _heads(self) -> list[Part]:
        found = []
        for number, (units, mlp) in enumerate(zip(self.attention, self.mlp, strict=True)):
            if units.others or not units.columns:
                name = units.others[0] if units.others else "its output layer"
                raise ValueError(
                    f"the attention of this network cannot be divided into heads, because of {name}; --parts "
                    "layers,modules has larger parts"
                )
            width = units.count // self.built.heads
            for head in range(self.built.heads):
                own = torch.arange(units.count) // width == head
                found.append(
                    Part(
                        f"{STEMS[ATTENTION_HEAD]}.{number}.{head}",
                        ATTENTION_HEAD,
                        number,
                        units.of(own, None),
                        head,
                    )
                )
            rest = dict.fromkeys(units.vectors)
            found.append(Part(f"{STEMS[NORM]}.{number}", NORM, number, rest))
            found.append(Part(f"{STEMS[MLP]}.{number}", MLP, number, dict.fromkeys(mlp.names)))
        return found

    def _units(self, number: int, half: Half, taken: Sequence[str] = ()) -> Units:
        """The tensors of one half of a layer; `taken`: those of the other; without any, only its modules'."""
        layer = f"{self.built.stem}.{number}."
        modules = tuple(f"{layer}{module}." for module in half.modules)
        names = [
            name
            for name in self.layer_names[number]
            if (name not in taken if taken else name.startswith(modules))
        ]
        ends = tuple(f"{layer}{path}.{end}" for path in half.rows for end in ("weight", "bias"))
        rows = {name: self.tensors[name] for name in ends if name in names}
        columns = f"{layer}{half.columns}.weight"
        if columns not in names or len([n for n in rows if n.endswith("weight")]) < len(half.rows):
            return Units(0, 0, {}, "", (), tuple(names))
        width, count = self.tensors[columns].shape
        left = [name for name in names if name not in rows and name != columns]
        vectors = [name for name in left if tuple(self.tensors[name].shape) == (width,)]
        others = [name for name in left if name not in vectors]
        return Units(count, width, rows, columns, tuple(vectors), tuple(others))

    def control_of(self, part: Part) -> Control | None:
        """What a part is compared with; None: nothing else is of its kind, or it cannot be divided."""
        halves = {ATTENTION: self.attention, MLP: self.mlp, LAYER: [*self.attention, *self.mlp]}
        if part.kind == ATTENTION_HEAD:
            return Control(ATTENTION_HEAD, part.layer) if self.built.heads > 1 else None
        if part.kind not in halves or self.built.layers < 2:
            return None
        if any(units.others or not units.columns for units in halves[part.kind]):
            return None
        return Control(part.kind, None)

    def random(self, control: Control, rng: np.random.Generator) -> Masks:
        """As many numbers as a part of this kind has, drawn as whole units.

        A head's: as many units of the same layer's attention. A module's: as many units of that kind, and as
        many outputs, from all layers together (ModernBERT's first layer normalises nothing, and so has fewer
        numbers for its outputs). A layer's: both of its modules'.
        """
        if control.layer is not None:
            units = self.attention[control.layer]
            return units.of(_drawn(units.count, units.count // self.built.heads, rng), None)
        kinds = {ATTENTION: [self.attention], MLP: [self.mlp], LAYER: [self.attention, self.mlp]}
        return united(_over_layers(halves, rng) for halves in kinds[control.kind])


def _over_layers(halves: Sequence[Units], rng: np.random.Generator) -> Masks:
    """As many units, and as many outputs, as one of the halves has, from all of them."""
    number, one = len(halves), halves[0]
    units = _drawn(number * one.count, one.count, rng).view(number, one.count)
    outputs = _drawn(number * one.width, one.width, rng).view(number, one.width)
    return united(half.of(*pair) for half, *pair in zip(halves, units, outputs, strict=True))


def _drawn(total: int, count: int, rng: np.random.Generator) -> Bool[Tensor, " total"]:
    mask = torch.zeros(total, dtype=torch.bool)
    mask[torch.from_numpy(rng.permutation(total)[:count])] = True
    return mask


def tensors_of(network: nn.Module) -> dict[str, Tensor]:
    """What a checkpoint holds of a network: its parameters, each once, and its buffers; the very tensors."""
    parameters = {name: tensor.data for name, tensor in network.named_parameters()}
    tied = {name for name, _ in network.named_parameters(remove_duplicate=False)}
    buffers = {name: t for name, t in network.state_dict().items() if name not in tied}
    return parameters | buffers


def united(masks: Iterable[Masks]) -> dict[str, Tensor | None]:
    """All numbers that are in any of them."""
    found: dict[str, Tensor | None] = {}
    for some in masks:
        for name, mask in some.items():
            before = found.get(name, False)
            if mask is None or before is None:
                found[name] = None
            else:
                found[name] = mask if before is False else before | mask
    return found


def size_of(masks: Masks, tensors: Mapping[str, Tensor]) -> int:
    """How many numbers they are."""
    return sum(
        tensors[name].numel() if mask is None else int(mask.expand_as(tensors[name]).sum())
        for name, mask in masks.items()
    )


def chosen_parts(
    dissection: Dissection, wanted: Sequence[str]
) -> tuple[dict[Division, list[Part]], frozenset[str]]:
    """The parts that --parts names, by division: whole divisions, or some of their parts.

    And the divisions that are whole, of which alone something can be said about all parts together.

    Raises:
        ValueError: a name that is none, or heads that cannot be told apart.
    """
    words = [*DIVISIONS] if "all" in wanted else list(wanted)
    found = {division: dissection.parts(division) for division in DIVISIONS if division in words}
    whole = frozenset(found)
    single = [word for word in words if word not in (*DIVISIONS, "all")]
    known = _by_name(dissection) if single else {}
    for name in single:
        if name not in known:
            near = near_names(name, known, f"{', '.join(list(known)[:6])}, ...")
            raise ValueError(
                f"--parts {name} is no part of this network, nor layers, modules, heads or all; {near}"
            )
        division, part = known[name]
        if division not in whole:
            found.setdefault(division, []).append(part)
    return {division: found[division] for division in DIVISIONS if division in found}, whole


def _by_name(dissection: Dissection) -> dict[str, tuple[Division, Part]]:
    """Every part that there is, with the first division that has it."""
    divisible = not any(units.others for units in dissection.attention)
    divisions = DIVISIONS if divisible else ("layers", "modules")
    known: dict[str, tuple[Division, Part]] = {}
    for division in divisions:
        for part in dissection.parts(division):
            known.setdefault(part.name, (division, part))
    return known
