"""How every task learns: AdamW, a learning rate schedule, and a stop when the loss is not finite."""

import math
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import lightning.pytorch as pl
import torch
from annotated_types import Ge, Gt, Lt
from torch import Tensor, nn

from qa_research.tasks.left_out import Edits

if TYPE_CHECKING:
    from qa_research.model.adapters import Adapters

Decay = Literal["linear", "cosine", "constant"]


def learning_rate_factor(step: int, warmup_steps: int, total_steps: int, decay: Decay) -> float:
    """Fraction of the peak learning rate at `step`, in [0, 1].

    Rises linearly to 1 at `warmup_steps`, then falls to 0 at `total_steps`, linearly or along half a
    cosine, and is 0 after that; `constant` stays at 1. With 10 warm-up steps of 110 and `linear`: 0.5 at
    step 5, 1 at 10, 0.75 at 35, 0 at 110.

    Raises:
        ValueError: the warm-up does not end before the run does.
    Source: Devlin et al. 2019, BERT, appendix A.2; Loshchilov & Hutter 2017, SGDR, for the cosine.
    """
    if warmup_steps >= total_steps:
        raise ValueError(
            f"the warm-up takes {warmup_steps} of {total_steps} steps; lower model.warmup_fraction "
            "or train for longer"
        )
    if step < warmup_steps:
        return step / warmup_steps
    if decay == "constant":
        return 1.0
    done = min((step - warmup_steps) / (total_steps - warmup_steps), 1.0)
    return 1.0 - done if decay == "linear" else 0.5 * (1.0 + math.cos(math.pi * done))


def narrowest(heads: int = 1, **widths: int) -> dict[str, int]:
    """Each width with two units for each head, as rotary positions need; nothing if one has no more.

    >>> narrowest(heads=2, hidden_size=128, intermediate_size=512)
    {'hidden_size': 4, 'intermediate_size': 4}
    >>> narrowest(heads=2, hidden_size=4, intermediate_size=512)
    {}
    """
    least = 2 * heads
    return dict.fromkeys(widths, least) if min(widths.values()) > least else {}


class NonFiniteLossError(ValueError):
    """The loss or its gradient is not finite: training cannot continue."""


@dataclass(frozen=True)
class Share:
    """Parameters that train alike.

    `factor`: what the learning rate after so many steps is multiplied with; 0 while they do not train.
    """

    parameters: Sequence[nn.Parameter]
    factor: Callable[[int], float]


class TaskData(pl.LightningDataModule):
    """The data of a task, whose order of batches a resumed run can enter in the middle."""

    name: str

    def keep_some(self, count: int) -> None:
        """Keep about so many training examples, drawn by the data's seed, for those who need few batches.

        After the data are read, and before batches are made. Data that are quickly prepared may keep all.
        """

    @abstractmethod
    def start_at(self, epoch: int, batches: int) -> None:
        """Let training start in this epoch, after this many of its batches.

        `batches` may be more than the epoch has: then none of it is left.
        """

    @abstractmethod
    def batch_sizes(self, epoch: int) -> Sequence[int]:
        """How many examples each batch of an epoch has, over all processes.

        Of a batch of n examples, process r of w trains on r, r + w, r + 2w, ... of them. One that gets none
        is served another example, which weighs nothing.
        """

    def served_sizes(self, epoch: int) -> Sequence[int]:
        """How many of them are trained on: fewer where examples are left out and their places stay empty.

        A step is still divided by `batch_sizes`, so the others weigh what they would with them.
        """
        return self.batch_sizes(epoch)

    def ids(self) -> list[str]:
        """The id of each training example; several have one where a question has several windows.

        Raises:
            ValueError: these data know no single examples.
        """
        raise ValueError(f"data={self.name} cannot leave out or change single training examples")

    def edit(self, edits: Edits) -> None:
        """Leave out or change training examples from now on, and nothing that was before.

        Raises:
            ValueError: these data know no single examples, one that is named is not there, or their order
                depends on all of them.
        """
        if edits != Edits():
            self.ids()

    def check_order(self, epochs: int) -> None:
        """Once the data are prepared: can they be served so, in so many epochs?

        Raises:
            ValueError: a curriculum does not come to its end, or what is to be left out is not there.
        """

    def order_in_words(self) -> list[str]:
        """A line on the order of batches, if it is not that of any training."""
        return []

    @property
    def wants_losses(self) -> bool:
        """Whether the order of batches depends on the losses of examples."""
        return False

    def note_losses(self, losses: Iterable[tuple[int, float]]) -> None:
        """Take the latest losses of training examples: the place and the loss of each."""


