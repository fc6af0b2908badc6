"""The exact checkpoint: saved only at the end of an optimizer step, so that a training resumed from it
is the uninterrupted one, bit for bit.
"""

import errno
import logging
import os
import random
import time
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from lightning.pytorch.plugins.io import CheckpointIO
from lightning.pytorch.trainer.states import TrainerFn

from qa_research.files import written_whole
from qa_research.runs.checkpoints import LAST, PREVIOUS, read_checkpoint, seal
from qa_research.signals import Signals, Stopped

log = logging.getLogger(__name__)
# Saved after an epoch's last batch, when Lightning's `batch_idx` may be that of the next epoch already:
# more batches than an epoch can have, so the sampler skips all of it.
WHOLE_EPOCH = 2**62
# What processes ask each other for, as one integer, so that the maximum over ranks is the most urgent
# request. Example: rank 0's clock says SAVE (1), rank 1 received SIGTERM (100 + 15): all ranks get 115,
# save, and stop because of signal 15. SAVE_REQUESTED is SIGUSR1; SAVE is periodic and not shown on screen.
SAVE, SAVE_REQUESTED, STOP = 1, 2, 100


class ExactCheckpoints(pl.Callback):
    """Saves last.ckpt when a signal asks for it and every n minutes; stops when a signal asks for that.

    What is saved is always the state at the end of a step, before the validation that may follow it: an
    unfinished validation is run again from its start. Adds to Lightning's checkpoint the random state of
    every process and the position in the epoch. Must be the last callback: it saves the others' state.
    """

    def __init__(
        self, signals: Signals, every_n_minutes: float | None, directory: Path, run_id: str
    ) -> None:
        self.signals = signals
        self.every_s = float("inf") if every_n_minutes is None else every_n_minutes * 60
        self.directory = directory
        self.run_id = run_id
        self.step = 0
        self.step_ended = True
        self.shared_batches = 0
        # The latest step whose state is on the disk; 0 needs none.
        self.saved_step = 0
        self.saved_at = time.monotonic()
        self.random: list[dict[str, Any]] = []

    def on_sanity_check_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        # By now Lightning has installed its own handler for SIGTERM.
        self.signals.listen()

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.signals.listen()
        self.step = trainer.global_step
        self.saved_at = time.monotonic()
        if self.random:
            set_random_state(self.random[trainer.global_rank])
        self._apply_requests(trainer)

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        # In the middle of an accumulation there are gradients, which a checkpoint does not hold.
        self.step_ended = trainer.global_step != self.step
        if self.step_ended:
            self.step = trainer.global_step
            self._apply_requests(trainer)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.signals.listen()
        # Processes may have different numbers of batches. They can only exchange requests during those
        # that all of them have: with 5 and 4 batches, after each of the first 4.
        self.shared_batches = int(sum(trainer.num_val_batches))
        if trainer.world_size > 1:
            count = torch.tensor(self.shared_batches, device=trainer.strategy.root_device)
            torch.distributed.all_reduce(count, torch.distributed.ReduceOp.MIN)
            self.shared_batches = int(count)

    def on_validation_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        if self.step_ended and batch_idx < self.shared_batches:
            self._apply_requests(trainer)

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        is_fitting = trainer.state.fn == TrainerFn.FITTING
        if is_fitting:
            _set_to_end_of_step(checkpoint["loops"]["fit_loop"])
        within_epoch = is_fitting and not trainer.is_last_batch
        checkpoint["exact"] = {
            "run": self.run_id,
            "step": trainer.global_step,
            "epoch": trainer.current_epoch,
            "batches": trainer.fit_loop.batch_idx + 1 if within_epoch else WHOLE_EPOCH,
            "should_stop": trainer.should_stop,
            "random": _gathered(trainer, random_state()),
        }

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        exact = checkpoint["exact"]
        self.random = exact["random"]
        if len(self.random) != trainer.world_size:
            raise ValueError(
                f"this run was trained with trainer.devices={len(self.random)}, and cannot be resumed "
                f"exactly with {trainer.world_size}; set trainer.devices={len(self.random)}"
            )
        self.step = self.saved_step = exact["step"]
        # train.stop_at was reached, but trainer.min_epochs does not let the training end yet.
        trainer.should_stop = exact["should_stop"]
        untyped: Any = trainer  # Lightning's types do not know its datamodule
        untyped.datamodule.start_at(exact["epoch"], exact["batches"])

    def _apply_requests(self, trainer: pl.Trainer) -> None:
        """Do what signals and the clock ask for, the same in all processes."""
        request = self._requests_across_ranks(trainer)
        if not request:
            return
        if self.step != self.saved_step:
            self._save(trainer, quietly=request == SAVE)
        self.signals.save = False
        self.saved_at = time.monotonic()
        if request > STOP:
            raise Stopped(request - STOP)

    def _requests_across_ranks(self, trainer: pl.Trainer) -> int:
        """The most urgent one: 0 for none, SAVE, SAVE_REQUESTED, or STOP plus the number of a signal."""
        request = 0
        if self.signals.stop:
            request = STOP + self.signals.stop
        elif self.signals.save:
            request = SAVE_REQUESTED
        elif trainer.is_global_zero and time.monotonic() - self.saved_at > self.every_s:
            # Only the first process looks at its clock, as clocks differ.
            request = SAVE
        if trainer.world_size > 1:
            requests = torch.tensor(request, device=trainer.strategy.root_device)
            torch.distributed.all_reduce(requests, torch.distributed.ReduceOp.MAX)
            request = int(requests)
        return request

    def _save(self, trainer: pl.Trainer, quietly: bool) -> None:
        started = time.perf_counter()
        trainer.save_checkpoint(self.directory / LAST, weights_only=False)
        self.saved_step = self.step
        elapsed = time.perf_counter() - started
        log.info("Saved step %d in %.1f s", self.step, elapsed, extra={"file_only": quietly})


