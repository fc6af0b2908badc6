"""The launcher behind `python train.py` and `qa-research train`: one training, or a sweep of them.

Run as a script, this file is also what Lightning starts for each further process of
`qa-research train trainer=ddp`.
"""

import functools
import logging
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, NoReturn

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from qa_research.config import build
from qa_research.console import start_logging
from qa_research.garbage import start_quickly
from qa_research.launch.compose import checked, run_hydra, taken_out, told_of
from qa_research.launch.refusals import REFUSALS, plain_sentence
from qa_research.launch.sweep import (
    Sweep,
    SweepStoppedError,
    is_stopped,
    read_outcomes,
    table,
    watching_for_sweep,
    write_outcome,
)
from qa_research.signals import (
    REQUEUEING,
    Signals,
    Stopped,
    exit_code_of,
    leave,
    receiving_signals,
    stops_unmasked,
    when_parent_ends,
    without_debug,
)
from qa_research.text import command_line, print_note

log = logging.getLogger(__name__)
THIS_SCRIPT = str(Path(__file__))


def main() -> int:
    """Train what the words after a script's name ask for; the exit code."""
    start_quickly()
    words, debug = without_debug(sys.argv[1:])
    return launch(words, debug, script=sys.argv[0])


def launch(words: Sequence[str], debug: bool, script: str = THIS_SCRIPT) -> int:
    """Train what the words ask for; the exit code. `script`: what Lightning starts again."""
    start_logging()
    with Signals() as signals:
        return exit_code_of(
            lambda: _train(words, debug, script, signals), debug, _resume_command(words, script)
        )


def _train(words: Sequence[str], debug: bool, script: str, signals: Signals) -> int:
    """Run one training, or a sweep and its closing table; the exit code."""
    jobs = _Jobs()
    code = 0
    with watching_for_sweep(signals) as started:
        try:
            with stops_unmasked():
                run_hydra(jobs.run, "train", words, script)
        except Stopped as stopped:
            if started.sweep is None:
                raise
            code = stopped.exit_code
        except SweepStoppedError:
            # The table says which job was stopped.
            pass
        except Exception as error:
            if debug or started.sweep is None or isinstance(error, BrokenPipeError):
                raise
            code = _show_failure(error, started.sweep)
    if jobs.refusal is not None:
        raise jobs.refusal
    if started.sweep is None:
        return 0
    return _end_sweep(started.sweep, code, signals, _resume_command(words, script))


def _show_failure(error: Exception, sweep: Sweep) -> int:
    """Say why a sweep ended early; the exit code."""
    is_refusal = isinstance(error, REFUSALS)
    # A job's failure was shown when it happened; this one is the launcher's, as of a killed worker.
    if not any(outcome.status == "failed" for outcome in read_outcomes(sweep.directory)):
        name = "" if is_refusal else f"{type(error).__name__}: "
        print_note(f"qa-research: {name}{plain_sentence(error)}")
    return 2 if is_refusal else 1


def _end_sweep(sweep: Sweep, code: int, signals: Signals, resume_command: str) -> int:
    """Show how the jobs ended; the exit code."""
    outcomes = read_outcomes(sweep.directory)
    print_note(f"\n{table(outcomes, sweep.planned)}")
    stops = [signal.Signals[o.error] for o in outcomes if o.status == "interrupted" and o.error]
    if signals.stop or stops:
        code = 128 + (signals.stop or stops[0])
    if code > 128:
        print_note(f"Resume with: {resume_command}")
    return code


def _resume_command(words: Sequence[str], script: str) -> str:
    """What was typed, quoted for a shell, without a request to start over."""
    typed = ["qa-research", "train"] if script == THIS_SCRIPT else ["python", script]
    return command_line(*typed, *(word for word in words if not word.startswith("train.resume=")))


