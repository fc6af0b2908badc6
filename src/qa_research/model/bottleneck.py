"""Bottleneck adapters: after attention and after the feed-forward network, a way down, a GELU, a way up."""

from typing import Any, ClassVar

from jaxtyping import Float
from pydantic.dataclasses import dataclass
from torch import Tensor, nn
from transformers import PreTrainedModel

from qa_research.model.adapters import STRICT, Adapters, Layers, Width, check_width
from qa_research.model.layers import ADDENDS

# Of the initial weights, which are cut at twice that: the adapters start close to doing nothing.
SPREAD = 0.01


@dataclass(frozen=True, config=STRICT)
class BottleneckAdapters(Adapters):
    """Two adapters a layer, `width` units wide, each after what attention or the feed-forward network adds.

    Applied before dropout, the residual sum and its normalisation, so that the sum stays one. The
    normalisations stay as they are; Houlsby et al. train them, too.

    Source: Houlsby et al. 2019, Parameter-Efficient Transfer Learning for NLP, section 2.1.
    """

    kind: ClassVar[str] = "bottleneck"
    mark: ClassVar[str] = "adapter"

    width: Width
    layers: Layers

    def check(self, network: nn.Module) -> None:
        self.of_layers(network)
        check_width(self.width, network)

    def insert(self, network: PreTrainedModel) -> None:
        for layer in self.of_layers(network).values():
            for path in ADDENDS[network.config.model_type]:
                module = layer.get_submodule(path)
                module.add_module("adapter", Bottleneck(network.config.hidden_size, self.width))
                module.register_forward_hook(_adapted)


class Bottleneck(nn.Module):
    """x + up(gelu(down(x))) for each token."""

    def __init__(self, hidden: int, width: int) -> None:
        super().__init__()
        self.down, self.up = nn.Linear(hidden, width), nn.Linear(width, hidden)
        for linear in (self.down, self.up):
            nn.init.trunc_normal_(linear.weight, std=SPREAD, a=-2 * SPREAD, b=2 * SPREAD)
            nn.init.zeros_(linear.bias)

    def forward(self, x: Float[Tensor, "*shape hidden"]) -> Float[Tensor, "*shape hidden"]:
        change: Tensor = self.up(nn.functional.gelu(self.down(x)))
        return x + change


def _adapted(module: Any, _: Any, output: Tensor) -> Tensor:
    # Found through the module, and not held by the hook: a copy of the network uses its own adapters.
    adapted: Tensor = module.adapter(output)
    return adapted
