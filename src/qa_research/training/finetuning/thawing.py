"""Lets the parameters train that a plan says, and no others."""

import logging
from typing import Any

import lightning.pytorch as pl

from qa_research.training.finetuning.plan import Plan

log = logging.getLogger(__name__)


class Thawing(pl.Callback):
    """Sets `requires_grad` before the first batch of each step that a plan says something new about.

    It has no state: a resumed training asks the plan, as one that starts does. What does not train has no
    gradient, so AdamW passes it by: no weight decay, and no moments until it trains.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.trained: list[str] | None = None

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        step = trainer.global_step
        trained = [part.name for part in self.plan.trained(step)]
        if trained == self.trained:
            return
        if self.trained is not None:
            log.info("%s", self.plan.sentence(step))
        self.trained = trained
        (optimizer,) = trainer.optimizers
        for part in self.plan.parts:
            trains = part.name in trained
            for parameter in part.parameters.values():
                parameter.requires_grad_(trains)
                if not trains:
                    parameter.grad = None
                    # Moments of long ago would be stale when it trains again.
                    optimizer.state.pop(parameter, None)
