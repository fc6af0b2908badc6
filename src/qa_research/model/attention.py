"""Attention while training on a CPU: plain matrix products where they are faster than SDPA."""

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

# Random bits for each weight that dropout may drop; its probability is a multiple of 1 / 65,536.
BITS = 16


def use_plain_below(network: PreTrainedModel, tokens: int) -> None:
    """Let a network that uses SDPA train on a CPU with plain matrix products where they are faster.

    That is in bfloat16 on batches of fewer `tokens`, where the backward pass of SDPA takes longer than all
    the rest of a step, and with dropout, for which SDPA has no kernel on a CPU. Everything else, evaluation
    and GPUs among it, stays with SDPA. 0: always SDPA. Registered with transformers' own interface.
    """
    if not tokens or network.config._attn_implementation != "sdpa":
        return
    name = f"plain_below_{tokens}_tokens"
    AttentionInterface.register(name, partial(attend, below=tokens))
    AttentionMaskInterface.register(name, sdpa_mask)
    network.set_attn_implementation(name)


def attend(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    below: int,
    dropout: float = 0.0,
    scaling: float | None = None,
    **options: Any,
) -> tuple[Tensor, None]:
    """The context [window token head unit] of queries, keys and values [window head token unit]."""
    trains_on_cpu = query.device.type == "cpu" and query.requires_grad
    is_short = query.dtype == torch.bfloat16 and query.shape[2] < below
    if not (trains_on_cpu and (is_short or dropout > 0)):
        context: Tensor
        context, _ = sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **options
        )
        return context, None
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    # There are fewer queries than scores, so they are scaled; for the same reason dropout scales the context.
    scores = torch.matmul(query * scale, key.transpose(2, 3))
    if attention_mask is not None:
        # Added in place, since that needs no work and no memory in the backward pass.
        hidden = torch.zeros(attention_mask.shape, dtype=scores.dtype)
        scores += hidden.masked_fill_(~attention_mask, torch.finfo(scores.dtype).min)
    weights = scores.softmax(dim=-1)
    if dropout > 0:
        weights = weights * _kept(weights, dropout)
    context = torch.matmul(weights, value) * (1 / (1 - dropout))
    return context.transpose(1, 2).contiguous(), None


def _kept(weights: Tensor, probability: float) -> Tensor:
    """1 where dropout keeps a weight, 0 where it drops it, drawn from the global generator.

    Ten times as fast as `bernoulli_`. Numbers of the type of the weights instead of booleans, because
    multiplying by them is the fastest backward pass.

    Example: 6 weights take two random 64-bit integers, seen as 8 16-bit ones in [-32768, 32767]. With a
    probability of 0.1, those below -32768 + 6554 are dropped.
    """
    numbers = torch.empty(-(-weights.numel() * BITS // 64), dtype=torch.int64)
    bits = numbers.random_(-(2**63), None).view(torch.int16)[: weights.numel()]
    kept: Tensor = bits.view(weights.shape) >= round(probability * 2**BITS) - 2 ** (BITS - 1)
    return kept.to(weights.dtype)
