"""Given weights of which the top layers are drawn anew, as if they had not been pretrained."""

from collections.abc import Collection
from typing import Annotated, Literal

from annotated_types import Ge
from transformers import PreTrainedModel

from qa_research.model.layers import layers_of

# So many layers, counted from the last; or all of them, which leaves the embeddings.
Top = Annotated[int, Ge(1)] | Literal["all"]


def drawn_anew(network: PreTrainedModel, top: Top, weights: str) -> frozenset[str]:
    """The parameters of the top layers and of all that comes after them; embeddings are never among them.

    `weights`: what the user calls them. The network may be one without memory.

    Raises:
        ValueError: it has fewer layers, or it is not known where it has them.
    """
    parts = layers_of(network)
    layers = len(parts) - 2
    if top != "all" and top > layers:
        raise ValueError(
            f"model.reinit_top={top} is more than the {layers} layers of model.weights={weights}; "
            "model.reinit_top=all keeps only their embeddings"
        )
    kept = 1 + layers - (layers if top == "all" else top)
    return frozenset(name for part in parts[kept:] for name in part.parameters)


def reinitialise(network: PreTrainedModel, names: Collection[str]) -> None:
    """Draw these parameters from torch's global generator, as the network's own `_init_weights` does.

    That is how transformers initialises what a file of weights lacks: it looks at these marks, of its own.
    """
    for module in network.modules():
        module._is_hf_initialized = False
    for tensors in (network.named_parameters(), network.named_buffers()):
        for name, tensor in tensors:
            tensor._is_hf_initialized = name not in names
    network.initialize_weights()


def told(names: Collection[str], top: Top, layers: int) -> str:
    """A sentence on what was drawn anew of a network of so many layers."""
    count = layers if top == "all" else top
    which = f"the layers {layers - count} to {layers - 1}" if count > 1 else f"layer {layers - 1}"
    return (
        f"Newly initialised by model.reinit_top={top}: {which} of {layers}, {len(names)} tensors."
    )
