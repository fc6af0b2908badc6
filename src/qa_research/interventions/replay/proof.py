"""Whether steps that were trained again are those of the first time: weights bit for bit, and metrics."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import UInt8
from torch import Tensor, nn

from qa_research.model.weights import tensors_fingerprint
from qa_research.runs.anchors import anchors_of
from qa_research.runs.checkpoints import BEST, LAST, network_weights, read_checkpoint, stated_step
from qa_research.runs.metrics import METRICS, read_metrics


@dataclass(frozen=True)
class TensorDifference:
    """The first tensor, in the network's order, whose values are not the same.

    `numbers`: how many of `of` differ. `largest`: the largest difference of two of them.
    """

    name: str
    numbers: int
    of: int
    largest: float


@dataclass(frozen=True)
class StepProof:
    """The weights at the end of a step. `sha256`: of the weights now; `difference`: None if there is none."""

    step: int
    kept_as: str
    sha256: str
    difference: TensorDifference | None


@dataclass(frozen=True)
class MetricsProof:
    """How many values of metrics.csv were compared, and where the first is not the same: step and column."""

    values: int
    first_difference: tuple[int, str] | None


@dataclass(frozen=True)
class Replayed:
    """Steps of a run that were trained again. `folder`: where they are kept; None: nowhere."""

    run: str
    first: int
    until: int
    seconds: float
    weights: Sequence[StepProof]
    metrics: MetricsProof
    folder: str | None

    @property
    def is_exact(self) -> bool:
        """Whether all that could be compared is the same, and something could be."""
        compared = bool(self.weights) or self.metrics.values > 0
        same = all(step.difference is None for step in self.weights)
        return compared and same and self.metrics.first_difference is None

    def as_json(self) -> dict[str, Any]:
        return {"exact": self.is_exact, **asdict(self)}


def kept_weights(directory: Path, first: int, until: int) -> dict[int, Path]:
    """The file of a run's weights at each step that has one, after `first` and up to `until`."""
    found: dict[int, Path] = {}
    checkpoints = directory / "checkpoints"
    for name in (LAST, BEST):
        if (path := checkpoints / name).is_file():
            step = stated_step(read_checkpoint(path))
            if step is not None:
                found[step] = path
    found |= {anchor.step: anchor.path for anchor in anchors_of(directory)}
    for path in checkpoints.glob("step-*.ckpt"):
        if path.stem[5:].isdecimal():
            found[int(path.stem[5:])] = path
    return {step: found[step] for step in sorted(found) if first < step <= until}


class Witness:
    """Compares the weights of a training that is done again with those that were kept, step by step.

    Call it at the end of each step; see training.looks. Reads nothing but at the steps that have weights.
    """

    def __init__(self, kept: Mapping[int, Path]) -> None:
        self.kept = kept
        self.proofs: list[StepProof] = []

    @property
    def is_exact(self) -> bool:
        """Whether all that was compared is the same; without anything to compare with nothing is known."""
        return bool(self.proofs) and all(proof.difference is None for proof in self.proofs)

    def __call__(self, step: int, network: nn.Module) -> None:
        path = self.kept.get(step)
        if path is None:
            return
        now = {name: tensor.detach().cpu() for name, tensor in network.state_dict().items()}
        then = network_weights(read_checkpoint(path))
        self.proofs.append(
            StepProof(step, path.name, tensors_fingerprint(now), first_difference(then, now))
        )


def first_difference(
    then: Mapping[str, Tensor], now: Mapping[str, Tensor]
) -> TensorDifference | None:
    """The first tensor that differs in a bit; None: all are the same. 0.0 and -0.0 differ, a NaN is itself.

    Raises:
        ValueError: they are not the tensors of one architecture.
    """
    if {name: t.shape for name, t in then.items()} != {name: t.shape for name, t in now.items()}:
        raise ValueError("the weights that were kept are those of another architecture")
    for name, tensor in now.items():
        different = (_bits(then[name]) != _bits(tensor)).any(dim=1)
        if bool(different.any()):
            apart = (then[name].double() - tensor.double()).abs()
            return TensorDifference(name, int(different.sum()), tensor.numel(), float(apart.max()))
    return None


def _bits(tensor: Tensor) -> UInt8[Tensor, "number byte"]:
    return tensor.detach().reshape(-1, 1).contiguous().view(torch.uint8)


def compared_metrics(before: Path, again: Path, first: int, until: int) -> MetricsProof:
    """The rows of both runs' metrics.csv after `first` and up to `until`, value by value.

    A step that ends a stretch has a validation that the first training may not have had: what only one of
    the two has is not compared.
    """
    rows = [
        _values(read_metrics(directory / METRICS), first, until) for directory in (before, again)
    ]
    both = sorted(rows[0].keys() & rows[1].keys())
    differing = [place for place in both if rows[0][place] != rows[1][place]]
    return MetricsProof(len(both), differing[0] if differing else None)


def _values(
    rows: Sequence[Mapping[str, str]], first: int, until: int
) -> dict[tuple[int, str], str]:
    """By step and column: the value as the table has it, which is exact."""
    return {
        (int(row["step"]), column): value
        for row in rows
        if first < int(row["step"]) <= until
        for column, value in row.items()
        if column != "step" and value
    }
