"""What is typed is what is meant: paths with any characters, flags anywhere, equal values of a sweep."""

import json
import re
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st

from qa_research.launch.compose import checked, run_hydra
from qa_research.launch.words import NAMES, readable_words
from qa_research.runs.directory import config_hash, read_config, run_directory
from qa_research.runs.places import with_absolute_paths
from qa_research.tasks.answering.squad import squad_json
from qa_research.tasks.run_qa import OF_RUN_QA, OF_VERBS
from tests.tiny_run import train

ODD = (
    "my data (1)/a",
    "a=b",
    "x,y",
    "#2",
    "~/x",
    "[a]",
    "{b}",
    "12",
    "true",
    " a ",
    "a'b",
    'a"b',
    "a\\b",
)


def understood(word: str) -> object:
    (word,) = readable_words([word])
    return OverridesParser.create().parse_override(word).value()


@pytest.mark.parametrize("key", [*NAMES, "paths.runs", "paths.cache", "paths.explanations"])
@pytest.mark.parametrize("value", ODD)
def test_a_path_is_taken_as_it_stands(key, value):
    assert understood(f"{key}={value}") == value


@given(
    st.text(
        st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="'\"$\\?"), min_size=1
    )
)
def test_any_path_is_taken_as_it_stands(value):
    if value != "null":
        assert understood(f"data.train_path={value}") == value


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("model.tokenizer=null", None),
        ("paths.runs='my runs'", "my runs"),
        ('paths.runs="a, b"', "a, b"),
        ("model.weights=package\\:a/b", "package:a/b"),
        ("paths.cache=${paths.runs}/cache", "${paths.runs}/cache"),
        ("model.lr=1e-3", 1e-3),
        ("study=one (2)", "one (2)"),
    ],
)
def test_quotes_escapes_and_other_values_stay_what_they_were(word, value):
    assert understood(word) == value
    assert readable_words(readable_words([word])) == readable_words([word])


@pytest.mark.parametrize(
    ("words", "read"),
    [
        (["a=1", "-m", "seed=1,2"], ["-m", "a=1", "seed=1,2"]),
        (["seed=1", "--cfg", "job", "a=1"], ["--cfg", "job", "seed=1", "a=1"]),
        (["-m", "seed=1,1"], ["-m", "seed=1"]),
        (["-m", "model.lr=3e-4,0.0003,1e-3"], ["-m", "model.lr=0.0003,0.001"]),
        (["-m", "seed=choice(2,2,1)"], ["-m", "seed=2,1"]),
        (["-m", "seed=1,2", "a=true,1"], ["-m", "seed=1,2", "a=true,1"]),
        (["-m", "model.weights=random,~/x (1)"], ["-m", 'model.weights=random,"~/x (1)"']),
    ],
)
def test_flags_go_first_and_equal_values_are_one(words, read):
    assert readable_words(words) == read


def test_a_sweep_is_not_divided_at_the_commas_of_one_path(tmp_path):
    file = tmp_path / "a, b.json"
    for word in (f"paths.runs={tmp_path}/x, y", f"data.train_path={file}"):
        file.touch()
        _, read = readable_words(["-m", word])
        assert understood(read) == word.partition("=")[2]
    file.unlink()
    _, read = readable_words(["-m", f"data.train_path={file}"])
    assert OverridesParser.create().parse_override(read).is_sweep_override()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--bogus"], "there is no option --bogus"),
        (["--mutirun"], "there is no option --mutirun; did you mean --multirun?"),
        (["--seed", "3"], "there is no option --seed; keys have no dashes: seed=3"),
        (["--seed"], "there is no option --seed; keys have no dashes: seed=..."),
        (
            ["--train_file", "my data.json", "--validation-file=b.json", "--num_train_epochs", "3"],
            "there is no option --train_file; keys have no dashes: data=squad_file "
            "'data.train_path=my data.json' data.validation_path=b.json trainer.max_epochs=3$",
        ),
        (
            ["--bf16", "--max_steps", "9"],
            "dashes: trainer.precision=bf16-mixed trainer.max_steps=9$",
        ),
        (
            ["--do_eval"],
            "there is no option --do_eval; .* qa-research evaluate RUN scores it again",
        ),
        (["--seed=3"], "there is no option --seed; keys have no dashes: seed=3"),
        (["--experiment=overfit"], r"keys have no dashes: \+experiment=overfit"),
        (["-m", "--cfg", "job"], "-m and --cfg cannot be combined: use one of them"),
        (["--multirun=seed"], "--multirun takes no value, got 'seed'"),
        (["--info=wrong"], "--info takes all, config, defaults, .*, got 'wrong'"),
        (["--resolve"], "--resolve belongs to --cfg job"),
        (["--shell-completion"], "must be followed by install=SHELL"),
        (["--cfg", "jobs"], "--cfg must be followed by job, hydra, all, got 'jobs'"),
        (["seed=1", "-c"], "-c must be followed by job, hydra, all, got ''"),
    ],
)
def test_a_flag_that_does_not_exist_is_one_sentence(words, sentence):
    with pytest.raises(ValueError, match=sentence):
        readable_words(words)


