"""Options have one meaning in all verbs; verbs that were options once are named; short forms work."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from qa_research.cli.options import split_or_file
from qa_research.cli.verbs import app

SHARED = ("--runs", "--json", "--checkpoint", "--context", "--context-file")
ROOT = typer.main.get_command(app)


def verbs(command: Any = ROOT, name: str = "") -> Iterator[tuple[str, Any]]:
    """Every verb that does something, with its name: ("efficacy ask", its command)."""
    for word, below in getattr(command, "commands", {}).items():
        yield from verbs(below, f"{name} {word}".strip())
    if not hasattr(command, "commands"):
        yield name, command


def options(option: str) -> dict[str, Any]:
    """The option in each verb that has it."""
    return {
        name: parameter
        for name, command in verbs()
        for parameter in command.params
        if option in parameter.opts
    }


@pytest.mark.parametrize("option", SHARED)
def test_a_shared_option_has_one_help_text_and_one_default(option):
    found = options(option)
    assert len(found) > 1
    assert len({(o.help, o.metavar, str(o.default)) for o in found.values()}) == 1


@pytest.mark.parametrize("option", ["--seed", "--split"])
def test_an_option_whose_default_depends_on_the_verb_has_one_help_text(option):
    assert len({o.help for o in options(option).values()}) == 1


def test_directories_of_results_are_named_alike():
    found = options("--out")
    assert len(found) > 4 and len({(o.help, o.metavar) for o in found.values()}) == 1


def test_every_verb_and_option_is_explained():
    for name, command in verbs():
        assert command.help and command.help.splitlines()[0].endswith("."), name
        for parameter in command.params:
            assert getattr(parameter, "help", None) or name in ("train", "explain"), (
                f"{name} {parameter.opts}"
            )


@pytest.mark.parametrize("width", ["80", "120"])
def test_help_fits_a_terminal(verb, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", width)
    for name in {name for name, _ in verbs()} - {"train", "explain"}:  # tests/launch/test_help.py
        code, out, _ = verb(*name.split(), "--help")
        assert code == 0 and out.startswith(f"Usage: qa-research {name} ")
        assert max(map(len, out.splitlines())) <= int(width), name


@pytest.mark.parametrize(
    "group",
    ["", *(name for name, command in ROOT.commands.items() if hasattr(command, "commands"))],
)
def test_a_list_of_verbs_cuts_no_summary(verb, monkeypatch, group):
    monkeypatch.setenv("COLUMNS", "80")
    code, out, _ = verb(*group.split(), "--help")
    summaries = out.partition("\nCommands:\n")[2].splitlines()
    assert code == 0 and len(summaries) > 2
    assert [line for line in summaries if line.endswith("...")] == []


@pytest.mark.parametrize(
    ("words", "now"),
    [
        (("efficacy", "--table"), "--table is now: efficacy table"),
        (("efficacy", "tiny", "--plot"), "--plot is now: efficacy plot"),
        (("efficacy", "tiny", "--out=a.png"), "--out is now: efficacy plot --out DIR"),
        (("squad", "--search", "text"), "--search is now: squad search TEXT"),
        (("squad", "--search=text"), "--search is now: squad search TEXT"),
        (("squad", "--stats"), "--stats is now: squad stats"),
        (("squad", "--repeats"), "--repeats is now: squad repeats"),
        (("squad", "3", "--stats"), "--stats is now: squad stats"),
        (("evaluate", "tiny", "--data", "train"), "--data train is now: --split train"),
    ],
)
def test_an_old_spelling_is_answered_by_the_new_one(verb, tmp_path, monkeypatch, words, now):
    monkeypatch.chdir(tmp_path)
    assert verb(*words) == (2, "", f"qa-research: {now}\n")


def test_a_run_needs_no_verb_and_neither_does_an_index(verb, tmp_path):
    runs = ("--runs", str(tmp_path))
    for words in (
        ("efficacy", "tiny"),
        ("efficacy", "ask", "tiny"),
        ("efficacy", "--seed", "2", "tiny"),
    ):
        code, out, err = verb(*words, *runs)
        assert (code, out) == (2, "") and "no run 'tiny'" in err
    for words in (("squad", "nine"), ("squad", "show", "nine")):
        assert "'nine' is not an index" in verb(*words)[2]


def test_efficacy_alone_shows_its_verbs(verb):
    code, out, err = verb("efficacy")
    assert code == 2 and "ask" in out + err and "table" in out + err


def test_split_and_file_exclude_each_other(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert split_or_file(None, None) == "validation"
    assert split_or_file("train", None) == "train"
    with pytest.raises(ValueError, match="--split must be validation or train, got 'test'"):
        split_or_file("test", None)
    (tmp_path / "given").touch()
    with pytest.raises(
        ValueError, match="--split train is for data with splits, and --data=given is"
    ):
        split_or_file("train", Path("given"))
    assert split_or_file("train", Path("builtin")) == "builtin:train"
    (tmp_path / "train").touch()
    assert split_or_file(None, Path("train")) == "./train"


def test_the_words_after_train_and_explain_are_handed_on_as_typed(verb, monkeypatch):
    seen = []

    def launch(words, debug):
        seen.append((words, debug))
        return 3

    monkeypatch.setattr("qa_research.launch.train.launch", launch)
    monkeypatch.setattr("qa_research.launch.explain.launch", launch)
    words = ["-m", "seed=1,2", "--cfg", "job", "a b=c", "~x"]
    assert verb("train", *words)[0] == 3
    assert verb("explain", "--debug", *words)[0] == 3
    assert seen == [(words, False), (words, True)]


def test_out_is_a_directory_also_of_a_plot(verb, tmp_path):
    code, out, err = verb("efficacy", "plot", "--out", str(tmp_path / "a.svg"))
    assert (code, out) == (2, "")
    assert (
        f"--out is a directory, got {tmp_path}/a.svg: --out {tmp_path} --format svg writes" in err
    )
