"""One look at the watched questions: a forward pass that leaves no trace in the training."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from transformers import PreTrainedModel

from qa_research.capture.places import Site, module_of
from qa_research.capture.tap import Point, tap
from qa_research.capture.watched import Watched
from qa_research.model.bert import input_names


@dataclass
class Forward:
    """What the network made of the watched questions after `step` optimizer steps, in float32 on the CPU.

    `logits`: start (row 0) and end (row 1) scores. `values`: what passed each site that was asked for whole;
    `at_span`: what passed others, at the true first token (row 0) and at the true last one (row 1).
    """

    step: int
    network: PreTrainedModel
    watched: Watched
    logits: Float[Tensor, "question row token"]
    values: dict[Site, Float[Tensor, "question token unit"]]
    at_span: dict[Site, Float[Tensor, "question row unit"]]

    def attention(self, layer: int) -> Float[Tensor, "question head query key"]:
        """A layer's attention, from its queries and keys; zero towards padding. Computed at each call: kept
        for all layers it would be the largest thing by far.
        """
        return attention_weights(
            self.values[Site("query", layer)],
            self.values[Site("key", layer)],
            self.watched.mask,
            int(self.network.config.num_attention_heads),
        )


def look(
    network: PreTrainedModel,
    watched: Watched,
    step: int,
    whole: Iterable[Site] = (),
    at_span: Iterable[Site] = (),
) -> Forward:
    """Run the watched questions in eval mode, float32, without gradients, on random state of its own.

    Uncompiled, so that a compiled network stays as it is. Modes and hooks are as before afterwards, also
    where the network raises.
    """
    device = network.device
    spans = watched.spans.to(device)
    every = torch.arange(len(spans), device=device)[:, None]
    sites = [(site, False) for site in set(whole)] + [(site, True) for site in set(at_span)]
    points = {
        (site, cut): Point(
            *module_of(network, site),
            (lambda value: value.detach()[every, spans].float().cpu()) if cut else _kept,
        )
        for site, cut in sites
    }
    names = input_names(network) - {"start_positions", "end_positions"}
    inputs = {n: t.to(device) for n, t in watched.batch.items() if n in names}
    modes = [(module, module.training) for module in network.modules()]
    with (
        torch.no_grad(),
        torch.random.fork_rng([device] if device.type == "cuda" else []),
        torch.autocast(device.type, enabled=False),
        tap(points) as found,
    ):
        try:
            network.eval()
            output = network.forward(**inputs)
        finally:
            for module, mode in modes:
                module.training = mode
    return Forward(
        step=step,
        network=network,
        watched=watched,
        logits=torch.stack([output.start_logits, output.end_logits], dim=1).float().cpu(),
        values={site: value for (site, cut), value in found.items() if not cut},
        at_span={site: value for (site, cut), value in found.items() if cut},
    )


def _kept(value: Tensor) -> Tensor:
    return value.detach().float().cpu()


def attention_weights(
    query: Float[Tensor, "question token unit"],
    key: Float[Tensor, "question token unit"],
    mask: Bool[Tensor, "question token"],
    heads: int,
) -> Float[Tensor, "question head token token"]:
    """softmax(QK^T / sqrt(d)) of each head, over the keys that `mask` allows, without dropout.

    Source: Vaswani et al. 2017, Attention Is All You Need, section 3.2.1.
    """
    count, tokens, width = query.shape
    size = width // heads
    queries = query.float().view(count, tokens, heads, size).transpose(1, 2)
    keys = key.float().view(count, tokens, heads, size).transpose(1, 2)
    scores = queries @ keys.transpose(2, 3) * size**-0.5
    weights: Tensor = scores.masked_fill(~mask[:, None, None, :], -torch.inf).softmax(dim=-1)
    return weights
