"""The story of a run, top to bottom: config, task, what exists already, training, result.

Details are elsewhere: setup makes the objects, claim decides what to resume, trainer connects Lightning.
"""

import logging
import os
import signal
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch

from qa_research.capture.answers import keep_at_end
from qa_research.console import close_log_file, log_to_file
from qa_research.files import naming
from qa_research.garbage import has_started
from qa_research.runs.checkpoints import LAST, PREVIOUS
from qa_research.runs.directory import (
    check_free,
    check_writable,
    is_finished,
    is_held,
    lock,
    run_directory,
)
from qa_research.runs.forks import FORK, origin_of, told_fork
from qa_research.runs.schema import check_has
from qa_research.runs.store import save_record
from qa_research.runs.told import Told, remember
from qa_research.signals import SECONDS_BETWEEN_LOOKS, Signals, Stopped, without_number
from qa_research.streams import stream_seed
from qa_research.training.announcing import ToldSteps, announced
from qa_research.training.claim import (
    ExistingRun,
    check_prepared,
    find_existing,
    start_or_resume,
)
from qa_research.training.disk import check_disk
from qa_research.training.forking import begin_fork, check_can_begin
from qa_research.training.looks import Look
from qa_research.training.record import (
    add_early_end,
    add_result,
    new_record,
    time_until_training,
    told_result,
)
from qa_research.training.setup import Setup, check_mode, set_up
from qa_research.training.trainer import (
    Start,
    TrainerBundle,
    make_trainer,
    without_expected_warnings,
    write_profile,
)

log = logging.getLogger(__name__)
# How the first process of a distributed training tells the others what to resume from.
RESUME_FROM = "QA_RESEARCH_RESUME_FROM"
IS_FINISHED = "This run is finished; train.resume=never trains it again."


def train(config: dict[str, Any], look: Look | None = None) -> float:
    """Train as a checked config describes; the best score of `checkpoint.monitor`.

    A finished run of the same config is reported and not repeated; an interrupted one is resumed.

    Raises:
        ValueError, OSError: the request cannot be carried out; no run has been changed then.
        Stopped: a signal asked to stop, and everything that had to be saved is saved.
    """
    return train_in(run_directory(config), config, look)


def train_in(directory: Path, config: dict[str, Any], look: Look | None = None) -> float:
    """`train` for a run in `directory`. `look`: called after each step, of a training in one process."""
    with Signals() as signals:
        if _is_child_process():
            return _train_as_child(directory, config, signals)
        mode = config["train"]["resume"]
        only_report = mode != "never" and is_finished(directory)
        if not only_report:
            check_writable(directory)
            check_free(directory)
        setup = set_up(config)
        task = setup.task
        if setup.first and not only_report:
            # What is wrong with this training is said before the other one begins.
            if not find_existing(directory, mode, task).record:
                check_mode(task, config["checkpoint"])
            setup.prepare()
            _train_first(setup, setup.first)
        with nullcontext() if only_report else lock(directory):
            existing = find_existing(directory, mode, task)
            if existing.record and existing.is_finished:
                monitor: str = config["checkpoint"]["monitor"]
                check_has(directory / "run.json", existing.record["best"], [monitor])
                log.info("%s", IS_FINISHED)
                return _tell(directory, existing.record, setup)
            if only_report:
                raise ValueError(f"{directory} changed while it was being read; start again")
            score = _train_locked(directory, setup, existing, signals, look)
        # A signal that came too late to stop this run; the rest of a sweep must not start.
        signals.check(score)
    return score


def _train_first(setup: Setup, config: dict[str, Any]) -> None:
    """Do the training whose weights this one begins with, go on with it, or find it finished; and take them.

    If another process is doing it, as in a sweep in parallel, wait for its end.
    """
    directory = run_directory(config)
    if is_held(directory):
        log.info("Waiting for another process, which trains %s", directory)
    while is_held(directory):
        time.sleep(SECONDS_BETWEEN_LOOKS)
    if is_finished(directory):
        log.info("Begins with %s, which is finished", directory)
    else:
        log.info("First the training that this one begins with: %s", directory)
        train_in(directory, config)
        # What follows belongs to another run's train.log.
        close_log_file()
    setup.begin_with(directory)


def _train_locked(
    directory: Path, setup: Setup, existing: ExistingRun, signals: Signals, look: Look | None
) -> float:
    """Start or resume, train, and record how it ended."""
    config, task, point = setup.config, setup.task, existing.resume_point
    origin = origin_of(config) if FORK in config and not point else None
    if not existing.record:
        check_mode(task, config["checkpoint"])
    if origin:
        check_can_begin(origin, config)
    setup.prepare()
    if existing.record and point:
        check_prepared(directory, existing.record, task)
    signals.check()
    record = existing.record if existing.record and point else new_record(setup)
    first_step = existing.step
    if origin:
        record["fork"] = origin.facts(config)
        first_step = origin.anchor.step
    start = Start(
        record["id"], signals, first_step, task, setup.plan, setup.capture, setup.tracker, look
    )
    bundle = make_trainer(config, directory, start)
    check_disk(directory, task.network, config["checkpoint"])
    # From here on signals only set a flag, which the training checks at the end of each step.
    with signals.deferred(), start_or_resume(directory, config, record, existing):
        log_to_file(directory / "train.log")
        if not point:
            task.write_model(directory)
        if origin:
            point = begin_fork(origin, directory, record["id"], setup)
        log.info("Run: %s", directory)
        planned = setup.plan.description() if setup.plan else []
        order = task.data.order_in_words()
        for line in (*setup.report, *task.description(), *order, *planned):
            log.info("%s", line)
        if origin:
            log.info("Forked from %s", told_fork(record["fork"]))
        elif point:
            log.info("Resuming after step %d (%s)", point.step, point.path.name)
        try:
            # Some libraries write on threads of their own, and do not say what.
            with naming(directory):
                _fit(setup, bundle, directory, str(point.path) if point else None)
        except BaseException as error:
            add_early_end(record, error, bundle, first_step)
            if record["steps"]:
                _save_early_end(directory, record, config)
            if not isinstance(error, Stopped):
                _end_other_processes(bundle)
            _end_tracking(bundle)
            raise
        add_result(record, bundle, task)
        save_record(directory, record, config)
        (directory / "checkpoints" / PREVIOUS).unlink(missing_ok=True)
        setup.tracker.finish(record["best"], record["steps"])
        keep_at_end(directory, task)
    return _tell(directory, record, setup)


