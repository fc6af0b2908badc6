"""The gradient of one example's loss, shortened so that thousands of them fit into memory."""

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import nn

from qa_research.capture.forward import scores_of
from qa_research.tasks.watching import Watched, losses_of

# How long a shortened gradient is: no multiple of the width of a matrix, whose columns would fall together.
WIDTH = 8191


class Sketch:
    """Shortens the gradient of a network's trained parameters to `width` numbers.

    Number i of the gradient is added with a random sign to place i modulo `width`. Dot products of shortened
    gradients are those of the whole ones in the mean over signs; their standard deviation is about
    |g| |h| sqrt(2 / width), 1.6 % of the product of lengths with 8,191 places, if no few numbers dominate.

    Example: width 2, gradient (1, 2, 3), signs (+, -, +): places 0, 1, 0 have 1 + 3 = 4 and -2.

    Source: Charikar, Chen & Farach-Colton 2002, Finding frequent items in data streams.
    """

    def __init__(self, network: nn.Module, seed: int, width: int = WIDTH) -> None:
        self.width = width
        # A generator of its own, as the global one may be a training's.
        generator = torch.Generator().manual_seed(seed)
        self.signs = {
            name: torch.randint(0, 2, (own.numel(),), generator=generator, dtype=torch.int8)
            .mul_(2)
            .sub_(1)
            for name, own in network.named_parameters()
        }

    def __call__(
        self, network: nn.Module, watched: Watched, only: set[str] | None = None
    ) -> Float[ndarray, " place"]:
        """The shortened gradient of the mean loss of some examples, in eval mode, in float32.

        `only`: the names of parameters that count; None: all.

        Raises:
            ValueError: no parameter that counts has a gradient.
        """
        counted = {
            name: own
            for name, own in network.named_parameters()
            # Of a network with adapters the other parameters have none.
            if own.requires_grad and (only is None or name in only)
        }
        if not counted:
            raise ValueError("between these steps no parameter changed, so nothing was learned")
        with torch.enable_grad():
            loss = losses_of(scores_of(network, watched).float(), watched).mean()
            # A parameter that the loss does not depend on has no gradient.
            own = torch.autograd.grad(loss, list(counted.values()), allow_unused=True)
        gradients = dict(zip(counted, own, strict=True))
        found = torch.zeros(self.width)
        place = 0
        for name, signs in self.signs.items():
            gradient = gradients.get(name)
            if gradient is not None:
                self._add(found, gradient.detach().flatten().cpu() * signs, place)
            place = (place + len(signs)) % self.width
        return found.numpy()

    def _add(self, found: torch.Tensor, values: torch.Tensor, place: int) -> None:
        """Add numbers to places that follow each other, from `place` on and again from 0."""
        first = min(self.width - place, len(values))
        found[place : place + first] += values[:first]
        rest = values[first:]
        whole = len(rest) // self.width * self.width
        found += rest[:whole].view(-1, self.width).sum(dim=0)
        found[: len(rest) - whole] += rest[whole:]


def changed_parameters(first: nn.Module, last: nn.Module) -> set[str]:
    """The names of parameters that are not the same, bit for bit, in two states of a network."""
    others = dict(last.named_parameters())
    return {
        name
        for name, own in first.named_parameters()
        if not torch.equal(own.cpu(), others[name].cpu())
    }


def cosines(
    one: Float[ndarray, "question unit"], other: Float[ndarray, "example unit"]
) -> Float[ndarray, "question example"]:
    """The cosine of each pair; 0 where one of them has no length."""
    lengths = np.linalg.norm(one, axis=1)[:, None] * np.linalg.norm(other, axis=1)[None, :]
    products: ndarray = one @ other.T
    found: ndarray = np.divide(products, lengths, out=np.zeros_like(products), where=lengths > 0)
    return found
