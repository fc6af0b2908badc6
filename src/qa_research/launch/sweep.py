"""How the jobs of a sweep ended: each writes its outcome to a file, and the first process shows a table."""

import json
import math
import statistics
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob
from hydra.experimental.callback import Callback
from omegaconf import DictConfig
from pydantic import TypeAdapter, ValidationError

from qa_research.config import first_fault
from qa_research.files import read_json, write_text
from qa_research.signals import Signals

JOBS = "jobs"
STOPPED = "stopped"
Status = Literal["done", "interrupted", "failed"]


@dataclass(frozen=True)
class Outcome:
    """How a job ended. `score`: the monitored score of a finished run; `error`: why there is none.

    `overrides`: as typed, for this job: ("model.lr=1e-4", "seed=2").
    """

    number: int
    overrides: tuple[str, ...]
    status: Status
    score: float | None
    monitor: str
    error: str | None

    @property
    def group(self) -> tuple[str, ...]:
        """What distinguishes this job from other jobs than its repetitions with other seeds."""
        return tuple(word for word in self.overrides if not word.startswith("seed="))


_OUTCOME = TypeAdapter(Outcome)


class SweepStoppedError(RuntimeError):
    """A job of a parallel sweep was stopped, or did not start because another one was."""


@dataclass(frozen=True)
class Sweep:
    """A sweep as the process that started it knows it; `planned` is None where a search decides."""

    directory: Path
    planned: int | None


@dataclass
class Started:
    """What the launcher and Hydra's callback tell each other: `sweep` is set once one has started."""

    signals: Signals
    sweep: Sweep | None = None


# Hydra constructs the callback itself, from the config, so it cannot be handed the launcher's objects.
_STARTED: ContextVar[Started] = ContextVar("started")


@contextmanager
def watching_for_sweep(signals: Signals) -> Iterator[Started]:
    """Inside, `SweepStart` writes down the sweep that Hydra starts and passes signals on to its jobs."""
    token = _STARTED.set(Started(signals))
    try:
        yield _STARTED.get()
    finally:
        _STARTED.reset(token)


class SweepStart(Callback):
    """Hydra calls this in the process that starts a sweep.

    Where the jobs run in processes of this machine, a signal is passed on to them, and this process
    waits for them: if it ended at once, they would end with it before they have saved.
    """

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        hydra = config.hydra
        is_search = bool(hydra.sweeper.get("params"))
        is_search = is_search or not hydra.sweeper._target_.endswith(".BasicSweeper")
        directory = Path(hydra.sweep.dir).absolute()
        planned = None if is_search else count_jobs(list(hydra.overrides.task))
        started = _STARTED.get()
        started.sweep = Sweep(directory, planned)
        if hydra.launcher._target_.endswith(".JoblibLauncher"):
            (directory / JOBS).mkdir(parents=True, exist_ok=True)
            _start_trackers()
            started.signals.pass_on_to_children(also=(directory / STOPPED).touch)


def _start_trackers() -> None:
    """Start the processes that track workers' resources: starting them unblocks signals in this thread."""
    from multiprocessing import resource_tracker

    from joblib.externals.loky.backend import resource_tracker as joblibs

    resource_tracker.ensure_running()
    joblibs.ensure_running()


def count_jobs(overrides: Sequence[str]) -> int | None:
    """How many combinations the overrides of a sweep ask for; None where only Hydra knows (glob)."""
    parsed = OverridesParser.create().parse_overrides(list(overrides))
    sweeps = [override for override in parsed if override.is_sweep_override()]
    if any(isinstance(override.value(), Glob) for override in sweeps):
        return None
    return math.prod(len(list(override.sweep_string_iterator())) for override in sweeps)


def write_outcome(
    status: Status, score: float | None, error: str | None, config: DictConfig
) -> None:
    """Write how the current job ended; one that was stopped keeps the others from starting."""
    hydra = HydraConfig.get()
    folder = Path(hydra.sweep.dir) / JOBS
    number = int(hydra.job.num)
    outcome = Outcome(
        number, tuple(hydra.overrides.task), status, score, str(config.checkpoint.monitor), error
    )
    write_text(folder / f"{number:05d}.json", json.dumps(asdict(outcome)))
    if status == "interrupted":
        (folder.parent / STOPPED).touch()


def is_stopped() -> bool:
    """Whether another job of this sweep was stopped by a signal."""
    return (Path(HydraConfig.get().sweep.dir) / STOPPED).exists()


def read_outcomes(directory: Path) -> list[Outcome]:
    """The outcomes in a sweep's directory, by number."""
    found = []
    for path in sorted((directory / JOBS).glob("*.json")):
        try:
            found.append(_OUTCOME.validate_python(read_json(path)))
        except ValidationError as error:
            raise ValueError(f"{path} {first_fault(error)}") from error
    return found


def table(outcomes: Sequence[Outcome], planned: int | None) -> str:
    """A line for each combination, over its seeds: how many ended how, and their score."""
    if not outcomes:
        return "No job of this sweep has started."
    groups: dict[tuple[str, ...], list[Outcome]] = {}
    for outcome in outcomes:
        groups.setdefault(outcome.group, []).append(outcome)
    shared = set.intersection(*(set(group) for group in groups))
    monitor = outcomes[0].monitor
    rows: list[tuple[str, ...]] = [("", "done", "failed", "interrupted", monitor)]
    for group, members in groups.items():
        counts = [
            str(sum(m.status == s for m in members)) for s in ("done", "failed", "interrupted")
        ]
        # Hydra keeps the escapes that its grammar needs, as in `package\:name`.
        name = " ".join(w for w in group if w not in shared).replace("\\", "") or "all"
        rows.append((name, *counts, _spread([m.score for m in members if m.score is not None])))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [
        row[0].ljust(widths[0])
        + "".join(f"  {cell.rjust(w)}" for cell, w in zip(row[1:4], widths[1:4], strict=True))
        + f"  {row[4]}"
        for row in rows
    ]
    if shared:
        lines.insert(0, " ".join(word for word in outcomes[0].group if word in shared))
    for outcome in outcomes:
        if outcome.status == "failed":
            lines.append(f"failed: {' '.join(outcome.overrides)}: {outcome.error}")
    if planned is not None and planned > len(outcomes):
        lines.append(f"{planned - len(outcomes)} of {planned} jobs have not started.")
    return "\n".join(line.rstrip() for line in lines)


def _spread(scores: Sequence[float]) -> str:
    """Mean and, over several seeds, standard deviation and range."""
    if not scores:
        return "-"
    if len(scores) == 1:
        return f"{scores[0]:.2f}"
    mean, deviation = statistics.mean(scores), statistics.stdev(scores)
    least, most = min(scores), max(scores)
    return f"{mean:.2f} +- {deviation:.2f} ({len(scores)} seeds, {least:.2f} to {most:.2f})"
