"""The launcher behind `python train.py` and `qa-research train`: Hydra, signals, plain errors.

Exit codes: 0 done, 1 a training failed, 2 the request cannot be carried out (one sentence says why),
130 stopped by Ctrl-C, 143 by SIGTERM.

What Lightning starts beside the first process of `qa-research train trainer=ddp`.
"""

import os
import shlex
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from qa_research.console import start_logging
from qa_research.launch.compose import conf_directory, plain_sentence
from qa_research.launch.sweep import (
    Sweep,
    SweepStart,
    SweepStoppedError,
    is_stopped,
    read_outcomes,
    table,
    write_outcome,
)
from qa_research.signals import REQUEUEING, Signals, Stopped, leave, receiving_signals

# Hydra then raises instead of printing and leaving; the sentences are ours to say.
os.environ["HYDRA_FULL_ERROR"] = "1"

USER_ERRORS = (ValueError, OSError)
_refusals: list[Exception] = []
CHILD = Path(__file__)


def main() -> int:
    """Compose a config from the command line and train; the exit code."""
    debug = "--debug" in sys.argv
    sys.argv = [word for word in sys.argv if word != "--debug"]
    SweepStart.current = None
    launch: Any = hydra.main(
        version_base="1.3", config_path=str(conf_directory()), config_name="train"
    )(_job)
    with Signals() as signals:
        SweepStart.signals = signals
        code = _in_a_sentence(launch, debug)
    sweep: Sweep | None = getattr(SweepStart, "current")  # noqa: B009 - set by Hydra meanwhile
    if sweep is not None:
        code = _end_sweep(sweep, code, signals)
    elif code > 128:
        leave(code)
    return code


def _end_sweep(sweep: Sweep, code: int, signals: Signals) -> int:
    """Show what became of the jobs; the exit code."""
    outcomes = read_outcomes(sweep.directory)
    print(f"\n{table(outcomes, sweep.planned)}", file=sys.stderr)
    stops = [signal.Signals[o.error] for o in outcomes if o.status == "interrupted" and o.error]
    if signals.stop or stops:
        code = 128 + (signals.stop or stops[0])
    if code > 128:
        print(f"Go on with: {_command()}", file=sys.stderr)
    return code


def _in_a_sentence(work: Callable[[], object], debug: bool) -> int:
    """Do it; the exit code. What went wrong is said in one sentence."""
    start_logging()
    _refusals.clear()
    try:
        work()
        if _refusals:
            raise _refusals[0]
    except BrokenPipeError:
        # Whoever read our output has left, as `| head` does.
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
        return 1
    except Stopped as stopped:
        if SweepStart.current is None:
            print(f"Stopped by {stopped}. Go on with: {_command()}", file=sys.stderr)
        return stopped.exit_code
    except (HydraException, OmegaConfBaseException, *USER_ERRORS) as error:
        if debug:
            raise
        if not _was_said():
            print(f"qa-research: {plain_sentence(error)}", file=sys.stderr)
        return 2
    except SweepStoppedError:
        return 0
    except Exception as error:
        if debug or SweepStart.current is None:
            raise
        if not _was_said():
            # The launcher's own, as when the system kills a worker.
            print(f"qa-research: {type(error).__name__}: {plain_sentence(error)}", file=sys.stderr)
        return 1
    return 0


def _was_said() -> bool:
    """Whether this is the failure of a sweep's job, which was said when it happened."""
    if SweepStart.current is None:
        return False
    return any(o.status == "failed" for o in read_outcomes(SweepStart.current.directory))


def _command() -> str:
    """What goes on: what was typed, fit for a shell, without the wish to begin again."""
    first = (
        "qa-research train" if sys.argv[0] == str(CHILD) else f"python {shlex.quote(sys.argv[0])}"
    )
    return " ".join(
        [first, *(shlex.quote(w) for w in sys.argv[1:] if not w.startswith("train.resume="))]
    )


def _launcher() -> str:
    """The class of the launcher of this sweep."""
    return str(HydraConfig.get().launcher._target_)


def _job(config: DictConfig) -> float | None:
    """One training, alone or in a sweep."""
    # Torch and Lightning are slow to import, and --help needs neither.
    from qa_research.training.story import train

    if HydraConfig.get().mode != RunMode.MULTIRUN:
        try:
            return train(config)
        except USER_ERRORS as error:
            # Raised, Hydra would say more of it than the sentence.
            _refusals.append(error)
            return None
    # Each job of a sweep has a train.log of its own.
    start_logging()
    if is_stopped():
        raise SweepStoppedError("not begun: this sweep was stopped")
    return _job_of_sweep(config)


def _job_of_sweep(config: DictConfig) -> float:
    """A training whose outcome is written, and whose failure is said when it happens."""
    from qa_research.training.story import train

    try:
        if config.trainer.devices != 1:
            raise ValueError(
                "a sweep runs with one process a training (trainer.devices=1); start trainings of "
                "several processes one by one"
            )
        # A worker of joblib's is deaf between its jobs.
        with receiving_signals():
            score = train(config)
    except Stopped as stopped:
        if stopped.score is None:
            write_outcome("interrupted", None, str(stopped), config)
        else:
            write_outcome("done", stopped.score, None, config)
        if _launcher().endswith(".BasicLauncher"):
            raise
        if stopped.number == REQUEUEING:
            # All is saved; now submitit, which listened before, has the job queued again.
            os.kill(os.getpid(), stopped.number)
        # Elsewhere only an exception finds its way back, and the other jobs are still saving.
        raise SweepStoppedError(str(stopped)) from None
    except Exception as error:
        sentence = plain_sentence(error)
        if not isinstance(error, USER_ERRORS):
            traceback.print_exc()
        print(f"qa-research: {sentence}", file=sys.stderr)
        write_outcome("failed", None, sentence, config)
        raise
    write_outcome("done", score, None, config)
    return score


if __name__ == "__main__":
    # Python puts this file's folder first, where its modules would pass for top-level ones.
    sys.path.pop(0)
    sys.exit(main())
