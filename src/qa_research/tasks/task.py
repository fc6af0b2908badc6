"""What a run needs to know about a task. Everything else about a run is the same for every task.

A task is a folder with its data and its LightningModule, a subclass of `Task`, and configs under conf/.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from typing_extensions import TypedDict

from qa_research.config import build, class_of, constructor_arguments

if TYPE_CHECKING:
    from torch import Tensor, nn

    from qa_research.tasks.learning import LearningModule, TaskData


class Metric(TypedDict):
    """A number that every validation measures, as a config describes it.

    `name`: in metrics.csv and run.json, such as `val/f1`. `label` and `short`: in tables and on the
    progress line. `better`: which of two values is. `per_example`: the key under which each row of
    the predictions holds its share, and `scale` times the mean of these shares is the metric.
    """

    name: str
    label: str
    short: str
    better: Literal["higher", "lower"]
    per_example: str
    scale: float


@dataclass(frozen=True)
class StoredRun:
    """A run on disk with one of its checkpoints.

    `step`: optimizer steps until the checkpoint (None: a foreign file that does not say).
    """

    directory: Path
    checkpoint: Path
    step: int | None
    config: dict[str, Any]
    record: dict[str, Any]


class Task(ABC):
    """One thing to learn: its data, its network, its metrics, and how a run of it is described.

    The arguments of a subclass's constructor that are sections of the config, such as `data` and
    `model`, are passed the objects that these sections describe; all others are keys of the section
    `task` itself. `examples`: what the rows of its data are called, such as `questions`. Use: `load`,
    then `prepare`, then a Trainer with `module` and `data`.
    """

    # What a fingerprint is taken of, by its key, as a sentence about a mismatch names it.
    fingerprinted: ClassVar[Mapping[str, str]]

    data: "TaskData"
    module: "LearningModule"

    # Of any type: to import theirs is to import Lightning, which reading a run back does not need.
    def __init__(self, examples: str, metrics: list[Metric], data: Any, model: Any) -> None:
        self.examples = examples
        self.metrics = metrics
        self.data = data
        self.module = model

    @property
    def network(self) -> "nn.Module":
        """What is trained, once `load` has made it."""
        return self.module.network

    @abstractmethod
    def load(self, cache: Path, seed: int) -> list[str]:
        """Read the data and make the network; what was loaded or newly initialised, a sentence each.

        Raises:
            ValueError, OSError: they cannot be made as the config asks.
        """

    @abstractmethod
    def prepare(self, cache: Path, seed: int) -> None:
        """Turn the data into batches of tensors; slow, and so not part of `load`."""

    @abstractmethod
    def fingerprints(self) -> dict[str, str]:
        """A sha256 for each key of `fingerprinted`."""

    @abstractmethod
    def facts(self) -> dict[str, Any]:
        """What run.json says about the data; always with `data`, its name."""

    @abstractmethod
    def description(self) -> list[str]:
        """What is about to be trained, and on what: lines for the screen and train.log."""

    @abstractmethod
    def measured(self) -> list[str]:
        """The names of everything that a validation measures, in the order of metrics.csv."""

    @abstractmethod
    def progress_text(self, measured: Mapping[str, float]) -> tuple[str, str]:
        """The latest validation in a few words, and what a line of its own adds to them."""

    @abstractmethod
    def predictions(self) -> list[dict[str, Any]]:
        """One JSON object per validation example, after a validation: `id` and what it scored."""

    @abstractmethod
    def result(self, record: Mapping[str, Any]) -> list[str]:
        """The scores of a finished run's record as lines of a table."""

    @abstractmethod
    def next_commands(self, directory: Path, record: Mapping[str, Any]) -> list[tuple[str, str]]:
        """What to do with a finished run: what it is for, and the command."""

    @abstractmethod
    def write_model(self, directory: Path) -> None:
        """Write what `reopen` needs apart from the weights under the run's directory."""

    @classmethod
    @abstractmethod
    def reopen(cls, run: StoredRun, weights: "Mapping[str, Tensor]") -> Any:
        """The trained network of a run, ready to use, made from its directory only.

        Raises:
            ValueError: the weights do not fit its network.
        """

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shapes of the network's tensors by name."""
        return {name: tuple(t.shape) for name, t in self.network.state_dict().items()}

    def better(self, name: str) -> Literal["higher", "lower"]:
        """Which of two values of a measured quantity is better."""
        # `val/f1_match` is the part of `val/f1` for one kind of example.
        fitting = [metric for metric in self.metrics if name.startswith(metric["name"])]
        return fitting[0]["better"] if fitting else "lower"

    def size_of(self, batch: "Mapping[str, Tensor]") -> int:
        """How many examples a batch has."""
        return len(next(iter(batch.values())))

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """The task that a checked config describes, with the objects of its sections."""
        section = config["task"]
        target: type[Self] = class_of("task", section)
        sections = {
            name: build(config[name])
            for name in constructor_arguments(target)
            if name not in section and name in config
        }
        return target(**{k: v for k, v in section.items() if k != "_target_"}, **sections)


def sections_of_task(section: Mapping[str, Any]) -> list[str]:
    """The sections of a config that belong to its task, besides `task` itself."""
    known = constructor_arguments(class_of("task", section))
    return [name for name in known if name not in section]
