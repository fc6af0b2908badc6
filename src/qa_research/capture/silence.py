"""Silencing attention heads, to see what they are needed for."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from transformers import PreTrainedModel

from qa_research.capture.places import Anatomy, Site
from qa_research.capture.tap import changed_inputs


@contextmanager
def silenced(network: PreTrainedModel, heads: Iterable[tuple[int, int]]) -> Iterator[None]:
    """While it lasts, the given (layer, head) add nothing: their part of the context is zero.

    The network is not changed; what is changed is what passes through it, by hook.

    Raises:
        ValueError: a head that the network does not have, or a network whose inside is not known.
    """
    anatomy = Anatomy(network)
    size = anatomy.hidden_size // anatomy.heads
    by_layer: dict[int, list[int]] = {}
    for layer, head in heads:
        if not (0 <= layer < anatomy.layers and 0 <= head < anatomy.heads):
            raise ValueError(
                f"there is no head {head} in layer {layer}; this network has the layers 0 to "
                f"{anatomy.layers - 1} with the heads 0 to {anatomy.heads - 1}"
            )
        by_layer.setdefault(layer, []).append(head)

    def without(silent: list[int]) -> Callable[[Tensor], Tensor]:
        kept = torch.ones(anatomy.heads, size)
        kept[silent] = 0.0
        return lambda context: context * kept.flatten().to(context)

    changes = {
        anatomy.module(Site("context", layer))[0]: without(silent)
        for layer, silent in by_layer.items()
    }
    with changed_inputs(changes):
        yield
