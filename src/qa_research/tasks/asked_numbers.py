"""Examples asked of a network that says one number of each."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from qa_research.tasks.task import PARAGRAPH

Row = TypeVar("Row")
# Of examples: vectors [example position unit], zero where there is padding, and a mask [example position],
# true where there is none.
Vectors = Callable[[Sequence[Row]], tuple[Tensor, Tensor]]

AT_ONCE = 256


def rows_of(
    network: nn.Module, examples: Sequence[Any], vectors: Vectors[Any], groups: Sequence[int]
) -> list[dict[str, Any]]:
    """What a network in eval mode says of examples, in order, as `Opened.rows` has it.

    An example has `id`, and `label`, which is None if nobody said it. `groups`: the number of the group of
    each; those of one belong together.
    """
    device = next(network.parameters()).device
    said: list[float] = []
    with torch.inference_mode():
        for start in range(0, len(examples), AT_ONCE):
            found, mask = vectors(examples[start : start + AT_ONCE])
            said += network(found.to(device), mask.to(device)).tolist()
    return [
        {"id": example.id, "prediction": number, PARAGRAPH: group}
        | ({} if example.label is None else {"truth": example.label})
        for example, number, group in zip(examples, said, groups, strict=True)
    ]
