"""Bad input is one sentence and exit code 2 for every verb, and leaves nothing behind."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hydra import compose
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf, open_dict

from qa_research.cli.verbs import run as run_verb
from qa_research.explain.images.settings import ExplainSettings
from qa_research.launch.compose import checked
from qa_research.launch.conf import hydra_initialized
from qa_research.launch.refusals import REFUSALS, plain_sentence
from qa_research.launch.words import readable_words
from qa_research.tasks.answering.squad import squad_json
from tests.bad_inputs import CAPTURE, EXPLAIN, TRAIN, Words, of_verbs
from tests.tiny_run import TINY

QUICK = ("segmenter=grid", "segmenter.rows=2", "segmenter.columns=2", "lime.samples=16")
SHORT = (*TINY, "trainer.max_steps=1")


@pytest.fixture(scope="module")
def place(tmp_path_factory, questions) -> Path:
    """A folder with a finished run of a tiny network, a good file of questions, and unusable ones."""
    place = tmp_path_factory.mktemp("place")
    files = place / "files"
    (files / "folder").mkdir(parents=True)
    (place / "good.json").write_text(json.dumps(squad_json(questions, "1.1")))
    (files / "predictions.json").write_text(json.dumps({"q0": "Ms Lund"}))
    (files / "list.json").write_text("[1, 2, 3]")
    (files / "empty.json").write_text("")
    (files / "text.txt").write_text("Ms Lund teaches chess.")
    (files / "binary.json").write_bytes(bytes(range(256)))
    (files / "object.json").write_text('{"a": 1}')
    (files / "deep.json").write_text("[" * 100_000)
    before = Path.cwd()
    os.chdir(place)
    try:
        assert run_verb(["train", *SHORT, "capture=none", "study=tried"]) == 0
        assert run_verb(["squad", "stats"]) == 0
    finally:
        os.chdir(before)
    return place


@pytest.fixture(scope="module")
def composed_once() -> dict[str, DictConfig]:
    """A config of a tiny training, of one that records, and of an explanation, to be made wrong."""
    with hydra_initialized():
        return {
            "train": compose("train", [*SHORT, "capture=none"]),
            "capture": compose("train", [*SHORT]),
            "explain": compose("explain", [*QUICK]),
        }


def filled(words: Words, place: Path) -> list[str]:
    (run,) = (place / "runs/tried").iterdir()
    names = {"{run}": run.name, "{files}": "files", "{good}": "good.json"}
    lines = []
    for word in words:
        for name, value in names.items():
            word = word.replace(name, value)
        lines.append(word)
    return lines


def everything_in(place: Path) -> set[str]:
    # SQLite keeps files beside a database that is only read.
    return {
        str(path.relative_to(place))
        for path in place.rglob("*")
        if not path.name.endswith(("-shm", "-wal"))
    }


def name_of(words: Words) -> str:
    return " ".join(words)[:80]


def refused(words: Words, place: Path, capsys: Any) -> None:
    before = everything_in(place)
    code = run_verb(filled(words, place))
    said = capsys.readouterr().err
    assert code == 2, said
    # What was being read may stand before it.
    assert said.splitlines()[-1].startswith("qa-research: ") and "Traceback" not in said
    assert said.count("qa-research: ") == 1, said
    assert everything_in(place) == before


OF_VERBS = list(of_verbs())


@pytest.mark.parametrize("words", OF_VERBS, ids=map(name_of, OF_VERBS))
def test_bad_words_are_one_sentence_and_leave_nothing_behind(words, place, capsys, monkeypatch):
    monkeypatch.chdir(place)
    refused(words, place, capsys)


def overridden(config: DictConfig, override: str) -> DictConfig:
    """The config with one override of a value, as Hydra applies it."""
    (word,) = readable_words([override])
    parsed = OverridesParser.create().parse_override(word)
    config = config.copy()
    key = parsed.key_or_group.replace("/", ".")
    with open_dict(config):
        if parsed.is_delete():
            section, _, name = key.rpartition(".")
            del (OmegaConf.select(config, section) if section else config)[name]
        else:
            OmegaConf.update(config, key, parsed.value(), force_add=True)
    return config


def cases() -> Iterator[tuple[str, str]]:
    for name, overrides in (("train", TRAIN), ("capture", CAPTURE), ("explain", EXPLAIN)):
        for override in overrides:
            # Choices of files of conf/ are for Hydra.
            if "/recorders" not in override:
                yield name, override


@pytest.mark.parametrize(("name", "override"), list(cases()))
def test_a_bad_value_is_one_sentence_before_anything_is_written(
    name, override, composed_once, place, monkeypatch
):
    from qa_research.launch.explain import explain_checked
    from qa_research.training.story import train

    monkeypatch.chdir(place)
    before = everything_in(place)
    begin: Callable[[DictConfig], object] = lambda config: train(checked(config))  # noqa: E731
    if name == "explain":
        begin = lambda config: explain_checked(checked(config, ExplainSettings), [], True)  # noqa: E731
    with pytest.raises(REFUSALS) as refusal:
        begin(overridden(composed_once[name], override))
    assert "\n" not in plain_sentence(refusal.value)
    assert everything_in(place) == before


@pytest.mark.slow
@pytest.mark.parametrize(("name", "override"), list(cases()))
def test_the_verb_says_so_too(name, override, place, capsys, monkeypatch):
    monkeypatch.chdir(place)
    usual = {"train": (*SHORT, "capture=none"), "capture": SHORT, "explain": QUICK}[name]
    key = override.lstrip("+~").partition("=")[0]
    kept = [word for word in usual if not word.startswith(f"{key}=")]
    refused(("explain" if name == "explain" else "train", *kept, override), place, capsys)