def _tell(directory: Path, record: dict[str, Any], setup: Setup) -> float:
    """Show what became of a finished run, and keep that for the next time; its best score."""
    score = float(record["best"][setup.config["checkpoint"]["monitor"]])
    lines = told_result(directory, record, setup)
    for line in lines:
        log.info("%s", line)
    remember(setup.composed, directory, setup.inputs, Told([IS_FINISHED, *lines], score))
    return score


def _fit(setup: Setup, bundle: TrainerBundle, directory: Path, resume_from: str | None) -> float:
    """Train to the end, write the final weights, and score the best as `evaluate` does; that score."""
    trainer, seed = bundle.trainer, setup.config["seed"]
    module, data = setup.task.module, setup.task.data
    rank = trainer.global_rank
    # The global generators are used by dropout only; everything else has a stream of its own.
    torch.manual_seed(seed if rank == 0 else stream_seed(seed, "dropout", rank))
    os.environ[RESUME_FROM] = resume_from or ""
    has_started()
    log.info("%s", time_until_training())
    with announced(directory) as announcement:
        if announcement:
            callbacks: list[Any] = vars(trainer)["callbacks"]
            callbacks.insert(0, ToldSteps(announcement))
            capture = setup.config["capture"] or {}
            if "max_step_fraction" in capture:
                announcement.told(capture_budget=capture["max_step_fraction"])
        without_expected_warnings(trainer.fit, module, datamodule=data, ckpt_path=resume_from)
        write_profile(trainer, directory)
        return _finish_fit(setup, bundle)


def _finish_fit(setup: Setup, bundle: TrainerBundle) -> float:
    """Write the final weights of a training, and score the best; that score."""
    trainer, checkpoints = bundle.trainer, bundle.checkpoints
    module, data = setup.task.module, setup.task.data
    steps = trainer.global_step
    if steps == 0:
        # trainer.max_steps=0: a run that only looks.
        without_expected_warnings(trainer.validate, module, datamodule=data, verbose=False)
    # The last epoch may end a step or two after its last validation: of 300 steps, 3 may be unvalidated.
    # A training ended by trainer.max_steps is validated exactly at its end.
    allowed = 0 if steps == trainer.max_steps else steps / 100
    if steps - checkpoints.validated_step > allowed:
        without_expected_warnings(trainer.validate, module, datamodule=data, verbose=False)
    trainer.save_checkpoint(checkpoints.directory / LAST, weights_only=True)
    if trainer.is_global_zero and trainer.precision != "32-true":
        log.info("Scoring the best weights in float32, as `evaluate` does")
        without_expected_warnings(checkpoints.score_again, module, data, bundle.saving.signals)
    return float(checkpoints.best[checkpoints.monitor])


def _save_early_end(directory: Path, record: dict[str, Any], config: dict[str, Any]) -> None:
    """Write how a training ended; what ended it is what must be reported if that fails, too."""
    try:
        save_record(directory, record, config)
    except OSError as error:
        log.error(
            "Could not write how this run ended, so it counts as killed: %s",
            without_number(str(error)),
        )


def _end_tracking(bundle: TrainerBundle) -> None:
    """Close what shows the curves of a training that ended early; that end is what must be reported."""
    try:
        bundle.tracker.finish(None, bundle.trainer.global_step)
    except OSError as error:
        log.error("Could not write the latest curves: %s", without_number(str(error)))


def _train_as_child(directory: Path, config: dict[str, Any], signals: Signals) -> float:
    """What the other processes of a distributed training do: train, and write nothing."""
    logging.getLogger("qa_research").setLevel(logging.WARNING)
    if RESUME_FROM not in os.environ:
        raise ValueError(
            "the first process of a training starts the others: trainer=ddp trainer.devices=N, without "
            "torchrun or srun"
        )
    resume_from = os.environ[RESUME_FROM] or None
    try:
        # All processes stop together, after the same step.
        with signals.deferred():
            setup = set_up(config)
            setup.prepare()
            start = Start("", signals, 0, setup.task, setup.plan, setup.capture, setup.tracker)
            return _fit(setup, make_trainer(config, directory, start), directory, resume_from)
    except Stopped:
        # The first process reports it. Lightning would kill it if a child ended with an exit code.
        return float("nan")


def _end_other_processes(bundle: TrainerBundle) -> None:
    """Kill them, as they would wait for this one if only this one failed."""
    launcher = bundle.trainer.strategy.launcher
    if launcher is not None:
        launcher.kill(getattr(signal, "SIGKILL", signal.SIGTERM))


def _is_child_process() -> bool:
    """Whether Lightning started this process in addition to the first one."""
    return int(os.environ.get("LOCAL_RANK", "0")) > 0 or int(os.environ.get("NODE_RANK", "0")) > 0
