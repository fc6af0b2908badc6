"""Shortened gradients have the dot products of the whole ones."""

import numpy as np
import pytest
import torch
from torch import nn

from qa_research.interventions.influence.gradients import Sketch, changed_parameters, cosines
from qa_research.tasks.watching import Outputs, Watched, WatchedExample


class Sums(nn.Module):
    """Three labels from the sum of vectors; one parameter is not used."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(3)
        self.first, self.second = nn.Linear(4, 5), nn.Linear(5, 3)
        self.unused = nn.Parameter(torch.ones(2))
        self.dropout = nn.Dropout(0.5)

    def forward(self, vectors):
        return self.second(self.dropout(torch.tanh(self.first(vectors.sum(dim=1)))))


def one(seed):
    """An example with two vectors and a label."""
    generator = torch.Generator().manual_seed(seed)
    example = WatchedExample(
        str(seed), "train", "", "", "", "ab", (), ("a", "b"), ("text", "text"), ((0, 1), (1, 2))
    )
    outputs = Outputs("labels", ("x", "y", "z"), torch.tensor([seed % 3]), lambda output: output)
    vectors = torch.randn(1, 2, 4, generator=generator)
    mask = torch.ones(1, 2, dtype=torch.bool)
    return Watched((example,), {"vectors": vectors}, mask, ("padding", "text"), outputs)


def whole(network, watched):
    """The gradient by autograd, in the order of the parameters."""
    network.eval()
    logits = network(**watched.inputs)
    loss = nn.functional.cross_entropy(logits, watched.outputs.true)
    network.zero_grad()
    loss.backward()
    return torch.cat(
        [
            (torch.zeros_like(p) if p.grad is None else p.grad).flatten()
            for p in network.parameters()
        ]
    ).numpy()


@pytest.fixture
def network():
    return Sums()


def test_with_a_place_for_each_number_dot_products_are_exact(network):
    sketch = Sketch(network, 1, width=101)
    shortened = np.stack([sketch(network, one(seed)) for seed in range(6)])
    exact = np.stack([whole(network, one(seed)) for seed in range(6)])
    assert np.allclose(shortened @ shortened.T, exact @ exact.T, atol=1e-6)


def test_with_fewer_places_they_are_so_in_the_mean_over_signs(network):
    exact = float(whole(network, one(1)) @ whole(network, one(4)))
    found = []
    for seed in range(400):
        sketch = Sketch(network, seed, width=13)
        found.append(float(sketch(network, one(1)) @ sketch(network, one(4))))
    error = np.std(found) / np.sqrt(len(found))
    assert np.std(found) > 0 and abs(np.mean(found) - exact) < 4 * error


def test_their_spread_is_at_most_what_is_said(network):
    lengths = [np.linalg.norm(whole(network, one(seed))) for seed in (1, 4)]
    found = [
        float(sketch(network, one(1)) @ sketch(network, one(4)))
        for sketch in (Sketch(network, seed, width=13) for seed in range(400))
    ]
    assert np.std(found) <= 1.1 * lengths[0] * lengths[1] * np.sqrt(2 / 13)


def test_only_parameters_that_train_count(network):
    sketch = Sketch(network, 1, width=101)
    own = whole(network, one(2))[-3 - 2 :]
    found = sketch(network, one(2), only={"second.bias"})
    # The unused parameter is registered on the module itself, and so comes first.
    assert np.count_nonzero(found) == 3
    assert np.linalg.norm(found) == pytest.approx(np.linalg.norm(own[-3:]), rel=1e-5)


def test_parameters_without_gradients_do_not_count_and_keep_their_places(network):
    sketch = Sketch(network, 1, width=101)
    every = sketch(network, one(2))
    network.first.requires_grad_(False)
    some = sketch(network, one(2))
    # The unused parameter has 2 numbers, and the first layer 4 times 5 with 5 biases.
    assert not some[:27].any() and np.array_equal(some[27:45], every[27:45])
    network.requires_grad_(False)
    with pytest.raises(ValueError, match="no parameter changed"):
        sketch(network, one(2))


def test_a_network_in_training_is_left_as_it_was(network):
    network.train()
    before = torch.get_rng_state()
    first, second = (Sketch(network, 1)(network, one(2)) for _ in range(2))
    assert network.training and torch.equal(before, torch.get_rng_state())
    # Without dropout, so twice the same.
    assert np.array_equal(first, second)
    assert all(parameter.grad is None for parameter in network.parameters())


def test_what_changed_is_named(network):
    other = Sums()
    assert changed_parameters(network, other) == set()
    with torch.no_grad():
        other.second.bias[1] += 1e-6
    assert changed_parameters(network, other) == {"second.bias"}


def test_a_cosine_without_length_is_zero():
    found = cosines(np.array([[3.0, 4.0], [0.0, 0.0]]), np.array([[6.0, 8.0], [-4.0, 3.0]]))
    assert np.allclose(found, [[1, 0], [0, 0]])
