"""Direct logit attribution: what each unit, and each layer, adds to the true span's logits, exactly."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from qa_research.capture.forward import Forward
from qa_research.capture.recorders.recorder import Recorder, Subject, Summaries, to_numpy
from qa_research.capture.recording.arrays import Array, Coordinate
from qa_research.capture.sites import FINAL, Anatomy, Site, output_layer
from qa_research.tasks.answering.watched import ROWS

SITES = ("attention_added", "attention_sum", "mlp", "mlp_sum")
# Of networks that normalise before each part: what each adds to one sum, and their head's own values.
ADDED = ("attention_added", "mlp")
HEAD = (Site("head_hidden"), Site("head_active"))


class AttributionRecorder(Recorder):
    """Shares in the start logit of the true first token and in the end logit of the true last one.

    A logit is linear in what the head reads: unit k adds W[row, k] * h[k]. That in turn is a sum of what the
    embeddings, attention and feed-forward networks added, each passed through the normalisations after it,
    which are linear for given standard deviations: those of this forward pass. So the shares sum exactly.
    ModernBERT's head has an activation, too, which is linear for given gates, what it lets through of each
    unit.

    Example: h = [2, -1], W[start] = [3, 1], bias 0.5. The units add 6 and -1, so the start logit is 5.5. If
    h = [0.5, 0] (embeddings) + [1.5, -1] (attention), these components add 1.5 and 3.5.
    """

    of = ("spans",)

    def prepare(self, key: str, subject: Subject) -> None:
        self.anatomy = Anatomy(subject.network)
        names = SITES if self.anatomy.normalises_sums else ADDED
        inside = [Site(name, layer) for layer in range(self.anatomy.layers) for name in names]
        if not self.anatomy.normalises_sums:
            inside += [*HEAD, Site("embeddings"), Site("layer_output", self.anatomy.layers - 1)]
        self.span_sites = (FINAL, *inside)

    def coordinates(self) -> Mapping[str, Coordinate]:
        parts = [f"{n} {part}" for n in range(self.anatomy.layers) for part in ("attention", "mlp")]
        return {
            "component": Coordinate(("component",), ("embeddings", *parts, "bias")),
            "unit": Coordinate(("unit",), np.arange(self.anatomy.hidden_size, dtype=np.int32)),
        }

    def record(self, forward: Forward) -> Mapping[str, Array]:
        head = output_layer(forward.network)
        weight, bias = head.get_parameter("weight").cpu(), head.get_parameter("bias").cpu()
        # [question row unit]: at the true first token for start, at the last one for end.
        units = forward.at_span[FINAL] * weight
        shares = self._layer_shares if self.anatomy.normalises_sums else self._stream_shares
        layers = shares(forward, weight, bias)
        spans = forward.watched.outputs.true
        logits = forward.scores.gather(2, spans[:, :, None]).squeeze(2)
        axes = ("question", "row")
        return {
            "unit_share": Array(
                (*axes, "unit"),
                to_numpy(units),
                "logits",
                "what each unit of the last layer adds to the true span's logits; with `bias` they "
                "sum to `logit`",
            ),
            "layer_share": Array(
                (*axes, "component"),
                to_numpy(layers),
                "logits",
                "what embeddings, each layer's attention and feed-forward network, and all biases after "
                "them add to the true span's logits; they sum to `logit`",
            ),
            "logit": Array(
                axes, to_numpy(logits), "logits", "logit of the true first and last token"
            ),
            "bias": Array(("row",), to_numpy(bias), "logits", "bias of the head"),
        }

    def summaries(self, captured: Mapping[str, Array], with_pictures: bool) -> Summaries:
        shares = captured["layer_share"].values.mean(axis=0)
        names = list(self.coordinates()["component"].values)
        return Summaries(
            curves={
                f"layer_share_{row}/{name}": float(shares[r, c])
                for r, row in enumerate(ROWS)
                for c, name in enumerate(names)
            }
        )

    def _layer_shares(
        self, forward: Forward, weight: Tensor, bias: Tensor
    ) -> Float[Tensor, "question row component"]:
        """What each component adds to the logits, from the head down to the embeddings.

        `direction` is the logit's gradient with respect to the values at the current depth, and `constant`
        what the biases above it add.
        """
        count = len(forward.watched.examples)

        def value(name: str, layer: int) -> Tensor:
            return forward.at_span[Site(name, layer)].double()

        direction = weight.double().expand(count, -1, -1)
        constant = bias.double().expand(count, -1)
        shares: list[Tensor] = []
        for layer in reversed(range(self.anatomy.layers)):
            for added, total, output in (
                ("mlp", "mlp_sum", "layer_output"),
                ("attention_added", "attention_sum", "attention_output"),
            ):
                norm: Any = self.anatomy.module(Site(output, layer))[0]
                direction, from_bias = before_norm(direction, value(total, layer), norm)
                constant = constant + from_bias
                shares.insert(0, (direction * value(added, layer)).sum(dim=2))
        below = value("attention_sum", 0) - value("attention_added", 0)
        return torch.stack([(direction * below).sum(dim=2), *shares, constant], dim=2)

    def _stream_shares(
        self, forward: Forward, weight: Tensor, bias: Tensor
    ) -> Float[Tensor, "question row component"]:
        """`_layer_shares` where every part adds to one sum, which is normalised only before it is read."""
        seen = {site: value.double() for site, value in forward.at_span.items()}
        hidden, active = (seen[site] for site in HEAD)
        constant = bias.double().expand(len(hidden), -1)
        direction = weight.double().expand(len(hidden), -1, -1)
        direction, added = before_norm(direction, active, self._norm("head_output"))
        constant = constant + added
        # An activation of 0.9 from a value of 1.2 lets 0.75 of it through.
        direction = direction * torch.where(hidden == 0, 0.0, active / hidden)
        dense: Any = self.anatomy.module(HEAD[0])[0]
        if dense.bias is not None:
            constant = constant + direction @ dense.bias.detach().cpu().double()
        direction = direction @ dense.weight.detach().cpu().double()
        total = seen[Site("layer_output", self.anatomy.layers - 1)]
        direction, added = before_norm(direction, total, self._norm("body_output"))
        constant = constant + added
        parts = [Site(name, n) for n in range(self.anatomy.layers) for name in ADDED]
        shares = [(direction * seen[site]).sum(dim=2) for site in (Site("embeddings"), *parts)]
        return torch.stack([*shares, constant], dim=2)

    def _norm(self, name: str) -> torch.nn.LayerNorm:
        norm = self.anatomy.module(Site(name))[0]
        assert isinstance(norm, torch.nn.LayerNorm)
        return norm


def before_norm(
    direction: Float[Tensor, "question row unit"],
    total: Float[Tensor, "question row unit"],
    norm: torch.nn.LayerNorm,
) -> tuple[Float[Tensor, "question row unit"], Float[Tensor, "question row"]]:
    """A direction on a normalisation's output as a direction on its input `total`, and what its bias adds.

    y = gamma (x - mean(x)) / sigma + beta, so d.y = [(d gamma - mean(d gamma)) / sigma].x + d.beta.
    Example: x = [3, 1] has mean 2 and sigma 1; with gamma = [1, 1] and beta = [0, 0.5], y = [1, -0.5]. The
    direction d = [2, 0] on y gives 2. On x it is [2, 0] - 1 = [1, -1], which gives 3 - 1 = 2, and d.beta = 0.
    """
    gamma = norm.weight.detach().cpu().double()
    has_bias = norm.bias is not None  # ModernBERT's have none
    beta = norm.bias.detach().cpu().double() if has_bias else torch.zeros_like(gamma)
    deviation = (total.var(dim=2, correction=0, keepdim=True) + norm.eps).sqrt()
    scaled = direction * gamma
    return (scaled - scaled.mean(dim=2, keepdim=True)) / deviation, (direction * beta).sum(dim=2)
