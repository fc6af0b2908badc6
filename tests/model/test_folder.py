"""What a Hugging Face directory holds, and what it is said to be if it holds no model to ask."""

import json
from pathlib import Path

import pytest

from qa_research.model.folder import ModelFolder, check_model, check_tokenizer


def folder(place: Path, files: dict[str, object]) -> Path:
    place.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (place / name).parent.mkdir(exist_ok=True)
        (place / name).write_text(content if isinstance(content, str) else json.dumps(content))
    return place


MODEL = {"config.json": {"architectures": ["BertForQuestionAnswering"]}, "model.safetensors": ""}


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({}, "M is an empty directory"),
        ({"dataset_info.json": {}}, "M is a data set, not a model"),
        ({"dataset_dict.json": {}, "train/x": ""}, "M is a data set, not a model"),
        ({"a/run.json": {}}, "M is a folder of runs"),
        ({"model.safetensors": ""}, r"M has weights \(model.safetensors\) but no config.json"),
        ({"notes.txt": ""}, "M is neither a run nor a Hugging Face model: .* only notes.txt"),
        (
            {"adapter_config.json": {"base_model_name_or_path": "org/base"}, **MODEL},
            "M is an adapter of org/base, not a whole model; merge it",
        ),
        ({"config.json": {}}, "M has a config.json but no weights"),
        ({"config.json": {}, "tf_model.h5": ""}, "M has weights of TensorFlow only"),
        ({"config.json": []}, "config.json holds no JSON object"),
        (
            {"config.json": {"auto_map": {"AutoModel": "x.Y"}}, "model.safetensors": ""},
            "M can be used only with code of its own .*is never run",
        ),
        (
            {"config.json": {"architectures": ["BertForMaskedLM"]}, "pytorch_model.bin": ""},
            "M is a BertForMaskedLM without a question-answering output layer; .*model.weights=M",
        ),
        (
            {"config.json": {}, "model.safetensors.index.json": {"weight_map": {"a": "part-1"}}},
            "M is incomplete: its index of weights names part-1",
        ),
        (
            {"config.json": {}, "model.safetensors.index.json": {}},
            "is no index of weights",
        ),
    ],
)
def test_what_is_no_model_to_ask_is_said_to_be_what_it_is(tmp_path, files, said):
    place = folder(tmp_path / "m", files)
    with pytest.raises((ValueError, FileNotFoundError), match=said):
        check_model(place, "M")


def test_a_part_of_a_run_points_to_the_run(tmp_path):
    folder(tmp_path, {"run.json": {}})
    place = folder(tmp_path / "model", {"config.json": {}})
    with pytest.raises(FileNotFoundError, match="is a part of the run .*name the run"):
        check_model(place, "M")


def test_a_checkpoint_takes_the_tokenizer_of_its_folder(tmp_path):
    place = folder(tmp_path / "out" / "checkpoint-5", MODEL)
    with pytest.raises(FileNotFoundError, match=r"M has no tokenizer .*from_pretrained\('BASE'\)"):
        check_tokenizer(place, "M")
    other = folder(place.parent / "checkpoint-7", {"vocab.txt": ""})
    with pytest.raises(FileNotFoundError, match="put that of out/checkpoint-7 there"):
        check_tokenizer(place, "out/checkpoint-5")
    folder(place.parent, MODEL)
    with pytest.raises(FileNotFoundError, match=r"from_pretrained\('out/checkpoint-7'\)"):
        check_tokenizer(place.parent, "out")
    (other / "vocab.txt").unlink()
    folder(place.parent, {"tokenizer.json": {}})
    assert check_tokenizer(place, "M") == place.parent
    folder(place, {"vocab.txt": ""})
    assert check_tokenizer(place, "M") == place


@pytest.fixture
def trained(tmp_path) -> Path:
    """The output of a training whose own weights are those of step 30, the best those of step 10."""
    for step in (10, 20):
        folder(tmp_path / f"checkpoint-{step}", MODEL)
    state = {"global_step": 30, "best_model_checkpoint": "/elsewhere/out/checkpoint-10/"}
    return folder(tmp_path, {**MODEL, "trainer_state.json": state})


def test_checkpoints_are_named_best_last_or_by_their_step(trained):
    out = ModelFolder(trained, "out")
    for name, step in (("best", 10), ("last", 30), ("20", 20), ("checkpoint-20", 20)):
        assert out.chosen(name).step == step
    assert out.chosen("last").directory == trained
    assert out.chosen("10").typed == "out/checkpoint-10"
    assert out.all_chosen() == ["10", "20", "last"]
    with pytest.raises(FileNotFoundError, match="no checkpoint 30; out has best, last, 10, 20"):
        out.chosen("30")


def test_a_best_checkpoint_that_was_deleted_is_said(trained):
    (trained / "checkpoint-10").rename(trained / "kept")
    chosen = ModelFolder(trained, "out").chosen("best")
    assert chosen.directory == trained and "checkpoint-10, is no longer there" in chosen.note


def test_a_training_that_was_stopped_has_its_latest_checkpoint(trained):
    (trained / "model.safetensors").unlink()
    out = ModelFolder(trained, "out")
    assert out.chosen("last").step == 20 and out.all_chosen() == ["10", "20"]
    assert out.chosen("last").note == "checkpoint-20, the latest; out has no weights of its own"


@pytest.mark.parametrize(
    "weights",
    ["model.safetensors", "pytorch_model.bin", "model.safetensors.index.json", "tf_model.h5"],
)
def test_own_weights_without_a_config_are_refused_and_no_checkpoint_is_taken_for_them(
    trained, weights
):
    (trained / "config.json").unlink()
    (trained / "model.safetensors").rename(trained / weights)
    out = ModelFolder(trained, "out")
    chosen = out.chosen("last")
    assert chosen.directory == trained
    said = rf"out has weights \({weights}\) but no config.json.*copy that of out/checkpoint-20$"
    with pytest.raises(FileNotFoundError, match=said):
        check_model(chosen.directory, chosen.typed)
    (trained / "checkpoint-20" / "config.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"out/checkpoint-20 has .*of out/checkpoint-10$"):
        check_model(out.chosen("20").directory, out.chosen("20").typed)
    # Named by its trainer_state.json, and said, it is not in place of anything.
    assert out.chosen("best").step == 10


def test_own_weights_that_are_a_checkpoint_are_asked_once(trained):
    (trained / "trainer_state.json").write_text('{"global_step": 20}')
    out = ModelFolder(trained, "out")
    assert out.all_chosen() == ["10", "20"] and out.chosen("best").step == 20


def test_a_model_alone_has_no_curve(tmp_path):
    place = folder(tmp_path / "m", MODEL)
    with pytest.raises(ValueError, match="M has no checkpoint-500/"):
        ModelFolder(place, "M").all_chosen()
    with pytest.raises(FileNotFoundError, match="best and last, which are its own"):
        ModelFolder(place, "M").chosen("7")
