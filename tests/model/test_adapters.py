"""Modules that are added to networks: what they change, what they leave alone, and whom they refuse."""

import copy
import json
import sys
import warnings

import pytest
import torch
from pydantic import ValidationError
from transformers import (
    AutoModelForQuestionAnswering,
    AutoModelForSequenceClassification,
    BertConfig,
    BertForQuestionAnswering,
    GPT2Config,
    GPT2ForQuestionAnswering,
)

from qa_research.capture.sites import KNOWN
from qa_research.model.bert import QUESTIONS, head_of, stored
from qa_research.model.bottleneck import BottleneckAdapters
from qa_research.model.kept import ADAPTERS, KINDS, read_adapters
from qa_research.model.layers import ADDENDS
from qa_research.model.lora import LoraAdapters
from qa_research.model.pals import PalAdapters
from qa_research.model.tracing import describe
from qa_research.model.weights import weights_fingerprint
from tests.model.test_layers import CONFIGS, SIZES

# Linear modules of the layers, where they are not called as in BERT.
TARGETS = {"distilbert": ["q_lin", "ffn.lin2"], "modernbert": ["Wqkv", "mlp.Wo"]}


def adapters_of(kind, network_type="bert", layers=None):
    """Adapters of a kind, small enough for the networks here."""
    targets = TARGETS.get(network_type, ["query", "output.dense"])
    return {
        "lora": LoraAdapters(rank=2, alpha=4.0, targets=targets, layers=layers),
        "bottleneck": BottleneckAdapters(width=4, layers=layers),
        "pals": PalAdapters(width=8, heads=2, layers=layers),
    }[kind]


def network_of(network_type="bert", auto=AutoModelForQuestionAnswering):
    torch.manual_seed(3)
    return auto.from_config(copy.deepcopy(CONFIGS[network_type])).eval()


def two_windows():
    """Of nine tokens and of five."""
    ids = torch.arange(3, 21).view(2, 9)
    mask = torch.ones(2, 9, dtype=torch.long)
    mask[1, 5:] = 0
    return {"input_ids": ids, "attention_mask": mask}


def outputs(network, **inputs):
    with torch.no_grad():
        return torch.cat([t.flatten() for t in network(**(inputs or two_windows())).to_tuple()])


def own(adapters, network):
    return {name: p for name, p in network.named_parameters() if adapters.owns(name)}


