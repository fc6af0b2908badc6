"""Strategies that add adapters to the layers, and train these and the head; all else stays as it was."""

from typing import Annotated

from annotated_types import Gt, Le

from qa_research.model.adapters import Adapters, Layers, Width
from qa_research.model.bottleneck import BottleneckAdapters
from qa_research.model.lora import Alpha, LoraAdapters, Targets
from qa_research.model.pals import Heads, PalAdapters
from qa_research.training.finetuning.strategies import Factors, Strategy

Times = Annotated[float, Gt(0), Le(1_000_000)]


class Adapted(Strategy):
    """Adapters train at `lr_factor` times the head's learning rate."""

    def __init__(self, adapters: Adapters, lr_factor: float) -> None:
        self.adapters = adapters
        self.lr_factor = lr_factor

    def factors(self, step: int, layers: int) -> Factors:
        return (*[0.0] * (layers + 1), self.lr_factor, 1.0)


class Lora(Adapted):
    """A change of low rank beside some matrices of the layers; see `model.lora`."""

    def __init__(
        self,
        rank: Width,
        alpha: Alpha,
        targets: Targets,
        layers: Layers,
        lr_factor: Times,
    ) -> None:
        super().__init__(LoraAdapters(rank, alpha, targets, layers), lr_factor)


class Bottleneck(Adapted):
    """Two narrow adapters in each layer; see `model.bottleneck`."""

    def __init__(self, width: Width, layers: Layers, lr_factor: Times) -> None:
        super().__init__(BottleneckAdapters(width, layers), lr_factor)


class Pals(Adapted):
    """A narrow attention beside each layer; see `model.pals`."""

    def __init__(
        self,
        width: Width,
        heads: Heads,
        layers: Layers,
        lr_factor: Times,
    ) -> None:
        super().__init__(PalAdapters(width, heads, layers), lr_factor)
