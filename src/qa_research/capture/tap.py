"""Taking what passes through modules, without changing them."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from qa_research.capture.places import Side

Key = TypeVar("Key")


@dataclass(frozen=True)
class Point:
    """A side of a module, and what is kept of what passes there."""

    module: nn.Module
    side: Side
    keep: Callable[[Tensor], Tensor] = Tensor.detach


@contextmanager
def tap(points: Mapping[Key, Point]) -> Iterator[dict[Key, Tensor]]:
    """A dict that fills with the input or output of modules while their network runs.

    Values are those of the latest call. No hook is left afterwards, also where the network raised. Modules
    inside a compiled graph are not seen: call `network.forward`.
    """
    found: dict[Key, Tensor] = {}
    with ExitStack() as hooks:
        for key, point in points.items():
            hooks.callback(_listen(point, found, key).remove)
        yield found


def _listen(point: Point, found: dict[Key, Tensor], key: Key) -> RemovableHandle:
    if point.side == "input":

        def before(_: nn.Module, inputs: tuple[Any, ...]) -> None:
            found[key] = point.keep(inputs[0])

        return point.module.register_forward_pre_hook(before)

    def after(_: nn.Module, __: tuple[Any, ...], output: Any) -> None:
        found[key] = point.keep(output[0] if isinstance(output, tuple) else output)

    return point.module.register_forward_hook(after)


@contextmanager
def changed_inputs(
    changes: Mapping[nn.Module, Callable[[Tensor], Tensor]],
) -> Iterator[None]:
    """While it lasts, each module is given what its function makes of its first input."""
    with ExitStack() as hooks:
        for module, change in changes.items():

            def before(
                _: nn.Module,
                inputs: tuple[Any, ...],
                change: Callable[[Tensor], Tensor] = change,
            ) -> tuple[Any, ...]:
                return (change(inputs[0]), *inputs[1:])

            hooks.callback(module.register_forward_pre_hook(before).remove)
        yield
