"""A task in one file: y = 3x - 1 by linear regression. Has what a new task has to provide, and no more."""

import csv
import hashlib
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from qa_research.files import read_text
from qa_research.model.places import Places
from qa_research.streams import stream
from qa_research.tasks.learning import LearningModule, TaskData
from qa_research.tasks.opened import Examples, Opened, Told
from qa_research.tasks.task import StoredRun, Task
from qa_research.tasks.watching import (
    PADDING,
    PREDICTION,
    Outputs,
    Watched,
    WatchedExample,
    Watching,
    choose_examples,
)

SLOPE, INTERCEPT = 3.0, -1.0
TOLERANCE = 0.25


@dataclass(frozen=True)
class Point:
    """One example, as a person reads it; `y` None: nobody said."""

    id: str
    kind: str
    x: float
    y: float | None


class Order:
    """Batches of indices in a new order every epoch; the first epoch may start in the middle."""

    def __init__(self, total: int, batch_size: int, seed: int, epoch: int, done: int) -> None:
        self.total, self.batch_size, self.seed = total, batch_size, seed
        self.epoch, self.first, self.done = epoch, epoch, done

    def __len__(self) -> int:
        return self.total // self.batch_size

    @property
    def sampler(self) -> "Order":
        """Itself: this is where Lightning looks for `set_epoch`."""
        return self

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __iter__(self) -> Iterator[list[int]]:
        order = stream(self.seed, "order", self.epoch).permutation(self.total)
        done = self.done if self.epoch == self.first else 0
        for number in range(min(done, len(self)), len(self)):
            yield order[number * self.batch_size :][: self.batch_size].tolist()


