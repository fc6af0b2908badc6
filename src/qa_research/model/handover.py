"""A network that begins with the body of another one, which was trained for another purpose."""

from collections.abc import Mapping

from torch import Tensor
from transformers import PreTrainedModel

from qa_research.model.bert import modules_of

# In the name of a matrix that peft has put something beside.
LORA = ".base_layer."


def take_body(
    network: PreTrainedModel, weights: Mapping[str, Tensor], source: str
) -> tuple[str, ...]:
    """Give a network the embeddings and layers of `weights`; a sentence on each kind of tensor.

    What lies outside the body, such as an output layer, stays as it is, and that of `weights` is left: a
    decoder that shares its matrix with the embeddings is no part of them. So does a pooler that `weights`
    lack. `source`: what the weights are called.

    Raises:
        ValueError: a tensor of the body has another shape there.
    """
    body = f"{network.base_model_prefix}."
    own = network.state_dict()
    # LoRA keeps a matrix that it changes under another name.
    names = {name.replace(LORA, "."): name for name in own}
    taken: dict[str, Tensor] = {}
    for name, tensor in weights.items():
        if not name.startswith(body):
            continue
        here = names.get(name, name)
        if here not in own or own[here].shape != tensor.shape:
            shape = list(own[here].shape) if here in own else "none"
            raise ValueError(
                f"{name} is {list(tensor.shape)} in {source}, and {shape} in the network that begins with it"
            )
        taken[here] = tensor
    network.load_state_dict(taken, strict=False)
    new = sorted(own.keys() - taken.keys())
    unused = sorted(name for name in weights if not name.startswith(body))
    lines = [f"Loaded: {len(taken)} of {len(own)} tensors from {source}."]
    if new:
        lines.append(f"Newly initialised: {modules_of(new)}.")
    if unused:
        lines.append(f"Left unused: {modules_of(unused)}.")
    return tuple(lines)
