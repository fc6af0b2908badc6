"""Parts of the network that put out nothing in a window of a training's steps."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from typing import Any

import lightning.pytorch as pl
from torch import nn

from qa_research.capture.components import Silence, named, silencing
from qa_research.capture.forward import changed

KEY = "train.silence"


@dataclass(frozen=True)
class Window:
    """The steps after `since` and up to `until` (None: to the end), in which `parts` are silent.

    They have no gradient there, but an optimizer with momentum and weight decay still moves their weights.
    """

    parts: Sequence[str]
    since: int
    until: int | None
    how: Silence

    def holds(self, step: int) -> bool:
        """Whether they are silent in the step with this number, from 1."""
        return step > self.since and (self.until is None or step <= self.until)

    def on(self, network: nn.Module) -> AbstractContextManager[None]:
        """A context in which the parts of a network are silent.

        Raises:
            ValueError: it has no such part.
        """
        return changed(network, silencing(named(self.parts, network, f"{KEY}:"), network, self.how))

    def at(self, step: int, network: nn.Module) -> AbstractContextManager[None]:
        """A context in which the network is as in this step: its parts are silent, or nothing is."""
        return self.on(network) if self.holds(step) else nullcontext()


def window_of(train: Mapping[str, Any]) -> Window | None:
    """The window that the section `train` describes; None: nothing is silent.

    Raises:
        ValueError: its keys contradict each other.
    """
    parts, since, until = train["silence"], train["silence_since"], train["silence_until"]
    if parts is None:
        for key in ("silence_since", "silence_until", "silence_with"):
            if train[key] is not None:
                raise ValueError(
                    f"train.{key}={train[key]} says when or how parts are silent, and none is: "
                    "train.silence=[heads.0.0]"
                )
        return None
    if until is not None and until < (since or 0):
        raise ValueError(f"train.silence_until={until} is before train.silence_since={since or 0}")
    return Window(parts, since or 0, until, train["silence_with"] or "zero")


def check_silence(train: Mapping[str, Any], network: nn.Module, is_compiled: bool) -> str | None:
    """A line on what of a network is silent when; None: nothing.

    Raises:
        ValueError: keys that contradict each other, a part that the network does not have, or a network
            whose compiled graph calls no hooks.
    """
    window = window_of(train)
    if window is None:
        return None
    if is_compiled:
        raise ValueError("train.silence does not work with model.compile=true; model.compile=false")
    found = named(window.parts, network, f"{KEY}:")
    names = ", ".join(one.name for one in found) or "nothing"
    end = f" to {window.until}" if window.until is not None else " on"
    how = {"zero": "put out zeros", "mean": "put out their mean over the batch"}[window.how]
    return f"Silent from step {window.since + 1}{end}: {names}, which {how}"


class Silencing(pl.Callback):
    """Hooks silence the parts from the first batch of a window until the validation after its last step.

    So within the window the network is one without them, in training, validation and captures. Has no state:
    a training that is resumed asks the window.
    """

    def __init__(self, window: Window) -> None:
        self.window = window
        self.hooks = ExitStack()
        self.is_silent = False

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        # A training that is resumed may validate first.
        self._set(pl_module, self.window.holds(trainer.global_step))

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        self._set(pl_module, self.window.holds(trainer.global_step + 1))

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._set(pl_module, False)

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        self._set(pl_module, False)

    def _set(self, pl_module: Any, is_silent: bool) -> None:
        if is_silent == self.is_silent:
            return
        self.is_silent = is_silent
        self.hooks.close()
        if is_silent:
            self.hooks.enter_context(self.window.on(pl_module.network))
