"""A classifier that is a linear function of the pixels' brightness in cells of a grid, exactly."""

import numpy as np
import torch

from qa_research.explain.images.classifier import ImageClassifier, Preprocessing
from qa_research.explain.images.picture import Picture
from qa_research.explain.images.segments import Grid

SIZE = 24
# Of 16 cells; no two are equal.
WEIGHTS = [
    0.03,
    -0.02,
    0.001,
    0.07,
    0.01,
    -0.05,
    0.02,
    0.004,
    0.05,
    -0.01,
    0.006,
    0.015,
    -0.03,
    0.04,
    0.0,
    0.025,
]


class _Network(torch.nn.Module):
    """log p and log(1 - p) of p = intercept + sum of weight * mean brightness of a cell."""

    def __init__(self, weights, intercept, shape):
        super().__init__()
        rows, columns = shape
        assert rows * columns == len(weights) and SIZE % rows == SIZE % columns == 0
        self.cell, self.intercept = (SIZE // rows, SIZE // columns), intercept
        self.register_buffer("weight", torch.tensor(weights))

    def forward(self, x):
        cells = torch.nn.functional.avg_pool2d(x.double().mean(dim=1), self.cell)
        p = self.intercept + cells.flatten(1) @ self.weight.double()
        assert ((p > 0) & (p < 1)).all()
        return torch.stack([p.log(), (1 - p).log()], dim=1)


def linear_classifier(weights, intercept=0.5, batch_size=8, labels=("dog", "cat"), shape=None):
    """White is 1, black 0; the first class's probability is linear in the cells, row by row.

    `shape`: rows and columns of cells, as many by default.
    """
    side = int(len(weights) ** 0.5)
    return ImageClassifier(
        name="linear",
        weights="by hand",
        network=_Network(weights, intercept, shape or (side, side)),
        preprocessing=Preprocessing(SIZE, SIZE, "bilinear", (0.0,) * 3, (1.0,) * 3),
        labels=labels,
        precision="float32",
        batch_size=batch_size,
        fit="squash",
    )


def white():
    """A picture whose segments are off where it is black."""
    return Picture("white", "by hand", np.full((SIZE, SIZE, 3), 255, dtype=np.uint8), ())


def cells(n):
    """The segmenter whose segments are the classifier's n cells."""
    side = int(n**0.5)
    return Grid(rows=side, columns=side)


class Screen:
    """Remembers every part: its name, the most masks it may predict, and how many were."""

    def __init__(self):
        self.parts = []

    def part(self, what, most):
        self.parts.append([what, most, 0])

    def tick(self, n):
        self.parts[-1][2] += n
