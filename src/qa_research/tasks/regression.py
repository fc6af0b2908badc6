"""LightningModules whose network says one number of each example, for any task; a class a kind of network."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import numpy as np
import torch
from annotated_types import Ge, Gt, Le, Lt
from numpy.typing import NDArray
from torch import Tensor, nn

from qa_research.model.encoder import EncoderSettings, PositionKind, Sight
from qa_research.model.one_number import (
    ConvolutionalNetwork,
    NumberNetwork,
    Pooling,
    RecurrentNetwork,
    TransformerNetwork,
    UnusedEncoder,
)
from qa_research.model.ridge import RidgeNetwork, solved
from qa_research.scores import STATISTICS
from qa_research.streams import stream_seed
from qa_research.tasks.learning import LearningModule, narrowest
from qa_research.tasks.parted import CHOOSING, SCORED
from qa_research.tasks.regression_data import NumberData

Width = Annotated[int, Ge(1), Le(100_000)]
Layers = Annotated[int, Ge(1), Le(1_000)]
AtOnce = Annotated[int, Ge(1), Le(1_000)]
Dropout = Annotated[float, Ge(0), Lt(1)]
# What a validation measures is named so, by the part that it is of.
MEASURED_OF = {"val": SCORED, "choosing": CHOOSING}


class NumberModule(LearningModule):
    """A network that says one number of each example. Call `build`, then `fit`, then train.

    The loss is the mean squared error, in the label's unit. A batch has `vectors` [example position unit],
    zero where there is padding, `mask` [example position], `label` and `place`, which is in the split.
    `units`: of a vector. `predicted` [example]: of the latest validation; `steps`: updates of a position
    on average, if the network halts.
    """

    network: NumberNetwork
    predicted: NDArray[np.float64]
    steps: NDArray[np.float64] | None = None

    def __init__(
        self,
        name: str,
        weights: Literal["random"],
        units: Annotated[int, Ge(1), Le(100_000)],
        max_positions: Annotated[int, Ge(1), Le(100_000)],
        **settings: Any,
    ) -> None:
        super().__init__(**settings)
        self.name = name
        self.units = units
        self.max_positions = max_positions

    @property
    def halts(self) -> bool:
        """Whether a validation measures how many steps a position takes."""
        return False

    @property
    def measured(self) -> list[str]:
        """The names of all that a validation measures."""
        quantities = ["loss", "pearson", "spearman", *(["steps"] if self.halts else [])]
        return [f"{split}/{quantity}" for split in MEASURED_OF for quantity in quantities]

    @abstractmethod
    def make(self) -> NumberNetwork:
        """The network, from random weights."""

    def build(self, seed: int) -> str:
        """Make the network; a sentence on its weights."""
        with torch.random.fork_rng():
            torch.manual_seed(stream_seed(seed, "init"))
            self.network = self.make()
        return f"Newly initialised: all weights of {self.name}."

    def fit(self, data: NumberData) -> None:
        """Take from the training examples what is not trained: the mean and the spread of their labels."""
        labels = data.labels("train")
        self.network.standardise(float(labels.mean()), float(labels.std()))

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        found = self.network(batch["vectors"], batch["mask"])
        self.note_losses(batch["place"], lambda: (found - batch["label"]) ** 2)
        loss = nn.functional.mse_loss(found, batch["label"]) + self.extra_loss(batch["mask"])
        return self.share_of_step(loss, batch_idx)

    def extra_loss(self, mask: Tensor) -> Tensor | float:
        """What the loss of the latest batch has besides the squared error."""
        return 0.0

    def on_validation_epoch_start(self) -> None:
        self._rows: list[tuple[int, float, float]] = []

    def validation_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        found = self.network(batch["vectors"], batch["mask"])
        steps = self.network.steps_of(batch["mask"])
        if steps is None:
            steps = torch.full_like(found, float("nan"))
        self._rows += zip(batch["place"].tolist(), found.tolist(), steps.tolist(), strict=True)

    def on_validation_epoch_end(self) -> None:
        if self.trainer.sanity_checking:
            return
        untyped: Any = self.trainer  # Lightning's types do not know its datamodule
        data: NumberData = untyped.datamodule
        rows = {place: row for place, *row in self.from_all_processes(self._rows)}
        self.predicted, steps = np.array([rows[place] for place in range(len(rows))]).T
        self.steps = None if np.isnan(steps).any() else steps
        measured: dict[str, float] = {}
        for split, part in MEASURED_OF.items():
            places = data.which(part)
            measured |= correlations(
                split, self.predicted[places], data.labels("validation")[places]
            )
            if self.steps is not None:
                measured[f"{split}/steps"] = float(self.steps[places].mean())
        # Only for the callbacks: what is written, and at which step, is decided in training.metrics.
        self.log_dict(measured, logger=False)


class Recurrent(NumberModule):
    """An RNN or LSTM."""

    def __init__(
        self, kind: Literal["rnn", "lstm"], hidden_size: Width, layers: Layers, **settings: Any
    ) -> None:
        super().__init__(**settings)
        self.kind: Literal["rnn", "lstm"] = kind
        self.sizes = (hidden_size, layers)

    @property
    def narrower(self) -> Mapping[str, int]:
        return narrowest(hidden_size=self.sizes[0])

    def make(self) -> NumberNetwork:
        return RecurrentNetwork(self.kind, self.units, *self.sizes)


class LectureLinear(NumberModule):
    """What a lecture called a transformer: its encoder's output is never used, so it is a linear model."""

    def __init__(self, layers: Layers, **settings: Any) -> None:
        super().__init__(**settings)
        self.layers = layers

    def make(self) -> NumberNetwork:
        return UnusedEncoder(self.units, self.layers, self.max_positions)


