"""A small transformer encoder of our own: a fixed number of layers, or one that is applied until it halts.

It reads vectors and knows no task. Attention is PyTorch's `scaled_dot_product_attention`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from qa_research.model.attended import attention_of_scores, local, scores, strided
from qa_research.model.places import Half, Places
from qa_research.model.positions import rotated, sinusoidal

PositionKind = Literal["none", "sinusoidal", "learned", "rotary"]
Sight = Literal["all", "local", "strided"]
# A position has halted when it has this much of its weight, so that one step can be enough (Graves 2016).
_HALTED = 0.99
# The query sites and so on of a layer, for those who look inside.
_SITES: dict[str, tuple[str, Literal["input", "output"]]] = {
    "query": ("attention.query", "output"),
    "key": ("attention.key", "output"),
    "context": ("attention.output", "input"),
    "attention_added": ("attention.output", "output"),
    "attention_sum": ("mlp_norm", "input"),
    "attention_output": ("mlp_norm", "output"),
    "mlp": ("mlp", "output"),
    "layer_output": ("", "output"),
}
_ATTENTION = Half(
    ("attention_norm", "attention"),
    ("attention.query", "attention.key", "attention.value"),
    "attention.output",
)
_MLP = Half(("mlp_norm", "mlp"), ("mlp.0",), "mlp.2")


@dataclass(frozen=True)
class EncoderSettings:
    """`width` units in `heads` heads. `sight`: which tokens attention sees; `window`: see positions.py."""

    width: int
    heads: int
    mlp_width: int
    layers: int
    positions: PositionKind
    max_positions: int
    sight: Sight
    window: int
    dropout: float

    def check(self) -> None:
        """Refuse widths that cannot be divided.

        Raises:
            ValueError: with the keys as a config has them.
        """
        per_head, rest = divmod(self.width, self.heads)
        if rest:
            raise ValueError(
                f"model.width={self.width} must be a multiple of model.heads={self.heads}"
            )
        if self.positions == "rotary" and per_head % 2:
            raise ValueError(
                f"model.positions=rotary turns pairs of units, and model.width={self.width} has {per_head} "
                f"in each of model.heads={self.heads}; choose an even number"
            )


class Attention(nn.Module):
    """Multi-head self-attention; `query` and `key` give what is multiplied, before it is rotated."""

    def __init__(self, settings: EncoderSettings) -> None:
        super().__init__()
        width = settings.width
        self.heads, self.turns, self.dropout = (
            settings.heads,
            settings.positions == "rotary",
            settings.dropout,
        )
        self.query, self.key = nn.Linear(width, width), nn.Linear(width, width)
        self.value, self.output = nn.Linear(width, width), nn.Linear(width, width)

    def forward(
        self,
        states: Float[Tensor, "example position unit"],
        allowed: Bool[Tensor, "example 1 query key"],
    ) -> Float[Tensor, "example position unit"]:
        query, key, value = (
            by_head(part(states), self.heads) for part in (self.query, self.key, self.value)
        )
        if self.turns:
            query, key = rotated(query), rotated(key)
        context = nn.functional.scaled_dot_product_attention(
            query, key, value, attn_mask=allowed, dropout_p=self.dropout if self.training else 0.0
        )
        mixed: Tensor = self.output(context.transpose(1, 2).flatten(2))
        return mixed


class Layer(nn.Module):
    """Attention, then a feed-forward network; each is normalised before, and added to what it read."""

    def __init__(self, settings: EncoderSettings) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(settings.width)
        self.attention = Attention(settings)
        self.mlp_norm = nn.LayerNorm(settings.width)
        self.mlp = nn.Sequential(
            nn.Linear(settings.width, settings.mlp_width),
            nn.GELU(),
            nn.Linear(settings.mlp_width, settings.width),
        )
        self.dropout = nn.Dropout(settings.dropout)

    def forward(
        self,
        states: Float[Tensor, "example position unit"],
        allowed: Bool[Tensor, "example 1 query key"],
    ) -> Float[Tensor, "example position unit"]:
        states = states + self.dropout(self.attention(self.attention_norm(states), allowed))
        added: Tensor = states + self.dropout(self.mlp(self.mlp_norm(states)))
        return added


@dataclass(frozen=True)
class Encoded:
    """What an encoder makes of vectors, and how long it took.

    `states` [example position unit]. `steps`: how often each position was updated. `ponder`: what adaptive
    computation costs, steps plus remainder, which has a gradient. `weights` [step example position]: of each
    step's state; they add up to one. Each is None of an encoder that does not halt.
    """

    states: Tensor
    steps: Tensor | None = None
    ponder: Tensor | None = None
    weights: Tensor | None = None


class Placed(nn.Module):
    """Vectors with their positions added, or as they are if positions are of another kind."""

    positions: Tensor | None

    def __init__(self, settings: EncoderSettings) -> None:
        super().__init__()
        shape = (settings.max_positions, settings.width)
        if settings.positions == "learned":
            self.positions = nn.Parameter(torch.randn(shape) * 0.02)
        else:
            known = sinusoidal(*shape) if settings.positions == "sinusoidal" else None
            self.register_buffer("positions", known, persistent=False)

    def forward(
        self, vectors: Float[Tensor, "example position unit"]
    ) -> Float[Tensor, "example position unit"]:
        if self.positions is None:
            return vectors
        return vectors + self.positions[: vectors.shape[1]]


class Encoder(nn.Module):
    """Layers one after the other. Positions are added to what it reads, or turned into queries and keys."""

    def __init__(self, settings: EncoderSettings) -> None:
        super().__init__()
        settings.check()
        self.settings = settings
        self.layers = nn.ModuleList(Layer(settings) for _ in range(settings.layers))
        self.norm = nn.LayerNorm(settings.width)
        self.placed = Placed(settings)

    def forward(
        self,
        vectors: Float[Tensor, "example position unit"],
        mask: Bool[Tensor, "example position"],
    ) -> Encoded:
        states, allowed = self.placed(vectors), self.allowed(mask)
        for layer in self.layers:
            states = layer(states, allowed)
        return Encoded(self.norm(states))

    def allowed(self, mask: Tensor) -> Tensor:
        """[example 1 query key]: what each query may see."""
        own = self.settings
        return visible(mask, pattern(own.sight, mask.shape[1], own.window))

    def places(self, name: str, head: str) -> Places:
        """Where it computes what, as a part called `name` of a network whose outputs `head` makes."""
        own = self.settings
        return Places(
            head=head,
            embeddings=f"{name}.placed",
            stem=f"{name}.layers",
            layers=len(self.layers),
            heads=own.heads,
            hidden_size=own.width,
            sites=_SITES,
            attends=self.attention,
            attention=_ATTENTION,
            mlp=_MLP,
        )

    def attention(self, layer: int, query: Tensor, key: Tensor, mask: Tensor) -> Tensor:
        """The weights that follow from queries and keys as `Attention.query` and `key` give them.

        [example head query key]; every layer has the same positions and the same sight.
        """
        query, key = (by_head(part, self.settings.heads) for part in (query, key))
        if self.settings.positions == "rotary":
            query, key = rotated(query), rotated(key)
        return attention_of_scores(scores(query, key), self.allowed(mask.bool()))


class AdaptiveEncoder(Encoder):
    """One layer, applied to each position until it halts, `layers` times at most: a universal transformer.

    A position's result is the mean of its states, weighted by the probabilities with which it halts.

    Source: Dehghani et al. 2018, Universal Transformers; Graves 2016, Adaptive Computation Time.
    """

    def __init__(self, settings: EncoderSettings) -> None:
        super().__init__(settings)
        self.layers = nn.ModuleList([Layer(settings)])
        self.halt = nn.Linear(settings.width, 1)
        # A small probability at first: a position that halts at once learns nothing from later steps.
        nn.init.constant_(self.halt.bias, -1.0)
        times = sinusoidal(settings.layers, settings.width)
        self.register_buffer("times", times, persistent=False)
        self.times: Tensor

    def forward(
        self,
        vectors: Float[Tensor, "example position unit"],
        mask: Bool[Tensor, "example position"],
    ) -> Encoded:
        states, allowed = self.placed(vectors), self.allowed(mask)

        def step(number: int, before: Tensor) -> tuple[Tensor, Tensor]:
            timed = before + self.times[number]
            probability = self.halt(timed).squeeze(-1).sigmoid()
            return self.layers[0](timed, allowed), probability

        found = halted(step, states, self.settings.layers)
        return Encoded(self.norm(found.states), found.steps, found.ponder, found.weights)

    def places(self, name: str, head: str) -> Places:
        """As of `Encoder`, without layers: there is one, which is applied many times."""
        return Places(head=head, embeddings=f"{name}.placed")


def halted(
    step: Callable[[int, Tensor], tuple[Tensor, Tensor]], states: Tensor, most: int
) -> Encoded:
    """Apply `step` (number, states) -> (new states, halting probability) until each position has halted.

    Example: probabilities 0.3, 0.5, 0.4. The sum would pass 0.99 at the third step, which gets the remainder
    0.2 instead: weights 0.3, 0.5, 0.2, and a ponder cost of 3 steps + 0.2.
    """
    total = torch.zeros(states.shape[:-1], dtype=states.dtype, device=states.device)
    result, steps, remainder = torch.zeros_like(states), total.clone(), total.clone()
    weights = []
    for number in range(most):
        new, probability = step(number, states)
        running = total < _HALTED
        ends = running & ((total + probability > _HALTED) | (number == most - 1))
        left = 1.0 - total
        weight = torch.where(ends, left, probability * running)
        # What has halted stays as it is: others still read it.
        states = torch.where(running[..., None], new, states)
        result = result + weight[..., None] * states
        remainder = remainder + torch.where(ends, left, torch.zeros_like(left))
        total = torch.where(ends, torch.ones_like(total), total + weight)
        steps = steps + running
        weights.append(weight)
    return Encoded(result, steps, steps + remainder, torch.stack(weights))


def by_head(
    values: Float[Tensor, "example position unit"], heads: int
) -> Float[Tensor, "example head position part"]:
    """Each head's part of the units."""
    return values.reshape(*values.shape[:2], heads, -1).transpose(1, 2)


def pattern(sight: Sight, tokens: int, window: int) -> Bool[Tensor, "query key"] | None:
    """Which tokens attention sees, apart from padding; None: all.

    `local`: `window` neighbours on either side. `strided`: those, and every `window`-th token, so that two
    layers lead everywhere at a cost that grows with tokens^1.5.

    Source: Child et al. 2019, Generating Long Sequences with Sparse Transformers, section 4; theirs is
    causal, this looks both ways.
    """
    if sight == "all":
        return None
    near = local(tokens, window)
    return near if sight == "local" else near | strided(tokens, window)


def visible(
    mask: Bool[Tensor, "example position"], pattern: Bool[Tensor, "query key"] | None
) -> Bool[Tensor, "example 1 query key"]:
    """What each query may see: no padding, and only what `pattern` has.

    Every query sees itself, padding too, or its softmax would be over nothing; nobody sees padding's result.
    """
    allowed = mask[:, None, None, :]
    if pattern is not None:
        allowed = allowed & pattern.to(mask.device)
    return allowed | torch.eye(mask.shape[1], dtype=torch.bool, device=mask.device)
