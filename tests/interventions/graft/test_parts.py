"""The weights of every known network, divided into parts: each number is in exactly one."""

import pytest
import torch
from transformers import AutoModelForQuestionAnswering, GPT2Config, GPT2LMHeadModel

from qa_research.capture.sites import KNOWN, Anatomy, Site
from qa_research.interventions.graft.parts import (
    DIVISIONS,
    Dissection,
    chosen_parts,
    size_of,
    tensors_of,
    united,
)
from qa_research.interventions.graft.swapping import grafted
from qa_research.model.bottleneck import BottleneckAdapters
from qa_research.model.encoder import EncoderSettings
from qa_research.model.halves import HALVES
from qa_research.model.one_number import ConvolutionalNetwork, TransformerNetwork
from qa_research.streams import stream
from tests.model.test_layers import CONFIGS

OWN = "our own encoder"


def network_of(kind: str, seed: int = 0):
    """A small network of 3 layers with 2 heads, in eval mode."""
    torch.manual_seed(seed)
    if kind != OWN:
        return AutoModelForQuestionAnswering.from_config(CONFIGS[kind]).eval()
    settings = EncoderSettings(16, 2, 32, 3, "learned", 12, "all", 4, 0.0)
    return TransformerNetwork(4, settings, 3, "mean", halts=False).eval()


def logits_of(network, kind: str):
    torch.manual_seed(9)
    with torch.no_grad():
        if kind == OWN:
            return network(torch.randn(3, 12, 4), torch.ones(3, 12, dtype=torch.bool))
        output = network(input_ids=torch.randint(3, 60, (3, 12)))
    return torch.stack([output.start_logits, output.end_logits])


@pytest.mark.parametrize("division", DIVISIONS)
@pytest.mark.parametrize("kind", [*CONFIGS, OWN])
def test_each_number_is_in_exactly_one_part(kind, division):
    network = network_of(kind)
    counts = {name: torch.zeros(t.shape) for name, t in network.state_dict().items()}
    for part in Dissection(network).parts(division):
        for name, mask in part.masks.items():
            counts[name] += 1 if mask is None else mask.float()
    assert all((count == 1).all() for count in counts.values())


@pytest.mark.parametrize("division", DIVISIONS)
@pytest.mark.parametrize("kind", [*CONFIGS, OWN])
def test_with_all_parts_it_is_the_other_network_to_the_last_bit(kind, division):
    network, other = network_of(kind), network_of(kind, seed=1)
    before, wanted = logits_of(network, kind), logits_of(other, kind)
    parts = Dissection(network).parts(division)
    assert not before.equal(wanted)
    with grafted(network, tensors_of(other), united(part.masks for part in parts)):
        assert logits_of(network, kind).equal(wanted)
    assert logits_of(network, kind).equal(before)


@pytest.mark.parametrize("kind", [*CONFIGS, OWN])
def test_a_heads_weights_are_those_that_make_its_output(kind):
    network = network_of(kind)
    part = next(p for p in Dissection(network).parts("heads") if p.name == "heads.1.1")
    nothing = {name: torch.zeros_like(tensor) for name, tensor in tensors_of(network).items()}
    with grafted(network, nothing, part.masks):
        without = logits_of(network, kind)
    module, side = Anatomy(network).module(Site("context", 1))
    assert side == "input"
    keep = torch.arange(16) < 8
    hook = module.register_forward_pre_hook(lambda _, inputs: (inputs[0] * keep,))
    silenced = logits_of(network, kind)
    hook.remove()
    torch.testing.assert_close(without, silenced, atol=1e-6, rtol=1e-5)
    assert not without.allclose(logits_of(network, kind), atol=1e-4)


