"""Which weights of a layer are its attention's, and which its feed-forward network's, and of which units.

Hugging Face's networks are known here by their type; one of our own says it itself (`model.places`).
"""

from dataclasses import dataclass

from torch import nn
from transformers import PreTrainedModel

from qa_research.model.layers import stem_of
from qa_research.model.places import Half, Places

_BERT = (
    Half(
        ("attention",),
        ("attention.self.query", "attention.self.key", "attention.self.value"),
        "attention.output.dense",
    ),
    Half(("intermediate", "output"), ("intermediate.dense",), "output.dense"),
)
# By model type: attention, and the feed-forward network. Where a layer normalises sums, a normalisation
# belongs to the half whose sum it is; where it normalises what is read, as ModernBERT, to the one that reads.
HALVES: dict[str, tuple[Half, Half]] = {
    "bert": _BERT,
    "camembert": _BERT,
    "distilbert": (
        Half(
            ("attention", "sa_layer_norm"),
            ("attention.q_lin", "attention.k_lin", "attention.v_lin"),
            "attention.out_lin",
        ),
        Half(("ffn", "output_layer_norm"), ("ffn.lin1",), "ffn.lin2"),
    ),
    "electra": _BERT,
    # Queries, keys and values are one module, and so are the feed-forward network's inputs and their gates.
    "modernbert": (
        Half(("attn_norm", "attn"), ("attn.Wqkv",), "attn.Wo"),
        Half(("mlp_norm", "mlp"), ("mlp.Wi",), "mlp.Wo"),
    ),
    "roberta": _BERT,
    "xlm-roberta": _BERT,
}


@dataclass(frozen=True)
class Layered:
    """A network as embeddings, layers of two halves, and a head.

    `stem`: the module that holds the layers. `before`: how the names of what comes before them begin.
    """

    stem: str
    layers: int
    heads: int
    attention: Half
    mlp: Half
    before: tuple[str, ...]


def layered(network: nn.Module) -> Layered:
    """Where a network has its layers, and their halves.

    Raises:
        ValueError: that is not known.
    """
    places = getattr(network, "places", None)
    if isinstance(places, Places):
        if not places.layers or places.attention is None or places.mlp is None:
            raise ValueError(
                f"a {type(network).__name__} does not say that it has layers of attention and a feed-forward "
                "network (model.places)"
            )
        before = (f"{places.embeddings}.", *(f"{module}." for module in places.before))
        sizes = (places.layers, places.heads)
        return Layered(places.stem, *sizes, places.attention, places.mlp, before)
    stem = stem_of(network)
    assert isinstance(network, PreTrainedModel)
    attention, mlp = HALVES[network.config.model_type]
    # Whole names: ELECTRA's projection of its embeddings, `embeddings_project`, comes before its layers, too.
    before = (f"{stem.partition('.')[0]}.embeddings",)
    layers = len(list(network.get_submodule(stem).children()))
    heads = int(network.config.num_attention_heads)
    return Layered(stem, layers, heads, attention, mlp, before)