class LineData(TaskData):
    """Points of a line with noise."""

    def __init__(self, name: str, points: int, batch_size: int, seed: int) -> None:
        super().__init__()
        self.name, self.points, self.batch_size, self.seed = name, points, batch_size, seed
        self.position = (0, 0)

    def split(self, name: str) -> list[dict[str, Tensor]]:
        rng = stream(self.seed, "corpus", {"train": 0, "validation": 1}[name])
        x = rng.uniform(-1, 1, size=(self.points, 1)).astype(np.float32)
        noise = rng.normal(0, 0.1, size=x.shape).astype(np.float32)
        y = SLOPE * x + INTERCEPT + noise
        return [
            {"x": torch.from_numpy(a), "y": torch.from_numpy(b)} for a, b in zip(x, y, strict=True)
        ]

    def start_at(self, epoch: int, batches: int) -> None:
        self.position = (epoch, batches)

    def batch_sizes(self, epoch: int) -> list[int]:
        return [self.batch_size] * (self.points // self.batch_size)

    def train_dataloader(self) -> DataLoader:
        order = Order(self.points, self.batch_size, self.seed, *self.position)
        generator = torch.Generator().manual_seed(self.seed)
        return DataLoader(self.split("train"), batch_sampler=order, generator=generator)

    def val_dataloader(self) -> DataLoader:
        generator = torch.Generator().manual_seed(self.seed)
        return DataLoader(self.split("validation"), batch_size=self.batch_size, generator=generator)

    def points_of(self, name: str) -> list[Point]:
        rows = enumerate(self.split(name))
        return [Point(f"{name[0]}{i}", "", float(row["x"]), float(row["y"])) for i, row in rows]


class LineModule(LearningModule):
    """One weight and one bias, with dropout so that the global generator matters."""

    def __init__(self, name: str, weights: str, dropout: float, **settings: Any) -> None:
        super().__init__(**settings)
        self.name, self.weights = name, weights
        self.network = nn.Sequential(nn.Dropout(dropout), nn.Linear(1, 1))
        self.network.places = Places(head="1")
        # Of each validated point: what was predicted, and what is true.
        self.pairs: list[tuple[float, float]] = []

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        loss = nn.functional.mse_loss(self.network(batch["x"]), batch["y"])
        return self.share_of_step(loss, batch_idx)

    def on_validation_epoch_start(self) -> None:
        self.pairs = []

    def validation_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        predicted = self.network(batch["x"]).float()
        self.pairs += zip(predicted.flatten().tolist(), batch["y"].flatten().tolist(), strict=True)

    def on_validation_epoch_end(self) -> None:
        predicted, true = np.array(self.pairs).T
        error = float(np.square(predicted - true).mean())
        measured = {"val/loss": error, "val/squared_error": error}
        measured["val/pearson"] = float(np.corrcoef(predicted, true)[0, 1])
        self.log_dict(measured, logger=False)


@dataclass(frozen=True, repr=False)
class OpenedLine(Opened[Point]):
    """A line that is asked for y. A y is right if it is at most TOLERANCE from the true one."""

    asked_with: ClassVar[Sequence[str]] = ("x",)

    def own(self, split: str) -> Examples[Point]:
        data = LineData(**_arguments(self.config["data"]))
        rows = data.split(split)
        self.check_unchanged(split, _sha(value for row in rows for value in row.values()))
        points = data.points_of(split)
        # All of them choose the best weights.
        chose = {row.id for row in points} if split == "validation" else set()
        return Examples(points, data.name, split, frozenset(chose))

    def of_file(self, path: str, encoding: str) -> Examples[Point]:
        lines = csv.DictReader(io.StringIO(read_text(Path(path), f"--data={path}", encoding)))
        points = [
            Point(f"f{i}", "", float(row["x"]), float(row["y"]) if row.get("y") else None)
            for i, row in enumerate(lines)
        ]
        return Examples(points, Path(path).name, "file")

    def example(self, given: Mapping[str, str]) -> Point:
        try:
            return Point("asked", "", float(given["x"]), None)
        except ValueError as error:
            raise ValueError(f"--input x={given['x']} is no number") from error

    def told(self, row: Point) -> Told:
        return Told(row.id, f"x = {row.x:.3f}", () if row.y is None else (f"{row.y:.3f}",))

    def rows(self, examples: Sequence[Point]) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        for point in examples:
            with torch.inference_mode():
                y = float(self.network(torch.tensor([[point.x]])))
            rows.append({"id": point.id, "prediction": y})
            if point.y is not None:
                error = (y - point.y) ** 2
                near = float(abs(y - point.y) <= TOLERANCE)
                rows[-1] |= {"squared_error": error, "truth": point.y, "near": near}
        return rows

    def watched(self, examples: Sequence[Point]) -> Watched:
        return watched([("asked", row) for row in examples])

    @property
    def right(self) -> str:
        return "near"


class LineTask(Task):
    fingerprinted: ClassVar[Mapping[str, str]] = {"train": "points", "weights": "weights"}
    data: LineData
    module: LineModule

    def load(self, cache: Path, seed: int) -> list[str]:
        draw = stream(seed, "init")
        for parameter in self.network.parameters():
            nn.init.constant_(parameter, float(draw.normal()))
        return ["Newly initialised: a line."]

    def prepare(self, cache: Path, seed: int) -> None:
        pass

    def fingerprints(self) -> dict[str, str]:
        splits = {
            name: _sha(value for row in self.data.split(name) for value in row.values())
            for name in ("train", "validation")
        }
        return splits | {"weights": _sha(self.network.state_dict().values())}

    def facts(self) -> dict[str, Any]:
        points = {"train": self.data.points, "validation": self.data.points}
        return {"data": self.data.name, "examples": points}

    def description(self) -> list[str]:
        return [f"Data: {self.data.points} points"]

    def measured(self) -> list[str]:
        return ["val/loss", "val/squared_error", "val/pearson"]

    def progress_text(self, measured: Mapping[str, float]) -> tuple[str, str]:
        return f"SE {measured['val/squared_error']:.3f}", ""

    def predictions(self) -> list[dict[str, Any]]:
        return [
            {"id": f"v{i}", "prediction": y, "truth": true, "squared_error": (y - true) ** 2}
            for i, (y, true) in enumerate(self.module.pairs)
        ]

    def result(self, record: Mapping[str, Any]) -> list[str]:
        return [f"squared error {record['best']['val/squared_error']:.3f}"]

    def next_commands(self, directory: Path, record: Mapping[str, Any]) -> list[tuple[str, str]]:
        return []

    def write_model(self, directory: Path) -> None:
        pass

    def watching(self, request: Any) -> Watching:
        splits = {name: self.data.points_of(name) for name in ("train", "validation")}
        chosen = choose_examples(request, splits, self.data.seed, _no_file, "point")
        return Watching(watched(chosen), 1, self.data.batch_size, is_compiled=False)

    @classmethod
    def reopen(cls, run: StoredRun, weights: Mapping[str, Tensor]) -> OpenedLine:
        network = LineModule(**_arguments(run.config["model"])).network
        network.load_state_dict(dict(weights))
        return OpenedLine(**vars(run), network=network.eval())


def watched(chosen: Sequence[tuple[str, Point]]) -> Watched:
    """Points, each with its split, as one batch: a point is read as one token, its x."""
    examples = [
        WatchedExample(
            id=row.id,
            split=split,
            kind=row.kind,
            title="",
            heading=f"x = {row.x:.2f}",
            text=f"{row.x:.2f}",
            truths=() if row.y is None else (f"{row.y:.2f}",),
            tokens=("x",),
            parts=("x",),
            chars=((0, len(f"{row.x:.2f}")),),
        )
        for split, row in chosen
    ]
    x = torch.tensor([row.x for _, row in chosen])
    y = torch.tensor([torch.nan if row.y is None else row.y for _, row in chosen])
    return Watched(
        examples=tuple(examples),
        inputs={"input": x[:, None]},
        mask=torch.ones(len(x), 1, dtype=torch.bool),
        part_names=(PADDING, "x"),
        outputs=Outputs("number", (PREDICTION,), y, lambda output: output),
    )


def _arguments(section: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in section.items() if key != "_target_"}


def _no_file(path: str) -> list[Point]:
    raise ValueError(f"capture.questions={path}: points are not read from files")


def _sha(tensors: Any) -> str:
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()
