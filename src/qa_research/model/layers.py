"""The parts of a network in the order of its depth, embeddings, layers and head, for the known types."""

from dataclasses import dataclass

from torch import nn
from transformers import PreTrainedModel

# By model type: the module that holds the layers. Its first name is the body, which has the embeddings.
STEMS = {
    "bert": "bert.encoder.layer",
    "camembert": "roberta.encoder.layer",
    "distilbert": "distilbert.transformer.layer",
    "electra": "electra.encoder.layer",
    "modernbert": "model.layers",
    "roberta": "roberta.encoder.layer",
    "xlm-roberta": "roberta.encoder.layer",
}

_BERT = ("attention.output.dense", "output.dense")
# By model type: the modules of a layer, below it, whose outputs are added to what the layer reads: what
# attention adds, and what the feed-forward network adds.
ADDENDS = {
    "bert": _BERT,
    "camembert": _BERT,
    "distilbert": ("attention.out_lin", "ffn"),
    "electra": _BERT,
    "modernbert": ("attn.Wo", "mlp"),
    "roberta": _BERT,
    "xlm-roberta": _BERT,
}


@dataclass(frozen=True)
class Part:
    """A part of a network, `embeddings`, `layer 0`, ..., or `head`, with its parameters by their names."""

    name: str
    parameters: dict[str, nn.Parameter]

    @property
    def size(self) -> int:
        """How many numbers its parameters are."""
        return sum(parameter.numel() for parameter in self.parameters.values())


def stem_of(network: nn.Module) -> str:
    """The module that holds the layers.

    Raises:
        ValueError: it is not known where this network has its layers.
    """
    kind = network.config.model_type if isinstance(network, PreTrainedModel) else None
    if kind not in STEMS:
        called = f"network of the type {kind}" if kind else type(network).__name__
        raise ValueError(
            f"where a {called} has its layers is not known; it is known for: {', '.join(STEMS)}"
        )
    return STEMS[kind]


def layers_of(network: nn.Module) -> list[Part]:
    """Embeddings, each layer, head: every parameter of the network is in exactly one of these.

    The head is all that comes after the last layer: a pooler, a last normalisation, the output layer.
    ELECTRA's projection of its embeddings belongs to them.

    Example: a BERT of 2 layers has the parts `embeddings`, `layer 0`, `layer 1` and `head`.

    Raises:
        ValueError: it is not known where this network has its layers.
    """
    stem = stem_of(network)
    body = stem.partition(".")[0]
    count = len(list(network.get_submodule(stem).children()))
    parts = [Part(name, {}) for name in ("embeddings", *_names(count), "head")]
    for name, parameter in network.named_parameters():
        if name.startswith(f"{stem}."):
            place = 1 + int(name[len(stem) + 1 :].partition(".")[0])
        else:
            place = 0 if name.startswith(f"{body}.embeddings") else count + 1
        parts[place].parameters[name] = parameter
    return parts


def chosen_layers(key: str, wanted: list[int] | None, count: int) -> list[int]:
    """The layers that `key` names: None is all, -1 the last one; sorted, without repetition.

    Raises:
        ValueError: a layer that the network does not have.
    """
    if wanted is None:
        return list(range(count))
    for layer in wanted:
        if not -count <= layer < count:
            raise ValueError(
                f"{key} has {layer}; this network has the layers 0 to {count - 1} (or -1, the last, "
                f"to -{count})"
            )
    return sorted({layer % count for layer in wanted})


def _names(count: int) -> list[str]:
    return [f"layer {number}" for number in range(count)]
