"""A strategy for one network: which of its parameters train at a step, in numbers and in words."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from torch import nn

from qa_research.model.adapters import Adapters
from qa_research.model.layers import Part, layers_of
from qa_research.tasks.learning import Share
from qa_research.training.finetuning.adapted import Adapted
from qa_research.training.finetuning.strategies import Strategy


@dataclass(frozen=True)
class Plan:
    """What of a network trains when.

    `parts`: by depth, the embeddings first and the head last; before it those adapters that were added.
    """

    strategy: Strategy
    parts: list[Part]

    @property
    def layers(self) -> int:
        """How many the network has."""
        return sum(part.name.startswith("layer ") for part in self.parts)

    @property
    def size(self) -> int:
        """How many parameters the network has, in numbers."""
        return sum(part.size for part in self.parts)

    def trained(self, step: int) -> list[Part]:
        """The parts that train after `step` steps, from the head downwards."""
        pairs = zip(self.parts, self.strategy.factors(step, self.layers), strict=True)
        return [part for part, factor in pairs if factor][::-1]

    def trained_size(self, step: int) -> int:
        """How many parameters train after `step` steps, in numbers."""
        return sum(part.size for part in self.trained(step))

    def shares(self) -> list[Share]:
        """What the optimizer gets. The head comes first: it always trains, at the rate that curves show."""
        return [self._share(place) for place in reversed(range(len(self.parts)))]

    def _share(self, place: int) -> Share:
        strategy, layers = self.strategy, self.layers
        return Share(
            list(self.parts[place].parameters.values()),
            lambda step: strategy.factors(step, layers)[place],
        )

    def check_steps(self, steps: int) -> None:
        """Refuse a training of at most so many steps in which a thaw would never come.

        Raises:
            ValueError: such a training.
        """
        self.strategy.check_steps(self.layers, steps)

    def stages(self) -> Iterator[int]:
        """The steps from which on the same parts train: 0, and each thaw."""
        yield from (0, *self.strategy.thaws(self.layers))

    def facts(self) -> dict[str, Any]:
        """What run.json says: the parameters of the network, and how many train from which step on."""
        stages = [{"step": step, "parameters": self.trained_size(step)} for step in self.stages()]
        return {"parameters": self.size, "trained": stages}

    def description(self) -> list[str]:
        """What trains when, as lines for the screen and train.log."""
        return [self.sentence(step) for step in self.stages()]

    def sentence(self, step: int) -> str:
        """`Finetuning trains 9,000 of 12,000 parameters after step 20: head, layer 1`."""
        names = ", ".join(part.name for part in self.trained(step))
        when = f" after step {step:,}" if step else ""
        return f"Finetuning trains {self.trained_size(step):,} of {self.size:,} parameters{when}: {names}"


def plan_of(strategy: Strategy, network: nn.Module) -> Plan:
    """The plan of a strategy for a network, to which its adapters have been added.

    Raises:
        ValueError: this network cannot be trained so, or its layers are not known.
    """
    try:
        parts = layers_of(network)
    except ValueError as error:
        raise ValueError(
            f"finetuning trains some layers of a network, and {error}; finetuning=full trains any"
        ) from error
    if isinstance(strategy, Adapted):
        parts = _with_adapters(parts, strategy.adapters)
    plan = Plan(strategy, parts)
    strategy.check(plan.layers)
    return plan


def _with_adapters(parts: list[Part], adapters: Adapters) -> list[Part]:
    """The same parts without what was added to the layers, which becomes a part before the head."""
    added = Part("adapters", {})
    own = []
    for part in parts:
        kept = Part(part.name, {})
        for name, parameter in part.parameters.items():
            target = added if adapters.owns(name) else kept
            target.parameters[name] = parameter
        own.append(kept)
    return [*own[:-1], added, own[-1]]