def test_parts_of_bert_are_called_and_made_as_documented():
    dissection = Dissection(network_of("bert"))
    names = {division: [p.name for p in dissection.parts(division)] for division in DIVISIONS}
    assert names["layers"] == ["embeddings", "layers.0", "layers.1", "layers.2", "head"]
    assert names["modules"][:4] == ["embeddings", "attention.0", "feed_forward.0", "attention.1"]
    assert len(names["modules"]) == 2 + 2 * 3
    assert names["heads"][1:5] == ["heads.0.0", "heads.0.1", "norms.0", "feed_forward.0"]
    by_name = {p.name: p for d in DIVISIONS for p in dissection.parts(d)}
    layer = "bert.encoder.layer.0."
    assert by_name["norms.0"].masks.keys() == {
        f"{layer}attention.output.dense.bias",
        f"{layer}attention.output.LayerNorm.weight",
        f"{layer}attention.output.LayerNorm.bias",
    }
    assert f"{layer}output.LayerNorm.weight" in by_name["feed_forward.0"].masks
    # 8 of 16 rows of three matrices with their biases, and 8 columns of one.
    assert size_of(by_name["heads.0.1"].masks, dissection.tensors) == 3 * (8 * 16 + 8) + 16 * 8


@pytest.mark.parametrize("kind", [*CONFIGS, OWN])
@pytest.mark.parametrize("division", DIVISIONS)
def test_random_sets_are_as_large_as_what_they_are_compared_with(kind, division):
    dissection = Dissection(network_of(kind))
    compared = 0
    for part in dissection.parts(division):
        control = dissection.control_of(part)
        if control is None:
            assert part.layer is None or part.kind == "norm"
            continue
        drawn = [dissection.random(control, stream(seed, "test")) for seed in (1, 1, 2)]
        sizes = {size_of(masks, dissection.tensors) for masks in drawn}
        # ModernBERT's first layer has no normalisation before its attention.
        if kind != "modernbert" or division == "heads":
            assert sizes == {size_of(part.masks, dissection.tensors)}
        one, same, other = (united([masks]) for masks in drawn)
        assert all(mask.equal(same[name]) for name, mask in one.items())
        assert any(not mask.equal(other[name]) for name, mask in one.items() if name in other)
        compared += 1
    assert compared


def test_parts_are_chosen_by_their_names():
    dissection = Dissection(network_of("bert"))
    found, whole = chosen_parts(dissection, ["all"])
    assert list(found) == list(DIVISIONS) and whole == set(DIVISIONS)
    found, whole = chosen_parts(dissection, ["layers", "heads.2.1", "attention.1", "layers.0"])
    assert whole == {"layers"} and len(found["layers"]) == 5
    assert [part.name for part in found["modules"]] == ["attention.1"]
    assert [part.name for part in found["heads"]] == ["heads.2.1"]
    with pytest.raises(ValueError, match=r"--parts heads\.3\.1 .*did you mean .*heads\.2\.1"):
        chosen_parts(dissection, ["heads.3.1"])
    with pytest.raises(ValueError, match="nor layers, modules, heads or all; it has"):
        chosen_parts(dissection, ["nose"])


def test_what_adapters_add_belongs_to_modules_and_to_no_head():
    network = network_of("bert")
    BottleneckAdapters(width=4, layers=None).add(network, seed=1)
    dissection = Dissection(network)
    attention = next(p for p in dissection.parts("modules") if p.name == "attention.0")
    assert any("adapter" in name for name in attention.masks)
    assert dissection.control_of(attention) is None
    with pytest.raises(ValueError, match="cannot be divided into heads, because of .*adapter"):
        dissection.parts("heads")
    assert list(chosen_parts(dissection, ["attention.0"])[0]) == ["modules"]


def test_a_network_whose_layers_are_not_known_is_one_sentence():
    small = GPT2Config(n_embd=8, n_layer=1, n_head=1, vocab_size=10, n_positions=8)
    with pytest.raises(ValueError, match="where a network of the type gpt2 has its layers"):
        Dissection(GPT2LMHeadModel(small))
    with pytest.raises(ValueError, match="a ConvolutionalNetwork does not say that it has layers"):
        Dissection(ConvolutionalNetwork(4, 8, 3, 2, "mean", 0.0))


def test_halves_are_known_of_the_same_networks_as_sites():
    assert HALVES.keys() == KNOWN.keys()
