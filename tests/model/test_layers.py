"""Which parameters belong to the embeddings, to a layer and to the head."""

import pytest
from transformers import (
    AutoModelForQuestionAnswering,
    AutoModelForSequenceClassification,
    BertConfig,
    CamembertConfig,
    DistilBertConfig,
    ElectraConfig,
    GPT2Config,
    ModernBertConfig,
    RobertaConfig,
    XLMRobertaConfig,
)

from qa_research.capture.sites import KNOWN
from qa_research.model.layers import ADDENDS, STEMS, chosen_layers, layers_of

SIZES = {
    "vocab_size": 60,
    "hidden_size": 16,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "pad_token_id": 0,
}
OTHER_NAMES = {
    "hidden_size": "dim",
    "num_hidden_layers": "n_layers",
    "num_attention_heads": "n_heads",
    "intermediate_size": "hidden_dim",
}
CONFIGS = {
    "bert": BertConfig(**SIZES),
    "camembert": CamembertConfig(**SIZES),
    "distilbert": DistilBertConfig(**{OTHER_NAMES.get(k, k): v for k, v in SIZES.items()}),
    # Narrower embeddings, which it projects.
    "electra": ElectraConfig(**SIZES, embedding_size=8),
    "modernbert": ModernBertConfig(**SIZES),
    "roberta": RobertaConfig(**SIZES),
    "xlm-roberta": XLMRobertaConfig(**SIZES),
}


def test_capture_and_finetuning_know_the_same_networks():
    assert STEMS.keys() == ADDENDS.keys() == KNOWN.keys() == CONFIGS.keys()


@pytest.mark.parametrize("kind", CONFIGS)
@pytest.mark.parametrize(
    "network_class", [AutoModelForQuestionAnswering, AutoModelForSequenceClassification]
)
def test_every_parameter_is_in_exactly_one_part(kind, network_class):
    network = network_class.from_config(CONFIGS[kind])
    parts = layers_of(network)
    assert [part.name for part in parts] == ["embeddings", "layer 0", "layer 1", "layer 2", "head"]
    names = [name for part in parts for name in part.parameters]
    assert sorted(names) == sorted(name for name, _ in network.named_parameters())
    assert sum(part.size for part in parts) == sum(p.numel() for p in network.parameters())
    embeddings, *layers, head = parts
    assert all("embeddings" in name for name in embeddings.parameters)
    for number, layer in enumerate(layers):
        assert all(f".{number}." in name for name in layer.parameters)
    assert len({layer.size for layer in layers[1:]}) == 1
    outputs = {"qa_outputs", "classifier", "pooler", "pre_classifier", "head", "model.final_norm"}
    assert all(any(word in name for word in outputs) for name in head.parameters)


def test_a_pooler_is_part_of_the_head():
    head = layers_of(AutoModelForSequenceClassification.from_config(CONFIGS["bert"]))[-1]
    assert {name.rpartition(".")[0] for name in head.parameters} == {
        "bert.pooler.dense",
        "classifier",
    }


def test_a_network_of_an_unknown_type_is_refused():
    network = AutoModelForQuestionAnswering.from_config(
        GPT2Config(vocab_size=60, n_embd=16, n_layer=1, n_head=2)
    )
    with pytest.raises(ValueError, match="where a network of the type gpt2 has its layers is not"):
        layers_of(network)


def test_layers_are_chosen_from_either_end():
    assert chosen_layers("k", [-1, 0, 5], 6) == [0, 5] and chosen_layers("k", None, 3) == [0, 1, 2]
    with pytest.raises(ValueError, match=r"capture.attention.layers has 6.*layers 0 to 5"):
        chosen_layers("capture.attention.layers", [0, 6], 6)
