"""Direct logit attribution: what each unit, and each layer, adds to the true span's logits, exactly."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from qa_research.capture.forward import FINAL, Anatomy, Forward, Site
from qa_research.capture.recorders.recorder import Recorder, Subject, Summaries, numbers
from qa_research.capture.recording.arrays import ROWS, Array, Coordinate

PLACES = ("attention_added", "attention_sum", "mlp", "mlp_sum")


class AttributionRecorder(Recorder):
    """Shares in the start logit of the true first token and in the end logit of the true last one.

    A logit is linear in what the head reads: unit k adds W[row, k] * h[k]. What the head reads is the sum of
    what embeddings, attention and feed-forward networks added, each passed through the normalisations
    after it, which are linear once their standard deviations are given (those of this very forward pass).
    """

    def prepare(self, key: str, subject: Subject) -> None:
        self.anatomy = Anatomy(subject.network)
        self.span_sites = (
            FINAL,
            *(Site(place, layer) for layer in range(self.anatomy.layers) for place in PLACES),
        )

    def coordinates(self) -> Mapping[str, Coordinate]:
        parts = [f"{n} {part}" for n in range(self.anatomy.layers) for part in ("attention", "mlp")]
        return {
            "component": Coordinate(("component",), ("embeddings", *parts, "bias")),
            "unit": Coordinate(("unit",), np.arange(self.anatomy.hidden_size, dtype=np.int32)),
        }

    def record(self, forward: Forward) -> Mapping[str, Array]:
        head = forward.network.get_submodule("qa_outputs")
        weight, bias = head.get_parameter("weight").cpu(), head.get_parameter("bias").cpu()
        # [question row unit]: at the true first token for start, at the last one for end.
        units = forward.at_span[FINAL] * weight
        layers = self._layer_shares(forward, weight, bias)
        logits = forward.logits.gather(2, forward.watched.spans[:, :, None]).squeeze(2)
        axes = ("question", "row")
        return {
            "unit_share": Array(
                (*axes, "unit"),
                numbers(units),
                "logits",
                "what each unit of the last layer adds to the true span's logits; with `bias` they "
                "sum to `logit`",
            ),
            "layer_share": Array(
                (*axes, "component"),
                numbers(layers),
                "logits",
                "what embeddings, each layer's attention and feed-forward network, and all biases after "
                "them add to the true span's logits; they sum to `logit`",
            ),
            "logit": Array(
                axes, numbers(logits), "logits", "logit of the true first and last token"
            ),
            "bias": Array(("row",), numbers(bias), "logits", "bias of the head (qa_outputs.bias)"),
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
        """From the head down; `direction` is what one of each value at this height adds to the logit."""
        count = len(forward.watched.questions)

        def value(place: str, layer: int) -> Tensor:
            return forward.at_span[Site(place, layer)].double()

        direction = weight.double().expand(count, -1, -1)
        constant = bias.double().expand(count, -1)
        shares: list[Tensor] = []
        for layer in reversed(range(self.anatomy.layers)):
            for added, total, output in (
                ("mlp", "mlp_sum", "layer_output"),
                ("attention_added", "attention_sum", "attention_output"),
            ):
                norm: Any = self.anatomy.module(Site(output, layer))[0]
                direction, beyond = before_norm(direction, value(total, layer), norm)
                constant = constant + beyond
                shares.insert(0, (direction * value(added, layer)).sum(dim=2))
        below = value("attention_sum", 0) - value("attention_added", 0)
        return torch.stack([(direction * below).sum(dim=2), *shares, constant], dim=2)


def before_norm(
    direction: Float[Tensor, "question row unit"],
    total: Float[Tensor, "question row unit"],
    norm: torch.nn.LayerNorm,
) -> tuple[Float[Tensor, "question row unit"], Float[Tensor, "question row"]]:
    """A direction on a normalisation's output as one on its input `total`, and what its bias adds.

    y = gamma (x - mean(x)) / sigma + beta, so d.y = [(d gamma - mean(d gamma)) / sigma].x + d.beta.
    """
    gamma, beta = norm.weight.detach().cpu().double(), norm.bias.detach().cpu().double()
    deviation = (total.var(dim=2, correction=0, keepdim=True) + norm.eps).sqrt()
    scaled = direction * gamma
    return (scaled - scaled.mean(dim=2, keepdim=True)) / deviation, (direction * beta).sum(dim=2)
