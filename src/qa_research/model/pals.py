"""Projected attention layers: beside each layer a small attention, in a space that all layers share."""

from functools import partial
from typing import Annotated, Any, ClassVar

from annotated_types import Ge, Le
from jaxtyping import Float
from pydantic.dataclasses import dataclass
from torch import Tensor, nn
from transformers import PreTrainedModel

from qa_research.model.adapters import STRICT, Adapters, Layers, Width, check_width
from qa_research.model.layers import ADDENDS

Heads = Annotated[int, Ge(1), Le(10_000)]
# Of the initial weights, as BERT's.
SPREAD = 0.02


@dataclass(frozen=True, config=STRICT)
class PalAdapters(Adapters):
    """Attention of `heads` heads in a space of `width` units, added to what the feed-forward network adds.

    It reads what the layer reads. The ways into that space and back are shared by all layers, and queries,
    keys and values are a layer's own. The way back starts at 0, and so the network as it was; Stickland &
    Murray start it at random, and apply a GELU after it.

    Source: Stickland & Murray 2019, BERT and PALs, sections 3.1 and 3.3.
    """

    kind: ClassVar[str] = "pals"
    mark: ClassVar[str] = "pal"

    width: Width
    heads: Heads
    layers: Layers

    def check(self, network: nn.Module) -> None:
        self.of_layers(network)
        check_width(self.width, network)
        if self.width % self.heads:
            raise ValueError(
                f"finetuning.width={self.width} must be a multiple of finetuning.heads={self.heads}"
            )

    def insert(self, network: PreTrainedModel) -> None:
        into = nn.Linear(network.config.hidden_size, self.width)
        back = nn.Linear(self.width, network.config.hidden_size)
        nn.init.normal_(into.weight, std=SPREAD)
        for zero in (into.bias, back.weight, back.bias):
            nn.init.zeros_(zero)
        _, feeding_forward = ADDENDS[network.config.model_type]
        for layer in self.of_layers(network).values():
            pal = Pal(into, back, self.heads)
            layer.add_module("pal", pal)
            layer.register_forward_pre_hook(_read, with_kwargs=True)
            layer.get_submodule(feeding_forward).register_forward_hook(partial(_add, pal))


class Pal(nn.Module):
    """back(attention(into(x))), with `into` and `back` those of all layers.

    `change`: what a layer is about to get, from when it starts until its feed-forward network is done.
    """

    def __init__(self, into: nn.Linear, back: nn.Linear, heads: int) -> None:
        super().__init__()
        width = into.out_features
        self.into, self.back, self.heads = into, back, heads
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        for linear in (self.query, self.key, self.value):
            nn.init.normal_(linear.weight, std=SPREAD)
            nn.init.zeros_(linear.bias)
        self.change: Tensor | None = None

    def forward(
        self, x: Float[Tensor, "window token hidden"], mask: Tensor | None
    ) -> Float[Tensor, "window token hidden"]:
        low: Tensor = self.into(x)
        windows, tokens, width = low.shape
        split = (windows, tokens, self.heads, width // self.heads)
        query, key, value = (
            make(low).view(split).transpose(1, 2) for make in (self.query, self.key, self.value)
        )
        context = nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        change: Tensor = self.back(context.transpose(1, 2).reshape(windows, tokens, width))
        return change


def _read(layer: Any, inputs: tuple[Any, ...], named: dict[str, Any]) -> None:
    """Before a layer: compute what will be added. All types give it what it reads and the mask first."""
    hidden = inputs[0] if inputs else named["hidden_states"]
    mask = inputs[1] if len(inputs) > 1 else named.get("attention_mask")
    layer.pal.change = layer.pal(hidden, mask)


def _add(pal: Pal, _: nn.Module, __: Any, output: Tensor) -> Tensor:
    assert pal.change is not None
    change, pal.change = pal.change, None
    return output + change