class Convolutional(NumberModule):
    """A convolutional network; `at_once`: that a filter reads."""

    def __init__(
        self,
        width: Width,
        at_once: AtOnce,
        layers: Layers,
        pooling: Pooling,
        dropout: Dropout,
        **settings: Any,
    ) -> None:
        super().__init__(**settings)
        self.sizes = (width, at_once, layers)
        self.pooling: Pooling = pooling
        self.dropout = dropout

    @property
    def narrower(self) -> Mapping[str, int]:
        return narrowest(width=self.sizes[0])

    def make(self) -> NumberNetwork:
        return ConvolutionalNetwork(self.units, *self.sizes, self.pooling, self.dropout)


class Transformer(NumberModule):
    """A transformer, or a universal one if `ponder_cost` is not None: then `layers` are the most steps.

    Raises:
        ValueError: the width cannot be divided among the heads.
    """

    def __init__(
        self,
        width: Width,
        heads: Literal[1, 2, 4, 8],
        mlp_width: Width,
        layers: Layers,
        positions: PositionKind,
        sight: Sight,
        window: Annotated[int, Ge(1)],
        at_once: AtOnce,
        pooling: Pooling,
        dropout: Dropout,
        ponder_cost: Annotated[float, Ge(0)] | None,
        **settings: Any,
    ) -> None:
        super().__init__(**settings)
        sizes = (width, heads, mlp_width, layers, positions, self.max_positions)
        self.encoder = EncoderSettings(*sizes, sight, window, dropout)
        self.encoder.check()
        self.at_once = at_once
        self.pooling: Pooling = pooling
        self.ponder_cost = ponder_cost

    @property
    def narrower(self) -> Mapping[str, int]:
        own = self.encoder
        return narrowest(own.heads, width=own.width, mlp_width=own.mlp_width)

    @property
    def halts(self) -> bool:
        return self.ponder_cost is not None

    def make(self) -> NumberNetwork:
        sizes = (self.encoder, self.at_once, self.pooling, self.halts)
        return TransformerNetwork(self.units, *sizes)

    def extra_loss(self, mask: Tensor) -> Tensor | float:
        ponder = self.network.ponder_of(mask)
        if self.ponder_cost is None or ponder is None:
            return 0.0
        return self.ponder_cost * ponder.mean()


class Ridge(NumberModule):
    """Ridge regression, solved when the data is known: trainer.max_steps=0 only looks at it.

    `kmer`: on counts of words of so many letters; None: on letters by place. Of `penalties` the one is kept
    whose squared error on the sequences that choose is least.
    """

    network: RidgeNetwork

    def __init__(
        self,
        kmer: Annotated[int, Ge(1), Le(6)] | None,
        penalties: list[Annotated[float, Gt(0)]],
        weights: Literal["solved"],
        **settings: Any,
    ) -> None:
        super().__init__(weights="random", **settings)
        if not penalties:
            raise ValueError("model.penalties names no penalty")
        self.kmer = kmer
        self.penalties = penalties

    def make(self) -> NumberNetwork:
        return RidgeNetwork(self.units, self.max_positions, self.kmer)

    def build(self, seed: int) -> str:
        super().build(seed)
        return f"Solved in closed form, and not trained: {self.name}."

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        raise ValueError(f"model={self.name} is solved, and not trained: trainer.max_steps=0")

    def fit(self, data: NumberData) -> None:
        super().fit(data)
        solve(self.network, data, self.penalties)


def solve(network: RidgeNetwork, data: NumberData, penalties: list[float]) -> None:
    """Solve a ridge on the training sequences, with the penalty that is best on those that choose."""
    mean, scale = network.label_mean.item(), network.label_scale.item()
    features = {split: _features(network, data, split) for split in ("train", "validation")}
    numbers = {split: (data.labels(split) - mean) / scale for split in ("train", "validation")}
    choosing = data.which(CHOOSING)
    tried = []
    for penalty in penalties:
        weights, bias = solved(features["train"], numbers["train"], penalty)
        found = features["validation"][choosing] @ weights + bias
        error = float(np.square(found - numbers["validation"][choosing]).mean())
        tried.append((error, weights, bias))
    _, weights, bias = min(tried, key=lambda one: one[0])
    network.put_in(weights, bias)


def _features(network: RidgeNetwork, data: NumberData, split: str) -> NDArray[np.float64]:
    """[sequence feature]"""
    batches = data.in_order(split)
    found: NDArray[np.float64] = (
        torch.cat([network.features(batch["vectors"], batch["mask"]) for batch in batches])
        .double()
        .numpy()
    )
    return found


def correlations(
    split: str, predicted: NDArray[np.float64], true: NDArray[np.float64]
) -> dict[str, float]:
    """Mean squared error, Pearson's and Spearman's correlation, as a validation measures them."""
    columns = np.array([predicted, true])
    return {
        f"{split}/loss": float(np.square(predicted - true).mean()),
        f"{split}/pearson": STATISTICS["pearson"].of(columns),
        f"{split}/spearman": STATISTICS["spearman"].of(columns),
    }
