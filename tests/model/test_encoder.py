"""A transformer encoder: who sees whom, where a token is, and when a position halts."""

import pytest
import torch

from qa_research.model.encoder import AdaptiveEncoder, Encoder, EncoderSettings, halted, pattern
from qa_research.model.positions import rotated


def settings(**changes) -> EncoderSettings:
    usual = {"width": 16, "heads": 4, "mlp_width": 32, "layers": 2, "positions": "none"}
    usual |= {"max_positions": 40, "sight": "all", "window": 3, "dropout": 0.0}
    return EncoderSettings(**(usual | changes))


def encoder(**changes) -> Encoder:
    torch.manual_seed(0)
    return Encoder(settings(**changes)).eval()


def vectors(length: int = 12, examples: int = 2) -> torch.Tensor:
    return torch.randn(examples, length, 16, generator=torch.Generator().manual_seed(1))


def full(values: torch.Tensor) -> torch.Tensor:
    return torch.ones(values.shape[:2], dtype=torch.bool)


@pytest.mark.parametrize("positions", ["none", "sinusoidal", "learned", "rotary"])
def test_without_positions_it_is_permutation_equivariant_and_with_them_it_is_not(positions):
    network, values = encoder(positions=positions), vectors()
    order = torch.randperm(12, generator=torch.Generator().manual_seed(2))
    one = network(values, full(values)).states[:, order]
    other = network(values[:, order], full(values)).states
    assert torch.allclose(one, other, atol=1e-5) == (positions == "none")


@pytest.mark.parametrize("heads", [1, 2, 4, 8])
@pytest.mark.parametrize("positions", ["sinusoidal", "learned", "rotary"])
@pytest.mark.parametrize("sight", ["all", "local", "strided"])
def test_padding_changes_nothing(heads, positions, sight):
    network, values = encoder(heads=heads, positions=positions, sight=sight), vectors(9)
    padded = torch.cat([values, torch.full((2, 20, 16), 7.0)], dim=1)
    mask = torch.arange(29).expand(2, 29) < 9
    found = network(padded, mask).states
    assert torch.isfinite(found).all()
    assert torch.allclose(found[:, :9], network(values, full(values)).states, atol=1e-5)


@pytest.mark.parametrize(
    ("sight", "seen"),
    [("local", range(7, 14)), ("strided", [1, 4, *range(7, 14), 16, 19]), ("all", range(20))],
)
def test_an_output_depends_on_what_attention_sees_and_on_nothing_else(sight, seen):
    network = encoder(sight=sight, layers=1)
    values = vectors(20, 1).requires_grad_()
    network(values, full(values)).states[0, 10].square().sum().backward()
    moved = values.grad[0].abs().sum(dim=-1) > 0
    assert moved.nonzero().flatten().tolist() == list(seen)


def test_two_strided_layers_lead_everywhere():
    allowed = pattern("strided", 60, 8).int()
    assert bool((allowed @ allowed > 0).all()) and int(allowed.sum()) < 60 * 60 / 2


def test_rotary_products_depend_on_the_distance_alone():
    query, key = vectors(1, 2).expand(2, 12, 16).unflatten(-1, (1, 16)).transpose(1, 2)
    products = rotated(query[None]) @ rotated(key[None]).transpose(-1, -2)
    for distance in (-3, 0, 5):
        diagonal = products[0, 0].diagonal(distance)
        assert torch.allclose(diagonal, diagonal[:1].expand_as(diagonal), atol=1e-4)


@pytest.mark.parametrize("positions", ["none", "rotary"])
@pytest.mark.parametrize("sight", ["all", "local"])
def test_the_weights_that_are_told_are_those_that_it_computes_with(positions, sight):
    network, values = encoder(positions=positions, sight=sight), vectors(15)
    mask = torch.arange(15).expand(2, 15) < torch.tensor([[15], [9]])
    attention = network.layers[0].attention
    seen = {}
    for name in ("query", "key", "value"):
        getattr(attention, name).register_forward_hook(
            lambda _, __, output, name=name: seen.__setitem__(name, output)
        )
    attention.output.register_forward_pre_hook(lambda _, given: seen.update(context=given[0]))
    network(values, mask)
    weights = network.attention(0, seen["query"], seen["key"], mask)
    value = seen["value"].unflatten(-1, (4, 4)).transpose(1, 2)
    context = (weights @ value).transpose(1, 2).flatten(2)
    assert torch.allclose(context, seen["context"], atol=1e-5)
    assert torch.allclose(weights.sum(dim=-1), torch.ones(2, 4, 15))


def test_halting_by_hand():
    probabilities = [0.3, 0.5, 0.4]

    def step(number, states):
        return states + 1.0, torch.full(states.shape[:-1], probabilities[number])

    found = halted(step, torch.zeros(1, 1, 1), 3)
    assert torch.allclose(found.weights.flatten(), torch.tensor([0.3, 0.5, 0.2]))
    # States 1, 2, 3: 0.3 + 1.0 + 0.6.
    assert found.states.item() == pytest.approx(1.9)
    assert found.steps.item() == 3 and found.ponder.item() == pytest.approx(3.2)


def test_what_is_sure_at_once_takes_one_step():
    found = halted(
        lambda number, states: (states + 1, torch.full((1, 1), 0.995)), torch.zeros(1, 1, 2), 5
    )
    assert found.steps.item() == 1 and found.states.flatten().tolist() == [1.0, 1.0]


def test_halting_weights_add_up_to_one_and_ponder_has_a_gradient():
    torch.manual_seed(0)
    network, values = AdaptiveEncoder(settings(layers=6, positions="rotary")), vectors()
    found = network(values, full(values))
    assert torch.allclose(found.weights.sum(dim=0), torch.ones(2, 12))
    assert found.steps.min() >= 1 and found.steps.max() <= 6
    found.ponder.mean().backward()
    assert network.halt.bias.grad.abs() > 0
    # A fixed number of layers has no halting to tell of.
    assert encoder()(values, full(values)).steps is None


def test_a_dearer_step_is_taken_less_often():
    torch.manual_seed(0)
    network, values = AdaptiveEncoder(settings(layers=6)), vectors()
    before = network(values, full(values)).steps.mean()
    optimizer = torch.optim.SGD(network.halt.parameters(), lr=0.5)
    for _ in range(20):
        optimizer.zero_grad()
        network(values, full(values)).ponder.mean().backward()
        optimizer.step()
    assert network(values, full(values)).steps.mean() < before


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"heads": 3}, "model.width=16 must be a multiple of model.heads=3"),
        ({"width": 12, "heads": 4, "positions": "rotary"}, "choose an even number"),
    ],
)
def test_widths_that_cannot_be_divided_are_refused(changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        Encoder(settings(**changes))
