"""What whoever starts a training may ask of it besides its config: to be looked at; and its end at a step."""

from collections.abc import Callable
from typing import Any

import lightning.pytorch as pl
from torch import nn

# Called with the number of optimizer steps done and the network, after each step and before its validation.
# It must change neither weights nor the global random generators: a training that is looked at is the same.
Look = Callable[[int, nn.Module], None]


def both(first: Look, second: Look) -> Look:
    """One look after the other."""

    def look(step: int, network: nn.Module) -> None:
        first(step, network)
        second(step, network)

    return look


class Looking(pl.Callback):
    """Calls a `Look` at the end of each optimizer step, and before the first one."""

    def __init__(self, look: Look) -> None:
        self.look = look
        self.step = -1

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._look(trainer, pl_module)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any
    ) -> None:
        self._look(trainer, pl_module)

    def _look(self, trainer: pl.Trainer, pl_module: Any) -> None:
        if trainer.is_global_zero and trainer.global_step != self.step:
            self.step = trainer.global_step
            self.look(self.step, pl_module.network)


class Ending(pl.Callback):
    """Ends a training after a step, with a validation, as one that has reached `train.stop_at` ends."""

    def __init__(self, until_step: int | None) -> None:
        self.until_step = until_step

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        if self.until_step is not None and trainer.global_step >= self.until_step:
            trainer.should_stop = True
