"""How far a network looks, by gradients."""

import numpy as np
import pytest
import torch

from qa_research.model.encoder import EncoderSettings
from qa_research.model.one_number import ConvolutionalNetwork, TransformerNetwork
from qa_research.model.reach import gradient_reach

POSITIONS = 25


def batch():
    generator = torch.Generator().manual_seed(0)
    vectors = torch.nn.functional.one_hot(
        torch.randint(4, (3, POSITIONS), generator=generator), 4
    ).float()
    return vectors, torch.ones(3, POSITIONS, dtype=torch.bool)


def transformer(sight):
    torch.manual_seed(0)
    settings = EncoderSettings(8, 2, 8, 1, "rotary", POSITIONS, sight, 3, 0.0)
    return TransformerNetwork(4, settings, 1, "mean", halts=False).eval()


def reached(network, layer):
    return np.flatnonzero(gradient_reach(network, layer, *batch())).tolist()


def test_a_cnn_sees_as_far_as_its_layers_reach():
    torch.manual_seed(0)
    network = ConvolutionalNetwork(4, 8, 5, 2, "max", 0.0).eval()
    assert reached(network, network.layers[0]) == list(range(10, 15))
    assert reached(network, network.layers[1]) == list(range(8, 17))


def test_attention_sees_what_its_mask_allows():
    everywhere, near, strided = (transformer(sight) for sight in ("all", "local", "strided"))
    assert reached(everywhere, everywhere.encoder) == list(range(POSITIONS))
    assert reached(near, near.encoder) == list(range(9, 16))
    assert reached(strided, strided.encoder) == sorted({*range(9, 16), *range(0, POSITIONS, 3)})


def test_the_strength_is_the_root_of_the_jacobian_s_mean_square():
    network = transformer("all")
    vectors, mask = batch()

    def middle(asked):
        found = []
        handle = network.encoder.register_forward_hook(lambda *called: found.append(called[2]))
        network(asked, mask)
        handle.remove()
        return found[0].states[:, POSITIONS // 2].sum(dim=0)

    jacobian = torch.autograd.functional.jacobian(middle, vectors)
    strengths = jacobian.square().sum(dim=(0, 3)).mean(dim=0).sqrt()
    expected = strengths / strengths.max()
    found = gradient_reach(network, network.encoder, vectors, mask)
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_a_layer_that_says_nothing_of_the_positions_is_refused():
    network = transformer("all")
    with pytest.raises(ValueError, match="does not call"):
        gradient_reach(network, torch.nn.Linear(1, 1), *batch())
    torch.nn.init.zeros_(network.encoder.norm.weight)
    with pytest.raises(ValueError, match="no position"):
        gradient_reach(network, network.encoder, *batch())
