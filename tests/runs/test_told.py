"""A finished run is told again from the cache only as long as nothing that it rests on has changed."""

import json
import logging
from pathlib import Path

import pytest

import qa_research.runs.told as told_module
from qa_research.runs.directory import run_directory
from qa_research.runs.told import Told, inputs_of, recall, remember

TOLD = Told(["", "exact match 63.0"], 0.63)


@pytest.fixture
def config(tmp_path: Path) -> dict:
    """A config of two files of questions and random weights, whose run there is."""
    for split in ("train", "dev"):
        (tmp_path / f"{split}.json").write_text(json.dumps({"data": [split]}))
    found = {
        "study": "mine",
        "seed": 1,
        "data": {
            "_target_": "qa_research.tasks.answering.data.FileData",
            "train_path": str(tmp_path / "train.json"),
            "validation_path": str(tmp_path / "dev.json"),
        },
        "model": {"name": "bert_tiny", "weights": "random", "tokenizer": None},
        "train": {"resume": "auto"},
        "paths": {"runs": str(tmp_path / "runs"), "cache": str(tmp_path / "cache")},
    }
    directory = run_directory(found)
    directory.mkdir(parents=True)
    (directory / "run.json").write_text("{}")
    (directory / "config.yaml").write_text("seed: 1")
    remember(found, directory, inputs_of(found), TOLD)
    return found


def test_what_was_said_is_said_again(config):
    assert recall(config) == TOLD


def test_another_config_was_not_told(config):
    assert recall(config | {"seed": 2}) is None
    assert recall(config | {"paths": {}}) is None


@pytest.mark.parametrize(
    "name", ["train.json", "dev.json", "runs/**/run.json", "runs/**/config.yaml"]
)
def test_a_file_with_other_content_of_equal_size_is_noticed(config, tmp_path, name):
    (path,) = tmp_path.glob(name)
    path.write_text(path.read_text().swapcase().replace("{}", "[]").replace("1", "2"))
    assert recall(config) is None


@pytest.mark.parametrize("name", ["train.json", "runs/**/run.json"])
def test_a_file_that_is_gone_is_left_to_who_reads_it(config, tmp_path, name):
    next(tmp_path.glob(name)).unlink()
    assert recall(config) is None


def test_other_code_and_other_libraries_are_noticed(config, monkeypatch, tmp_path):
    versions = told_module.installed_versions()
    monkeypatch.setattr(told_module, "installed_versions", lambda: versions | {"torch": "0.1"})
    assert recall(config) is None
    monkeypatch.undo()
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    monkeypatch.setattr(told_module.qa_research, "__file__", str(package / "__init__.py"))
    assert recall(config) is None


def test_another_folder_is_another_request_because_paths_are_shown_as_typed(
    config, monkeypatch, tmp_path
):
    monkeypatch.chdir(tmp_path)
    assert recall(config) is None


def test_what_changed_while_it_was_read_is_noticed_the_next_time(config, tmp_path):
    before = inputs_of(config)
    (tmp_path / "train.json").write_text("changed while the training read it")
    remember(config, run_directory(config), before, TOLD)
    assert recall(config) is None


def test_weights_are_compared_by_the_files_of_their_folder(config, tmp_path):
    model = tmp_path / "model"
    (model / "checkpoint-500").mkdir(parents=True)
    (model / "config.json").write_text("{}")
    config["model"]["weights"] = str(model)
    assert str(model / "config.json") in (inputs_of(config) or {})
    remember(config, run_directory(config), inputs_of(config), TOLD)
    assert recall(config) is None  # the run of these weights is another one, which is not there
    assert not any("checkpoint-500" in name for name in inputs_of(config) or {})


@pytest.mark.parametrize(
    ("section", "values"),
    [
        ("model", {"weights": "bert-base-uncased"}),
        ("data", {"_target_": "mine.data.Questions"}),
        ("data", {"dataset": "rajpurkar/squad"}),
    ],
)
def test_what_may_have_changed_on_a_hub_or_in_own_code_is_never_remembered(config, section, values):
    config[section] |= values
    assert inputs_of(config) is None
    assert recall(config) is None


def test_a_damaged_summary_is_named_and_not_believed(config, tmp_path, caplog):
    (path,) = (tmp_path / "cache" / "told").iterdir()
    path.write_bytes(path.read_bytes().replace(b"63.0", b"93.0"))
    with caplog.at_level(logging.WARNING):
        assert recall(config) is None
    assert f"summary of a run {path} is damaged" in caplog.text


def test_a_cache_that_cannot_be_written_does_not_end_a_finished_training(config, tmp_path, caplog):
    (tmp_path / "file").write_text("")
    config["paths"]["cache"] = str(tmp_path / "file")
    remember(config, run_directory(config), inputs_of(config), TOLD)
    assert "is not kept in the cache" in caplog.text
