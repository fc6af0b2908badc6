"""Adapters: small modules that are added to a network, whose own weights can then stay as they were.

Here is what all kinds share; each kind has its own file.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Annotated, ClassVar

import torch
from annotated_types import Ge, Le, MinLen
from pydantic import ConfigDict
from torch import Tensor, nn
from transformers import PreTrainedModel

from qa_research.model.layers import chosen_layers, stem_of
from qa_research.streams import stream_seed

# Of a kind's dataclass: read from JSON, where a number is not a text, and a key is not mistyped.
STRICT = ConfigDict(strict=True, extra="forbid")
Width = Annotated[int, Ge(1), Le(100_000)]
Layers = Annotated[list[int], MinLen(1)] | None


class Adapters(ABC):
    """What is added to a network: a kind with its settings; frozen, and without modules of its own.

    `layers`: those of the network that get some, from 0, or -1 for the last one; None: all.
    """

    # What `finetuning=` calls this kind, and how its modules' names in the network begin.
    kind: ClassVar[str]
    mark: ClassVar[str]
    layers: Layers

    def check(self, network: nn.Module) -> None:
        """Can they be added to this network?

        Raises:
            ValueError: its layers are not known, or are fewer, or narrower, than these settings need.
        """
        self.of_layers(network)

    @abstractmethod
    def insert(self, network: PreTrainedModel) -> None:
        """Add the modules, in place. Initial values come from the global generator."""

    def add(self, network: PreTrainedModel, seed: int) -> None:
        """Check, and add the modules with initial values that depend on the seed alone.

        The class of the network stays what it is, and so do its own parameters and the global generator.

        Raises:
            ValueError: as `check`.
        """
        self.check(network)
        frozen = {p for p in network.parameters() if not p.requires_grad}
        device = next(network.parameters()).device
        with torch.random.fork_rng(), torch.device(device):
            torch.manual_seed(stream_seed(seed, "adapters") % 2**63)
            self.insert(network)
        # peft freezes whatever is not its own; what trains is up to the strategy.
        for parameter in network.parameters():
            parameter.requires_grad_(parameter not in frozen)

    def owns(self, name: str) -> bool:
        """Whether a parameter of this name is one of theirs, and not the network's own."""
        return any(part.startswith(self.mark) for part in name.split("."))

    def without(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Of the tensors of a network that has them, the network's own, under its own names."""
        return {name: tensor for name, tensor in tensors.items() if not self.owns(name)}

    def merged(self, network: PreTrainedModel) -> PreTrainedModel:
        """A copy of a network that has them, without them, and with equal outputs.

        Raises:
            ValueError: no weights of the network alone have these outputs.
        """
        raise ValueError(
            f"finetuning={self.kind} added modules that compute what no weights of a "
            f"{type(network).__name__} do, so this run cannot be exported as one; qa-research bundle passes "
            "it on whole, and finetuning=lora also trains few parameters and can be exported"
        )

    def of_layers(self, network: nn.Module) -> dict[str, nn.Module]:
        """The layers that get some, by their names in the network.

        Raises:
            ValueError: the network has no such layers, or it is not known where.
        """
        try:
            stem = stem_of(network)
        except ValueError as error:
            raise ValueError(
                f"finetuning={self.kind} adds to the layers of a network, and {error}; finetuning=full "
                "trains any"
            ) from error
        found = list(network.get_submodule(stem).children())
        chosen = chosen_layers("finetuning.layers", self.layers, len(found))
        return {f"{stem}.{number}": found[number] for number in chosen}


def with_adapters(network: PreTrainedModel, adapters: Adapters | None) -> PreTrainedModel:
    """The same network, with these adapters if it has any, for weights that are known or do not matter."""
    if adapters is not None:
        adapters.add(network, seed=0)
    return network


def check_width(width: int, network: PreTrainedModel) -> None:
    """Refuse adapters wider than the network.

    Raises:
        ValueError: `width`, their units, is more.
    """
    hidden = network.config.hidden_size
    if width > hidden:
        raise ValueError(
            f"finetuning.width={width} is more than the {hidden} units of this network's layers"
        )
