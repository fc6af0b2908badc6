"""What a run needs to know about its task. Everything else about a run is the same for every task.

A task is a folder with its data, its LightningModule and a subclass of `Task`, and has configs under conf/.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NotRequired, Self

from typing_extensions import TypedDict

from qa_research.config import build, class_of, constructor_arguments

if TYPE_CHECKING:
    from torch import Tensor, nn

    from qa_research.tasks.learning import LearningModule, TaskData
    from qa_research.tasks.opened import Opened
    from qa_research.tasks.watching import Watching
    from qa_research.tasks.wiring import Wiring


class Metric(TypedDict):
    """A number that every validation measures, as a config describes it.

    `name`: in metrics.csv and run.json, such as `val/f1`. `label` and `short`: in tables and on the
    progress line. `better`: which of two values is better. `per_example`: the key in each row of the
    predictions that holds this example's contribution; the metric is `scale` times their mean. A metric that
    is no mean has instead `statistic`, a name in `scores.STATISTICS`, and `of`, the keys of its columns: the
    metric is `scale` times that statistic, such as `pearson` of `[prediction, truth]`.
    """

    name: str
    label: str
    short: str
    better: Literal["higher", "lower"]
    scale: float
    per_example: NotRequired[str]
    statistic: NotRequired[Literal["pearson", "spearman", "f1"]]
    of: NotRequired[list[str]]


def keys_of(metric: Metric) -> list[str]:
    """The keys of each row of the predictions that a metric is computed from."""
    return list(metric["of"]) if "statistic" in metric else [metric["per_example"]]


# The scale of metrics in percent, whose differences are shown as points.
PERCENT = 100.0
# A row of predictions may have this key, a whole number: examples with the same one belong together.
PARAGRAPH = "paragraph"
# What a validation measures is named so: examples that chose nothing, and those that choose.
CHOOSES = "choosing/"
VALIDATED = ("val/", CHOOSES)


def better(name: str, metrics: Sequence[Metric]) -> Literal["higher", "lower"]:
    """Which of two values of a measured quantity, such as `choosing/f1_match`, is better."""
    quantity = name.rpartition("/")[2]
    for metric in metrics:
        # `f1_match` is the part of `f1` for one kind of example.
        if quantity.startswith(metric["name"].rpartition("/")[2]):
            return metric["better"]
    # A loss.
    return "lower"


def check_metrics(metrics: Sequence[Metric]) -> None:
    """Refuse metrics that do not say what they are computed from, or say it twice.

    Raises:
        ValueError: the metric.
    """
    for metric in metrics:
        given = [key for key in ("per_example", "statistic", "of") if key in metric]
        if given not in (["per_example"], ["statistic", "of"]):
            raise ValueError(
                f"task.metrics: {metric['name']} must have either per_example, or statistic and of; it has "
                f"{' and '.join(given) or 'neither'}"
            )


@dataclass(frozen=True)
class StoredRun:
    """A run on disk with one of its checkpoints; or, if not `is_run`, a model that was trained elsewhere.

    `step`: optimizer steps until the checkpoint (None: unknown, in a foreign file). `name`: how messages and
    the ledger call it. `results`: the folder for what is found out about it. Of a model that was trained
    elsewhere, `directory` and `checkpoint` are where its weights are, and `config` and `record` have only
    what asking it needs.
    """

    directory: Path
    checkpoint: Path
    step: int | None
    config: dict[str, Any]
    record: dict[str, Any]
    name: str
    results: Path
    is_run: bool

    @property
    def label(self) -> str:
        """What the checkpoint is called: `best`, `step-000050`, `checkpoint-500`, or `model`."""
        if self.is_run:
            return self.checkpoint.stem
        return self.checkpoint.name if self.checkpoint.name.startswith("checkpoint-") else "model"


class Task(ABC):
    """One thing to learn: its data, its network, its metrics, and how a run of it is described.

    A constructor argument of a subclass that is the name of a config section, such as `data` or `model`,
    is passed the object that this section describes; the other arguments are keys of the section `task`.
    `examples`: what the rows of its data are called, such as `questions`. Call `load`, then `prepare`,
    then train `module` with `data`.
    """

    # For each fingerprint, what messages call the thing it is of.
    fingerprinted: ClassVar[Mapping[str, str]]
    # The sections of a config that `reopen` makes objects of; None: all. Others are checked when they are
    # used, because that may import Lightning, which takes seconds.
    reopened: ClassVar[Sequence[str] | None] = None

    # Whether `afterwards` has something to say of a run that only looked, and took no step.
    afterwards_without_steps: ClassVar[bool] = False

    data: "TaskData"
    module: "LearningModule"

    # Untyped, because their types would import Lightning, which reading a run back does not need.
    def __init__(self, examples: str, metrics: list[Metric], data: Any, model: Any) -> None:
        check_metrics(metrics)
        self.examples = examples
        self.metrics = metrics
        self.data = data
        self.module = model

    @property
    def network(self) -> "nn.Module":
        """What is trained; exists after `load`."""
        return self.module.network

    @abstractmethod
    def load(self, cache: Path, seed: int) -> list[str]:
        """Read the data and make the network; a sentence for all that was loaded or newly initialised.

        Raises:
            ValueError, OSError: they cannot be made as the config asks.
        """

    def first_training(self, config: Mapping[str, Any]) -> dict[str, Any] | None:
        """The checked config of another training whose weights this one begins with; None: there is none.

        `config`: of this one. The other one is done first, unless it is finished; `start_from` then has it.
        """
        return None

    def start_from(self, run: StoredRun, weights: "Mapping[str, Tensor]") -> list[str]:
        """After `load`: begin with the weights of the `first_training`; a sentence on each kind of tensor.

        Raises:
            ValueError: they do not fit, or that training had other data.
        """
        raise NotImplementedError

    @abstractmethod
    def prepare(self, cache: Path, seed: int) -> None:
        """Turn the data into batches of tensors; not part of `load` because it is slow."""

    @abstractmethod
    def fingerprints(self) -> dict[str, str]:
        """A sha256 for each key of `fingerprinted`; before `prepare`, of those that are known by then."""

    def check_resumed(self, fingerprints: Mapping[str, str]) -> None:  # noqa: B027
        """After `prepare`: may a run with these fingerprints, perhaps of an earlier version, go on?

        Raises:
            ValueError: its examples were others.
        """

    @abstractmethod
    def facts(self) -> dict[str, Any]:
        """What run.json says about the data; must have the key `data`, its name.

        Under what its examples are called, such as `pairs`: how many each split has. `loss_unit`: of the
        training's loss, such as `nats`.
        """

    @abstractmethod
    def description(self) -> list[str]:
        """The model and the data of a training that starts, as lines for the screen and train.log."""

    @abstractmethod
    def measured(self) -> list[str]:
        """The names of all that a validation measures, in the order of metrics.csv."""

    def may_choose(self) -> list[str]:
        """Those of `measured` that may choose the best weights or end a training: where some examples do so,
        and scores are claimed on others, what is measured on those that choose; else all.
        """
        names = self.measured()
        return [name for name in names if name.startswith(CHOOSES)] or names

    @abstractmethod
    def progress_text(self, measured: Mapping[str, float]) -> tuple[str, str]:
        """The latest validation in a few words, and details for the line that reports it."""

    @abstractmethod
    def predictions(self) -> list[dict[str, Any]]:
        """After a validation: one JSON object per example, with its `id` and its scores."""

    def afterwards(self, is_stopped: Callable[[], bool]) -> dict[str, Any]:
        """After a training, with the best weights in `network`: what run.json says besides the scores.

        It must be quick, and end as soon as somebody wants the program to stop.
        """
        return {}

    @abstractmethod
    def result(self, record: Mapping[str, Any]) -> list[str]:
        """The scores of a finished run's record as lines of a table."""

    @abstractmethod
    def next_commands(self, directory: Path, record: Mapping[str, Any]) -> list[tuple[str, str]]:
        """What to do with a finished run: pairs of a purpose and a command."""

    @abstractmethod
    def write_model(self, directory: Path) -> None:
        """Write everything that `reopen` needs, except the weights, to the run's directory."""

    @classmethod
    @abstractmethod
    def reopen(cls, run: StoredRun, weights: "Mapping[str, Tensor]") -> "Opened[Any]":
        """The trained network of a run, ready to be asked, made only from its directory.

        Raises:
            ValueError: the weights do not fit its network.
        """

    def example(self) -> "dict[str, Tensor] | None":
        """After `prepare`: a small input of the network by argument, to trace it with; None: it is not."""
        return None

    def watching(self, request: int | str | Sequence[str | int]) -> "Watching":
        """After `load`: the examples to look at while the training goes on, `capture.questions` of them.

        `request`: how many, or their ids, or a file; see `tasks.watching.choose_examples`. Equal data gives
        equal examples, whatever the seed of the run.

        Raises:
            ValueError: this task cannot be looked into, or has no such examples.
        """
        raise ValueError(
            f"capture cannot look into a training on {self.examples}; capture=none trains without it"
        )

    def wiring(self) -> "Wiring":
        """After `load`: how batches hang together with examples and the network, to check it.

        `qa-research sanity` refuses a task that does not say it.
        """
        raise NotImplementedError

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shapes of the network's tensors by name."""
        return {name: tuple(t.shape) for name, t in self.network.state_dict().items()}

    def better(self, name: str) -> Literal["higher", "lower"]:
        """Which of two values of a measured quantity is better."""
        return better(name, self.metrics)

    def size_of(self, batch: "Mapping[str, Tensor]") -> int:
        """How many examples a batch has."""
        return len(next(iter(batch.values())))

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """The task that a checked config describes, with the objects of its sections."""
        section = config["task"]
        target: type[Self] = class_of("task", section)
        sections = {
            name: build(name, config[name])
            for name in constructor_arguments(target)
            if name not in section and name in config
        }
        return target(**{k: v for k, v in section.items() if k != "_target_"}, **sections)


def sections_of_task(section: Mapping[str, Any]) -> list[str]:
    """The sections of a config that belong to its task, in addition to `task` itself."""
    arguments = constructor_arguments(class_of("task", section))
    return [name for name in arguments if name not in section]
