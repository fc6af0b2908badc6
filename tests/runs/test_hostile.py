"""Somebody else's run directory, weights and data are data: nothing in them runs, whichever verb reads."""

import json
import os
import sys
from contextlib import suppress
from pathlib import Path

import pytest
import torch
import yaml

from qa_research.config import ALLOW, build, class_of
from qa_research.model.bert import Architecture
from qa_research.model.bert import build as network_of
from qa_research.model.tokenizer import load_tokenizer
from qa_research.model.weights import SUMS, write_sums
from qa_research.runs.open import open_run
from qa_research.tasks.answering.hub import DataSet

AS_WEIGHTS = Architecture(None, None, None, None, None)
TARGETS = (
    "hostile_code.Anything",
    "sympy.sympify",
    "distutils.spawn.spawn",
    "torch.utils.collect_env.run",
    "subprocess.Popen",
    "qa_research.training.best.Checkpoints",
    "",
    3,
    ["a"],
)


def touching(marker: Path) -> str:
    """Code that makes the marker."""
    return f"import pathlib\npathlib.Path({str(marker)!r}).touch()\n"


@pytest.fixture
def marker(tmp_path, monkeypatch) -> Path:
    """A file that exists as soon as the module `hostile_code` is imported."""
    folder, made = tmp_path / "hostile", tmp_path / "ran"
    folder.mkdir()
    code = f"{touching(made)}\nclass Anything:\n    pass\ndef function():\n    pass\n"
    (folder / "hostile_code.py").write_text(code)
    monkeypatch.syspath_prepend(str(folder))
    yield made
    sys.modules.pop("hostile_code", None)


def edit(run: Path, section: str, **changes) -> None:
    path = run / "config.yaml"
    config = yaml.safe_load(path.read_text())
    config[section] = (config[section] or {}) | changes
    path.write_text(yaml.safe_dump(config))
    # As someone would who wants it to be believed.
    record = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(record | {"config": config}))


@pytest.mark.parametrize("target", TARGETS, ids=str)
@pytest.mark.parametrize("section", ["task", "data", "answer"])
def test_no_class_from_elsewhere_is_imported_to_read_a_run(run, marker, section, target):
    from qa_research.tasks.answering.trained import questions_of

    edit(run, section, _target_=target)

    def read():
        opened = open_run(run)
        return questions_of(opened.config, opened.record, "validation")

    with pytest.raises(ValueError, match="_target_"):
        read()
    assert not marker.exists() and "hostile_code" not in sys.modules


@pytest.mark.parametrize(
    "section", ["model", "trainer", "checkpoint", "capture", "train", "paths", "data", "task"]
)
def test_nor_to_resume_it(run, marker, section, verb):
    edit(run, section, _target_="hostile_code.Anything")
    code, _, err = verb("resume", str(run))
    assert code == 2 and err.count("\n") == 1
    assert "_target_=hostile_code.Anything" in err and f"{ALLOW}=hostile_code" in err
    assert not marker.exists()


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ("data", ["evaluate", "RUN"]),
        ("data", ["efficacy", "RUN"]),
        ("task", ["ask", "RUN", "--question", "Who?", "--context", "Ms Lund."]),
        ("data", ["squad", "show", "0", "--run", "RUN"]),
        ("task", ["export", "RUN", "OUT"]),
        ("answer", ["attribute", "RUN", "--question", "Who?", "--context", "Ms Lund."]),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else value,
)
def test_every_verb_says_it_in_one_sentence(run, marker, section, words, verb, tmp_path):
    edit(run, section, _target_="hostile_code.Anything")
    places = {"RUN": str(run), "OUT": str(tmp_path / "out")}
    cache = ["--cache", str(tmp_path / "cache")] if words[0] == "squad" else []
    code, _, err = verb(*(places.get(word, word) for word in words), *cache)
    assert code == 2 and "Traceback" not in err
    assert "_target_=hostile_code.Anything" in err.splitlines()[-1]
    assert not marker.exists() and not (tmp_path / "out").exists()


def test_a_module_that_the_command_line_names_is_used(run, marker, monkeypatch):
    monkeypatch.setenv(ALLOW, "other, hostile_code")
    assert class_of("data", {"_target_": "hostile_code.Anything"}).__name__ == "Anything"
    assert marker.exists()
    with pytest.raises(ValueError, match="is not a class"):
        class_of("data", {"_target_": "hostile_code.function"})


