"""What a tracker is: where the curves and pictures of a training go, besides its metrics.csv.

A tracker never changes a training: not its numbers, not its identity, not whether it goes on.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from qa_research.runs.directory import flattened, has_no_effect

# The training's own rows of metrics.csv have it; those of validations do not.
LOSS = "train/loss"


@dataclass(frozen=True)
class TrackedRun:
    """A training as trackers know it.

    `id`: of run.json. `step`: the one it is resumed from, 0 for a new one. `scores`: the metrics that a run
    is told by, such as `val/f1`.
    """

    id: str
    name: str
    directory: Path
    config: Mapping[str, Any]
    step: int
    scores: Sequence[str]

    @property
    def settings(self) -> dict[str, bool | int | float | str]:
        """The keys of the config that can change a result, dotted, as the parameters of the run.

        Lists and null are text, as no tracker has a type for them.
        """
        return {
            key: value if isinstance(value, bool | int | float | str) else str(value)
            for key, value in flattened(self.config).items()
            if not has_no_effect(key) and key.rpartition(".")[2] != "_target_"
        }

    def shows(self, row: Mapping[str, Any], step: int) -> bool:
        """Whether trackers get a row of metrics.csv: a validation, or every n-th of the training's own."""
        every = int(self.config["trainer"]["log_every_n_steps"])
        return LOSS not in row or step % every == 0


class Tracker(ABC):
    """`check` before anything slow, `start` when training starts, `finish` when it has ended."""

    # Whether it shows what captures find.
    shows_captures = True
    # Where further files of captures belong, after `start`; None: nowhere.
    folder: Path | None = None

    def check(self) -> None:  # noqa: B027
        """Refuse what cannot work on this machine.

        Raises:
            ValueError: the package is not installed, or a setting does not fit.
        """

    @abstractmethod
    def start(self, run: TrackedRun) -> None:
        """A training starts, or is resumed."""

    @abstractmethod
    def curves(self, values: Mapping[str, float], step: int) -> None:
        """One point of each of these curves; a resumed training gives the latest ones again."""

    def picture(self, tag: str, pixels: NDArray[np.uint8], step: int) -> None:  # noqa: B027
        """A picture, as bytes [height, width, 3]."""

    def histogram(self, tag: str, values: NDArray[Any], step: int) -> None:  # noqa: B027
        """How values are distributed."""

    def graph(self, network: nn.Module, example: Mapping[str, Tensor]) -> None:  # noqa: B027
        """The network as a graph, traced with an input."""

    def sync(self) -> None:  # noqa: B027
        """Make all that was given durable; a checkpoint is about to be saved."""

    @abstractmethod
    def finish(self, best: Mapping[str, float] | None, step: int) -> None:
        """The training has ended after this step with these best scores; None: it was stopped, or failed."""

    def command(self, directory: Path) -> tuple[str, ...] | None:
        """What a person types to see the curves of the run in `directory`; None: nothing to type."""
        return None


class CsvTracker(Tracker):
    """metrics.csv, which every run has, and nothing else."""

    shows_captures = False

    def start(self, run: TrackedRun) -> None:
        pass

    def curves(self, values: Mapping[str, float], step: int) -> None:
        pass

    def finish(self, best: Mapping[str, float] | None, step: int) -> None:
        pass
