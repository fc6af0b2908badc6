"""What is kept of a training: last.ckpt, best.ckpt with its predictions, step-000050.ckpt ...

Checkpoints are written to a temporary name, synced, renamed, and hold tensors and plain types only.
"""

import json
import math
import os
import pickle
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

import lightning.pytorch as pl
import torch
from annotated_types import Ge
from lightning.pytorch.plugins.io import CheckpointIO
from torch import Tensor

from qa_research.answer.decode import Answer
from qa_research.answer.score import QuestionScore


class DurableCheckpointIO(CheckpointIO):
    """Writes a checkpoint whole or not at all, and reads it without running foreign code."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None
    ) -> None:
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name}.tmp")
        with temporary.open("wb") as file:
            torch.save(checkpoint, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)

    def load_checkpoint(
        self, path: Any, map_location: Any = None, weights_only: bool | None = True
    ) -> dict[str, Any]:
        loaded: dict[str, Any] = torch.load(path, map_location=map_location, weights_only=True)
        return loaded

    def remove_checkpoint(self, path: Any) -> None:
        Path(path).unlink(missing_ok=True)


class Checkpoints(pl.Callback):
    """Keeps the last and the best state, and weights every n steps (null: none of these)."""

    def __init__(
        self,
        monitor: str,
        mode: Literal["max", "min"],
        keep_every_n_steps: Annotated[int, Ge(1)] | None,
        directory: Path,
    ) -> None:
        self.monitor = monitor
        self.sign = 1.0 if mode == "max" else -1.0
        self.keep_every_n_steps = keep_every_n_steps
        self.directory = directory
        self.best: dict[str, float] = {}
        self.best_step: int | None = None
        self.validated_step: int | None = None
        self.kept_step: int | None = None

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        every, step = self.keep_every_n_steps, trainer.global_step
        # All processes must agree whether to save, so the file system is not asked.
        if every and step and step % every == 0 and step != self.kept_step:
            self.kept_step = step
            trainer.save_checkpoint(self.directory / f"step-{step:06d}.ckpt", weights_only=True)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.sanity_checking:
            return
        self.validated_step = trainer.global_step
        scores = {k: float(v) for k, v in trainer.callback_metrics.items() if k.startswith("val/")}
        if not math.isfinite(scores["val/loss"]):
            raise ValueError(
                f"the validation loss is {scores['val/loss']} at step {trainer.global_step}; what was "
                "saved before is kept. Try a lower model.lr"
            )
        value = self.sign * scores[self.monitor]
        if not self.best or value > self.sign * self.best[self.monitor]:
            self.best, self.best_step = scores, trainer.global_step
            trainer.save_checkpoint(self.directory / "best.ckpt", weights_only=True)
            if trainer.is_global_zero:
                module: Any = pl_module
                path = self.directory.parent / "predictions" / "validation.json"
                write_predictions(path, module.answers, module.scores)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        trainer.save_checkpoint(self.directory / "last.ckpt", weights_only=False)

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best, "best_step": self.best_step}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best, self.best_step = state_dict["best"], state_dict["best_step"]


def write_predictions(path: Path, answers: list[Answer], scores: list[QuestionScore]) -> None:
    """One object a question: what was answered, how sure, and the exact match and F1 it earned."""
    rows = [
        asdict(score) | {"probability": answer.probability, "null_odds": answer.null_odds}
        for answer, score in zip(answers, scores, strict=True)
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(rows, ensure_ascii=False, indent=1), encoding="utf-8")
    os.replace(temporary, path)


def find_checkpoint(directory: Path, which: str) -> Path:
    """The file of the checkpoint `best`, `last`, a step number, or a path.

    Raises:
        FileNotFoundError: there is none; the message lists those that are there.
    """
    if which in ("best", "last"):
        path = directory / f"{which}.ckpt"
    elif which.isdecimal():
        path = directory / f"step-{int(which):06d}.ckpt"
    else:
        path = Path(which).expanduser()
    if path.is_file():
        return path
    found = sorted(p.stem for p in directory.glob("*.ckpt"))
    names = ", ".join(str(int(n[5:])) if n.startswith("step-") else n for n in found)
    raise FileNotFoundError(f"there is no checkpoint {which}; this run has {names or 'none'}")


# What torch's restricted unpickler raises on foreign or damaged bytes.
_UNREADABLE = (
    *(RuntimeError, KeyError, TypeError, ValueError, IndexError, AttributeError, EOFError),
    pickle.UnpicklingError,
)


def load_network_weights(path: Path) -> dict[str, Tensor]:
    """The network's tensors in a checkpoint, under Hugging Face's names.

    Raises:
        ValueError: the file is no checkpoint of ours.
    """
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
        state = checkpoint["state_dict"]
    except _UNREADABLE as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:120]
        raise ValueError(f"{path} is no readable checkpoint of qa_research: {reason}") from error
    return {name.removeprefix("network."): tensor for name, tensor in state.items()}
