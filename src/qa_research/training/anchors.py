"""The saved states that a training keeps at some steps, so that any stretch of it can be trained again."""

from pathlib import Path
from typing import Any

import lightning.pytorch as pl

from qa_research.runs.anchors import anchor_file, anchors_of
from qa_research.training.best import weights_bytes
from qa_research.training.kept import how_many, kept_until

# AdamW has two moments for each weight.
TENSORS_PER_STATE = 3


class Anchors(pl.Callback):
    """Writes anchors/step-000050.ckpt and so on: what last.ckpt holds at the end of these steps.

    `every_n_steps`: null leaves the choice to `budget_mb`, the room for up to ten evenly spaced steps (see
    training.kept; null keeps none). Must come after all callbacks whose state it saves, and before the one
    that a signal has end the training, so that a step at which it ends has its anchor.
    """

    def __init__(self, every_n_steps: int | None, budget_mb: float | None, directory: Path) -> None:
        self.every_n_steps = every_n_steps
        self.budget_mb = budget_mb
        self.directory = directory
        self.total = self.count = 0
        # The latest step that was looked at: an accumulation has several batches.
        self.step = 0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Remove the states of steps after the one resumed from."""
        self.step = trainer.global_step
        self.total = int(trainer.estimated_stepping_batches)
        self.count = anchors_within(state_bytes(pl_module), self.budget_mb)
        if trainer.is_global_zero:
            for anchor in anchors_of(self.directory):
                if anchor.step > self.step:
                    anchor.path.unlink()

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        step = trainer.global_step
        if step == self.step:
            return
        self.step = step
        if self.every_n_steps:
            if step % self.every_n_steps == 0:
                self._keep(trainer)
            return
        before, now = (kept_until(s, self.total, self.count) for s in (step - 1, step))
        # The one that makes room goes first, so that the budget is kept.
        if trainer.is_global_zero:
            for dropped in {*before} - {*now}:
                anchor_file(self.directory, dropped).unlink(missing_ok=True)
        if step in now:
            self._keep(trainer)

    def _keep(self, trainer: pl.Trainer) -> None:
        # All processes save together.
        trainer.save_checkpoint(anchor_file(self.directory, self.step), weights_only=False)


def state_bytes(module: pl.LightningModule) -> int:
    """How large a state is, but for its names: the weights, and two moments for each that trains."""
    weights = weights_bytes(module)
    trained: int = sum(p.numel() * p.element_size() for p in module.parameters() if p.requires_grad)
    return weights + (TENSORS_PER_STATE - 1) * trained


def anchors_within(state: int, budget_mb: float | None) -> int:
    """How many states of so many bytes have room in a budget: up to ten.

    Example: 300 MB have room for one state of MiniLM, 271 MB, and for none of BERT-base, 1.3 GB.
    """
    return how_many(state, budget_mb, fewest=1)
