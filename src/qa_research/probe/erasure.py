"""Directions taken out of what passes a site: those that a label can be read from, or random ones."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor, nn

from qa_research.capture.forward import changed
from qa_research.capture.sites import Site

# Directions in which values vary less than this share of the most are taken for none.
LEAST_VARIANCE = 1e-6


@dataclass(frozen=True)
class Eraser:
    """x - (x - mean) right^T left^T: `right` [direction unit] reads the directions, `left` [unit direction]
    writes them.
    """

    mean: Float[ndarray, " unit"]
    left: Float[ndarray, "unit direction"]
    right: Float[ndarray, "direction unit"]

    @property
    def directions(self) -> int:
        """How many are erased."""
        return len(self.right)

    def __call__(self, values: Float[ndarray, "item unit"]) -> Float[ndarray, "item unit"]:
        """The values without the directions."""
        left: ndarray = values - (values - self.mean) @ self.right.T @ self.left.T
        return left


@dataclass(frozen=True)
class Whitening:
    """Where the values of a site vary equally in all directions, of which some are then erased.

    The same change of basis for the found directions and for random ones, so that as much variance goes with
    one random direction as with one found.
    """

    mean: Float[ndarray, " unit"]
    basis: Float[ndarray, "unit kept"]
    deviations: Float[ndarray, " kept"]

    @classmethod
    def of(cls, values: Float[ndarray, "item unit"]) -> "Whitening":
        """That of some values."""
        mean = values.mean(axis=0)
        variances, basis = np.linalg.eigh(np.cov((values - mean).T))
        kept = variances > LEAST_VARIANCE * variances.max()
        return cls(mean, basis[:, kept], np.sqrt(variances[kept]))

    def eraser(self, directions: Float[ndarray, "kept direction"]) -> Eraser:
        """What erases orthonormal directions of the whitened space."""
        right = (directions.T / self.deviations) @ self.basis.T
        left = self.basis @ (self.deviations[:, None] * directions)
        return Eraser(self.mean, left, right)

    def random(self, count: int, rng: np.random.Generator) -> Eraser:
        """What erases so many random directions."""
        drawn, _ = np.linalg.qr(rng.standard_normal((len(self.deviations), count)))
        return self.eraser(drawn)

    def found(
        self, values: Float[ndarray, "item unit"], labels: Int[ndarray, " item"], classes: int
    ) -> Eraser:
        """What erases all that is linear in the values about a label, and as little else as can be (LEACE).

        On these values no linear probe is then better than a constant. A label of c classes takes c - 1
        directions.

        Source: Belrose et al. 2023, LEACE: Perfect Linear Concept Erasure in Closed Form, arXiv 2306.03819,
            theorem 4.2.
        """
        white = (values - self.mean) @ self.basis / self.deviations
        one_hot = np.eye(classes)[labels]
        shared = white.T @ (one_hot - one_hot.mean(axis=0)) / len(values)
        directions, sizes, _ = np.linalg.svd(shared, full_matrices=False)
        # The columns of `shared` sum to zero, so that the last direction is rounding alone.
        return self.eraser(directions[:, : classes - 1][:, sizes[: classes - 1] > 0])


@contextmanager
def erased(network: nn.Module, site: Site, eraser: Eraser) -> Iterator[None]:
    """While it lasts, what passes the site lacks the eraser's directions, at every token.

    The network itself is not changed.
    """
    with changed(network, {site: _on_tensors(eraser)}):
        yield


def _on_tensors(eraser: Eraser) -> Callable[[Tensor], Tensor]:
    parts = (eraser.mean, eraser.left, eraser.right)

    def change(values: Tensor) -> Tensor:
        mean, left, right = (torch.from_numpy(part).to(values) for part in parts)
        return values - (values - mean) @ right.T @ left.T

    return change
