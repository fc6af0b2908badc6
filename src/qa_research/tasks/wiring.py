"""How a task's batches hang together with its examples and its network, for those who check that they do.

`Task.wiring` returns it. The checks of `qa-research sanity` know a batch as it is here, and no task.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor

Batch = Mapping[str, Tensor]


@dataclass(frozen=True)
class ShownRow:
    """One row of a batch as the network gets it, beside the example that it was made of.

    By token, padding included: `tokens`, `mask`, `types` (empty: the batch has none) and `parts`, what it
    belongs to by the task's own account. `label`: what the batch says is right, in words; `truth`: what the
    example says. `spelled`: the text that the ids spell; `source`: the text that they were made of.
    """

    id: str
    tokens: tuple[str, ...]
    types: tuple[int, ...]
    mask: tuple[int, ...]
    parts: tuple[str, ...]
    label: str
    truth: str
    spelled: str
    source: str


@dataclass(frozen=True)
class Lost:
    """Examples whose label or words were cut off: `count` of `total`; `keys`: what sets how much fits."""

    count: int
    total: int
    keys: str


@dataclass(frozen=True)
class Wiring:
    """What the keys of a training batch are, and how the task's own code reads them.

    `outputs`: as in `watching.Outputs`. `labels`: the keys of labels. `read`: the key of what is read, ids
    [example token] or vectors [example position unit]. `mask` [example token]: 0 where there is padding.
    `types`: the key of token types [example token], None if there are none; `types_of`: the type that the
    tokenizer gives to each of `texts`, the names of the parts that are text.

    `scores`: the network's output for a batch, [example row token] of spans, [example row] of labels and
    [example] of numbers, in standard deviations from their mean. `show`: one row of a batch. `examples`: of
    `train` or `validation`, (id, content) of each example; equal contents are the same example. `lost`: of
    the training examples. `vocabulary`: how many ids the network knows. `unknown`: the id of tokens that the
    vocabulary lacks. `same_on_purpose`: the config wants validation to be the training examples. `unused`:
    how the names of parameters begin that the loss is known not to depend on. `build`: makes the network of
    another module of this kind, from a seed, as `load` made that of the task's own.

    It is asked for after `load`; `show` and `lost` are of what `prepare` made.
    """

    outputs: Literal["spans", "labels", "number"]
    labels: tuple[str, ...]
    read: str
    mask: str
    scores: Callable[[Batch], Tensor]
    show: Callable[[Batch, int], ShownRow]
    examples: Callable[[str], Sequence[tuple[str, Any]]]
    build: Callable[[Any, int], None]
    types: str | None = None
    texts: tuple[str, ...] = ()
    types_of: tuple[int, ...] = ()
    vocabulary: int | None = None
    unknown: int | None = None
    lost: Callable[[], Lost] | None = None
    same_on_purpose: bool = False
    unused: tuple[str, ...] = ()
