"""What tells a network where a token is: attention by itself sees a set of tokens, without their order."""

import torch
from jaxtyping import Float
from torch import Tensor


def sinusoidal(positions: int, units: int) -> Float[Tensor, "position unit"]:
    """The encoding of each position, to be added to the embedding of the token there.

    With k units it is sin(position / 10000^(i/k)) in the even unit i, and cos(position / 10000^((i-1)/k)) in
    the odd one: pairs of units that turn like the hands of clocks, the first once in 2 pi positions, each
    further one slower. The product of two encodings depends on their distance alone, since sin a sin b +
    cos a cos b = cos(a - b).

    Example: of 8 units, unit 2 at position 3 is sin(3 / 10000^(2/8)) = sin(0.3) = 0.2955, and unit 3 is
    cos(0.3) = 0.9553.

    Source: Vaswani et al. 2017, Attention Is All You Need, section 3.5.
    """
    unit = torch.arange(units, dtype=torch.float64)
    position = torch.arange(positions, dtype=torch.float64)
    angle = position[:, None] / 10000 ** ((unit - unit % 2) / units)
    return torch.where(unit % 2 == 0, angle.sin(), angle.cos()).float()


def rotated(
    values: Float[Tensor, "example head position unit"],
) -> Float[Tensor, "example head position unit"]:
    """Queries or keys, each pair of units (2j, 2j + 1) turned by pos / 10000^(2j/width).

    The product of a turned query and a turned key depends on their distance, not on where they are.
    Source: Su et al. 2021, RoFormer, section 3.2.
    """
    positions, width = values.shape[-2:]
    pair = torch.arange(0, width, 2, device=values.device)
    angles = torch.arange(positions, device=values.device)[:, None] / 10000 ** (pair / width)
    sine, cosine = angles.sin(), angles.cos()
    even, odd = values[..., 0::2], values[..., 1::2]
    turned = (even * cosine - odd * sine, even * sine + odd * cosine)
    return torch.stack(turned, dim=-1).flatten(-2).to(values.dtype)
