"""A stretch of a training again and again in one process, each time with something else changed.

Nothing is written: no validation, no curves, no checkpoints. What is looked at, a `Look` says.
"""

import logging
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch import Trainer

from qa_research.config import build
from qa_research.runs.checkpoints import read_checkpoint
from qa_research.signals import Signals, Stopped
from qa_research.tasks.left_out import Edits
from qa_research.training.finetuning.thawing import Thawing
from qa_research.training.looks import Ending, Look, Looking
from qa_research.training.resumable import DurableCheckpointIO, set_random_state
from qa_research.training.settings import with_units
from qa_research.training.setup import batches_of_epoch, set_up
from qa_research.training.silencing import Silencing, Window
from qa_research.training.trainer import without_expected_warnings


class FromState(pl.Callback):
    """Begins where a whole state was saved, and ends as soon as a signal asks for it."""

    def __init__(self, signals: Signals) -> None:
        self.signals = signals
        self.random: dict[str, Any] = {}

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        exact = checkpoint["exact"]
        (self.random,) = exact["random"]
        untyped: Any = trainer  # Lightning's types do not know its datamodule
        untyped.datamodule.start_at(exact["epoch"], exact["batches"])

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        set_random_state(self.random)
        # By now Lightning has installed its own handler for SIGTERM.
        self.signals.listen()

    def on_train_batch_start(self, *_: Any) -> None:
        if self.signals.stop:
            raise Stopped(self.signals.stop)


class _WithoutCallbacks(DurableCheckpointIO):
    """Reads a state without that of callbacks: curves, checkpoints and captures are not made here."""

    def load_checkpoint(self, *arguments: Any, **options: Any) -> dict[str, Any]:
        return {**super().load_checkpoint(*arguments, **options), "callbacks": {}}


class Reruns:
    """The steps of a run after one of its states, up to another step, to be trained any number of times.

    Without a change each time gives the run's own weights, bit for bit. Only of trainings in one process.
    """

    def __init__(self, config: Mapping[str, Any], state: Path, until: int, directory: Path) -> None:
        self.config = {**config, "capture": None}
        self.state, self.until, self.directory = state, until, directory
        self.first: int = read_checkpoint(state)["exact"]["step"]
        self.setup = set_up(self.config)
        self.setup.prepare()
        self.task = self.setup.task

    def served(self) -> Counter[str]:
        """How often these steps train on each example, by its id, where nothing is left out."""
        exact = read_checkpoint(self.state)["exact"]
        trainer = self.config["trainer"]
        data: Any = self.task.data
        # Refused by data that know no single examples, and so have no batches of them.
        data.ids()
        found: Counter[str] = Counter()
        steps, epoch, begun = self.until - exact["step"], exact["epoch"], exact["batches"]
        while steps > 0:
            batches = data.batches_in(epoch)
            batches = batches[: batches_of_epoch(len(batches), trainer.get("limit_train_batches"))]
            for place in range(begun, len(batches)):
                found.update(batches[place])
                # An accumulation ends with its last batch, or with the epoch.
                is_last = place + 1 == len(batches)
                steps -= is_last or (place + 1) % trainer["accumulate_grad_batches"] == 0
                if steps == 0:
                    return found
            epoch, begun = epoch + 1, 0
        return found

    def train(
        self, look: Look, signals: Signals, edits: Edits | None = None, silent: Window | None = None
    ) -> None:
        """Train them, with examples left out or parts silent; `look` is called after each step.

        Raises:
            ValueError: what is to be left out or silent is not there.
            Stopped: by a signal.
        """
        task, plan = self.task, self.setup.plan
        data: Any = task.data
        data.edit(edits or Edits())
        task.module.forget_sizes()
        callbacks: list[pl.Callback] = [
            *([Thawing(plan)] if plan else []),
            FromState(signals),
            *([Silencing(silent)] if silent else []),
            Looking(look),
            Ending(self.until),
        ]
        for name in ("lightning.pytorch", "lightning.fabric", "lightning"):
            logging.getLogger(name).setLevel(logging.WARNING)
        trainer: Trainer = build(
            "trainer",
            with_units(self.config["trainer"]),
            callbacks=callbacks,
            logger=False,
            plugins=[_WithoutCallbacks()],
            default_root_dir=self.directory,
            limit_val_batches=0,
            use_distributed_sampler=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        with signals.deferred():
            without_expected_warnings(
                trainer.fit, task.module, datamodule=data, ckpt_path=str(self.state)
            )
