"""Attention maps of the watched examples, which capture/forward.py recomputes from queries and keys."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from qa_research.capture.attention_picture import AttentionPicture, Tokens
from qa_research.capture.forward import Forward
from qa_research.capture.recorders.recorder import (
    AttentionLayersRecorder,
    Recorder,
    Subject,
    Summaries,
    layer_axis,
    to_numpy,
)
from qa_research.capture.recording.arrays import Array, Coordinate
from qa_research.model.bert import input_names
from qa_research.tasks.watching import Watched


class AttentionRecorder(AttentionLayersRecorder):
    """Complete maps of every head of `layers` (null: all). NaN where the query or the key is padding."""

    def __init__(self, layers: list[int] | None, dtype: Literal["float16", "float32"]) -> None:
        super().__init__(layers)
        self.dtype = dtype

    def prepare(self, key: str, subject: Subject) -> None:
        self.sites = self.choose_layers(key, subject.network)
        self.shown = subject.watched.examples[0]
        self.tokens = Tokens(
            self.shown.tokens, frozenset(self.shown.marked), last_part(self.shown.parts)
        )
        self.pictures: dict[int, AttentionPicture] = {}

    def record(self, forward: Forward) -> Mapping[str, Array]:
        weight = torch.stack([forward.attention(layer) for layer in self.layers], dim=1)
        return {"weight": _maps(weight, forward.watched, self.dtype)}

    def summaries(self, captured: Mapping[str, Array], with_pictures: bool) -> Summaries:
        if not with_pictures:
            return Summaries()
        own = len(self.tokens.texts)
        maps = captured["weight"].values[0, :, :, :own, :own].astype(np.float32)
        if not self.pictures:
            title, heads = self.shown.heading, maps.shape[1]
            self.pictures = {
                layer: AttentionPicture(heads, self.tokens, layer, title) for layer in self.layers
            }
        return Summaries(
            pictures={
                f"attention/{self.shown.id}/layer {layer}": self.pictures[layer].of(of_layer)
                for layer, of_layer in zip(self.layers, maps, strict=True)
            }
        )


class ReturnedAttentionRecorder(Recorder):
    """Complete maps of every head as the network itself returns them, for one whose layers are not known.

    In a forward pass of its own with eager attention; the network is afterwards as before. To be used for a
    network that is not being trained.
    """

    def prepare(self, key: str, subject: Subject) -> None:
        config: Any = subject.network.config
        self.layers = list(range(int(config.num_hidden_layers)))

    def coordinates(self) -> Mapping[str, Coordinate]:
        return {"layer": layer_axis(self.layers)}

    def record(self, forward: Forward) -> Mapping[str, Array]:
        network: Any = forward.network
        names = input_names(network)
        inputs = {n: t.to(network.device) for n, t in forward.watched.inputs.items() if n in names}
        before = network.config._attn_implementation
        network.set_attn_implementation("eager")
        try:
            with torch.inference_mode():
                returned = network(**inputs, output_attentions=True).attentions
        finally:
            network.set_attn_implementation(before)
        weight = torch.stack([layer.float().cpu() for layer in returned], dim=1)
        return {"weight": _maps(weight, forward.watched, "float16")}


def last_part(parts: Sequence[str]) -> int:
    """The first token of the last text of a window, such as a question's context; how many, if there is none.

    >>> last_part(["cls", "question", "sep", "context", "context", "sep"]), last_part(["cls", "sep"])
    (3, 2)
    """
    texts = [part for part in parts if part not in ("cls", "sep")]
    return parts.index(texts[-1]) if texts else len(parts)


def _maps(
    weight: Float[Tensor, "question layer head query key"], watched: Watched, dtype: str
) -> Array:
    """The maps as an array, with NaN where the query or the key is padding."""
    mask = watched.mask
    inside = mask[:, None, None, :, None] & mask[:, None, None, None, :]
    return Array(
        ("question", "layer", "head", "query", "key"),
        to_numpy(weight.masked_fill(~inside, torch.nan), dtype),
        "probability",
        "attention of each query token to each key token",
    )