def fill(adapters, network):
    """Weights with which adapters do something."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in own(adapters, network).values():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.3)


@pytest.mark.parametrize("network_type", CONFIGS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_network_starts_as_it_was_and_reads_no_padding(kind, network_type):
    network, adapters = network_of(network_type), adapters_of(kind, network_type)
    known, before = type(network), outputs(network)
    original = {id(p) for p in network.parameters()}
    adapters.add(network, seed=1)
    assert type(network) is known
    # Its own parameters are there still, and exactly the others are the adapters'.
    kept = {id(p) for name, p in network.named_parameters() if not adapters.owns(name)}
    assert kept == original and own(adapters, network)
    # LoRA and PALs change nothing yet; Houlsby's adapters very little.
    torch.testing.assert_close(
        outputs(network), before, rtol=0, atol=1e-4 if kind == "bottleneck" else 0
    )
    fill(adapters, network)
    changed = outputs(network)
    assert (changed - before).abs().max() > 0.01
    inputs = two_windows()
    inputs["input_ids"][1, 5:] = 50
    both = torch.stack((changed, outputs(network, **inputs))).view(2, 2, 2, 9)
    torch.testing.assert_close(both[0, :, 1, :5], both[1, :, 1, :5], rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_initial_values_depend_on_the_seed_alone(kind):
    drawn = []
    for seed, global_seed in ((1, 7), (1, 8), (2, 7)):
        network, adapters = network_of(), adapters_of(kind)
        torch.manual_seed(global_seed)
        state = torch.get_rng_state()
        adapters.add(network, seed)
        assert torch.equal(torch.get_rng_state(), state)
        drawn.append({name: p.detach() for name, p in own(adapters, network).items()})
    first, again, other = drawn
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


@pytest.mark.parametrize("kind", KINDS)
def test_a_network_has_the_fingerprint_that_it_had(kind):
    network, adapters = network_of(), adapters_of(kind)
    before = weights_fingerprint(network)
    adapters.add(network, seed=1)
    assert weights_fingerprint(network, adapters) == before != weights_fingerprint(network)


@pytest.mark.parametrize("kind", KINDS)
def test_only_the_chosen_layers_get_some(kind):
    network, adapters = network_of(), adapters_of(kind, layers=[-1, 0])
    adapters.add(network, seed=1)
    layers = {name.split("bert.encoder.layer.")[1][0] for name in own(adapters, network)}
    assert layers == {"0", "2"}


@pytest.mark.parametrize("kind", KINDS)
def test_a_copy_uses_its_own_adapters(kind):
    network, adapters = network_of(), adapters_of(kind)
    adapters.add(network, seed=1)
    fill(adapters, network)
    before = outputs(network)
    other = copy.deepcopy(network)
    assert torch.equal(outputs(other), before)
    with torch.no_grad():
        for parameter in own(adapters, other).values():
            parameter.zero_()
    assert torch.equal(outputs(network), before)
    torch.testing.assert_close(outputs(other), outputs(network_of()), rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_attention_of_either_kind_gives_the_same(kind):
    network, adapters = network_of(), adapters_of(kind)
    adapters.add(network, seed=1)
    fill(adapters, network)
    by_sdpa = outputs(network)
    network.set_attn_implementation("eager")
    torch.testing.assert_close(outputs(network), by_sdpa, rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_the_output_layer_of_pairs_stays_as_it_is(kind):
    network = network_of("bert", AutoModelForSequenceClassification)
    adapters, head = adapters_of(kind), head_of(network)
    adapters.add(network, seed=1)
    assert head_of(network) is head
    outside = {n for n in own(adapters, network) if not n.startswith("bert.encoder.layer.")}
    assert not outside  # `dense` is the pooler's name, too.


@pytest.mark.parametrize("kind", KINDS)
def test_the_architecture_shows_them(kind):
    network, adapters = network_of(), adapters_of(kind)
    adapters.add(network, seed=1)
    found = describe(network, adapters)
    count = sum(
        torch.Size(shape).numel()
        for module in found.modules
        for shape in module.parameters.values()
    )
    assert count == sum(p.numel() for p in network.parameters())
    # torchview loses track where something passes a layer by.
    assert (found.graph is None) == (kind == "pals")


@pytest.mark.parametrize("network_type", CONFIGS)
def test_lora_is_merged_into_equal_logits(network_type, tmp_path):
    network, adapters = network_of(network_type), adapters_of("lora", network_type)
    adapters.add(network, seed=1)
    fill(adapters, network)
    before, weights = outputs(network), copy.deepcopy(network.state_dict())
    adapters.merged(network).save_pretrained(tmp_path)
    plain = type(network).from_pretrained(tmp_path)
    torch.testing.assert_close(outputs(plain.eval()), before, rtol=0, atol=1e-5)
    assert plain.state_dict().keys() == network_of(network_type).state_dict().keys()
    # The network itself is not changed.
    assert all(torch.equal(tensor, weights[n]) for n, tensor in network.state_dict().items())


@pytest.mark.parametrize("kind", ["bottleneck", "pals"])
def test_what_cannot_be_merged_says_the_way_out(kind):
    network = network_of()
    adapters_of(kind).add(network, seed=1)
    with pytest.raises(ValueError, match=rf"^finetuning={kind} added modules.*qa-research bundle"):
        adapters_of(kind).merged(network)


@pytest.mark.parametrize(
    ("adapters", "sentence"),
    [
        (
            LoraAdapters(17, 4.0, ["query"], None),
            "finetuning.rank=17 is more than 16, the width of ",
        ),
        (
            LoraAdapters(2, 4.0, ["query", "quarry"], None),
            "finetuning.targets has quarry, and a layer of this network has no linear module whose "
            "name ends so; it has attention.self.query, attention.self.key,",
        ),
        # A module, but not a linear one; and one outside the layers.
        (LoraAdapters(2, 4.0, ["LayerNorm"], None), "finetuning.targets has LayerNorm"),
        (LoraAdapters(2, 4.0, ["qa_outputs"], None), "finetuning.targets has qa_outputs"),
        (LoraAdapters(2, 4.0, ["query"], [3]), "finetuning.layers has 3; this network has the"),
        (BottleneckAdapters(17, None), "finetuning.width=17 is more than the 16 units"),
        (
            BottleneckAdapters(4, [-4]),
            "finetuning.layers has -4; this network has the layers 0 to 2",
        ),
        (PalAdapters(18, 2, None), "finetuning.width=18 is more than the 16 units"),
        (PalAdapters(8, 3, None), "finetuning.width=8 must be a multiple of finetuning.heads=3"),
        (PalAdapters(8, 2, [9]), "finetuning.layers has 9; this network has the layers 0 to 2"),
    ],
)
def test_what_a_network_does_not_have_is_refused(adapters, sentence):
    network = network_of()
    names = list(network.state_dict())
    with pytest.raises(ValueError) as refused:
        adapters.add(network, seed=1)
    assert str(refused.value).startswith(sentence), refused.value
    assert list(network.state_dict()) == names


@pytest.mark.parametrize("kind", KINDS)
def test_a_network_of_unknown_layers_is_refused(kind):
    config = GPT2Config(
        vocab_size=60, n_embd=16, n_layer=1, n_head=2, bos_token_id=0, eos_token_id=0
    )
    with pytest.raises(ValueError, match=rf"^finetuning={kind} adds to the layers .*type gpt2 has"):
        adapters_of(kind).add(GPT2ForQuestionAnswering(config), seed=1)


def test_without_peft_lora_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(ValueError, match=r"pip install 'qa-research\[lora\]'"):
        adapters_of("lora").add(network_of(), seed=1)
    adapters_of("bottleneck").add(network_of(), seed=1)


def kept(tmp_path, adapters=None):
    """A directory as `write_network` leaves it, and the weights of a network with these adapters."""
    torch.manual_seed(3)
    network = BertForQuestionAnswering(BertConfig(**SIZES)).eval()
    network.config.save_pretrained(tmp_path)
    if adapters:
        adapters.add(network, seed=1)
        fill(adapters, network)
    return network


@pytest.mark.parametrize("kind", KINDS)
def test_stored_weights_need_the_adapters_they_were_trained_with(tmp_path, kind):
    adapters = adapters_of(kind)
    network = kept(tmp_path, adapters)
    weights = network.state_dict()
    again = stored(tmp_path, weights, "best.ckpt", QUESTIONS, adapters)
    assert torch.equal(outputs(again), outputs(network))
    with pytest.raises(
        ValueError, match=r"^best\.ckpt does not fit the network of .*config\.json: "
    ):
        stored(tmp_path, weights, "best.ckpt")
    with pytest.raises(
        ValueError, match=r"^best\.ckpt does not fit the network of .*config\.json: "
    ):
        stored(tmp_path, kept(tmp_path).state_dict(), "best.ckpt", QUESTIONS, adapters)


def test_adapters_that_do_not_fit_are_named_by_their_file(tmp_path):
    weights = kept(tmp_path).state_dict()
    with pytest.raises(
        ValueError, match=r"^what was added to the network of .*config\.json cannot"
    ):
        stored(tmp_path, weights, "best.ckpt", QUESTIONS, BottleneckAdapters(99, None))


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_read_back_is_what_was_written(tmp_path, kind):
    adapters = adapters_of(kind, layers=[0, -1])
    path = tmp_path / ADAPTERS
    assert read_adapters(tmp_path) is None
    path.write_text(json.dumps({"kind": kind} | vars(adapters)))
    assert read_adapters(tmp_path) == adapters


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_description_is_one_sentence(tmp_path, kind):
    path = tmp_path / ADAPTERS
    whole = {"kind": kind} | vars(adapters_of(kind))
    texts = ["", "null", "[]", '"x"', "{", "[" * 100_000, json.dumps(whole | {"other": 1})]
    for key in whole:
        texts += [json.dumps(whole | {key: value}) for value in (-1, "x", {}, [[]], True, 2**70)]
        texts.append(json.dumps({k: v for k, v in whole.items() if k != key}))
    for text in texts:
        path.write_text(text)
        with pytest.raises(ValueError, match=str(path)) as refused:
            read_adapters(tmp_path)
        assert "\n" not in str(refused.value), text[:100]


def test_settings_are_checked_when_they_are_made():
    for make in (
        lambda: BottleneckAdapters(0, None),
        lambda: BottleneckAdapters(4, []),
        lambda: LoraAdapters(0, 1.0, ["query"], None),
        lambda: LoraAdapters(1, 0.0, ["query"], None),
        lambda: LoraAdapters(1, 1.0, [], None),
        lambda: PalAdapters(8, 0, None),
    ):
        with pytest.raises(ValidationError):
            make()


def test_adapters_are_where_capture_looks_at_what_is_added():
    for network_type, (attention, feeding_forward) in ADDENDS.items():
        assert KNOWN[network_type]["attention_added"] == (attention, "output")
        assert KNOWN[network_type]["mlp"] == (feeding_forward, "output")


def test_peft_warns_of_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        adapters_of("lora").add(network_of(), seed=1)
