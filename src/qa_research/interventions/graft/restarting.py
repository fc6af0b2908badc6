"""A network that is run again and again on the same batches, from the first layer that is not as it was."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import Tensor, nn

from qa_research.interventions.graft.parts import Masks
from qa_research.model.halves import layered

# What is kept of one network at most: 260 notices of 52 tokens in MiniLM are 21 MB a layer. A network that
# would need more is run whole.
MOST_BYTES = 1_000_000_000

Hook = Callable[[nn.Module, tuple[Any, ...], dict[str, Any]], Any]


class Restarting:
    """Keeps what each layer reads, of each batch, while a network is run with some of its weights replaced.

    If the next state has the same numbers replaced up to a layer, what that layer reads is the same, too: it
    is handed to it, and the layers before are left out. Each state must be run on the same batches.

    Example: 6 layers, and layer 4 is replaced, then layer 5. The second state is as the first before layer 4
    (and as it is without any replacement), so layers 4 and 5 are computed. Of the 64 ways to replace some of
    6 layers, in the order of a tree, layer 0 is computed 2 times, layer 1 4 times ... and layer 5 64 times:
    126 times a layer instead of 384.

    `too_large`: whether all of it is more than MOST_BYTES, as the first run tells; then nothing is kept.
    """

    def __init__(self, network: nn.Module) -> None:
        self.network = network
        built = layered(network)
        self.stem, self.before = built.stem, built.before
        self.layers = list(network.get_submodule(built.stem).children())
        self.last: Masks | None = None
        self.kept: dict[int, list[Tensor]] = {}
        self.too_large = False

    @contextmanager
    def state(self, masks: Masks) -> Iterator[None]:
        """Inside, the network is run once on all batches, with these numbers replaced.

        Its list of layers is shorter meanwhile; afterwards, also after an exception, it is as it was.
        """
        start = self._start(masks)
        kept = {number: some for number, some in self.kept.items() if number <= start}
        # Only what is known to be whole may be used by the next state.
        self.last, self.kept = None, {}
        parent, _, name = self.stem.rpartition(".")
        holder = self.network.get_submodule(parent)
        whole = getattr(holder, name)
        with ExitStack() as undo:
            undo.callback(setattr, holder, name, whole)
            setattr(holder, name, nn.ModuleList(self.layers[start:]))
            for number, hook in self._hooks(start, kept).items():
                layer = self.layers[number]
                undo.callback(
                    layer.register_forward_pre_hook(hook, prepend=True, with_kwargs=True).remove
                )
            yield
        if not self.too_large:
            self.last, self.kept = dict(masks), kept

    def _hooks(self, start: int, kept: dict[int, list[Tensor]]) -> dict[int, Hook]:
        """By layer: what hands to the first one what was kept, and what keeps what those after it read."""
        handing = {start: _handing(kept[start])} if start else {}
        if self.too_large:
            return handing
        later = range(start + 1, len(self.layers))
        return handing | {number: self._keeping(kept, number) for number in later}

    def _keeping(self, kept: dict[int, list[Tensor]], number: int) -> Hook:
        """Keep what a layer reads, of one batch after the other; as soon as it is too much, nothing."""
        kept[number] = []

        def hook(_: nn.Module, inputs: tuple[Any, ...], named: dict[str, Any]) -> None:
            if self.too_large:
                return
            kept[number].append(inputs[0] if inputs else named["hidden_states"])
            if sum(tensor.nbytes for some in kept.values() for tensor in some) > MOST_BYTES:
                self.too_large = True
                kept.clear()

        return hook

    def _start(self, masks: Masks) -> int:
        """The last layer before which everything is as in the state before."""
        if self.last is None:
            return 0
        changed = [name for name in {*masks, *self.last} if not _same(name, masks, self.last)]
        places = [self._layer_of(name) for name in changed]
        return max(min(places, default=len(self.layers) - 1), 0)

    def _layer_of(self, name: str) -> int:
        """The first layer that reads what a tensor made; of the head's, the last layer."""
        if name.startswith(f"{self.stem}."):
            return int(name[len(self.stem) + 1 :].partition(".")[0])
        return 0 if name.startswith(self.before) else len(self.layers) - 1


def _handing(own: list[Tensor]) -> Hook:
    """Let a layer read what was kept, of one batch after the other."""
    batches = iter(own)

    def hook(_: nn.Module, inputs: tuple[Any, ...], named: dict[str, Any]) -> Any:
        kept = next(batches)
        given = inputs[0] if inputs else named["hidden_states"]
        assert kept.shape == given.shape, "each state must be run on the same batches"
        if inputs:
            return (kept, *inputs[1:]), named
        return inputs, {**named, "hidden_states": kept}

    return hook


def _same(name: str, one: Masks, other: Masks) -> bool:
    if (name in one) != (name in other):
        return False
    mine, theirs = one[name], other[name]
    if mine is None or theirs is None:
        return mine is theirs
    return mine is theirs or mine.equal(theirs)
