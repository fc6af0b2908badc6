"""Configs of the user's own folder that cannot be read: one sentence with the file, and no hang."""

import pytest

from tests.test_plain import BOMB

HEAD = "# @package _global_\n"
UNREADABLE = {
    "deep": "model:\n  lr: " + "[" * 10_000 + "]" * 10_000,
    "bomb": BOMB,
    "itself": "model: &m {a: *m}",
    "tag": "model: {lr: !!python/object/apply:os.mkdir [owned]}",
    "digits": "seed: " + "9" * 6000,
    "cut": "seed: [1,",
    "two": "seed: 1\n---\nseed: 2",
    "zero": "study: a\0b",
}


@pytest.fixture
def trained_with(verb, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "mine" / "experiment" / "own.yaml"
    file.parent.mkdir(parents=True)

    def train(content: bytes, *words: str) -> str:
        file.write_bytes(content)
        code, out, err = verb("train", *words, "+experiment=own", "train.resume=maybe")
        assert code == 2 and out == "" and err.count("\n") == 1, err
        assert not (tmp_path / "owned").exists() and not (tmp_path / "runs").exists()
        return err.replace(str(tmp_path), ".")

    return train


@pytest.mark.parametrize("name", UNREADABLE)
def test_what_cannot_be_read_is_named(trained_with, name):
    content = (HEAD + UNREADABLE[name]).encode()
    for words in (["--config-dir=mine"], ["--config-dir", "mine"]):
        assert trained_with(content, *words).startswith("qa-research: mine/experiment/own.yaml ")


def test_also_from_a_search_path_and_in_another_encoding(trained_with, tmp_path):
    path = f"hydra.searchpath=[file://{tmp_path}/mine]"
    content = (HEAD + UNREADABLE["deep"]).encode()
    assert "./mine/experiment/own.yaml is nested too deeply" in trained_with(content, path)
    said = trained_with(f"{HEAD}study: é".encode("latin-1"), "--config-dir=mine")
    assert "mine/experiment/own.yaml is not UTF-8 text" in said


def test_other_files_beside_it_do_not_matter(trained_with, tmp_path):
    content = f"{HEAD}seed: 7\n".encode()
    (tmp_path / "mine/runs").mkdir()
    (tmp_path / "mine/runs/config.yaml").write_text(UNREADABLE["deep"])
    (tmp_path / "mine/experiment/cut.yaml").write_text(UNREADABLE["cut"])
    assert "train.resume must be" in trained_with(content, "--config-dir=mine")


def test_a_value_on_the_command_line_is_nested_no_deeper(verb):
    for deep in ("[" * 3000 + "]" * 3000, "{a:" * 3000 + "1" + "}" * 3000):
        code, _, err = verb("train", f"data.num_workers={deep}")
        assert code == 2 and err == (
            "qa-research: data.num_workers is nested too deeply: more than 50 levels\n"
        )
