"""The weight matrices of a run at its kept steps: the directions they use, and how fast they change."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from qa_research.capture.sites import Anatomy
from qa_research.console import tracked
from qa_research.model.parameters import kind_of, layer_of
from qa_research.runs.checkpoints import load_network_weights
from qa_research.tasks.opened import Opened
from qa_research.weights.measures import (
    Spread,
    by_chance,
    effective_rank,
    participation_ratio,
    singular_values,
    spread_of,
)

Matrix = Float[ndarray, "row column"]
# What a head's matrices are called: which token attends to which, and what is carried over.
QK, OV = "query-key", "value-output"
# The kinds of the four matrices that they are products of.
FACTORS = ("query", "key", "value", "attention_output")


@dataclass(frozen=True, slots=True)
class At:
    """A matrix after `step` optimizer steps (None: not known).

    `rate`: the norm of the change since the kept step before, divided by the norm then and by the steps in
    between; None at the first one, and if the norm was zero.
    """

    step: int | None
    spread: Spread
    rate: float | None


@dataclass(frozen=True, slots=True)
class MatrixHistory:
    """A weight matrix [output, input] over the kept steps. `layer`: from 0, -1 outside the layers.

    `chance`: random normal matrices of the same shape.
    """

    name: str
    kind: str
    layer: int
    shape: tuple[int, int]
    chance: Spread
    steps: tuple[At, ...]


@dataclass(frozen=True, slots=True)
class HeadHistory:
    """The product of two of a head's matrices, `QK` or `OV`, over the kept steps.

    `width`: of the head, the most directions it can have. `chance`: of random normal matrices.
    """

    layer: int
    head: int
    product: str
    width: int
    chance: Spread
    steps: tuple[At, ...]


@dataclass(frozen=True)
class Measured:
    """All matrices of a run. `notes`: what was not measured."""

    run: str
    checkpoints: tuple[str, ...]
    matrices: tuple[MatrixHistory, ...]
    heads: tuple[HeadHistory, ...]
    notes: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """As JSON's values; a redundancy that is not defined is null."""
        found: dict[str, Any] = _without_nan(asdict(self))
        return found


def measure(opened: Opened[Any], checkpoints: Sequence[tuple[str, int | None, Path]]) -> Measured:
    """The matrices of some checkpoints of a run, of which `opened` is one: name, step and file of each."""
    found: dict[str, list[At]] = {}
    shapes: dict[str, tuple[int, int]] = {}
    before: dict[str, Matrix] = {}
    previous: int | None = None
    heads, notes = _heads_of(opened)
    by_head: dict[tuple[int, int, str], list[At]] = {}
    for _, step, path in tracked(checkpoints, "Measuring weights"):
        matrices = _matrices(path)
        steps = step - previous if step is not None and previous is not None else 0
        for name, matrix in matrices.items():
            rate = _rate(before.get(name), matrix, steps)
            found.setdefault(name, []).append(At(step, spread_of(matrix), rate))
            shapes[name] = (matrix.shape[0], matrix.shape[1])
        for key, (left, right) in _products(matrices, heads):
            at = At(step, _spread_of_product(left, right), None)
            by_head.setdefault(key, []).append(at)
        before, previous = matrices, step
    chance = {
        shape: _chance(shape)
        for shape in tracked(sorted(set(shapes.values())), "Measuring random matrices")
    }
    histories = tuple(
        MatrixHistory(
            name, kind_of(name), layer_of(name), shapes[name], chance[shapes[name]], tuple(steps)
        )
        for name, steps in found.items()
    )
    of_heads = _head_histories(by_head, shapes, heads)
    if not of_heads and not notes:
        notes = ("its queries, keys, values and outputs are not matrices of their own: no heads",)
    return Measured(
        opened.name, tuple(name for name, *_ in checkpoints), histories, of_heads, tuple(notes)
    )


def _heads_of(opened: Opened[Any]) -> tuple[int, tuple[str, ...]]:
    """How many heads a layer has; 0, and why, for a network without."""
    try:
        heads = Anatomy(opened.network).heads
    except ValueError as error:
        return 0, (str(error),)
    return heads, () if heads else ("this network has no attention, so no heads are measured",)


def _matrices(path: Path) -> dict[str, Matrix]:
    """The weight matrices of a checkpoint with two sides of at least two, by name, in float32."""
    return {
        name: tensor.float().numpy()
        for name, tensor in load_network_weights(path).items()
        if tensor.ndim == 2 and min(tensor.shape) > 1 and tensor.is_floating_point()
    }


def _rate(before: Matrix | None, matrix: Matrix, steps: int) -> float | None:
    if before is None or before.shape != matrix.shape or steps <= 0:
        return None
    size = float(np.linalg.norm(before))
    return float(np.linalg.norm(matrix - before)) / size / steps if size else None


def _chance(shape: tuple[int, int]) -> Spread:
    def draw(rng: np.random.Generator) -> Spread:
        return spread_of(rng.standard_normal(shape, dtype=np.float32))

    return by_chance(draw, *shape)


def _products(
    matrices: Mapping[str, Matrix], heads: int
) -> Iterator[tuple[tuple[int, int, str], tuple[Matrix, Matrix]]]:
    """Two factors of each head: [unit, width] and [width, unit]."""
    by_place: dict[tuple[int, str], list[Matrix]] = {}
    for name, matrix in matrices.items():
        by_place.setdefault((layer_of(name), kind_of(name)), []).append(matrix)
    for layer in sorted({place for place, _ in by_place if place >= 0}):
        four = [by_place.get((layer, kind), []) for kind in FACTORS]
        if not heads or any(len(found) != 1 for found in four):
            continue
        query, key, value, output = (found[0] for found in four)
        width = len(query) // heads
        for head in range(heads):
            own = slice(head * width, (head + 1) * width)
            # Scores are x Wq^T Wk x'^T, and what is carried over is Wo Wv x'.
            yield (layer, head, QK), (query[own].T, key[own])
            yield (layer, head, OV), (output[:, own], value[own])


def _spread_of_product(left: Matrix, right: Matrix) -> Spread:
    """Of left @ right without making it: its singular values are those of a matrix as wide as the head."""
    first, second = (np.asarray(np.linalg.qr(side, mode="r")) for side in (left, right.T))
    values = singular_values(first @ second.T)
    return Spread(effective_rank(values), participation_ratio(values), float("nan"))


def _head_histories(
    found: Mapping[tuple[int, int, str], Sequence[At]],
    shapes: Mapping[str, tuple[int, int]],
    heads: int,
) -> tuple[HeadHistory, ...]:
    if not found:
        return ()
    units = next(shape for name, shape in shapes.items() if kind_of(name) == "query")
    width = units[0] // heads

    def draw(rng: np.random.Generator) -> Spread:
        left, right = rng.standard_normal((2, units[1], width))
        return _spread_of_product(left, right.T)

    chance = by_chance(draw, units[1], width, heads)
    return tuple(
        HeadHistory(layer, head, product, width, chance, tuple(steps))
        for (layer, head, product), steps in sorted(found.items())
    )


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value
