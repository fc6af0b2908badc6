"""What each head attends to, in numbers: entropy, distance, and weight between groups of tokens."""

from collections.abc import Mapping

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from qa_research.capture.forward import Anatomy, Forward, Site, chosen_layers
from qa_research.capture.recorders.recorder import Recorder, Subject, Summaries, numbers
from qa_research.capture.recording.arrays import Array, Coordinate
from qa_research.capture.watched import PARTS, Watched

TARGETS = ("cls", "sep", "question", "context", "answer", "match_question", "match_context")
SOURCES = ("all", *TARGETS)


class HeadsRecorder(Recorder):
    """A few numbers a head and question instead of whole maps, so all layers can be had cheaply."""

    def __init__(self, layers: list[int] | None) -> None:
        self.wanted = layers
        self.layers: list[int] = []

    def prepare(self, key: str, subject: Subject) -> None:
        self.layers = chosen_layers(f"{key}.layers", self.wanted, Anatomy(subject.network).layers)
        if not self.layers:
            raise ValueError(f"{key}.layers=[] records nothing; null is all layers")
        self.sites = tuple(Site(p, layer) for layer in self.layers for p in ("query", "key"))
        self.groups = groups_of(subject.watched)

    def coordinates(self) -> Mapping[str, Coordinate]:
        return {
            "layer": Coordinate(("layer",), np.array(self.layers, dtype=np.int32)),
            "source": Coordinate(("source",), SOURCES),
            "target": Coordinate(("target",), TARGETS),
        }

    def record(self, forward: Forward) -> Mapping[str, Array]:
        mask = forward.watched.mask
        measured = [measure(forward.attention(n), mask, self.groups) for n in self.layers]
        entropy, distance, weight = (
            torch.stack(list(part), 1) for part in zip(*measured, strict=True)
        )
        axes = ("question", "layer", "head")
        return {
            "entropy": Array(
                axes,
                numbers(entropy),
                "nats",
                "entropy of a head's attention, mean over query tokens",
            ),
            "distance": Array(
                axes,
                numbers(distance),
                "tokens",
                "distance from query to key, weighted with attention, mean over query tokens",
            ),
            "group_weight": Array(
                (*axes, "source", "target"),
                numbers(weight, "float16"),
                "probability",
                "attention that goes from a token of the source to all tokens of the target, mean",
            ),
        }

    def summaries(self, captured: Mapping[str, Array], with_pictures: bool) -> Summaries:
        entropy = np.nanmean(captured["entropy"].values, axis=(0, 2))
        curves = {
            f"attention_entropy/layer {layer}": float(value)
            for layer, value in zip(self.layers, entropy, strict=True)
        }
        return Summaries(curves=curves)


def groups_of(watched: Watched) -> Bool[Tensor, "question group token"]:
    """Which tokens belong to each of SOURCES."""
    parts, question, context = watched.parts, PARTS.index("question"), PARTS.index("context")
    groups = [
        parts != PARTS.index("padding"),
        *(parts == PARTS.index(name) for name in TARGETS[:4]),
        watched.answer,
        watched.matching & (parts == question),
        watched.matching & (parts == context),
    ]
    return torch.from_numpy(np.stack(groups, axis=1))


def measure(
    attention: Float[Tensor, "question head query key"],
    mask: Bool[Tensor, "question token"],
    groups: Bool[Tensor, "question source token"],
) -> tuple[
    Float[Tensor, "question head"],
    Float[Tensor, "question head"],
    Float[Tensor, "question head source target"],
]:
    """Entropy (nats), distance (tokens) and weight between groups; NaN where a group has no token."""
    tokens = mask.sum(dim=1)[:, None]
    queries = mask[:, None, :]
    entropy = -torch.xlogy(attention, attention).sum(dim=3)
    position = torch.arange(attention.shape[3], dtype=attention.dtype)
    apart = (position[:, None] - position).abs()
    distance = (attention * apart).sum(dim=3)
    sizes = groups.sum(dim=2).to(attention.dtype)
    # An empty group becomes 0 / 0.
    sources = groups.to(attention.dtype) / sizes[:, :, None]
    targets = (
        groups[:, 1:].to(attention.dtype).masked_fill((sizes[:, 1:] == 0)[:, :, None], torch.nan)
    )
    weight = sources[:, None] @ attention @ targets[:, None].transpose(2, 3)
    return (
        (entropy * queries).sum(dim=2) / tokens,
        (distance * queries).sum(dim=2) / tokens,
        weight,
    )
