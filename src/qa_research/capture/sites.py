"""Sites inside the known networks: which module holds what, by layer, and on which side of it values pass.

Hugging Face's networks are known here by their type; one of our own says it itself (`model.places`).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import nn
from transformers import PreTrainedModel

from qa_research.model.bert import head_of
from qa_research.model.layers import STEMS
from qa_research.model.places import Places, Side

# Those that a config may name; all are `hidden_size` wide. Recorders need the others.
SITE_NAMES = ("embeddings", "context", "attention_output", "mlp", "layer_output")

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
# Normalises before attention and before the feed-forward network, not after: a layer's output is the sum
# itself. One module makes queries, keys and values.
_MODERNBERT: dict[str, tuple[str, Side]] = {
    "query_key_value": ("attn.Wqkv", "output"),
    "context": ("attn.Wo", "input"),
    "attention_added": ("attn.Wo", "output"),
    "attention_sum": ("mlp_norm", "input"),
    "attention_output": ("mlp_norm", "output"),
    "mlp": ("mlp", "output"),
    "layer_output": ("", "output"),
}
# Outside the layers: ModernBERT's head has a part of its own before the scores.
_OUTSIDE: dict[str, tuple[str, Side]] = {
    "head_hidden": ("head.dense", "output"),
    "head_active": ("head.norm", "input"),
    "head_output": ("head.norm", "output"),
    "body_output": ("model.final_norm", "output"),
}
# By model type: the sites of each layer. Which module holds the layers, model.layers says.
KNOWN: dict[str, dict[str, tuple[str, Side]]] = {
    "bert": _BERT,
    "camembert": _BERT,
    "distilbert": _DISTILBERT,
    "electra": _BERT,
    "modernbert": _MODERNBERT,
    "roberta": _BERT,
    "xlm-roberta": _BERT,
}


@dataclass(frozen=True, slots=True)
class Site:
    """Where values pass: in a layer (from 0), or outside them: `embeddings`, and `final`, the head's input.

    In the order in which a layer computes them:

    - `query`, `key`: of all heads, next to each other; in ModernBERT `query_key_value`, one after the other
    - `context`: the outputs of all heads, next to each other, before their projection
    - `attention_added`: the projected context
    - `attention_sum`: that plus the layer's input, before normalisation
    - `attention_output`: the same, normalised
    - `mlp`: the output of the feed-forward network
    - `mlp_sum`: that plus `attention_output`, before normalisation
    - `layer_output`: the same, normalised; in ModernBERT, which has no `mlp_sum`, that sum itself
    """

    name: str
    layer: int | None = None


FINAL = Site("final")


def places_of(network: nn.Module) -> Places | None:
    """Where a network of our own says that it computes what; None of Hugging Face's."""
    return getattr(network, "places", None)


def output_layer(network: nn.Module) -> nn.Linear:
    """The layer that makes the network's outputs, which are linear in what it reads.

    Raises:
        ValueError: it is not known which that is.
    """
    places = places_of(network)
    if places is None:
        return head_of(_known(network))
    found = network.get_submodule(places.head)
    if not isinstance(found, nn.Linear):
        raise ValueError(
            f"the outputs of this network are made by a {type(found).__name__}, and not by a linear layer"
        )
    return found


def module_of(network: nn.Module, site: Site) -> tuple[nn.Module, Side]:
    """The module of a site, and on which side of it the values pass.

    Raises:
        ValueError: the site is inside a network whose layers are not known here.
    """
    if site == FINAL:
        return output_layer(network), "input"
    return Anatomy(network).module(site)


class Anatomy:
    """The layers of a network and their sites.

    Raises:
        ValueError: the network is of an unknown type, or one of our own without layers.
    """

    def __init__(self, network: nn.Module) -> None:
        self.network = network
        self.places = places_of(network)
        self.sites: Mapping[str, tuple[str, Side]]
        if self.places is not None:
            own = self.places
            if not own.layers:
                raise ValueError(
                    "this network has no layers to look into; capture/recorders=[outputs,head_weights] "
                    "records what every network has, and capture=none trains without looking inside"
                )
            self.stem, self.sites = own.stem, own.sites
            self.layers, self.heads, self.hidden_size = own.layers, own.heads, own.hidden_size
        else:
            config = _known(network).config
            kind = config.model_type
            if kind not in KNOWN:
                raise ValueError(
                    f"where a network of the type {kind} computes its attention is not known; it is known "
                    f"for: {', '.join(KNOWN)}. capture=none trains without looking inside, and "
                    "capture/recorders=[logits,head_weights] records what every network has"
                )
            self.stem, self.sites = STEMS[kind], KNOWN[kind]
            self.layers = int(config.num_hidden_layers)
            self.heads = int(config.num_attention_heads)
            self.hidden_size = int(config.hidden_size)
        # Whether each sum is normalised, so that the layers' shares of a logit can be told apart.
        self.normalises_sums = "mlp_sum" in self.sites

    def module(self, site: Site) -> tuple[nn.Module, Side]:
        """The module of a site, and on which side of it the values pass.

        Raises:
            ValueError: the network has no such site.
        """
        if site.name in _OUTSIDE:
            path, side = _OUTSIDE[site.name]
            return self.network.get_submodule(path), side
        if site.layer is None and self.places is not None:
            if not self.places.embeddings:
                raise ValueError(
                    f"this network has no {site.name}; it has: {', '.join(self.sites)}"
                )
            return self.network.get_submodule(self.places.embeddings), "output"
        if site.layer is None:
            body = self.network.get_submodule(self.stem.partition(".")[0])
            # ELECTRA's embeddings may be narrower than its layers, and are projected then.
            projected = site.name == "embeddings" and hasattr(body, "embeddings_project")
            return body.get_submodule("embeddings_project" if projected else site.name), "output"
        if site.name not in self.sites:
            raise ValueError(f"this network has no {site.name}; it has: {', '.join(self.sites)}")
        path, side = self.sites[site.name]
        return self.network.get_submodule(f"{self.stem}.{site.layer}.{path}".rstrip(".")), side

    def attention_sites(self, layer: int) -> tuple[Site, ...]:
        """The sites that a layer's attention is recomputed from.

        Raises:
            ValueError: the network has no attention.
        """
        if not self.heads:
            raise ValueError("this network has no attention")
        names = ("query", "key") if "query" in self.sites else ("query_key_value",)
        return tuple(Site(name, layer) for name in names)


def _known(network: nn.Module) -> PreTrainedModel:
    """A network as one of Hugging Face's.

    Raises:
        ValueError: it is another one, which does not say where it computes what.
    """
    if not isinstance(network, PreTrainedModel):
        raise ValueError(
            f"a {type(network).__name__} does not declare what it computes where (model.places); "
            "capture/recorders=[outputs] records what it puts out, and capture=none trains without looking "
            "inside"
        )
    return network