def test_an_allowed_module_does_not_lend_its_imports(tmp_path, monkeypatch):
    (tmp_path / "lender.py").write_text("from subprocess import Popen\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv(ALLOW, "lender")
    with pytest.raises(ValueError, match="is a class of subprocess"):
        class_of("data", {"_target_": "lender.Popen"})


def test_a_config_does_not_set_what_code_sets():
    section = {"_target_": "qa_research.training.best.Checkpoints", "directory": "/elsewhere"}
    with pytest.raises(ValueError, match="checkpoint.directory is set by qa_research"):
        build("checkpoint", section, directory=Path("here"), predictions=list)


class Evil:
    """What runs when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return (os.mkdir, (str(self.marker),))


@pytest.mark.parametrize("name", ["best.ckpt", "last.ckpt"])
def test_a_pickle_in_a_checkpoint_does_not_run(run, tmp_path, name):
    torch.save({"state_dict": {"a": Evil(tmp_path / "ran")}}, run / "checkpoints" / name)
    with pytest.raises(ValueError, match="is not a readable checkpoint"):
        open_run(run, name.removesuffix(".ckpt"))
    assert not (tmp_path / "ran").exists()


def with_code(folder: Path, marker: Path, file: str, **config) -> None:
    """Make a config of transformers' name classes of a module that lies beside it."""
    path = folder / file
    before = json.loads(path.read_text()) if path.exists() else {}
    names = ("AutoConfig", "AutoModelForQuestionAnswering", "AutoTokenizer")
    code = {"auto_map": dict.fromkeys(names, "code.Code")}
    path.write_text(json.dumps(before | code | config))
    (folder / "code.py").write_text(f"{touching(marker)}class Code:\n    pass\n")
    if (folder / SUMS).exists():
        # As someone would who wants it to be believed.
        write_sums(folder)


def test_code_in_a_runs_model_does_not_run(run, marker):
    with_code(run / "model", marker, "config.json", model_type="theirs")
    with pytest.raises(ValueError, match="code that comes with weights is never run"):
        open_run(run)
    assert not marker.exists()


def test_code_of_a_runs_tokenizer_does_not_run(run, marker):
    with_code(run / "model", marker, "tokenizer_config.json", tokenizer_class="Theirs")
    # The tokenizer itself is complete, so it may be opened without the code.
    with suppress(ValueError):
        open_run(run)
    assert not marker.exists()


def test_the_tokenizer_of_a_run_is_the_one_that_was_saved(run):
    path = run / "model" / "tokenizer.json"
    path.write_text(path.read_text().replace('"[UNK]"', '"[unk]"'))
    with pytest.raises(ValueError, match=r"model/tokenizer.json is damaged or was edited"):
        open_run(run)


def test_code_of_given_weights_does_not_run_and_nobody_is_asked(tmp_path, marker, monkeypatch):
    def asked(*_):
        raise AssertionError("the terminal was asked")

    monkeypatch.setattr("builtins.input", asked)
    folder = tmp_path / "weights"
    folder.mkdir()
    with_code(folder, marker, "config.json", model_type="theirs")
    with pytest.raises(ValueError, match=r"model.weights=.*code that comes with weights is never"):
        network_of(str(folder), AS_WEIGHTS, 0.0, 100, 1)
    with_code(folder, marker, "tokenizer_config.json", tokenizer_class="Theirs")
    with pytest.raises(ValueError):
        load_tokenizer(str(folder), "model.tokenizer")
    assert not marker.exists()


def test_a_pickle_in_given_weights_does_not_run(run, tmp_path):
    folder = run / "model"
    torch.save({"a": Evil(tmp_path / "ran")}, folder / "pytorch_model.bin")
    with pytest.raises(ValueError, match="cannot be loaded"):
        network_of(str(folder), AS_WEIGHTS, 0.0, 100, 1)
    assert not (tmp_path / "ran").exists()


def test_a_loading_script_in_a_data_directory_does_not_run(tmp_path):
    folder = tmp_path / "theirs"
    folder.mkdir()
    (folder / "theirs.py").write_text(touching(tmp_path / "ran"))
    with pytest.raises(ValueError, match=r"data.dataset=x comes with a loading script"):
        DataSet(str(folder), None, "data.dataset=x", "", "utf-8", None)
    assert not (tmp_path / "ran").exists()
