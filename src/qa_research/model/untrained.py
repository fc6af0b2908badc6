"""A network as it would be without any training: what a measure of a trained one is compared with."""

import copy

import torch
from torch import nn
from transformers import PreTrainedModel


def untrained(network: nn.Module, seed: int) -> nn.Module:
    """A network of the same architecture with weights drawn anew, in eval mode on the same device.

    `seed`: of torch's generator, from 0 to 2^63 - 1; the global one is left as it was.
    """
    device = next(network.parameters()).device
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        if isinstance(network, PreTrainedModel):
            fresh: nn.Module = type(network)(copy.deepcopy(network.config))
        else:
            fresh = copy.deepcopy(network)
            for module in fresh.modules():
                again = getattr(module, "reset_parameters", None)
                if again is not None:
                    again()
    return fresh.to(device).eval()
