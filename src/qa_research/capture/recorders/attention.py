"""Attention maps of the watched questions, recomputed from queries and keys."""

from collections.abc import Mapping
from typing import Literal

import numpy as np
import torch

from qa_research.capture.forward import Anatomy, Forward, Site, chosen_layers
from qa_research.capture.recorders.recorder import Recorder, Subject, Summaries, numbers
from qa_research.capture.recording.arrays import Array, Coordinate
from qa_research.capture.tensorboard import mosaic


class AttentionRecorder(Recorder):
    """Whole maps, every head of the chosen `layers` (null: all). NaN where query or key is padding."""

    def __init__(self, layers: list[int] | None, dtype: Literal["float16", "float32"]) -> None:
        self.wanted = layers
        self.dtype = dtype
        self.layers: list[int] = []

    def prepare(self, key: str, subject: Subject) -> None:
        anatomy = Anatomy(subject.network)
        self.layers = chosen_layers(f"{key}.layers", self.wanted, anatomy.layers)
        if not self.layers:
            raise ValueError(f"{key}.layers=[] records nothing; null is all layers")
        self.sites = tuple(Site(p, layer) for layer in self.layers for p in ("query", "key"))
        self.question = subject.watched.questions[0].id

    def coordinates(self) -> Mapping[str, Coordinate]:
        return {"layer": Coordinate(("layer",), np.array(self.layers, dtype=np.int32))}

    def record(self, forward: Forward) -> Mapping[str, Array]:
        weight = torch.stack([forward.attention(layer) for layer in self.layers], dim=1)
        mask = forward.watched.mask
        inside = mask[:, None, None, :, None] & mask[:, None, None, None, :]
        return {
            "weight": Array(
                ("question", "layer", "head", "query", "key"),
                numbers(weight.masked_fill(~inside, torch.nan), self.dtype),
                "probability",
                "attention of each query token to each key token",
            )
        }

    def summaries(self, captured: Mapping[str, Array], with_pictures: bool) -> Summaries:
        if not with_pictures:
            return Summaries()
        # A row a layer, a column a head, of the first watched question.
        picture = mosaic(captured["weight"].values[0].astype(np.float32))
        return Summaries(pictures={f"attention/{self.question}": picture})
