"""A network that begins with the body of another one, which was trained for another purpose."""

from collections.abc import Mapping

import torch
from torch import Tensor
from transformers import PreTrainedModel

from qa_research.model.adapters import Adapters
from qa_research.model.bert import modules_of


def take_body(
    network: PreTrainedModel,
    adapters: Adapters | None,
    weights: Mapping[str, Tensor],
    source: str,
) -> tuple[str, ...]:
    """Give a network the embeddings and layers of `weights`; a sentence on each kind of tensor.

    What lies outside the body, such as an output layer, stays as it is, and that of `weights` is left: a
    decoder that shares its matrix with the embeddings is no part of them. So does a pooler that `weights`
    lack. `adapters`: what was added to the network, and stays, too. `source`: what the weights are called.

    Raises:
        ValueError: a tensor of the body has another shape there.
    """
    own: Mapping[str, Tensor] = network.state_dict()
    own = own if adapters is None else adapters.without(own)
    body = f"{network.base_model_prefix}."
    taken = {name: tensor for name, tensor in weights.items() if name.startswith(body)}
    for name, tensor in taken.items():
        if name not in own or own[name].shape != tensor.shape:
            shape = list(own[name].shape) if name in own else "none"
            raise ValueError(
                f"{name} is {list(tensor.shape)} in {source}, and {shape} in the network that begins with it"
            )
    with torch.no_grad():
        for name, tensor in taken.items():
            # The tensors of a state_dict are the network's own.
            own[name].copy_(tensor)
    new = sorted(own.keys() - taken.keys())
    unused = sorted(weights.keys() - taken.keys())
    lines = [f"Loaded: {len(taken)} of {len(own)} tensors from {source}."]
    if new:
        lines.append(f"Newly initialised: {modules_of(new)}.")
    if unused:
        lines.append(f"Left unused: {modules_of(unused)}.")
    return tuple(lines)
