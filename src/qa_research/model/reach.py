"""How far a network looks: which positions change the state of one, by gradients."""

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy.typing import NDArray
from torch import Tensor, nn

from qa_research.model.one_number import NumberNetwork


def gradient_reach(
    network: NumberNetwork,
    layer: nn.Module,
    vectors: Float[Tensor, "example position unit"],
    mask: Bool[Tensor, "example position"],
) -> NDArray[np.float64]:
    """How strongly each position changes what `layer` puts out at the middle one; [position], largest 1.

    The strength is the Frobenius norm of the Jacobian, the root of its mean square over the examples.
    `layer`: one of `network`, with an output [example position unit], alone, first of several, or
    as `states`.

    Raises:
        ValueError: the network does not call the layer, or no position changes its output.
    """
    found: list[Tensor] = []

    def keep(_module: nn.Module, _inputs: object, output: object) -> None:
        # A recurrent layer puts out states and its memory.
        first = output[0] if isinstance(output, tuple) else output
        states = getattr(first, "states", first)
        assert isinstance(states, Tensor)
        found.append(states)

    handle = layer.register_forward_hook(keep)
    try:
        # A recurrent network on a GPU has no gradients in eval mode but without cuDNN.
        with torch.enable_grad(), torch.backends.cudnn.flags(enabled=False):
            asked = vectors.detach().clone().requires_grad_()
            network(asked, mask)
    finally:
        handle.remove()
    if not found:
        raise ValueError("the network does not call this layer")
    middle = found[-1][:, vectors.shape[1] // 2]
    squares = torch.zeros(vectors.shape[1], dtype=torch.float64, device=vectors.device)
    for unit in range(middle.shape[1]):
        (gradient,) = torch.autograd.grad(middle[:, unit].sum(), asked, retain_graph=True)
        squares += gradient.double().square().sum(dim=2).mean(dim=0)
    if not squares.any():
        raise ValueError("no position changes the output of this layer")
    strengths: NDArray[np.float64] = (squares / squares.max()).sqrt().cpu().numpy()
    return strengths
