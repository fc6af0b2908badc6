"""A forward pass over the watched questions sees what the network does, and leaves no trace."""

import pytest
import torch

from qa_research.capture.forward import (
    HookPoint,
    beginning_at,
    changed,
    forward_watched,
    read_by_layers,
    silenced,
    tap,
)
from qa_research.capture.sites import FINAL, KNOWN, SITE_NAMES, Anatomy, Site
from qa_research.model.bert import input_names
from tests.capture.conftest import KINDS, POST_NORM, make_network

EVERYWHERE = [
    FINAL,
    Site("embeddings"),
    *[Site(name, layer) for name in KNOWN["bert"] for layer in (0, 1)],
]


def inputs_of(network, watched):
    names = input_names(network) & {"input_ids", "attention_mask", "token_type_ids"}
    return {name: watched.inputs[name] for name in names}


def hooks_of(network) -> int:
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in network.modules())


def test_every_known_kind_of_network_is_tried():
    assert set(KINDS) == set(KNOWN)


@pytest.mark.parametrize("kind", KINDS)
def test_attention_equals_that_of_the_eager_network(kind, tokenizer, watched):
    network = make_network(kind, len(tokenizer), attn_implementation="sdpa")
    eager = make_network(kind, len(tokenizer), attn_implementation="eager").eval()
    sites = [site for layer in (0, 1) for site in Anatomy(network).attention_sites(layer)]
    found = forward_watched(network, watched, 0, sites)
    with torch.no_grad():
        wanted = eager(**inputs_of(eager, watched), output_attentions=True)
    assert network.config._attn_implementation == "sdpa"
    for layer in (0, 1):
        assert found.attention(layer).std() > 0.02
        seen = watched.mask[:, None, :, None].expand_as(wanted.attentions[layer])
        assert (found.attention(layer) - wanted.attentions[layer])[seen].abs().max() < 1e-5


@pytest.mark.parametrize("kind", POST_NORM)
def test_sites_hold_the_networks_own_hidden_states(kind, tokenizer, watched):
    network = make_network(kind, len(tokenizer))
    sites = [Site("embeddings"), FINAL, *[Site(name, n) for name in SITE_NAMES[1:] for n in (0, 1)]]
    found = forward_watched(network, watched, 0, sites).values
    network.eval()
    with torch.no_grad():
        states = network(**inputs_of(network, watched), output_hidden_states=True).hidden_states
    assert torch.equal(found[Site("layer_output", 0)], states[1])
    assert torch.equal(found[Site("layer_output", 1)], states[2])
    assert torch.equal(found[FINAL], states[2])
    if kind != "electra":  # whose embeddings are projected before the first layer
        assert torch.equal(found[Site("embeddings")], states[0])
    for layer in (0, 1):
        anatomy = Anatomy(network)
        added = anatomy.module(Site("context", layer))[0](found[Site("context", layer)])
        norm = anatomy.module(Site("attention_output", layer))[0]
        joined = norm(added + states[layer])
        assert torch.allclose(joined, found[Site("attention_output", layer)], atol=1e-5)
        whole = anatomy.module(Site("layer_output", layer))[0](found[Site("mlp", layer)] + joined)
        assert torch.allclose(whole, states[layer + 1], atol=1e-5)


def test_the_sites_of_a_network_that_normalises_first(tokenizer, watched):
    network = make_network("modernbert", len(tokenizer))
    names = [*SITE_NAMES[1:], "attention_sum", "attention_added"]
    sites = [Site("embeddings"), FINAL, *[Site(name, n) for name in names for n in (0, 1)]]
    found = forward_watched(network, watched, 0, sites).values
    network.eval()
    with torch.no_grad():
        states = network(**inputs_of(network, watched), output_hidden_states=True).hidden_states
        final = network.head(network.model.final_norm(found[Site("layer_output", 1)]))
    assert torch.equal(found[Site("embeddings")], states[0])
    assert torch.equal(found[Site("layer_output", 0)], states[1])
    assert torch.allclose(found[FINAL], final, atol=1e-5)
    for layer in (0, 1):
        total = found[Site("attention_sum", layer)]
        assert torch.allclose(
            total, found[Site("attention_added", layer)] + states[layer], atol=1e-5
        )
        whole = total + found[Site("mlp", layer)]
        assert torch.allclose(whole, found[Site("layer_output", layer)], atol=1e-5)


def test_a_layer_that_sees_only_its_neighbours_is_watched_as_such(tokenizer, watched):
    network = make_network("modernbert", len(tokenizer))
    sites = [site for layer in (0, 1) for site in Anatomy(network).attention_sites(layer)]
    found = forward_watched(network, watched, 0, sites)
    position = torch.arange(watched.mask.shape[1])
    far = (position[:, None] - position).abs() > 3
    assert found.attention(0)[0, :, far].max() > 0 and found.attention(1)[:, :, far].max() == 0


