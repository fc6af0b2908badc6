"""The weights that a training keeps: the best by a validation score, and those of some steps."""

import json
import logging
import math
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import lightning.pytorch as pl
from annotated_types import Ge, Gt
from torch import nn

from qa_research.files import write_text
from qa_research.runs.checkpoints import BEST, load_network_weights, read_checkpoint
from qa_research.runs.predictions import PREDICTIONS
from qa_research.signals import Signals, Stopped
from qa_research.tasks.learning import LearningModule, TaskData
from qa_research.tasks.task import VALIDATED
from qa_research.training.kept import how_many, kept_until

log = logging.getLogger(__name__)


class Checkpoints(pl.Callback):
    """Writes best.ckpt with its predictions, and step-000050.ckpt and so on.

    `keep_every_n_steps`: null leaves the choice to `keep_weights_mb`, the room for about ten evenly spaced
    steps (see training.kept; null keeps none). `every_n_minutes`: how often the full state is saved, to
    resume from after a crash (null: only when a signal asks for it; see training.resumable).
    `anchors_every_n_steps` and `anchors_mb`: saved states that stay (see training.anchors).
    `predictions`: returns those of the latest validation.
    """

    def __init__(
        self,
        monitor: str,
        mode: Literal["max", "min"],
        keep_every_n_steps: Annotated[int, Ge(1)] | None,
        keep_weights_mb: Annotated[float, Gt(0)] | None,
        every_n_minutes: Annotated[float, Gt(0)] | None,
        anchors_every_n_steps: Annotated[int, Ge(1)] | None,
        anchors_mb: Annotated[float, Gt(0)] | None,
        directory: Path,
        predictions: Callable[[], list[dict[str, Any]]],
    ) -> None:
        self.monitor = monitor
        self.sign = 1.0 if mode == "max" else -1.0
        self.keep_every_n_steps = keep_every_n_steps
        self.keep_weights_mb = keep_weights_mb
        # Of how many steps the training is planned, and how many of them are kept if nobody chose.
        self.total = self.count = 0
        self.every_n_minutes = every_n_minutes
        self.anchors_every_n_steps = anchors_every_n_steps
        self.anchors_mb = anchors_mb
        self.directory = directory
        self.predictions = predictions
        self.best: dict[str, float] = {}
        self.best_step: int | None = None
        # The scores that chose best.ckpt, where its weights have been scored again in float32.
        self.while_training: dict[str, float] | None = None
        self.validated_step = 0
        self.kept_step = 0
        self.replaced_step: int | None = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Remove weights of steps after the one resumed from, and files that a crash left unfinished."""
        step = trainer.global_step
        self.total = int(trainer.estimated_stepping_batches)
        self.count = how_many(weights_bytes(pl_module), self.keep_weights_mb)
        if not step or not trainer.is_global_zero:
            return
        for path in self.directory.glob("step-*.ckpt"):
            if path.stem[5:].isdecimal() and int(path.stem[5:]) > step:
                path.unlink()
        for path in self.directory.glob(".*.tmp"):
            path.unlink()

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        every, step = self.keep_every_n_steps, trainer.global_step
        if not step:
            return
        if every:
            self._keep(trainer, step, step % every == 0)
            return
        before, now = (kept_until(s, self.total, self.count) for s in (step - 1, step))
        self._keep(trainer, step, step in now)
        if trainer.is_global_zero:
            for dropped in {*before} - {*now}:
                self._file(dropped).unlink(missing_ok=True)

    def _keep(self, trainer: pl.Trainer, step: int, is_kept: bool) -> None:
        # All processes must agree whether to save, so none of them looks at the file system.
        if is_kept and step != self.kept_step:
            self.kept_step = step
            trainer.save_checkpoint(self._file(step), weights_only=True)

    def _file(self, step: int) -> Path:
        return self.directory / f"step-{step:06d}.ckpt"

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.sanity_checking:
            return
        step = self.validated_step = trainer.global_step
        scores = _scores(trainer)
        for name, value in scores.items():
            if not math.isfinite(value):
                raise ValueError(
                    f"{name} is {value} at step {step}; the last checkpoint is kept. Try a lower model.lr"
                )
        if self._is_best(scores) or step == self.replaced_step:
            self.best, self.best_step, self.replaced_step = scores, step, None
            trainer.save_checkpoint(self.directory / BEST, weights_only=True)
            if trainer.is_global_zero:
                self._write_predictions()

    def score_again(self, module: LearningModule, data: TaskData, signals: Signals) -> None:
        """Validate best.ckpt in float32, as `evaluate` does, so that both tell the same scores.

        Only needed where a training validates in another precision. `module` has the best weights afterwards.
        A signal to stop ends this; the scores are then those of the training.
        """
        accelerator = module.trainer.accelerator
        module.network.float().load_state_dict(load_network_weights(self.directory / BEST))
        trainer = pl.Trainer(
            accelerator=accelerator,
            devices=1,
            precision="32-true",
            callbacks=[_EndedBySignals(signals)],
            logger=False,
            use_distributed_sampler=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        try:
            trainer.validate(module, datamodule=data, verbose=False)
        except Stopped:
            log.warning(
                "Stopped before the best weights were scored in float32: `qa-research evaluate` may differ"
            )
            return
        self.while_training, self.best = self.best, _scores(trainer)
        self._write_predictions()

    def state_dict(self) -> dict[str, Any]:
        names = ("best", "best_step", "validated_step", "kept_step")
        return {name: getattr(self, name) for name in names}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        for name, value in state_dict.items():
            setattr(self, name, value)
        try:
            step = int(read_checkpoint(self.directory / BEST)["global_step"])
        except (FileNotFoundError, ValueError) as error:
            if self.best:
                log.warning("The next validation counts as the best: %s", error)
                self.best = {}
            return
        # Example: saved at step 100 with best.ckpt of step 80; best.ckpt was replaced at step 120; crash.
        # Resumed from step 100, step 120 must be written again whatever its score, as step 80 is gone.
        self.replaced_step = None if step == self.best_step else step

    def _write_predictions(self) -> None:
        text = json.dumps(self.predictions(), ensure_ascii=False, indent=1)
        write_text(self.directory.parent / PREDICTIONS, text)

    def _is_best(self, scores: dict[str, float]) -> bool:
        if not self.best:
            return True
        return self.sign * scores[self.monitor] > self.sign * self.best[self.monitor]


def weights_bytes(module: nn.Module) -> int:
    """How large a file of a network's weights is, but for its names."""
    return sum(t.numel() * t.element_size() for t in module.state_dict().values())


class _EndedBySignals(pl.Callback):
    """Ends a validation that has no state to save as soon as a signal asks for it."""

    def __init__(self, signals: Signals) -> None:
        self.signals = signals

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        # By now Lightning has installed its own handler for SIGTERM.
        self.signals.listen()

    def on_validation_batch_end(self, *_: Any) -> None:
        if self.signals.stop:
            raise Stopped(self.signals.stop)


def _scores(trainer: pl.Trainer) -> dict[str, float]:
    return {k: float(v) for k, v in trainer.callback_metrics.items() if k.startswith(VALIDATED)}
