"""A network with some of its weights replaced by another's, for a while; and what it scores then."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from qa_research.interventions.graft.parts import Masks, tensors_of
from qa_research.interventions.graft.restarting import Restarting
from qa_research.tasks.opened import Opened
from qa_research.tasks.scoring import Columns, columns_of
from qa_research.tasks.task import Metric


@contextmanager
def grafted(network: nn.Module, donor: Mapping[str, Tensor], masks: Masks) -> Iterator[None]:
    """Inside, the numbers of `masks` are the donor's; afterwards the network is as it was, bit for bit.

    Also after an exception. `donor`: tensors by name, as `tensors_of` has them of a network like this one.
    """
    own = tensors_of(network)
    before = {name: own[name].clone() for name in masks}
    try:
        for name, mask in masks.items():
            theirs = donor[name].to(own[name].device)
            if mask is not None:
                theirs = torch.where(mask.to(own[name].device), theirs, own[name])
            own[name].copy_(theirs)
        yield
    finally:
        for name, tensor in before.items():
            own[name].copy_(tensor)


class Scorer:
    """What a run's network, with some weights of another, makes of the same examples.

    Quicker if what is replaced begins where it did the time before: see `Restarting`.
    """

    def __init__(
        self, opened: Opened[Any], donor: Mapping[str, Tensor], rows: Sequence[Any], metric: Metric
    ) -> None:
        self.opened, self.donor, self.rows, self.metric = opened, donor, rows, metric
        self.asked = opened.answering_of(rows)
        self.restarting = Restarting(opened.network)

    def __call__(self, masks: Masks) -> Columns:
        """What the metric is computed from, by key, of each example."""
        with grafted(self.opened.network, self.donor, masks), self.restarting.state(masks):
            return columns_of(self.asked(self.rows), [self.metric])


def same_tensors(ours: Mapping[str, Tensor], theirs: Mapping[str, Tensor]) -> bool:
    """Whether all numbers are equal."""
    return all(tensor.equal(theirs[name].to(tensor.device)) for name, tensor in ours.items())
