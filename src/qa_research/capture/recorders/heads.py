"""What each head attends to, in numbers: entropy, distance, and weight between groups of tokens."""

from collections.abc import Mapping

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from qa_research.capture.forward import Forward
from qa_research.capture.recorders.recorder import (
    AttentionLayersRecorder,
    Subject,
    Summaries,
    to_numpy,
)
from qa_research.capture.recording.arrays import Array, Coordinate
from qa_research.tasks.watching import Watched

ALL = "all"


class HeadsRecorder(AttentionLayersRecorder):
    """A few numbers per head and example instead of complete maps, so that all layers are affordable."""

    def prepare(self, key: str, subject: Subject) -> None:
        self.sites = self.choose_layers(key, subject.network)
        self.groups = groups_of(subject.watched)
        self.targets = tuple(subject.watched.groups)

    def coordinates(self) -> Mapping[str, Coordinate]:
        return {
            **super().coordinates(),
            "source": Coordinate(("source",), (ALL, *self.targets)),
            "target": Coordinate(("target",), self.targets),
        }

    def record(self, forward: Forward) -> Mapping[str, Array]:
        mask = forward.watched.mask
        measured = [measure_heads(forward.attention(n), mask, self.groups) for n in self.layers]
        entropy, distance, weight = (
            torch.stack(list(part), 1) for part in zip(*measured, strict=True)
        )
        axes = ("question", "layer", "head")
        return {
            "entropy": Array(
                axes,
                to_numpy(entropy),
                "nats",
                "entropy of a head's attention, mean over query tokens",
            ),
            "distance": Array(
                axes,
                to_numpy(distance),
                "tokens",
                "distance from query to key, weighted by attention, mean over query tokens",
            ),
            "group_weight": Array(
                (*axes, "source", "target"),
                to_numpy(weight, "float16"),
                "probability",
                "attention from a token of the source to all tokens of the target, mean over source tokens",
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
    """Which tokens belong to ALL, and to each of the groups."""
    groups = [watched.mask.numpy(), *watched.groups.values()]
    return torch.from_numpy(np.stack(groups, axis=1))


def measure_heads(
    attention: Float[Tensor, "question head query key"],
    mask: Bool[Tensor, "question token"],
    groups: Bool[Tensor, "question source token"],
) -> tuple[
    Float[Tensor, "question head"],
    Float[Tensor, "question head"],
    Float[Tensor, "question head source target"],
]:
    """Entropy (nats), distance (tokens) and weight between groups; NaN if a group has no token.

    Example: one head, two tokens, which attend with [0.5, 0.5] and [0, 1]; cls is token 0, answer token 1.
        entropy          (ln 2 + 0) / 2 = 0.35
        distance         (0.5 * 0 + 0.5 * 1 + 0 * 1 + 1 * 0) / 2 = 0.25
        all -> answer    (0.5 + 1) / 2 = 0.75;   cls -> answer 0.5;   answer -> answer 1
    """
    tokens = mask.sum(dim=1)[:, None]
    queries = mask[:, None, :]
    entropy = -torch.xlogy(attention, attention).sum(dim=3)
    position = torch.arange(attention.shape[3], dtype=attention.dtype)
    apart = (position[:, None] - position).abs()
    distance = (attention * apart).sum(dim=3)
    sizes = groups.sum(dim=2).to(attention.dtype)
    # [source, query] @ [query, key] @ [key, target]: the mean over source tokens of the sum over targets. An
    # empty source becomes 0 / 0, and an empty target is set to NaN.
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
