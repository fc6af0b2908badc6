"""Models that were trained elsewhere, opened as runs are."""

import json
import pickle
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from qa_research.runs.named import find_model, remember
from qa_research.runs.open import open_run
from tests.conftest import CONTEXT
from tests.model_folders import (
    BYTE_LEVEL,
    CONFIGS,
    byte_level_tokenizer,
    network_of,
    put_in_hub_cache,
    write_model,
    write_run_qa,
)

QUESTION = "Who teaches chess?"


@pytest.fixture
def model(tokenizer, tmp_path) -> Path:
    return write_model(tmp_path / "mine" / "bert-squad", tokenizer)


@pytest.mark.parametrize("kind", CONFIGS)
def test_a_model_of_each_type_answers_as_its_own_class_does(kind, tokenizer, tmp_path):
    if kind in BYTE_LEVEL:
        tokenizer = byte_level_tokenizer([CONTEXT, QUESTION])
    place = write_model(tmp_path / kind, tokenizer, kind)
    opened = open_run(place, runs=tmp_path / "runs")
    assert opened.name == f"{tmp_path.name}/{kind}" and opened.label == "model"
    answer = opened.ask(QUESTION, CONTEXT)
    assert CONTEXT[answer.char_start : answer.char_end] == answer.text != ""
    batch = tokenizer(QUESTION, CONTEXT, return_tensors="pt")
    names = {name: batch[name] for name in batch if name != "token_type_ids"}
    with torch.inference_mode():
        wanted = network_of(kind, len(tokenizer))(**names).start_logits
        found = opened.network(**names).start_logits
    assert torch.equal(found, wanted)


def test_nothing_is_written_next_to_a_model_that_is_not_ours(model, tmp_path):
    opened = open_run(model, runs=tmp_path / "runs")
    assert opened.results.parent == tmp_path / "runs" / "models" and not opened.is_run
    other = write_model(tmp_path / "mine.2" / "bert-squad", opened.tokenizer)
    assert open_run(other, runs=tmp_path / "runs").results != opened.results


def test_an_old_pickle_of_weights_opens_and_one_with_code_does_not(model):
    network = network_of("bert", open_run(model).tokenizer.vocab_size)
    (model / "model.safetensors").unlink()
    torch.save(network.state_dict(), model / "pytorch_model.bin")
    wanted = network.qa_outputs.weight
    assert torch.equal(open_run(model).network.qa_outputs.weight, wanted)

    class Code:
        def __reduce__(self):
            return (Path.touch, (model / "ran",))

    (model / "pytorch_model.bin").write_bytes(pickle.dumps(Code()))
    with pytest.raises(ValueError, match="bert-squad"):
        open_run(model)
    assert not (model / "ran").exists()


def test_safetensors_are_taken_where_there_is_a_pickle_too(model):
    (model / "pytorch_model.bin").write_bytes(b"damaged")
    assert open_run(model).label == "model"


def test_windows_are_those_of_the_training_where_the_tokenizer_says_them(tokenizer, tmp_path):
    out = write_run_qa(tmp_path / "out", tokenizer, [5, 10], best=5)
    opened = open_run(out)
    assert opened.config["data"] == {"max_tokens": 48, "stride_tokens": 16}
    assert (opened.label, opened.step, opened.name) == ("checkpoint-5", 5, f"{tmp_path.name}/out")
    own = open_run(out, "last")
    assert (own.label, own.step) == ("model", 10)
    alone = open_run(out / "checkpoint-10")
    assert (alone.label, alone.step, alone.name) == ("checkpoint-10", 10, own.name)
    assert alone.record == own.record, "a checkpoint is a step of the model above it"


@pytest.mark.parametrize(
    ("file", "content", "wanted"),
    [
        ("README.md", "---\nlicense: mit\ndatasets:\n- rajpurkar/squad_v2\n---\n# It\n", True),
        ("README.md", "---\ndatasets: [squad]\n---\n", None),
        ("README.md", "# No front matter: squad_v2", None),
        ("all_results.json", '{"eval_NoAns_total": 5945}', True),
        ("trainer_state.json", '{"log_history": [{"eval_NoAns_total": 2}]}', True),
        ("trainer_state.json", '{"log_history": [{"eval_f1": 2}]}', None),
    ],
)
def test_a_model_abstains_if_its_directory_says_that_it_learned_to(model, file, content, wanted):
    (model / file).write_text(content)
    assert open_run(model).answering.abstain is wanted


def test_otherwise_it_abstains_if_a_question_that_it_is_asked_has_no_answer(model, questions):
    from tests.conftest import make_question

    opened = open_run(model)
    assert opened.suited_to(questions).answering.abstain is False
    unanswerable = make_question(9, "Who teaches tennis?", None)
    assert opened.suited_to([*questions, unanswerable]).answering.abstain is True


