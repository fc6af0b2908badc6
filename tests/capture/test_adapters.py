"""A network to which something was added is looked into like any other."""

import pytest
import torch

from qa_research.capture.forward import forward_watched
from qa_research.capture.sites import Anatomy, Site
from tests.capture.conftest import make_network
from tests.capture.test_forward import inputs_of
from tests.model.test_adapters import KINDS as ADAPTERS
from tests.model.test_adapters import adapters_of, fill

SUMS = ("attention_added", "attention_sum", "attention_output", "mlp", "mlp_sum", "layer_output")


@pytest.fixture(params=["bert", "distilbert"])
def kind(request):
    return request.param


def adapted(adapters_kind, kind, size, **extra):
    """A network with adapters that do something."""
    network, adapters = make_network(kind, size, **extra), adapters_of(adapters_kind, kind)
    adapters.add(network, seed=1)
    fill(adapters, network)
    return network


@pytest.mark.parametrize("adapters_kind", ADAPTERS)
def test_attention_is_that_of_the_adapted_network(adapters_kind, kind, tokenizer, watched):
    network = adapted(adapters_kind, kind, len(tokenizer), attn_implementation="sdpa")
    eager = adapted(adapters_kind, kind, len(tokenizer), attn_implementation="eager").eval()
    sites = [site for layer in (0, 1) for site in Anatomy(network).attention_sites(layer)]
    found = forward_watched(network, watched, 0, sites)
    plain = forward_watched(make_network(kind, len(tokenizer)), watched, 0, sites)
    with torch.no_grad():
        wanted = eager(**inputs_of(eager, watched), output_attentions=True)
    for layer in (0, 1):
        seen = watched.mask[:, None, :, None].expand_as(wanted.attentions[layer])
        assert (found.attention(layer) - wanted.attentions[layer])[seen].abs().max() < 1e-5
    assert (found.attention(1) - plain.attention(1)).abs().max() > 0.01


@pytest.mark.parametrize("adapters_kind", ADAPTERS)
def test_what_is_recorded_as_a_sum_is_one(adapters_kind, kind, tokenizer, watched):
    network = adapted(adapters_kind, kind, len(tokenizer))
    sites = [Site("embeddings"), *[Site(name, layer) for name in SUMS for layer in (0, 1)]]
    found = forward_watched(network, watched, 0, sites).values
    for layer in (0, 1):
        read = found[Site("layer_output", 0) if layer else Site("embeddings")]
        added, mlp = found[Site("attention_added", layer)], found[Site("mlp", layer)]
        torch.testing.assert_close(found[Site("attention_sum", layer)], read + added)
        joined = found[Site("attention_output", layer)]
        torch.testing.assert_close(found[Site("mlp_sum", layer)], joined + mlp)
