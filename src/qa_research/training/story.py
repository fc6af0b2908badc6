"""The story of a run, top to bottom: config, task, what exists already, training, result."""

import logging
import os
import signal
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch

from qa_research.console import log_to_file
from qa_research.runs.checkpoints import LAST, PREVIOUS
from qa_research.runs.directory import (
    check_free,
    check_writable,
    is_finished,
    lock,
    run_directory,
)
from qa_research.runs.index import keep_record
from qa_research.signals import Signals, Stopped
from qa_research.streams import stream_seed
from qa_research.training.claim import Claim, claim, start_or_resume
from qa_research.training.record import add_ending, add_result, new_record
from qa_research.training.setup import Setup, check_disk, set_up
from qa_research.training.summary import show_result, time_until_training
from qa_research.training.trainer import (
    Start,
    TrainerBundle,
    make_trainer,
    without_expected_warnings,
)

log = logging.getLogger(__name__)
# How the first process of a distributed training tells the others what to resume from.
RESUME_FROM = "QA_RESEARCH_RESUME_FROM"


def train(config: dict[str, Any]) -> float:
    """Train what a checked config asks for; the best monitored score (by default F1 in percent).

    A finished run of the same config is reported and not repeated; an interrupted one is resumed.

    Raises:
        ValueError, OSError: the request cannot be carried out; no run has been changed then.
        Stopped: a signal asked to leave, and what had to be saved is saved.
    """
    return train_in(run_directory(config), config)


def train_in(directory: Path, config: dict[str, Any]) -> float:
    """`train` for a run in `directory`."""
    with Signals() as signals:
        if _is_child_process():
            return _train_as_child(directory, config, signals)
        mode = config["train"]["resume"]
        only_reports = mode != "never" and is_finished(directory)
        if not only_reports:
            check_writable(directory)
            check_free(directory)
        setup = set_up(config)
        task = setup.task
        with nullcontext() if only_reports else lock(directory):
            found = claim(directory, mode, task)
            if found.record and found.is_finished:
                log.info("This run is finished; train.resume=never trains it again.")
                show_result(directory, found.record, task)
                return float(found.record["best"][config["checkpoint"]["monitor"]])
            if only_reports:
                raise ValueError(f"{directory} changed while it was being read; start again")
            score = _train_claimed(directory, setup, found, signals)
        # A stop that came too late to stop anything; what would come after this run does not start.
        signals.check(score)
    return score


def _train_claimed(directory: Path, setup: Setup, found: Claim, signals: Signals) -> float:
    """Start or resume, train, and write down how it ended."""
    config, task = setup.config, setup.task
    setup.prepare()
    signals.check()
    record = found.record if found.record and found.point else new_record(setup)
    start = Start(record["id"], signals, found.step, task, setup.capture)
    bundle = make_trainer(config, directory, start)
    check_disk(directory, task.network, config["checkpoint"])
    # From here on no signal interrupts: the training itself checks whether it has to stop.
    with signals.deferred(), start_or_resume(directory, config, record, found):
        log_to_file(directory / "train.log")
        if not found.point:
            task.write_model(directory)
        log.info("Run: %s", directory)
        for line in (*setup.report, *task.description()):
            log.info("%s", line)
        if found.point:
            log.info("Resuming after step %d (%s)", found.step, found.point.path.name)
        try:
            score = _fit(setup, bundle, str(found.point.path) if found.point else None)
        except BaseException as error:
            add_ending(record, error, bundle, found.step)
            if record["steps"]:
                keep_record(directory, record, config)
            if not isinstance(error, Stopped):
                _end_other_processes(bundle)
            raise
        add_result(record, bundle)
        keep_record(directory, record, config)
        (directory / "checkpoints" / PREVIOUS).unlink(missing_ok=True)
    show_result(directory, record, task)
    return score


def _fit(setup: Setup, bundle: TrainerBundle, path: str | None) -> float:
    trainer, checkpoints, seed = bundle.trainer, bundle.checkpoints, setup.config["seed"]
    module, data = setup.task.module, setup.task.data
    rank = trainer.global_rank
    # The global generators belong to dropout only.
    torch.manual_seed(seed if rank == 0 else stream_seed(seed, "dropout", rank))
    os.environ[RESUME_FROM] = path or ""
    log.info("%s", time_until_training())
    without_expected_warnings(trainer.fit, module, datamodule=data, ckpt_path=path)
    steps = trainer.global_step
    # The last epoch may end a step or two after its last validation.
    allowed = 0 if steps == trainer.max_steps else steps / 100
    if steps - checkpoints.validated_step > allowed:
        without_expected_warnings(trainer.validate, module, datamodule=data, verbose=False)
    trainer.save_checkpoint(checkpoints.directory / LAST, weights_only=True)
    return float(checkpoints.best[checkpoints.monitor])


def _train_as_child(directory: Path, config: dict[str, Any], signals: Signals) -> float:
    """What every further process of a distributed training does: train, and write nothing."""
    logging.getLogger("qa_research").setLevel(logging.WARNING)
    if RESUME_FROM not in os.environ:
        raise ValueError(
            "the first process of a training starts the others: trainer=ddp trainer.devices=N, without "
            "torchrun or srun"
        )
    path = os.environ[RESUME_FROM] or None
    try:
        # All processes stop together, at a place where they agree.
        with signals.deferred():
            setup = set_up(config)
            setup.prepare()
            start = Start("", signals, 0, setup.task, setup.capture)
            return _fit(setup, make_trainer(config, directory, start), path)
    except Stopped:
        # The first process reports it; Lightning would kill that one if a child left with an exit code.
        return float("nan")


def _end_other_processes(bundle: TrainerBundle) -> None:
    """Where only this process failed, the others would wait for it."""
    if bundle.trainer.strategy.launcher is not None:
        bundle.trainer.strategy.launcher.kill(getattr(signal, "SIGKILL", signal.SIGTERM))


def _is_child_process() -> bool:
    """Whether Lightning started this process in addition to the first one."""
    return int(os.environ.get("LOCAL_RANK", "0")) > 0 or int(os.environ.get("NODE_RANK", "0")) > 0
