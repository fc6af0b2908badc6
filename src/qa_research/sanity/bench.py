"""A training laid out to be tried: the config's own data, network, loss and optimizer, without a Trainer.

All is computed in float32, whatever trainer.precision is. What a check does to the weights is undone.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from qa_research.config import build
from qa_research.tasks.task import Task
from qa_research.tasks.wiring import Batch, Wiring

# Optimizer steps that the learning rate's schedule is told of: its warm-up is then at most so many.
PLANNED_STEPS = 100


@dataclass
class StandInTrainer:
    """What a `LearningModule` asks of Lightning's Trainer during a step: one process, whole batches."""

    datamodule: Any
    precision: str = "32-true"
    current_epoch: int = 0
    global_step: int = 0
    global_rank: int = 0
    world_size: int = 1
    accumulate_grad_batches: int = 1
    num_training_batches: int = 1
    estimated_stepping_batches: int = PLANNED_STEPS
    sanity_checking: bool = False
    # A loss that is not finite is refused with the place where it was.
    fit_loop: Any = field(default_factory=lambda: SimpleNamespace(batch_idx=0))


@dataclass(frozen=True)
class Memorised:
    """What learning some examples by heart came to: the loss before and after, the steps and their rate.

    `in_time`: it was not the clock that ended it.
    """

    before: float
    after: float
    steps: int
    rate: float
    in_time: bool


@dataclass
class Bench:
    """A prepared task with batches of its training data.

    `examples`: (id, content) of all examples of `train` and `validation`, as `Wiring.examples` has them.
    `batches`: the first ones of an epoch over a sample of the training data. `tried`: a few rows of each, for
    what a large network would compute too slowly of all. `few`: one batch of ten examples at most that have
    a label to learn. `initial`: the weights that all checks start from. `report`: how the network was made.
    """

    task: Task
    wiring: Wiring
    config: Mapping[str, Any]
    examples: Mapping[str, Sequence[tuple[str, Any]]] = field(repr=False)
    batches: Sequence[Batch]
    tried: Sequence[Batch]
    few: Batch
    initial: dict[str, Tensor] = field(repr=False)
    report: tuple[str, ...] = ()
    # What `memory.memorised` found, which several checks ask for.
    memorised: Memorised | None = None

    @property
    def network(self) -> nn.Module:
        return self.task.network

    @property
    def head(self) -> str:
        """The module that makes the scores: what a network computes last is registered last."""
        return list(self.network.named_parameters())[-1][0].rpartition(".")[0]

    def narrower(self) -> "Bench | None":
        """The same with the narrowest network of its kind; None if no settings of the model make one."""
        sizes = self.task.module.narrower
        if not sizes:
            return None
        task = copy(self.task)
        task.module = build("model", {**self.config["model"], **sizes})
        self.wiring.build(task.module, self.config["seed"])
        return replace(self, task=task, initial=weights_of(task.network), memorised=None)

    @property
    def has_trained_head(self) -> bool:
        """Whether the weights that were loaded have an output layer, which may know the task already."""
        weights = self.config["model"].get("weights", "random")
        return weights != "random" and not any("ewly initialised" in line for line in self.report)

    @property
    def trained(self) -> list[tuple[str, nn.Parameter]]:
        """The parameters that are trained and that the loss is meant to depend on, by name.

        Where `finetuning` lets a part train, or some later, those that train from the first step on.
        """
        shares = self.task.module.shares
        at_first = {id(p) for share in shares or () if share.factor(0) for p in share.parameters}
        return [
            (name, p)
            for name, p in self.network.named_parameters()
            if p.requires_grad
            and not name.startswith(self.wiring.unused)
            and (shares is None or id(p) in at_first)
        ]

    @property
    def learns(self) -> bool:
        """Whether the config takes any optimizer step."""
        return bool(self.config["trainer"].get("max_steps", -1) != 0)

    def loss(self, batch: Batch) -> Tensor:
        """The training loss of a batch, as the module's own `training_step` has it."""
        with self._trainer():
            found: Any = self.task.module.training_step(dict(batch), 0)
        loss: Tensor = found["loss"] if isinstance(found, Mapping) else found
        return loss

    def scores(self, batch: Batch) -> Tensor:
        """The network's output without dropout; see `Wiring.scores`."""
        self.network.eval()
        with torch.no_grad():
            return self.wiring.scores(batch).float()

    def mean_loss(self, batches: Sequence[Batch]) -> float:
        """The mean training loss of batches without dropout."""
        self.network.eval()
        with torch.no_grad():
            return sum(float(self.loss(batch)) for batch in batches) / len(batches)

    def optimizer(self) -> tuple[torch.optim.Optimizer, Callable[[], None]]:
        """The config's own optimizer, and what advances its schedule by a step."""
        with self._trainer():
            made: Any = self.task.module.configure_optimizers()
        # Lightning takes {"optimizer": ..., "lr_scheduler": ...}, ([optimizers], [schedules]), or optimizers.
        schedule: Any = None
        if isinstance(made, Mapping):
            made, schedule = made["optimizer"], made.get("lr_scheduler")
        elif isinstance(made, tuple | list) and isinstance(made[0], list):
            made, schedule = made[0][0], next(iter(made[1]), None)
        elif isinstance(made, tuple | list):
            made = made[0]
        if isinstance(schedule, Mapping):
            schedule = schedule["scheduler"]
        return made, schedule.step if schedule is not None else lambda: None

    def clip(self, optimizer: torch.optim.Optimizer) -> None:
        """Clip gradients as the training does."""
        value = self.config["trainer"].get("gradient_clip_val")
        with self._trainer():
            self.task.module.configure_gradient_clipping(optimizer, value, "norm")

    @contextmanager
    def as_at_first(self) -> Iterator[None]:
        """Whatever is trained inside, the weights are the initial ones before and after."""
        self.network.load_state_dict(self.initial)
        try:
            yield
        finally:
            self.network.load_state_dict(self.initial)
            self.network.zero_grad(set_to_none=True)
            self.network.eval()

    @contextmanager
    def _trainer(self) -> Iterator[None]:
        """Inside, the module has a trainer to ask, and what it logs goes nowhere."""
        module: Any = self.task.module
        sizes = _SizesOf(len(next(iter(self.few.values()))), self.task.data)
        before = module.__dict__.get("_trainer")
        module._trainer = StandInTrainer(sizes)
        module.__dict__ |= {"log": _to_nowhere, "log_dict": _to_nowhere}
        # The sizes of an epoch's batches are kept between steps of a training.
        module._sizes = (-1, ())
        try:
            yield
        finally:
            module._trainer = before
            module._sizes = (-1, ())
            del module.__dict__["log"], module.__dict__["log_dict"]