def test_a_model_of_the_hub_is_found_in_the_cache(tokenizer, tmp_path, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "home" / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    put_in_hub_cache(tmp_path / "home", "org/tiny-squad", lambda p: write_model(p, tokenizer))
    runs = tmp_path / "runs"
    opened = open_run("org/tiny-squad", runs=runs)
    assert (opened.name, opened.label) == ("org/tiny-squad", "model")
    assert opened.results == runs / "models" / "org--tiny-squad"
    with pytest.raises(FileNotFoundError, match=r"org/other could not be fetched.*org/tiny-squad"):
        open_run("org/other", runs=runs)
    # What may be the name of a run is never looked for on the hub.
    (runs / "nopretrain").mkdir(parents=True)
    for name in ("nopretrain/tiny", "tiny", "a/b/c"):
        with pytest.raises(FileNotFoundError, match=f"no run '{name}'"):
            find_model(name, runs)


def test_a_typing_error_in_a_path_is_said_with_the_nearest_name_and_never_asks_the_hub(
    model, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("qa_research.model.hub.fetched_model", lambda name: pytest.fail(name))
    (tmp_path / "mine" / "notes").mkdir()
    runs = Path("runs")
    for typed, said in {
        "mine/bert-sqad": "there is no directory mine/bert-sqad; did you mean mine/bert-squad?",
        "min/bert-squad": "there is no directory min/bert-squad; did you mean mine/bert-squad?",
        "mine/note": "there is no directory mine/note; did you mean mine/notes?",
        "mine/other": "there is no directory mine/other",
        "../other": "there is no directory ../other",
        f"{tmp_path}/mine/bert-squat": f"did you mean {tmp_path}/mine/bert-squad?",
        "mine/bert-squad/model.safetensors": "is a file; name its folder, mine/bert-squad",
    }.items():
        with pytest.raises(FileNotFoundError) as refused:
            find_model(typed, runs)
        assert str(refused.value).endswith(said) and typed in str(refused.value)
    with pytest.raises(pytest.fail.Exception, match="deepset/roberta-base-squad2"):
        find_model("deepset/roberta-base-squad2", runs)


def test_a_model_is_found_by_the_name_that_its_results_have(model, tmp_path, monkeypatch):
    runs = tmp_path / "runs"
    remember(str(model / "checkpoint-5"), runs)
    assert not runs.exists(), "there is no such directory"
    named = find_model(str(model), runs)
    remember(str(model), runs)
    found = find_model("mine/bert-squad", runs)
    assert found == replace(named, typed=str(model))
    other = shutil.copytree(model, tmp_path / "b" / "mine" / "bert-squad")
    remember(str(other), runs)
    with pytest.raises(
        ValueError, match="'mine/bert-squad' may be .* or .*; give the one you mean"
    ):
        find_model("mine/bert-squad", runs)
    shutil.rmtree(other)
    assert find_model("mine/bert-squad", runs) == found
    shutil.rmtree(model)
    with pytest.raises(FileNotFoundError, match="mine/bert-squad was .*, which is no longer there"):
        find_model("mine/bert-squad", runs)


def without(place: Path, *names: str) -> None:
    for name in names:
        (place / name).unlink()


def change_config(place: Path, **changes: object) -> None:
    path = place / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def save_other(place: Path, cls: str) -> None:
    import transformers

    config = transformers.AutoConfig.from_pretrained(place)
    getattr(transformers, cls)(config).save_pretrained(place)


def with_more_pieces(place: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(place)
    tokenizer.add_tokens([f"word{n}" for n in range(500)])
    tokenizer.save_pretrained(place)


def not_finite(place: Path) -> None:
    network = network_of("bert", json.loads((place / "config.json").read_text())["vocab_size"])
    network.qa_outputs.bias.data[0] = float("nan")
    network.save_pretrained(place)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (
            lambda p: save_other(p, "BertModel"),
            "is a BertModel without a question-answering output",
        ),
        (lambda p: save_other(p, "BertForMaskedLM"), "is a BertForMaskedLM without a question-ans"),
        (lambda p: change_config(p, model_type="vit"), "of the type 'vit', which has no question-"),
        (lambda p: change_config(p, model_type="nonsense"), "config.json cannot be used"),
        (
            lambda p: change_config(p, hidden_size=32),
            "the weights of .* do not fit its config.json",
        ),
        (
            lambda p: change_config(p, num_hidden_layers=3),
            "is incomplete: its weights lack bert.enc",
        ),
        (lambda p: change_config(p, hidden_size=17), r"The hidden size \(17\)"),
        (lambda p: without(p, "tokenizer.json"), "has no tokenizer"),
        (lambda p: (p / "tokenizer.json").write_text("{}"), "tokenizer.json"),
        (with_more_pieces, "pieces, and its network has embeddings for .* do not belong together"),
        (not_finite, "has weights that are not finite in qa_outputs.bias"),
        (
            lambda p: (p / "model.safetensors").write_bytes(b"x"),
            "is damaged, or no safetensors file",
        ),
        (lambda p: (p / "answering.json").write_text('{"max_tokens": 3}'), "answering.json has"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_one_sentence(model, spoil, said):
    spoil(model)
    with pytest.raises((ValueError, FileNotFoundError), match=said) as refused:
        open_run(model)
    assert "\n" not in str(refused.value)


def test_a_directory_with_a_model_can_be_copied_anywhere(model, tmp_path):
    copy = Path(shutil.copytree(model, tmp_path / "elsewhere"))
    assert open_run(copy).ask(QUESTION, CONTEXT) == open_run(model).ask(QUESTION, CONTEXT)