def random_state() -> dict[str, Any]:
    """The state of all global generators of this process, as tensors and plain types."""
    name, keys, position, has_gauss, gauss = np.random.get_state()
    version, words, next_gauss = random.getstate()
    state: dict[str, Any] = {
        "python": {"version": version, "words": list(words), "gauss": next_gauss},
        "numpy": {
            "name": str(name),
            "keys": torch.from_numpy(np.asarray(keys).astype(np.int64)),
            "position": int(position),
            "has_gauss": int(has_gauss),
            "gauss": float(gauss),
        },
        "torch": torch.get_rng_state(),
    }
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state()
    if torch.backends.mps.is_available():
        state["mps"] = torch.mps.get_rng_state()
    return state


def set_random_state(state: dict[str, Any]) -> None:
    """Set all global generators to a state that `random_state` returned."""
    python, numpy = state["python"], state["numpy"]
    random.setstate((python["version"], tuple(python["words"]), python["gauss"]))
    keys = numpy["keys"].numpy().astype(np.uint32)
    np.random.set_state(
        (numpy["name"], keys, numpy["position"], numpy["has_gauss"], numpy["gauss"])
    )
    torch.set_rng_state(state["torch"])
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"])
    if "mps" in state and torch.backends.mps.is_available():
        torch.mps.set_rng_state(state["mps"])


def _gathered(trainer: pl.Trainer, state: dict[str, Any]) -> list[dict[str, Any]]:
    if trainer.world_size == 1:
        return [state]
    states: list[Any] = [None] * trainer.world_size
    torch.distributed.all_gather_object(states, state)
    return states


def _set_to_end_of_step(loop: dict[str, Any]) -> None:
    """Rewrite the counters of Lightning's fit loop: a step is done, and nothing that follows it is.

    From its counters Lightning guesses where a save took place. Example: an epoch of 10 batches, 4 of
    them a step; batch 4 has just made the first step, and a validation of 3 batches is due.

                                         training batches               validation batches
                                         started  processed  completed  started  processed
        saved in on_train_batch_end            4          4          3        0          0
        saved in the validation                4          4          4        2          1
        rewritten                              4          4          4        1          0

    Resumed from the first, it would skip the validation, as if that had come before the save; from the
    second, it would count 2 batches of the validation as done. "All training batches completed, and one
    validation batch started but not processed" makes it run the validation, if one is due, from its
    first batch, and then train on batch 5.
    """
    batches = loop["epoch_loop.batch_progress"]
    for part in ("total", "current"):
        batches[part]["completed"] = batches[part]["processed"]
    validation = loop["epoch_loop.val_loop.batch_progress"]
    for part in ("total", "current"):
        validation[part] = {"ready": 1, "started": 1, "processed": 0, "completed": 0}
    validation["is_last_batch"] = False


class DurableCheckpointIO(CheckpointIO):
    """Writes to a temporary file, syncs and renames it. The old last.ckpt becomes previous.ckpt.

    Damage is found by the checksum of the whole file that it ends with.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None
    ) -> None:
        target = Path(path)
        try:
            with written_whole(target, "w+b", durable=True) as file:
                torch.save(checkpoint, file)
                seal(file)
                if target.name == LAST and target.exists():
                    # previous.ckpt may only be replaced once the new state is on the disk.
                    file.flush()
                    os.fsync(file.fileno())
                    _keep_as(target.with_name(PREVIOUS), target)
        except (OSError, RuntimeError) as error:
            raise _could_not_write(target, error) from error

    def load_checkpoint(
        self, path: Any, map_location: Any = None, weights_only: bool | None = True
    ) -> dict[str, Any]:
        # Not mapped: the optimizer goes on writing to its tensors, and the file is replaced meanwhile.
        return read_checkpoint(Path(path), mmap=False)

    def remove_checkpoint(self, path: Any) -> None:
        Path(path).unlink(missing_ok=True)


def _could_not_write(target: Path, error: OSError | RuntimeError) -> OSError:
    """The disk's own reason, which torch may have wrapped, and what can still be resumed from."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, OSError):
        cause = cause.__context__
    number = errno.EIO if cause is None or cause.errno is None else cause.errno
    reason = str(error).splitlines()[0] if cause is None else os.strerror(number)
    intact = f"; the previous {target.name} is intact" if target.exists() else ""
    return OSError(number, f"{target} could not be written ({reason}){intact}")


def _keep_as(previous: Path, target: Path) -> None:
    """Make `previous` a second name of `target`, so that one of the two exists at all times."""
    second = previous.with_name(f".{previous.name}.tmp")
    second.unlink(missing_ok=True)
    try:
        os.link(target, second)
    except OSError:
        # The file system has no hard links: until the new file is renamed, only previous.ckpt exists.
        os.replace(target, previous)
        return
    os.replace(second, previous)