class _SizesOf:
    """Data whose batches all count as whole ones, so that a loss weighs 1; all else is the data's own."""

    def __init__(self, size: int, data: Any) -> None:
        self._size, self._data = size, data

    def batch_sizes(self, epoch: int) -> list[int]:
        return [self._size]

    def served_sizes(self, epoch: int) -> list[int]:
        return [self._size]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._data, name)


def _to_nowhere(*arguments: Any, **options: Any) -> None:
    """Instead of Lightning's `log`, which needs a Trainer."""


def weights_of(network: nn.Module) -> dict[str, Tensor]:
    """A copy of all tensors of a network."""
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def rows_of(batch: Batch, rows: Sequence[int]) -> dict[str, Tensor]:
    """Some rows of a batch."""
    return {name: tensor[list(rows)] for name, tensor in batch.items()}


def first_rows(batch: Batch, count: int) -> dict[str, Tensor]:
    """The first `count` rows of a batch, or all."""
    return {name: tensor[:count] for name, tensor in batch.items()}


def blanked(batch: Batch, wiring: Wiring) -> dict[str, Tensor]:
    """The batch with nothing to read: each token is the same one, and each vector is zero."""
    read = batch[wiring.read]
    # The first token is a special one of every row, such as [CLS].
    same = read[:, :1].expand_as(read) if read.ndim == 2 else torch.zeros_like(read)
    return dict(batch) | {
        wiring.read: same.clone(),
        wiring.mask: torch.ones_like(batch[wiring.mask]),
    }


def padded(batch: Batch, wiring: Wiring, by: int) -> dict[str, Tensor]:
    """The batch with `by` more places on the right, which the mask hides, and something in them."""
    found = dict(batch)
    read = batch[wiring.read]
    for name, tensor in batch.items():
        if tensor.ndim < 2 or tensor.shape[:2] != read.shape[:2]:
            continue
        if name == wiring.mask:
            more = torch.zeros_like(tensor[:, :1]).expand(-1, by)
        elif name == wiring.read:
            # Which token stands in padding must not matter: tokens of the text itself. A batch of vectors
            # has zeros there, and a convolution may count on it.
            more = tensor[:, 1 : 1 + by] * (tensor.ndim == 2)
        else:
            more = tensor[:, -1:].expand(-1, by, *tensor.shape[2:])
        found[name] = torch.cat([tensor, more], dim=1)
    return found