class LearningModule(pl.LightningModule):
    """A LightningModule that optimises `network` with AdamW.

    A subclass makes `network`, and its `training_step` returns `self.share_of_step(loss, batch_idx)`, where
    `loss` is the mean over the batch. A step is then the mean over all of its examples, however they are
    divided among batches and processes: a batch of one weighs an eighth of a batch of eight.
    `shares`: parameters that do not all train alike, the first at the rate that curves show; None: they do.
    `adapters`: what was added to the network; None: nothing.
    """

    network: nn.Module
    adapters: "Adapters | None" = None

    def __init__(
        self,
        lr: Annotated[float, Gt(0)],
        weight_decay: Annotated[float, Ge(0)],
        adam_beta1: Annotated[float, Ge(0), Lt(1)],
        adam_beta2: Annotated[float, Ge(0), Lt(1)],
        adam_epsilon: Annotated[float, Gt(0)],
        warmup_fraction: Annotated[float, Ge(0), Lt(1)],
        decay: Decay,
    ) -> None:
        super().__init__()
        self.lr = lr
        self.weight_decay = weight_decay
        self.betas = (adam_beta1, adam_beta2)
        self.adam_epsilon = adam_epsilon
        self.warmup_fraction = warmup_fraction
        self.decay: Decay = decay
        self.gradient_norm = torch.zeros(())
        self.batch_loss = torch.zeros(())
        self.shares: Sequence[Share] | None = None
        # An epoch, the sizes of its batches, and how many of each are trained on.
        self._sizes: tuple[int, Sequence[int], Sequence[int]] = (-1, (), ())

    @property
    def narrower(self) -> Mapping[str, int]:
        """Settings of the section `model` that make this network as narrow as can be; empty: none do."""
        return {}

    def add(self, adapters: "Adapters", seed: int) -> None:
        """Add small modules to the network, once it is made.

        Raises:
            ValueError: the network is none to which they can be added.
        """
        raise ValueError(
            f"finetuning={adapters.kind} adds to the layers of a network that reads text, and this is a "
            f"{type(self.network).__name__}; finetuning=full trains any"
        )

    def share_of_step(self, loss: Tensor, batch_idx: int) -> Tensor:
        """A batch's mean loss with the weight of its examples. It is checked to be finite with its gradient.

        Lightning divides every loss by `accumulate_grad_batches` and averages gradients over processes. The
        weight makes up for both: n of N examples of a step weigh n / N.

        Example: one process, accumulation over 4 batches of 8; an epoch ends with batches of 8 and 3, which
        are a step of 11. They weigh 4 * 8 / 11 and 4 * 3 / 11, and after Lightning's division by 4, 8 / 11
        and 3 / 11. In a step of 4 full batches every weight is exactly 1.
        """
        self.batch_loss = loss.detach()
        trainer = self.trainer
        epoch = trainer.current_epoch
        if self._sizes[0] != epoch:
            untyped: Any = trainer  # Lightning's types do not know its datamodule
            data: TaskData = untyped.datamodule
            self._sizes = (epoch, data.batch_sizes(epoch), data.served_sizes(epoch))
        _, sizes, served = self._sizes
        batches, processes = trainer.accumulate_grad_batches, trainer.world_size
        first = batch_idx - batch_idx % batches
        total = sum(sizes[first : min(first + batches, int(trainer.num_training_batches))])
        own = len(range(trainer.global_rank, served[batch_idx], processes))
        return loss * (own * batches * processes / total)

    def forget_sizes(self) -> None:
        """Ask the data again how large batches are, as other examples may be left out of them."""
        self._sizes = (-1, (), ())

    def note_losses(self, places: Tensor, losses: Callable[[], Tensor]) -> None:
        """Tell the data what loss each example of a training batch has [example], if it wants to know."""
        untyped: Any = self.trainer  # Lightning's types do not know its datamodule
        data: TaskData = untyped.datamodule
        if data.wants_losses:
            with torch.no_grad():
                own = list(zip(places.tolist(), losses().tolist(), strict=True))
            # All processes make the same order, and each of them may be the one that saves the losses.
            data.note_losses(self.from_all_processes(own))

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip by global norm, and stop before a gradient that is not finite changes the weights."""
        limit = gradient_clip_val or float("inf")
        norm = torch.nn.utils.clip_grad_norm_(self.network.parameters(), limit)
        self.gradient_norm = norm
        # The norm is the same in all processes, so all of them stop. In float16 the loss is checked instead:
        # gradients may overflow, and the scaler then skips the step and lowers its scale.
        checked = self.batch_loss if self.trainer.precision == "16-mixed" else norm
        if not torch.isfinite(checked):
            raise NonFiniteLossError(
                f"the loss is {self.batch_loss.item()} and its gradient's norm {norm.item()} at step "
                f"{self.trainer.global_step + 1}, epoch {self.trainer.current_epoch}, batch "
                f"{self.trainer.fit_loop.batch_idx}; the last checkpoint is kept. Try a lower "
                "model.lr, a longer model.warmup_fraction or trainer.precision=32-true"
            )

    def configure_optimizers(self) -> Any:
        groups, factors = self.parameter_groups(self.shares)
        optimizer = torch.optim.AdamW(
            groups,
            lr=self.lr,
            betas=self.betas,
            eps=self.adam_epsilon,
            # Fused AdamW undoes the loss scaling within its step, so gradients could not be clipped before.
            fused=self.trainer.precision != "16-mixed",
        )
        # A run that only looks has no step.
        total = max(int(self.trainer.estimated_stepping_batches), 1)
        warmup = int(self.warmup_fraction * total)

        def rate(factor: Callable[[int], float]) -> Callable[[int], float]:
            return lambda step: learning_rate_factor(step, warmup, total, self.decay) * factor(step)

        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, list(map(rate, factors)))
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }

    def parameter_groups(
        self, shares: Sequence[Share] | None
    ) -> tuple[list[dict[str, Any]], list[Callable[[int], float]]]:
        """The optimizer's groups where parameters train so, and for each the factor of its rate by step.

        They are the same at every step, and in a resumed training: what does not train has no gradient, and
        so no update.
        """
        parameters = [p for p in self.network.parameters() if p.requires_grad]
        shares = shares or [Share(parameters, lambda _: 1.0)]
        groups: list[dict[str, Any]] = []
        for share in shares:
            groups += self._by_decay(share.parameters)
        return groups, [share.factor for share in shares for _ in range(2)]

    def _by_decay(self, parameters: Sequence[nn.Parameter]) -> Iterator[dict[str, Any]]:
        """Weight decay for matrices, none for biases and normalisation weights (Devlin et al. 2019)."""
        yield {"params": [p for p in parameters if p.ndim > 1], "weight_decay": self.weight_decay}
        yield {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0}

    def from_all_processes(self, own: list[Any]) -> list[Any]:
        """The items of all processes of a distributed training, in the order of their ranks."""
        if self.trainer.world_size == 1:
            return own
        shares: list[Any] = [None] * self.trainer.world_size
        torch.distributed.all_gather_object(shares, own)
        return [item for share in shares for item in share]
