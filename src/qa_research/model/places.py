"""Where a network of our own computes what recorders look at; Hugging Face's are known in capture/sites.py.

Such a network has an attribute `places`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from torch import Tensor

Side = Literal["input", "output"]
# (number of the layer, queries, keys, mask) -> attention weights [example head token token]. Queries and keys
# [example token unit] are what passed the sites `query` and `key`, all heads next to each other; the mask
# [example token] is False for padding.
Attends = Callable[[int, Tensor, Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Half:
    """One half of every layer, its attention or its feed-forward network, by modules below the layer.

    `modules`: all that belongs to it, with the normalisation of what it reads, or of the sum with what it
    adds. Its units are the outputs of `rows`, linear modules, and the inputs of `columns`, one that reads
    them; a module of `rows` with several times as many outputs has them one after the other.

    Example: of BERT's feed-forward network, unit 5 is row 5 of `intermediate.dense` with its bias, and column
    5 of `output.dense`. Of the 384 units of MiniLM's attention, head 0 has the first 32.
    """

    modules: tuple[str, ...]
    rows: tuple[str, ...]
    columns: str


@dataclass(frozen=True)
class Places:
    """The layer that makes the outputs (`head`), and what is inside, as far as the network has it.

    `stem`: the module that holds the layers, each of which has `sites` (capture.sites.Site says which there
    are): a module below the layer, and on which side of it the values pass. `embeddings`: the module whose
    output the first layer reads. A network without attention has no `heads`, and without layers of one width
    no `layers`. `attends`: how the weights of a layer follow from its queries and keys where that is not
    softmax(QK^T / sqrt(d)) over all tokens: with turned positions, or of neighbours only. `attention`, `mlp`:
    the halves of each layer. `before`: modules, besides `embeddings`, that come before the first layer.

    Example: Places(head="head", embeddings="embed", stem="layers", layers=2, heads=4, hidden_size=64,
    sites={"query": ("attention.query", "output"), "key": ("attention.key", "output")}).
    """

    head: str
    embeddings: str = ""
    stem: str = ""
    layers: int = 0
    heads: int = 0
    hidden_size: int = 0
    sites: Mapping[str, tuple[str, Side]] = field(default_factory=dict)
    attends: Attends | None = None
    attention: Half | None = None
    mlp: Half | None = None
    before: tuple[str, ...] = ()
