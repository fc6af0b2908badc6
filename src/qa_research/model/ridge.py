"""Ridge regression as a network: solved in closed form, on vectors by position or on counts of words."""

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor, nn

from qa_research.model.one_number import Mask, NumberNetwork, Numbers, Vectors, flat


class RidgeNetwork(NumberNetwork):
    """A linear model that is solved and not trained, so that it goes the way of every network.

    `kmer` None: on vectors by position; else on how often each word of so many letters occurs, where a vector
    is that of a letter: one of its units is 1, or none.
    """

    words: Tensor

    def __init__(self, units: int, positions: int, kmer: int | None) -> None:
        super().__init__()
        self.kmer = kmer
        self.register_buffer("words", all_words(units, kmer or 1), persistent=False)
        features = units * positions if kmer is None else len(self.words)
        self.head = nn.Linear(features, 1)

    def features(self, vectors: Vectors, mask: Mask) -> Float[Tensor, "example feature"]:
        """What the number is linear in."""
        if self.kmer is None:
            return flat(vectors, self.head.in_features)
        if vectors.shape[1] < self.kmer:
            return vectors.new_zeros(len(vectors), len(self.words))
        # A word stands where all of its letters match; an unknown letter and padding match none.
        matches = nn.functional.conv1d(vectors.transpose(1, 2), self.words)
        return (matches - (self.kmer - 1)).relu().sum(dim=-1)

    def number(self, vectors: Vectors, mask: Mask) -> Numbers:
        number: Tensor = self.head(self.features(vectors, mask))
        return number[:, 0]

    def put_in(self, weights: NDArray[np.float64], bias: float) -> None:
        """Use these weights [feature]."""
        with torch.no_grad():
            self.head.weight.copy_(torch.from_numpy(weights)[None])
            self.head.bias.fill_(bias)


def solved(
    features: Float[np.ndarray, "example feature"],
    numbers: Float[np.ndarray, " example"],
    penalty: float,
) -> tuple[NDArray[np.float64], float]:
    """Weights and bias that minimise the squared error plus `penalty` times the weights' squares."""
    means = features.mean(axis=0)
    centred = features - means
    gram = centred.T @ centred + penalty * np.eye(centred.shape[1])
    weights = np.linalg.solve(gram, centred.T @ (numbers - numbers.mean()))
    return weights, float(numbers.mean() - means @ weights)


def all_words(units: int, length: int) -> Float[Tensor, "word unit place"]:
    """All words of `length` letters as filters that count how many of their letters match."""
    numbers = torch.cartesian_prod(*[torch.arange(units)] * length).reshape(-1, length)
    return torch.eye(units)[numbers].transpose(1, 2).contiguous()
