"""Scores of a vocabulary for some tokens of a batch alone, by a network that stays as it is."""

from torch import Tensor, nn
from transformers import PreTrainedModel

from qa_research.model.bert import decoder_of


class OnlySome:
    """While `which` is set, a network's output layer computes the scores of those tokens alone, in order.

    Scores of each piece of a vocabulary are most of the work, and those of words that are not hidden are used
    by nobody. The network itself stays as it is; without `which` it says what it always says.
    """

    def __init__(self, network: PreTrainedModel) -> None:
        self.which: Tensor | None = None
        self._handle = decoder_of(network).register_forward_pre_hook(self._chosen)

    def remove(self) -> None:
        """Leave the network as it was."""
        self._handle.remove()

    def _chosen(self, _: nn.Module, inputs: tuple[Tensor]) -> tuple[Tensor] | None:
        return None if self.which is None else (inputs[0][self.which],)
