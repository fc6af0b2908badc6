"""Strategies of finetuning: which parts of a network train at a step, and how fast. Pure; knows no torch.

A part is the embeddings, a layer or the head (`model.layers`). What trains depends on the number of the step
alone, and not on what has happened: so a training is resumed exactly before, at and after each thaw.
"""

from abc import ABC, abstractmethod
from typing import Annotated

from annotated_types import Ge, Gt, Le

Factors = tuple[float, ...]
# More steps than any training here has, and few enough for every type of integer.
MOST_STEPS = 1_000_000_000


class Strategy(ABC):
    """What trains when."""

    @abstractmethod
    def factors(self, step: int, layers: int) -> Factors:
        """What the learning rate of each part is multiplied with, after `step` optimizer steps.

        In the order of depth: embeddings, each of the `layers`, head; before the head the adapters, if the
        strategy adds some. A part of factor 0 does not train.
        """

    def thaws(self, layers: int) -> tuple[int, ...]:
        """The steps after which other parts train than before, ascending."""
        return ()

    def check(self, layers: int) -> None:  # noqa: B027
        """Can a network of so many layers be trained so?

        Raises:
            ValueError: it cannot.
        """

    def check_steps(self, layers: int, steps: int) -> None:  # noqa: B027
        """Can a training of at most so many steps follow this to its end?

        Raises:
            ValueError: a thaw would never come.
        """


class Frozen(Strategy):
    """Only the head trains, on what the initial weights make of a text."""

    def factors(self, step: int, layers: int) -> Factors:
        return (*[0.0] * (layers + 1), 1.0)


class TopK(Strategy):
    """The head and the last layers train, `layers` of them."""

    def __init__(self, layers: Annotated[int, Ge(1), Le(1_000)]) -> None:
        self.layers = layers

    def factors(self, step: int, layers: int) -> Factors:
        return (*[0.0] * (1 + layers - self.layers), *[1.0] * (self.layers + 1))

    def check(self, layers: int) -> None:
        if self.layers > layers:
            raise ValueError(
                f"finetuning.layers={self.layers} is more than the {layers} layers that this network has; "
                "finetuning=full also trains the embeddings"
            )


class Gradual(Strategy):
    """First the head trains alone, and every `every_n_steps` steps one more part below it; embeddings last.

    Source: Howard & Ruder 2018, ULMFiT, section 3.3, which thaws a layer each epoch.
    """

    def __init__(self, every_n_steps: Annotated[int, Ge(1), Le(MOST_STEPS)]) -> None:
        self.every_n_steps = every_n_steps

    def factors(self, step: int, layers: int) -> Factors:
        frozen = max(layers + 1 - step // self.every_n_steps, 0)
        return (*[0.0] * frozen, *[1.0] * (layers + 2 - frozen))

    def thaws(self, layers: int) -> tuple[int, ...]:
        return tuple(self.every_n_steps * count for count in range(1, layers + 2))

    def check_steps(self, layers: int, steps: int) -> None:
        *_, last = self.thaws(layers)
        if last < steps:
            return
        most = (steps - 1) // (layers + 1)
        way = (
            f"at most {most} is possible"
            if most > 0
            else "train for longer, or use finetuning=top_k"
        )
        raise ValueError(
            f"finetuning.every_n_steps={self.every_n_steps} would thaw the embeddings after step {last:,}, "
            f"and this training has {steps:,} steps; {way}"
        )


class Discriminative(Strategy):
    """Everything trains, and more slowly the deeper it is: at `decay` times the rate of the part above.

    Source: Howard & Ruder 2018, ULMFiT, section 3.2.
    """

    def __init__(self, decay: Annotated[float, Gt(0), Le(1)]) -> None:
        self.decay = decay

    def factors(self, step: int, layers: int) -> Factors:
        return tuple(self.decay**depth for depth in range(layers + 1, -1, -1))
