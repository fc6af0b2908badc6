"""Networks that read a sequence of vectors and put out one number; a transformer's encoder is in encoder.py.

They know no task: a vector may be a letter's, and a position is where it stands.
"""

from dataclasses import replace
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from qa_research.model.encoder import AdaptiveEncoder, Encoded, Encoder, EncoderSettings
from qa_research.model.places import Places

Vectors = Float[Tensor, "example position unit"]
Mask = Bool[Tensor, "example position"]
Numbers = Float[Tensor, " example"]
Pooling = Literal["mean", "max"]


class NumberNetwork(nn.Module):
    """Reads vectors, all zero where there is padding, and a mask; padding changes nothing.

    A subclass computes the number in standard deviations from the mean; `label_mean` and `label_scale` are
    those of the training labels (`standardise`).
    """

    label_mean: Tensor
    label_scale: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("label_mean", torch.zeros(()))
        self.register_buffer("label_scale", torch.ones(()))
        self.places = Places(head="head")
        # What the encoder made of the latest batch, if it halts.
        self.halting: Encoded | None = None

    def forward(self, vectors: Vectors, mask: Mask) -> Numbers:
        return self.number(vectors, mask) * self.label_scale + self.label_mean

    def number(self, vectors: Vectors, mask: Mask) -> Numbers:
        """The number in standard deviations from the mean."""
        raise NotImplementedError

    @property
    def by_position(self) -> nn.Module | None:
        """What puts out the last state of each position; None: nothing does, all are read at once."""
        return None

    def standardise(self, mean: float, scale: float) -> None:
        """Let numbers be so many `scale` from `mean`; labels that are all the same have no scale."""
        self.label_mean.fill_(mean)
        self.label_scale.fill_(scale or 1.0)

    def steps_of(self, mask: Mask) -> Numbers | None:
        """How often a position of each example of the latest batch was updated, on average."""
        if self.halting is None or self.halting.steps is None:
            return None
        return mean_of_positions(self.halting.steps, mask)

    def ponder_of(self, mask: Mask) -> Numbers | None:
        """What that costs; see `Encoded`."""
        if self.halting is None or self.halting.ponder is None:
            return None
        return mean_of_positions(self.halting.ponder, mask)


class RecurrentNetwork(NumberNetwork):
    """An RNN or LSTM from left to right; the state after the last position says the number."""

    def __init__(
        self, kind: Literal["rnn", "lstm"], units: int, hidden_size: int, layers: int
    ) -> None:
        super().__init__()
        make = nn.RNN if kind == "rnn" else nn.LSTM
        self.recurrent = make(units, hidden_size, layers, batch_first=True)
        self.head = nn.Linear(hidden_size, 1)

    @property
    def by_position(self) -> nn.Module:
        return self.recurrent

    def number(self, vectors: Vectors, mask: Mask) -> Numbers:
        states = self.recurrent(vectors)[0]
        last = mask.sum(dim=1) - 1
        number: Tensor = self.head(states[torch.arange(len(states)), last])
        return number[:, 0]


class UnusedEncoder(NumberNetwork):
    """A linear model beside a transformer encoder whose output is never used.

    What a lecture called a transformer: of its 112,193 parameters only the 1,001 of `head` learn.
    """

    def __init__(self, units: int, layers: int, positions: int) -> None:
        super().__init__()
        self.encoder = nn.ModuleList(
            nn.TransformerEncoderLayer(units, units, batch_first=True) for _ in range(layers)
        )
        self.head = nn.Linear(units * positions, 1)

    def number(self, vectors: Vectors, mask: Mask) -> Numbers:
        number: Tensor = self.head(flat(vectors, self.head.in_features))
        return number[:, 0]


class Window(nn.Module):
    """`width` linear functions of the vectors around each position, `positions` of them at once.

    Raises:
        ValueError: that is an even number, which is not as many on either side.
    """

    def __init__(self, units: int, width: int, positions: int) -> None:
        super().__init__()
        if positions % 2 == 0:
            raise ValueError(
                f"model.at_once={positions} must be odd: as many on either side of each position"
            )
        self.filters = nn.Conv1d(units, width, positions, padding="same")

    def forward(self, vectors: Vectors) -> Float[Tensor, "example position width"]:
        found: Tensor = self.filters(vectors.transpose(1, 2))
        return found.transpose(1, 2)


class ConvolutionalNetwork(NumberNetwork):
    """Layers of `width` filters, each `window` positions wide, then the largest or mean value of each.

    The last layer knows layers * (window - 1) + 1 positions, and nothing of where these are.
    """

    def __init__(
        self, units: int, width: int, window: int, layers: int, pooling: Pooling, dropout: float
    ) -> None:
        super().__init__()
        sizes = [units, *[width] * (layers - 1)]
        self.layers = nn.ModuleList(Window(size, width, window) for size in sizes)
        self.pooling: Pooling = pooling
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(width, 1)

    @property
    def by_position(self) -> nn.Module:
        return self.layers[-1]

    def number(self, vectors: Vectors, mask: Mask) -> Numbers:
        states = vectors
        for layer in self.layers:
            # What the last positions read of padding must be what they read beyond the edge: zero.
            states = nn.functional.gelu(layer(states)) * mask[..., None]
        number: Tensor = self.head(self.dropout(pooled(states, mask, self.pooling)))
        return number[:, 0]


class TransformerNetwork(NumberNetwork):
    """A projection of `at_once` vectors around each position, a transformer encoder, and pooling.

    `halts`: its encoder applies one layer until each position halts.
    """

    def __init__(
        self, units: int, settings: EncoderSettings, at_once: int, pooling: Pooling, halts: bool
    ) -> None:
        super().__init__()
        self.projection = Window(units, settings.width, at_once)
        self.encoder = AdaptiveEncoder(settings) if halts else Encoder(settings)
        self.pooling: Pooling = pooling
        self.head = nn.Linear(settings.width, 1)
        self.places = replace(self.encoder.places("encoder", "head"), before=("projection",))

    @property
    def by_position(self) -> nn.Module:
        return self.encoder

    def number(self, vectors: Vectors, mask: Mask) -> Numbers:
        found: Encoded = self.encoder(self.projection(vectors), mask)
        self.halting = None if found.steps is None else found
        number: Tensor = self.head(pooled(found.states, mask, self.pooling))
        return number[:, 0]


def flat(vectors: Vectors, features: int) -> Float[Tensor, "example feature"]:
    """The vectors one after the other, and zeros behind the last one."""
    found = vectors.flatten(1)
    return nn.functional.pad(found, (0, features - found.shape[1]))


def pooled(states: Vectors, mask: Mask, pooling: Pooling) -> Float[Tensor, "example unit"]:
    """The mean or the largest value of each unit over all positions, without padding."""
    if pooling == "max":
        return states.masked_fill(~mask[..., None], float("-inf")).amax(dim=1)
    return (states * mask[..., None]).sum(dim=1) / mask.sum(dim=1, keepdim=True)


def mean_of_positions(values: Float[Tensor, "example position"], mask: Mask) -> Numbers:
    """The mean of each example over all positions, without padding."""
    return (values * mask).sum(dim=1) / mask.sum(dim=1)