def test_a_forward_pass_leaves_modes_hooks_gradients_and_random_state_alone(network, watched):
    network.qa_outputs.eval()
    modes = [m.training for m in network.modules()]
    torch.manual_seed(0)
    before = torch.get_rng_state()
    first = forward_watched(network, watched, 0, EVERYWHERE)
    assert [m.training for m in network.modules()] == modes and True in modes and False in modes
    assert hooks_of(network) == 0
    assert torch.equal(torch.get_rng_state(), before)
    assert all(p.grad is None for p in network.parameters())
    assert not first.scores.requires_grad
    assert torch.equal(first.scores, forward_watched(network, watched, 0).scores), "dropout was on"


def test_no_hook_is_left_when_the_forward_pass_raises(network, watched):
    def explode(*_):
        raise RuntimeError("in the middle")

    broken = network.bert.encoder.layer[1].register_forward_pre_hook(explode)
    with pytest.raises(RuntimeError, match="in the middle"):
        forward_watched(network, watched, 0, EVERYWHERE, EVERYWHERE)
    broken.remove()
    assert hooks_of(network) == 0 and network.training


def test_no_hook_is_left_when_a_tap_cannot_be_made(network):
    class Refusing(torch.nn.Identity):
        def register_forward_hook(self, *_, **__):
            raise RuntimeError("no hooks here")

    points = {
        "right": HookPoint(network.qa_outputs, "output"),
        "wrong": HookPoint(Refusing(), "output"),
    }
    with pytest.raises(RuntimeError, match="no hooks here"), tap(points):
        pass
    assert hooks_of(network) == 0


def test_a_silenced_head_adds_nothing_and_others_are_unchanged(network, watched):
    context = Site("context", 1)
    before = forward_watched(network, watched, 0, [context, Site("context", 0)])
    projection = Anatomy(network).module(context)[0]
    given = []
    with silenced(network, [(1, 0)]):
        listening = projection.register_forward_pre_hook(lambda _, inputs: given.append(inputs[0]))
        changed = forward_watched(network, watched, 0)
        listening.remove()
    assert torch.equal(given[0][:, :, :8], torch.zeros_like(given[0][:, :, :8]))
    assert torch.equal(given[0][:, :, 8:], before.values[context][:, :, 8:])
    assert not torch.allclose(changed.scores, before.scores)
    assert (
        torch.equal(forward_watched(network, watched, 0).scores, before.scores)
        and hooks_of(network) == 0
    )


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_put_at_a_site_is_what_comes_next(kind, tokenizer, watched):
    network = make_network(kind, len(tokenizer))
    site = Site("layer_output", 0)
    other = forward_watched(network, watched, 0, [site]).values[site] + 1
    with changed(network, {site: lambda _: other}):
        assert torch.equal(forward_watched(network, watched, 0, [site]).values[site], other)
    assert hooks_of(network) == 0


def test_no_change_is_left_when_the_network_raises_or_a_site_is_missing(network, watched):
    def explode(_):
        raise RuntimeError("in the middle")

    sites = {Site("context", 0): torch.neg, Site("mlp", 1): explode}
    with pytest.raises(RuntimeError, match="in the middle"), changed(network, sites):
        forward_watched(network, watched, 0)
    assert hooks_of(network) == 0
    sites = {Site("context", 0): torch.neg, Site("query_key_value", 1): torch.neg}
    with pytest.raises(ValueError, match="no query_key_value"), changed(network, sites):
        pass
    assert hooks_of(network) == 0


@pytest.mark.parametrize("kind", KINDS)
def test_a_pass_that_begins_at_a_layer_is_the_whole_one(kind, tokenizer, watched):
    network = make_network(kind, len(tokenizer), attn_implementation="sdpa")
    with read_by_layers(network) as read:
        whole = forward_watched(network, watched, 0)
    below = {"below": HookPoint(*Anatomy(network).module(Site("layer_output", 0)))}
    with beginning_at(network, 1, read[1]), tap(below) as seen:
        again = forward_watched(network, watched, 0)
    assert torch.equal(again.scores, whole.scores) and len(seen["below"]) == 1
    with beginning_at(network, 1, read[1] + 1):
        assert not torch.equal(forward_watched(network, watched, 0).scores, whole.scores)
    with beginning_at(network, 0, read[0]):
        assert torch.equal(forward_watched(network, watched, 0).scores, whole.scores)
    assert hooks_of(network) == 0


def test_unknown_heads_and_networks_are_named(network):
    message = "no head 2 in layer 1.*layers 0 to 1.*heads 0 to 1"
    with pytest.raises(ValueError, match=message), silenced(network, [(1, 2)]):
        pass
    network.config.model_type = "xlnet"
    with pytest.raises(
        ValueError, match="xlnet.*bert, camembert, distilbert, electra.*capture=none"
    ):
        Anatomy(network)
