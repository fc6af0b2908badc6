"""Weights that are replaced for a while, and layers that are left out because nothing before them changed."""

import weakref

import pytest
import torch

from qa_research.interventions.graft import restarting as keeping
from qa_research.interventions.graft.parts import Dissection, tensors_of, united
from qa_research.interventions.graft.restarting import Restarting
from qa_research.interventions.graft.swapping import grafted, same_tensors
from qa_research.model.pals import PalAdapters
from qa_research.streams import stream
from tests.interventions.graft.test_parts import OWN, logits_of, network_of
from tests.model.test_layers import CONFIGS


def copied(network):
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def test_a_network_is_as_it_was_also_after_an_exception():
    network, other = network_of("bert"), tensors_of(network_of("bert", seed=1))
    before, modules = copied(network), list(network.named_modules())
    masks = united(part.masks for part in Dissection(network).parts("heads")[1:4])

    def fail():
        with grafted(network, other, masks), Restarting(network).state(masks):
            assert not same_tensors(before, tensors_of(network))
            raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError, match="in the middle"):
        fail()
    assert same_tensors(before, network.state_dict())
    assert list(network.named_modules()) == modules
    assert not any(module._forward_pre_hooks for module in network.modules())


@pytest.mark.parametrize("kind", [*CONFIGS, OWN, "bert with pals"])
def test_leaving_out_layers_changes_no_bit(kind):
    networks = [network_of(kind.partition(" ")[0] if kind != OWN else OWN, seed) for seed in (0, 1)]
    if "pals" in kind:
        for seed, network in enumerate(networks):
            PalAdapters(width=4, heads=2, layers=None).add(network, seed)
            with torch.no_grad():
                network.get_submodule("bert.encoder.layer.0.pal.back").weight.fill_(0.1 + seed)
    network, other = networks
    donor, restarting = tensors_of(other), Restarting(network)
    parts = Dissection(network).parts("modules")
    rng = stream(0, "test states")
    states = [
        {},
        *(part.masks for part in parts),
        *(united(p.masks for p in parts if rng.random() < 0.4) for _ in range(12)),
    ]
    states += [states[-1], {}]
    counts = {"computed": 0}
    first = restarting.layers[0]
    first.register_forward_hook(lambda *_: counts.update(computed=counts["computed"] + 1))
    for masks in states:
        with grafted(network, donor, masks):
            wanted = [logits_of(network, kind) for _ in range(2)]
            before = counts["computed"]
            with restarting.state(masks):
                found = [logits_of(network, kind) for _ in range(2)]
        assert all(a.equal(b) for a, b in zip(found, wanted, strict=True))
        assert counts["computed"] - before in (0, 2)
    assert counts["computed"] < 4 * len(states)


def test_after_an_exception_nothing_that_was_kept_is_used():
    network = network_of("bert")
    restarting = Restarting(network)
    with restarting.state({}):
        logits_of(network, "bert")
    with pytest.raises(RuntimeError), restarting.state({}):
        raise RuntimeError
    assert restarting.last is None and not restarting.kept


def test_nothing_is_kept_of_a_network_that_would_need_more_than_the_bound(monkeypatch):
    network, other = network_of("bert"), tensors_of(network_of("bert", seed=1))
    restarting, read = Restarting(network), []
    for layer in restarting.layers:
        layer.register_forward_pre_hook(lambda _, inputs: read.append(weakref.ref(inputs[0])))

    def alive_after(masks) -> int:
        """The bytes that are held of what the layers have read, before the state is left."""
        read.clear()
        with grafted(network, other, masks):
            wanted = [logits_of(network, "bert") for _ in range(2)]
            read.clear()
            with restarting.state(masks):
                found = [logits_of(network, "bert") for _ in range(2)]
                assert all(a.equal(b) for a, b in zip(found, wanted, strict=True))
                return sum(ref().nbytes for ref in read if ref() is not None)

    parts = Dissection(network).parts("layers")
    needed = alive_after({})
    assert needed > 0 and not restarting.too_large
    restarting = Restarting(network)
    monkeypatch.setattr(keeping, "MOST_BYTES", needed - 1)
    assert alive_after({}) == 0 and restarting.too_large
    for part in parts:
        assert alive_after(part.masks) == 0
        assert restarting.last is None and not restarting.kept
    with restarting.state({}):
        assert [len(layer._forward_pre_hooks) for layer in restarting.layers] == [1, 1, 1]
