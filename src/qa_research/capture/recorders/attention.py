"""Attention maps of the watched questions, recomputed from queries and keys."""

from collections.abc import Mapping
from typing import Literal

import numpy as np
import torch

from qa_research.capture.forward import Forward
from qa_research.capture.recorders.recorder import (
    Recorder,
    Subject,
    Summaries,
    layer_axis,
    query_and_key_sites,
    recorded_layers,
    to_numpy,
)
from qa_research.capture.recording.arrays import Array, Coordinate
from qa_research.capture.sites import Anatomy
from qa_research.capture.tensorboard import mosaic


class AttentionRecorder(Recorder):
    """Complete maps of every head of `layers` (null: all). NaN where the query or the key is padding."""

    def __init__(self, layers: list[int] | None, dtype: Literal["float16", "float32"]) -> None:
        self.wanted = layers
        self.dtype = dtype

    def prepare(self, key: str, subject: Subject) -> None:
        self.layers = recorded_layers(key, self.wanted, Anatomy(subject.network).layers)
        self.sites = query_and_key_sites(self.layers)
        self.question = subject.watched.questions[0].id

    def coordinates(self) -> Mapping[str, Coordinate]:
        return {"layer": layer_axis(self.layers)}

    def record(self, forward: Forward) -> Mapping[str, Array]:
        weight = torch.stack([forward.attention(layer) for layer in self.layers], dim=1)
        mask = forward.watched.mask
        inside = mask[:, None, None, :, None] & mask[:, None, None, None, :]
        return {
            "weight": Array(
                ("question", "layer", "head", "query", "key"),
                to_numpy(weight.masked_fill(~inside, torch.nan), self.dtype),
                "probability",
                "attention of each query token to each key token",
            )
        }

    def summaries(self, captured: Mapping[str, Array], with_pictures: bool) -> Summaries:
        if not with_pictures:
            return Summaries()
        # Of the first watched question: a row for each layer, a column for each head.
        picture = mosaic(captured["weight"].values[0].astype(np.float32))
        return Summaries(pictures={f"attention/{self.question}": picture})