class _Jobs:
    """The job that Hydra runs. A worker of a sweep gets a pickled copy, so it holds plain values only."""

    def __init__(self) -> None:
        self.refusal: Exception | None = None
        self.started_in = os.getpid()

    def run(self, config: DictConfig) -> float | None:
        """One training, single or of a sweep; its score."""
        if HydraConfig.get().mode == RunMode.MULTIRUN:
            return _run_job_of_sweep(config, self.started_in)
        try:
            return _trained(config)
        except REFUSALS as error:
            # If it were raised here, Hydra would print more than the one sentence.
            is_plain = isinstance(error, (ValueError, OSError))
            self.refusal = error if is_plain else ValueError(plain_sentence(error))
            return None


def _trained(config: DictConfig) -> float:
    """Train as composed, or tell what is known of the finished run; its score."""
    sampling = taken_out(config, "stacks")
    told = told_of(config)
    if told is not None:
        for line in told.lines:
            log.info("%s", line)
        return told.score
    with _sampled(sampling, config):
        # Torch and Lightning are slow to import, and neither --help nor a finished run needs them.
        from qa_research.training.story import train

        return train(checked(config))


def _sampled(section: dict[str, Any] | None, config: DictConfig) -> AbstractContextManager[None]:
    """Inside, this process is sampled if the command has +stacks=default, which no run's config has."""
    if section is None:
        return nullcontext()
    from qa_research.stacks.beside import sampled

    return sampled(build("stacks", section), config.seed, Path(config.paths.runs).expanduser())


def _run_job_of_sweep(config: DictConfig, sweep: int) -> float:
    """A training whose outcome is written to a file, and whose failure is shown when it happens.

    `sweep`: the process that started the sweep. A worker of joblib's stops, as by SIGTERM, when it is gone.
    """
    is_worker = os.getppid() == sweep
    # Each job of a sweep has a train.log of its own.
    start_logging()
    if is_stopped():
        raise SweepStoppedError("not started: this sweep was stopped")
    try:
        if config.trainer.devices != 1:
            raise ValueError(
                "a sweep runs one process per training (trainer.devices=1); start trainings of "
                "several processes one by one"
            )
        # Signals to a worker of joblib's are blocked between its jobs.
        with receiving_signals(), stops_unmasked():
            if is_worker:
                _stop_with(sweep)
            score = _trained(config)
    except Stopped as stopped:
        if is_worker and os.getppid() != sweep:
            write_outcome("interrupted", None, str(stopped), config)
            leave(stopped.exit_code)
        _end_stopped_job(stopped, config)
    except Exception as error:
        sentence = plain_sentence(error)
        if not isinstance(error, REFUSALS):
            traceback.print_exc()
        print_note(f"qa-research: {sentence}")
        write_outcome("failed", None, sentence, config)
        raise
    write_outcome("done", score, None, config)
    return score


@functools.cache
def _stop_with(sweep: int) -> None:
    """Have this worker stopped once the process that started its sweep has ended."""
    when_parent_ends(sweep, lambda: os.kill(os.getpid(), signal.SIGTERM))


def _end_stopped_job(stopped: Stopped, config: DictConfig) -> NoReturn:
    """Write the outcome of a job that a signal stopped, and pass the stop on as its launcher needs it."""
    if stopped.score is None:
        write_outcome("interrupted", None, str(stopped), config)
    else:
        write_outcome("done", stopped.score, None, config)
    if str(HydraConfig.get().launcher._target_).endswith(".BasicLauncher"):
        raise stopped
    if stopped.number == REQUEUEING:
        # All is saved; now submitit, whose handler was there before ours, has the job queued again.
        os.kill(os.getpid(), stopped.number)
    # From another process only an exception finds its way back, and the other jobs are still saving.
    raise SweepStoppedError(str(stopped)) from None


if __name__ == "__main__":
    # Python puts this file's folder first, where its modules would be taken for top-level ones.
    sys.path.pop(0)
    sys.exit(main())
