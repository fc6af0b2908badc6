"""architecture.json: what a run writes of its network when it starts, and how it is read."""

import json

import pytest
import torch
from torch import nn
from transformers import (
    AutoModelForQuestionAnswering,
    BertConfig,
    RoFormerConfig,
    T5Config,
    XLNetConfig,
)

from qa_research.model.architecture import read_architecture
from qa_research.model.bert import skeleton
from qa_research.model.graph import drawn_depth, layers
from qa_research.model.tracing import write_architecture
from tests.model_folders import CONFIGS, network_of

SMALL = {"hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 32, "vocab_size": 60}


def written(directory, network):
    directory.mkdir(exist_ok=True)
    write_architecture(directory, network)
    return read_architecture(directory)


def bert(n_layers: int):
    return skeleton(BertConfig(num_hidden_layers=n_layers, **SMALL))


def test_modules_have_their_shapes(tmp_path):
    found = written(tmp_path, bert(1))
    head = found.by_name["qa_outputs"]
    assert head.class_name == "Linear"
    assert head.parameters == {"weight": [2, 16], "bias": [2]}
    assert found.by_name[""].class_name == "BertForQuestionAnswering"


def test_the_graph_of_a_bert(tmp_path):
    graph = written(tmp_path, bert(2)).graph
    assert graph.hidden == 16
    assert [(node.number, node.name) for node in graph.nodes] == list(
        enumerate(
            "input_ids token_type_ids position_ids Embedding Embedding add Embedding add LayerNorm Dropout "
            "BertAttention BertIntermediate BertOutput BertAttention BertIntermediate BertOutput Linear "
            "split output output".split(),
            start=1,
        )
    )
    intermediate = graph.nodes[11]
    assert (intermediate.kind, intermediate.place) == (
        "module",
        "bert.encoder.layer.0.intermediate",
    )
    assert intermediate.inputs == (("window", "token", "hidden"),)
    assert intermediate.outputs == (("window", "token", 32),)
    # Attention gives to what follows it, and past that to the layer's end; positions are not given to it.
    assert [edge for edge in graph.edges if 11 in edge] == [(10, 11), (11, 12), (11, 13)]
    assert [edge for edge in graph.edges if 3 in edge] == [(3, 7)]


@pytest.mark.parametrize("kind", CONFIGS)
def test_every_kind_of_network_has_a_graph_whose_layers_are_drawn_in_parts(kind, tmp_path):
    network = network_of(kind, 60)
    found = written(tmp_path, network)
    assert found.no_graph is None
    assert sum(found.sizes.values()) == sum(p.numel() for p in network.parameters())
    (attention,) = {node.name for node in found.graph.nodes if node.name.endswith("Attention")} | {
        node.name for node in found.graph.nodes if node.name.endswith("SelfAttention")
    }
    assert sum(node.name == attention for node in found.graph.nodes) == 2
    assert {axis for node in found.graph.nodes for s in node.outputs for axis in s} >= {
        "window",
        "token",
    }


def test_time_first_networks_have_names_for_their_axes_too(tmp_path):
    found = written(tmp_path, skeleton(XLNetConfig(d_model=16, n_layer=2, n_head=2, d_inner=32)))
    attention = [n for n in found.graph.nodes if n.name == "XLNetRelativeAttention"]
    assert [n.outputs for n in attention] == [(("token", "window", "hidden"),)] * 2
    assert ("2·token", "window", "hidden") in attention[0].inputs


def test_what_passes_twice_through_one_module_is_drawn_twice(tmp_path):
    found = written(tmp_path, network_of("albert", 60))
    assert found.layers == ["albert.encoder.albert_layer_groups.0.albert_layers.0"]
    assert sum(node.name == "AlbertAttention" for node in found.graph.nodes) == 2


def test_parameters_that_two_modules_share_are_counted_once(tmp_path):
    sizes = {
        "d_model": 16,
        "d_ff": 32,
        "d_kv": 8,
        "num_heads": 2,
        "num_layers": 1,
        "vocab_size": 60,
    }
    config = T5Config(**sizes, decoder_start_token_id=0)
    network = AutoModelForQuestionAnswering.from_config(config)
    found = written(tmp_path, network)
    assert sum(found.sizes.values()) == sum(p.numel() for p in network.parameters())
    assert found.by_name["encoder.embed_tokens"].shared == {"weight": "shared.weight"}
    assert found.parameters_of("encoder.embed_tokens") == ["shared.weight"]


def test_a_network_that_cannot_be_followed_has_its_modules_and_the_reason(tmp_path):
    found = written(tmp_path, skeleton(RoFormerConfig(num_hidden_layers=2, **SMALL)))
    assert found.graph is None
    assert found.no_graph == (
        "torchview cannot follow RoFormerForQuestionAnswering (Tensor.item() cannot be called on meta "
        "tensors)"
    )
    attention = [node for node in found.nodes if node.name == "RoFormerAttention"]
    assert [node.place for node in attention] == [
        f"roformer.encoder.layer.{i}.attention" for i in (0, 1)
    ]


@pytest.mark.parametrize("config", [BertConfig, RoFormerConfig])
def test_tracing_changes_neither_the_network_nor_torch(config, tmp_path):
    network = AutoModelForQuestionAnswering.from_config(
        config(num_hidden_layers=1, **SMALL)
    ).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    call, ones, state = nn.Module.__call__, torch.ones, torch.get_rng_state()
    write_architecture(tmp_path, network)
    assert network.training and all(m.training for m in network.modules())
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert nn.Module.__call__ is call and torch.ones is ones
    assert torch.equal(torch.get_rng_state(), state)
    assert not any(m._forward_hooks for m in network.modules())


def test_the_same_network_gives_the_same_file(tmp_path):
    for name in "ab":
        written(tmp_path / name, bert(3))
    assert (tmp_path / "a/architecture.json").read_bytes() == (
        tmp_path / "b/architecture.json"
    ).read_bytes()


def test_tracing_takes_no_memory_for_weights(tmp_path):
    # 0.7 thousand million parameters, on the meta device: 3 GB if they were made.
    network = skeleton(BertConfig(hidden_size=2048, num_attention_heads=16, intermediate_size=8192))
    found = written(tmp_path, network)
    assert found.graph and sum(found.sizes.values()) > 6e8


def test_layers_are_what_lists_of_modules_hold():
    classes = {
        "": "N", "a": "M", "a.list": "ModuleList", "a.list.0": "L", "a.list.0.parts": "ModuleList",
        "a.list.0.parts.0": "P", "a.list.0.parts.1": "Q", "a.list.1": "L", "a.list.1.x": "X",
    }  # fmt: skip
    assert layers(classes) == ["a.list.0", "a.list.1"]
    assert drawn_depth(classes) == 3
    assert layers({"": "N", "a": "Linear"}) == [] and drawn_depth({"": "N", "a": "Linear"}) == 3


def test_a_list_of_an_earlier_version_is_modules_without_a_graph(tmp_path):
    write_architecture(tmp_path, bert(2))
    path = tmp_path / "architecture.json"
    modules = json.loads(path.read_text())["modules"]
    path.write_text(json.dumps(modules))
    found = read_architecture(tmp_path)
    assert found.graph is None and "version 0.2 or earlier" in found.no_graph
    assert [node.name for node in found.nodes] == [
        *("Embedding", "Embedding", "Embedding", "LayerNorm", "Dropout"),
        *("BertAttention", "BertIntermediate", "BertOutput") * 2,
        "Linear",
    ]


def change(**values):
    return lambda content: content | values


def change_graph(**values):
    return lambda content: content | {"graph": content["graph"] | values}


DAMAGED = {
    "no object": (lambda content: 5, "holds the number 5 and no modules of a network"),
    "an empty list": (lambda content: [], "has modules=[]"),
    "no version": (lambda content: {"modules": content["modules"]}, "has no version"),
    "version as text": (change(version="2"), "has version='2': should be a valid integer"),
    "newer": (change(version=3), "is of version 3, and this program reads up to version 2"),
    "no class": (change(modules=[{"name": "", "parameters": {}}]), "has no modules.0.class"),
    "a shape that is none": (
        change(modules=[{"name": "", "class": "A", "parameters": {"w": [-1]}}]),
        "has modules.0.parameters.w.0=-1",
    ),
    "twice": (lambda content: content | {"modules": content["modules"] * 2}, "names a module twice"),
    "shared with nothing": (
        change(modules=[{"name": "", "class": "A", "parameters": {}, "shared": {"w": "b.w"}}]),
        "has no parameter b.w",
    ),
    "no reason": (change(graph=None), "has neither a graph nor the reason why"),
    "an edge of nothing": (change_graph(edges=[[1, 99]]), "has an edge of the node 99, which it has not"),
    "a graph that is none": (change(graph=5), "has graph=5: should be an object"),
    "an edge of one": (change_graph(edges=[[1]]), "has no graph.edges.0.1"),
    "numbers": (
        lambda c: c | {"graph": c["graph"] | {"nodes": c["graph"]["nodes"][1:]}},
        "has a graph whose nodes are not numbered from 1",
    ),
    "a module of nothing": (
        lambda c: c | {"modules": c["modules"][:3]}, "has no module 'bert.embeddings.word_embeddings'",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_file_is_one_sentence(name, tmp_path):
    write_architecture(tmp_path, bert(1))
    path = tmp_path / "architecture.json"
    damage, said = DAMAGED[name]
    path.write_text(json.dumps(damage(json.loads(path.read_text()))))
    with pytest.raises(ValueError) as error:
        read_architecture(tmp_path)
    text = str(error.value)
    assert text.startswith(str(path)) and said in text and "\n" not in text and len(text) < 500


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, '{"version": 9' + "9" * 5000 + "}"])
def test_what_is_not_json_is_one_sentence(text, tmp_path):
    path = tmp_path / "architecture.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"architecture\.json") as error:
        read_architecture(tmp_path)
    assert "\n" not in str(error.value)
