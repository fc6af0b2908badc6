"""The story of a run, top to bottom: config, questions, network, what is there already, training, result."""

import logging
import os
import signal
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig

from qa_research.console import log_to_file
from qa_research.launch.compose import checked
from qa_research.runs.checkpoints import LAST, PREVIOUS
from qa_research.runs.directory import check_free, check_writable, is_finished, lock, run_directory
from qa_research.runs.index import keep_record
from qa_research.signals import Signals, Stopped
from qa_research.streams import stream_seed
from qa_research.training.claim import Claim, claim, start_or_resume
from qa_research.training.record import add_ending, add_result, new_record, write_model
from qa_research.training.setup import Loaded, check_disk, load
from qa_research.training.summary import describe, show_result, time_until_training
from qa_research.training.trainer import (
    Start,
    TrainerBundle,
    make_trainer,
    without_expected_warnings,
)

log = logging.getLogger(__name__)
# How the first process of a distributed training tells the others what to go on from.
RESUME_FROM = "QA_RESEARCH_RESUME_FROM"


def train(config: DictConfig) -> float:
    """Train what a composed config asks for; the best monitored score (by default F1 in percent).

    A finished run of the same config is reported and not repeated; an interrupted one goes on.

    Raises:
        ValueError, OSError: the request cannot be carried out; no run has been changed then.
        Stopped: a signal asked to leave, and what had to be saved is saved.
    """
    plain = checked(config)
    return train_in(run_directory(plain), plain)


def train_in(directory: Path, plain: dict[str, Any]) -> float:
    """`train` for a config of plain values and a run that lies in `directory`."""
    with Signals() as signals:
        if _is_child_process():
            return _train_beside(directory, plain, signals)
        wish = plain["train"]["resume"]
        reports = wish != "never" and is_finished(directory)
        if not reports:
            check_writable(directory)
            check_free(directory)
        loaded = load(plain)
        with nullcontext() if reports else lock(directory):
            found = claim(directory, wish, loaded.fingerprints(), loaded.shapes())
            if found.record and found.is_finished:
                log.info("This run is finished; train.resume=never trains it again.")
                show_result(directory, found.record)
                return float(found.record["best"][plain["checkpoint"]["monitor"]])
            if reports:
                raise ValueError(f"{directory} has changed since this began; start again")
            score = _train_claimed(directory, loaded, found, signals)
        # Asked for when there was nothing left to stop; what comes after this run is not begun.
        signals.check(score)
    return score


def _train_claimed(directory: Path, loaded: Loaded, found: Claim, signals: Signals) -> float:
    """Begin or go on, train, and write down how it ended."""
    plain = loaded.plain
    loaded.cut()
    signals.check()
    record = found.record if found.record and found.point else new_record(loaded)
    machinery = make_trainer(
        plain,
        directory,
        Start(record["id"], signals, found.step, loaded.validation_names(), loaded.capture),
    )
    check_disk(directory, loaded.module.network, plain["checkpoint"])
    # From here on nobody is interrupted: a training sees for itself that it has to stop.
    with signals.deferred(), start_or_resume(directory, plain, record, found):
        log_to_file(directory / "train.log")
        if not found.point:
            write_model(directory, loaded.module.network, loaded.module.tokenizer)
        log.info("Run: %s", directory)
        describe(loaded.data, loaded.module, loaded.report)
        if found.point:
            log.info("Going on after step %d (%s)", found.step, found.point.path.name)
        try:
            score = _fit(loaded, machinery, str(found.point.path) if found.point else None)
        except BaseException as error:
            add_ending(record, error, machinery, found.step)
            if record["steps"]:
                keep_record(directory, record, plain)
            if not isinstance(error, Stopped):
                _end_other_processes(machinery)
            raise
        add_result(record, machinery)
        keep_record(directory, record, plain)
        (directory / "checkpoints" / PREVIOUS).unlink(missing_ok=True)
    show_result(directory, record)
    return score


def _fit(loaded: Loaded, machinery: TrainerBundle, path: str | None) -> float:
    trainer, checkpoints, seed = machinery.trainer, machinery.checkpoints, loaded.plain["seed"]
    rank = trainer.global_rank
    # The global generators belong to dropout alone.
    torch.manual_seed(seed if rank == 0 else stream_seed(seed, "dropout", rank))
    os.environ[RESUME_FROM] = path or ""
    log.info("%s", time_until_training())
    without_expected_warnings(trainer.fit, loaded.module, datamodule=loaded.data, ckpt_path=path)
    steps = trainer.global_step
    # The end of the last epoch may come a step or two after its last validation.
    allowed = 0 if steps == trainer.max_steps else steps / 100
    if steps - checkpoints.validated_step > allowed:
        without_expected_warnings(
            trainer.validate, loaded.module, datamodule=loaded.data, verbose=False
        )
    trainer.save_checkpoint(checkpoints.directory / LAST, weights_only=True)
    return float(checkpoints.best[checkpoints.monitor])


def _train_beside(directory: Path, plain: dict[str, Any], signals: Signals) -> float:
    """What a further process of a distributed training does: the same, and it writes nothing."""
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
            loaded = load(plain)
            loaded.cut()
            start = Start("", signals, 0, loaded.validation_names(), loaded.capture)
            return _fit(loaded, make_trainer(plain, directory, start), path)
    except Stopped:
        # The first process says so, and Lightning kills it if another one leaves with an exit code.
        return float("nan")


def _end_other_processes(machinery: TrainerBundle) -> None:
    """Where this process failed alone, the others would wait for it."""
    if machinery.trainer.strategy.launcher is not None:
        machinery.trainer.strategy.launcher.kill(getattr(signal, "SIGKILL", signal.SIGTERM))


def _is_child_process() -> bool:
    """Whether Lightning started this process beside the first one."""
    return int(os.environ.get("LOCAL_RANK", "0")) > 0 or int(os.environ.get("NODE_RANK", "0")) > 0
