"""Attention maps of the watched questions, which capture/forward.py recomputes from queries and keys."""

from collections.abc import Mapping
from typing import Literal

import numpy as np
import torch

from qa_research.capture.forward import Forward
from qa_research.capture.recorders.recorder import (
    AttentionLayersRecorder,
    Subject,
    Summaries,
    to_numpy,
)
from qa_research.capture.recording.arrays import Array
from qa_research.capture.tensorboard import mosaic


class AttentionRecorder(AttentionLayersRecorder):
    """Complete maps of every head of `layers` (null: all). NaN where the query or the key is padding."""

    def __init__(self, layers: list[int] | None, dtype: Literal["float16", "float32"]) -> None:
        super().__init__(layers)
        self.dtype = dtype

    def prepare(self, key: str, subject: Subject) -> None:
        self.sites = self.choose_layers(key, subject.network)
        self.question = subject.watched.questions[0].id

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
