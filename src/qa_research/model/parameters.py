"""What a parameter of a network is, by its name: the kind of matrix that it belongs to, and its layer."""

import re

# What a parameter belongs to: the first kind whose pattern matches its name. Recordings store their numbers.
_PATTERNS = (
    ("embeddings", r"(^|\.)embeddings\.(?!LayerNorm|norm)"),
    ("query", r"\.(query|q_lin)\."),
    ("key", r"\.(key|k_lin)\."),
    ("value", r"\.(value|v_lin)\."),
    ("attention_output", r"\.(attention\.output\.dense|out_lin|attn\.Wo)\."),
    ("mlp_in", r"\.(intermediate\.dense|ffn\.lin1|mlp\.Wi)\."),
    ("mlp_out", r"\.(output\.dense|ffn\.lin2|mlp\.Wo)\."),
    ("norm", r"LayerNorm|layer_norm|norm\."),
    ("head", r"^(qa_outputs|classifier|head)\."),
)
KINDS = (*[kind for kind, _ in _PATTERNS], "other")
# One matrix for queries, keys and values; named only in recordings of networks that have it.
JOINT, _JOINT = "query_key_value", re.compile(r"\.Wqkv\.")
_LAYER = re.compile(r"\.layers?\.(\d+)\.")


def kind_of(name: str) -> str:
    """What a parameter belongs to, one of KINDS or JOINT, from its Hugging Face name."""
    if _JOINT.search(name):
        return JOINT
    return next((kind for kind, pattern in _PATTERNS if re.search(pattern, name)), "other")


def layer_of(name: str) -> int:
    """The layer of a parameter, from 0; -1 outside the layers."""
    found = _LAYER.search(name)
    return int(found[1]) if found else -1
