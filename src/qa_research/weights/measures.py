"""How many directions a matrix uses, and how alike its columns are. Pure; beside each, what chance gives.

Source: Roy & Vetterli 2007, The effective rank; the participation ratio is that of principal components.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from qa_research.streams import stream

# Of so many random matrices of the same shape the mean is what chance gives; they hardly differ.
DRAWS = 3


@dataclass(frozen=True, slots=True)
class Spread:
    """How a matrix spreads over directions.

    `effective_rank`: exp of the entropy of its singular values as shares of their sum, from 1 to the rank.
    `participation`: (sum of s^2)^2 / sum of s^4, from 1 to the rank, which the largest ones decide.
    `redundancy`: of each column the largest |cosine| with another one, on average, from 0 to 1; NaN for fewer
    than two columns.
    """

    effective_rank: float
    participation: float
    redundancy: float


def singular_values(matrix: Float[ndarray, "row column"]) -> Float[ndarray, " value"]:
    """In falling order, as many as the smaller side has.

    From the eigenvalues of the smaller product with itself, so a vocabulary of 30,522 takes no longer than a
    square matrix; what is below 1e-7 of the largest is rounding, and is 0.
    """
    matrix = matrix.astype(np.float64)
    product = matrix @ matrix.T if len(matrix) < len(matrix.T) else matrix.T @ matrix
    squares = np.maximum(np.linalg.eigvalsh(product)[::-1], 0)
    return np.sqrt(np.where(squares < 1e-14 * squares.max(initial=0), 0, squares))


def effective_rank(values: Float[ndarray, " value"]) -> float:
    """Of singular values; 0 if all are zero.

    Example: 4, 4, 0: two equal shares, entropy ln 2, so 2. Of 3, 1: shares 0.75 and 0.25, entropy 0.562, so
    1.75.
    """
    total = values.sum()
    if total == 0:
        return 0.0
    shares = values[values > 0] / total
    return float(np.exp(-(shares * np.log(shares)).sum()))


def participation_ratio(values: Float[ndarray, " value"]) -> float:
    """Of singular values; 0 if all are zero.

    Example: 4, 4, 0: (16 + 16)^2 / (256 + 256) = 2. Of 3, 1: (9 + 1)^2 / (81 + 1) = 1.22.
    """
    squares = values**2
    fourth = (squares**2).sum()
    return float(squares.sum() ** 2 / fourth) if fourth else 0.0


def redundancy(matrix: Float[ndarray, "row column"]) -> float:
    """The largest |cosine| of each column with another one, on average; columns of zeros are left out.

    Example: columns (1, 0), (2, 0), (0, 1): the first two are alike, 1 and 1, the third is at right angles
    to both, 0; on average 0.67.
    """
    matrix = matrix.astype(np.float64)
    sizes = np.linalg.norm(matrix, axis=0)
    columns = matrix[:, sizes > 0] / sizes[sizes > 0]
    if columns.shape[1] < 2:
        return float("nan")
    cosines = np.abs(columns.T @ columns)
    np.fill_diagonal(cosines, 0)
    return float(np.minimum(cosines.max(axis=1), 1).mean())


def spread_of(matrix: Float[ndarray, "row column"]) -> Spread:
    """All three of one matrix."""
    values = singular_values(matrix)
    return Spread(effective_rank(values), participation_ratio(values), redundancy(matrix))


def by_chance(draw: Callable[[np.random.Generator], Spread], *name: int) -> Spread:
    """The mean of `DRAWS` random ones; `name`: what tells their random stream from others."""
    found = [draw(stream(0, "random matrices", *name, number)) for number in range(DRAWS)]
    means = np.mean([(one.effective_rank, one.participation, one.redundancy) for one in found], 0)
    return Spread(*map(float, means))