def test_the_manual_and_the_answers_know_the_same_options_of_run_qa(composed):
    """Each row of the table has them, and the keys exist."""
    page = (Path(__file__).parents[2] / "docs/coming-from.md").read_text(encoding="utf-8")
    told = {}
    for row in page.partition("## From Weights")[0].splitlines():
        if row.startswith("| `--"):
            left, right = row.strip("|").split("|")
            for name in re.findall(r"--(\w+)", left):
                told[name] = re.findall(r"`[^`]*`", right)
    assert told.keys() == OF_RUN_QA.keys() | OF_VERBS.keys()
    known = composed("data=squad_file", "model=as_weights")
    for name, here in OF_RUN_QA.items():
        for key in (word.partition("=")[0] for word in here.split("\n")):
            section, _, last = key.rpartition(".")
            assert last in set((known[section] if section else known).keys())
            assert any(f"{key}=" in entry for entry in told[name]), (name, key)


def test_a_sweep_flag_in_the_middle_sweeps(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    seen = []
    run_hydra(
        lambda config: seen.append(config.seed),
        "explain",
        [f"paths.explanations={tmp_path}/a (1)", "-m", "seed=1,2,2"],
        "a.py",
    )
    assert seen == [1, 2]


def test_every_spelling_of_a_path_is_one_run_which_finds_its_data_again(
    tiny, composed, questions, tmp_path, monkeypatch
):
    folder = tmp_path / "my data (1), #2"
    folder.mkdir()
    (folder / "a=b.json").write_text(json.dumps(squad_json(questions, "1.1")))
    monkeypatch.chdir(tmp_path)

    def config(path: str, runs: str):
        words = [f"data.{split}_path={path}" for split in ("train", "validation")]
        words = readable_words([*words, f"paths.runs={runs}"])
        return tiny(
            "data=squad_file", "data.train_questions=8", "data.validation_questions=8", *words
        )

    train(config("my data (1), #2/a=b.json", "runs"))
    (run,) = (tmp_path / "runs/nopretrain").iterdir()
    assert read_config(run)["data"]["train_path"] == str(folder / "a=b.json")
    monkeypatch.chdir(folder)
    for path in ("a=b.json", "./a=b.json", str(folder / "a=b.json"), "../my data (1), #2/a=b.json"):
        for runs in ("../runs", str(tmp_path / "runs")):
            assert run_directory(checked(config(path, runs))).samefile(run)
    assert config_hash(read_config(run)) == run.name[-8:]


def test_a_run_whose_name_depends_on_how_its_path_was_typed_is_found(tiny, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = checked(tiny()) | {"capture": {"questions": "./watched.txt"}}
    config["paths"]["runs"] = "runs"
    today = run_directory(config)
    absolute = run_directory(with_absolute_paths(config))
    assert today.absolute() == absolute
    monkeypatch.setattr("qa_research.runs.directory.with_one_spelling", lambda config: config)
    earlier = run_directory(config)
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    # Then the name had no data, either.
    earlier = earlier.with_name(earlier.name.replace("-builtin", ""))
    assert earlier != today
    earlier.mkdir(parents=True)
    assert run_directory(config) == earlier
