"""Where things are inside the networks that are known: which module holds what of each layer."""

from dataclasses import dataclass
from typing import Literal

from torch import nn
from transformers import PreTrainedModel

Side = Literal["input", "output"]

# What can be asked for by name; all are `hidden_size` wide. The rest is what recorders need.
PLACES = ("embeddings", "context", "attention_output", "mlp", "layer_output")

_BERT: dict[str, tuple[str, Side]] = {
    "query": ("attention.self.query", "output"),
    "key": ("attention.self.key", "output"),
    "context": ("attention.output.dense", "input"),
    "attention_added": ("attention.output.dense", "output"),
    "attention_sum": ("attention.output.LayerNorm", "input"),
    "attention_output": ("attention.output.LayerNorm", "output"),
    "mlp": ("output.dense", "output"),
    "mlp_sum": ("output.LayerNorm", "input"),
    "layer_output": ("output.LayerNorm", "output"),
}
_DISTILBERT: dict[str, tuple[str, Side]] = {
    "query": ("attention.q_lin", "output"),
    "key": ("attention.k_lin", "output"),
    "context": ("attention.out_lin", "input"),
    "attention_added": ("attention.out_lin", "output"),
    "attention_sum": ("sa_layer_norm", "input"),
    "attention_output": ("sa_layer_norm", "output"),
    "mlp": ("ffn", "output"),
    "mlp_sum": ("output_layer_norm", "input"),
    "layer_output": ("output_layer_norm", "output"),
}
# By model type: where the layers stand, and what each has where.
KNOWN: dict[str, tuple[str, dict[str, tuple[str, Side]]]] = {
    "bert": ("bert.encoder.layer", _BERT),
    "camembert": ("roberta.encoder.layer", _BERT),
    "distilbert": ("distilbert.transformer.layer", _DISTILBERT),
    "electra": ("electra.encoder.layer", _BERT),
    "roberta": ("roberta.encoder.layer", _BERT),
    "xlm-roberta": ("roberta.encoder.layer", _BERT),
}


@dataclass(frozen=True, slots=True)
class Site:
    """A place in a layer (from 0), or outside the layers: `embeddings`, and `final`, what the head reads.

    In a layer: `context` (the heads' outputs side by side, before their projection),
    `attention_output` (after projection, residual and normalisation), `mlp` (what the feed-forward
    network gives, before both), `layer_output` (after both); and `query`, `key`, `attention_added`
    (the projection alone), `attention_sum` and `mlp_sum` (what the two normalisations read).
    """

    place: str
    layer: int | None = None


FINAL = Site("final")


def module_of(network: PreTrainedModel, site: Site) -> tuple[nn.Module, Side]:
    """The module of a site, and on which side of it the values pass.

    Raises:
        ValueError: the site is within layers, and where this network has them is not known here.
    """
    if site == FINAL:
        # Every question-answering network of Hugging Face's has its head there.
        return network.get_submodule("qa_outputs"), "input"
    return Anatomy(network).module(site)


class Anatomy:
    """What a network has where.

    Raises:
        ValueError: a network of a type whose inside is not known here.
    """

    def __init__(self, network: PreTrainedModel) -> None:
        kind = network.config.model_type
        if kind not in KNOWN:
            raise ValueError(
                f"where a {kind} network keeps its attention is not known here; it is for: "
                f"{', '.join(KNOWN)}. capture=none trains without looking inside, "
                "capture/recorders=[logits,head_weights] with what every network has"
            )
        self.network = network
        self.stem, self.parts = KNOWN[kind]
        self.layers = int(network.config.num_hidden_layers)
        self.heads = int(network.config.num_attention_heads)
        self.hidden_size = int(network.config.hidden_size)

    def module(self, site: Site) -> tuple[nn.Module, Side]:
        """The module of a site, and on which side of it the values pass."""
        if site.layer is None:
            body = self.network.get_submodule(self.stem.partition(".")[0])
            # ELECTRA's may be narrower than its layers, and are projected.
            projected = site.place == "embeddings" and hasattr(body, "embeddings_project")
            return body.get_submodule("embeddings_project" if projected else site.place), "output"
        path, side = self.parts[site.place]
        return self.network.get_submodule(f"{self.stem}.{site.layer}.{path}"), side


def chosen_layers(key: str, wanted: list[int] | None, count: int) -> list[int]:
    """Layers as asked for under `key`: None is all, -1 the last one; sorted, each once.

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
