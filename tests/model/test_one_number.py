"""Networks that put out one number: their sizes, padding, and ridge regression beside scikit-learn's."""

import itertools

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge

from qa_research.model.encoder import EncoderSettings
from qa_research.model.one_number import (
    ConvolutionalNetwork,
    RecurrentNetwork,
    TransformerNetwork,
    UnusedEncoder,
)
from qa_research.model.ridge import RidgeNetwork, solved
from qa_research.tasks.sequences.sequence import one_hot

SEQUENCES = ["acgtnacgttgcaa", "ttgacaggcat", "ccc"]


def transformer(halts: bool = False) -> TransformerNetwork:
    settings = EncoderSettings(16, 4, 32, 3, "rotary", 30, "local", 3, 0.0)
    return TransformerNetwork(4, settings, 5, "mean", halts)


NETWORKS = {
    "rnn": lambda: RecurrentNetwork("rnn", 4, 8, 2),
    "lstm": lambda: RecurrentNetwork("lstm", 4, 8, 1),
    "lecture": lambda: UnusedEncoder(4, 1, 30),
    "cnn, max": lambda: ConvolutionalNetwork(4, 8, 3, 3, "max", 0.0),
    "cnn, mean": lambda: ConvolutionalNetwork(4, 8, 5, 3, "mean", 0.0),
    "transformer": transformer,
    "universal": lambda: transformer(halts=True),
    "ridge": lambda: RidgeNetwork(4, 30, None),
    "ridge on words": lambda: RidgeNetwork(4, 30, 3),
}


def parameters(network: torch.nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def test_the_lectures_three_have_its_numbers_of_parameters():
    assert parameters(RecurrentNetwork("rnn", 4, 256, 2)) == 198_913
    assert parameters(RecurrentNetwork("lstm", 4, 256, 1)) == 268_545
    lecture = UnusedEncoder(4, 6, 250)
    assert parameters(lecture) == 112_193 and parameters(lecture.head) == 1_001


def test_a_window_has_a_middle():
    with pytest.raises(ValueError, match=r"model.at_once=4 must be odd"):
        ConvolutionalNetwork(4, 8, 4, 3, "mean", 0.0)


def test_the_lectures_encoder_is_never_used():
    network = UnusedEncoder(4, 2, 30)
    vectors, mask = one_hot(SEQUENCES)
    before = network(vectors, mask)
    before.sum().backward()
    assert all(p.grad is None for p in network.encoder.parameters())
    for parameter in network.encoder.parameters():
        torch.nn.init.normal_(parameter)
    assert torch.equal(network(vectors, mask), before)


@pytest.mark.parametrize("name", NETWORKS)
def test_padding_changes_no_number(name):
    torch.manual_seed(0)
    network = NETWORKS[name]().eval()
    together = network(*one_hot(SEQUENCES))
    alone = torch.cat([network(*one_hot([letters])) for letters in SEQUENCES])
    assert together.shape == (3,) and torch.allclose(together, alone, atol=1e-5)
    # Not because it says the same of everything.
    assert together.std() > 1e-4


@pytest.mark.parametrize("kmer", [1, 2, 3])
def test_words_are_counted_as_by_hand(kmer):
    network = RidgeNetwork(4, 30, kmer)
    counts = network.features(*one_hot(SEQUENCES))
    words = ["".join(letters) for letters in itertools.product("acgt", repeat=kmer)]
    for row, text in zip(counts.tolist(), SEQUENCES, strict=True):
        places = range(len(text) - kmer + 1)
        assert row == [sum(text[p : p + kmer] == word for p in places) for word in words]


@pytest.mark.parametrize("penalty", [0.01, 1.0, 300.0])
def test_ridge_is_that_of_scikit_learn(penalty):
    rng = np.random.default_rng(0)
    features, numbers = rng.normal(size=(40, 12)), rng.normal(size=40) + 3
    features[:, 3] = features[:, 4]
    weights, bias = solved(features, numbers, penalty)
    peer = Ridge(alpha=penalty).fit(features, numbers)
    assert np.allclose(weights, peer.coef_) and bias == pytest.approx(peer.intercept_)
