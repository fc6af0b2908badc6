"""Names in overrides are checked before Hydra composes, and what Hydra refuses is one sentence."""

import sys

import pytest
from hydra.errors import MissingConfigException

from qa_research.launch.compose import (
    REFUSALS,
    check_overrides,
    overrides_in,
    plain_sentence,
    run_hydra,
)


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["seed=2", "model.lr=1e-3", "+model.new=1"],
        ["-m", "seed=1,2,3", "model=bert_tiny,minilm"],
        ["-m", "model=glob(*)"],
        # data.train_path is a key of one of the swept options only.
        ["-m", "data=builtin,squad_file", "data.train_path=a.json"],
        ["capture/recorders=[attention]"],
        ["+experiment=overfit", "trainer.max_epochs=3"],
        ["--cfg", "job", "seed=3"],
        ["~model.lr"],
        ["hydra.sweep.dir=somewhere"],
        # Hydra's own settings are in no composed config, nor are the keys of an option that is not chosen.
        ["hydra.job.env_set={A: 1}"],
        ["-m", "data=builtin,squad_file", "data.train_path={a: 1}"],
        ["train.stop_at={choosing/exact_match: 100}"],
        ["train.stop_at={choosing/f1: 90}", "+train.stop_at={choosing/f1_match: 90}"],
        # Hydra looks for these in another folder.
        ["--config-dir", "other", "model=mine", "model.mine=3"],
    ],
)
def test_names_that_exist_pass(words):
    check_overrides(words, "train")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["threads=1"], "there is no config key threads; did you mean train.threads?"),
        (["model.lrr=1"], "there is no config key model.lrr; did you mean model.lr?"),
        (["~model.lrr"], "there is no config key model.lrr; did you mean model.lr?"),
        (["modle.lr=1"], "there is no config key modle.lr; did you mean model?"),
        (["modle=minilm"], "there is no config key modle; did you mean model?"),
        (["model.lr.x=1"], "there is no config key model.lr.x; model.lr is a single value"),
        (["-m", "model=bert_tiny,minilmm"], "there is no model=minilmm; did you mean minilm?"),
        (["model=zzzz"], "there is no model=zzzz; known: as_weights, bert_base, bert_mini"),
        (
            ["capture/recorders=[attentoin]"],
            "there is no capture/recorders=attentoin; did you mean attention?",
        ),
        (["capture=null"], "capture=null is not a choice; known: default, everything, none"),
        (["paths.runs=a=b"], "special characters need quotes: 'paths.runs=\"a=b\"'"),
        (
            ["train.stop_at_exact_match=100"],
            "train.stop_at_exact_match is now: train.stop_at={choosing/exact_match: 100}",
        ),
        (
            ["+train.stop_at_exact_match=null"],
            "train.stop_at_exact_match is now: train.stop_at=null",
        ),
        (
            ["train.stop_at={val/exact_match: 90}"],
            "there is no config key train.stop_at.val/exact_match; did you mean "
            "train.stop_at.choosing/exact_match?",
        ),
        (["data.validate_every=1"], "data.validate_every is now: trainer.val_check_interval=1"),
    ],
)
def test_names_that_do_not_exist_are_refused_with_the_nearest(words, sentence):
    with pytest.raises(REFUSALS) as refusal:
        check_overrides(words, "train")
    shown = plain_sentence(refusal.value)
    assert sentence in shown and "\n" not in shown


@pytest.mark.parametrize(
    ("file", "sentence"),
    [
        ("hydra/launcher/joblib", "+launcher=joblib needs a Hydra plugin that is not installed: "),
        ("hydra/launcher/submitit_slurm", "+launcher=slurm needs a Hydra plugin"),
        ("hydra/sweeper/optuna", "+search=optuna needs a Hydra plugin"),
        ("hydra/launcher/ray", "pip install --no-deps hydra-ray-launcher"),
        ("hydra/launcher/jobli", "there is no hydra/launcher=jobli; did you mean joblib?"),
    ],
)
def test_a_missing_plugin_is_named_with_its_installation(file, sentence):
    error = MissingConfigException("not found", missing_cfg_file=file, options=["basic", "joblib"])
    assert sentence in plain_sentence(error)


def test_every_launcher_and_search_is_known_to_need_a_plugin(monkeypatch):
    from qa_research.launch.compose import PLUGINS, conf_directory

    chosen = [typed.lstrip("+").split("=") for typed, _ in PLUGINS.values()]
    options = {
        (group, file.stem)
        for group in ("launcher", "search")
        for file in (conf_directory() / group).glob("*.yaml")
    }
    assert {tuple(choice) for choice in chosen} == options


def test_overrides_are_found_among_flags():
    words = ["-m", "--cfg", "job", "seed=1", "~model", "+a.b=2", "--package=x"]
    assert overrides_in(words) == ["seed=1", "~model", "+a.b=2"]


def test_a_job_sees_its_own_words_and_the_callers_are_restored():
    before = list(sys.argv)
    seen = []
    run_hydra(
        lambda config: seen.append((config.seed, list(sys.argv))), "train", ["seed=7"], "a.py"
    )
    assert seen == [(7, ["a.py", "seed=7"])]
    assert sys.argv == before
    with pytest.raises(ValueError, match="requires --multirun"):
        run_hydra(seen.append, "train", ["seed=range(1,3)"], "a.py")
    assert len(seen) == 1 and sys.argv == before
