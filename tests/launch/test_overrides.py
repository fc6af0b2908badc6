"""Names in overrides are checked before Hydra composes, and what Hydra refuses is one sentence."""

import sys

import pytest
from hydra.errors import MissingConfigException

from qa_research.launch.compose import checked, run_hydra
from qa_research.launch.overrides import check_overrides, overrides_in
from qa_research.launch.refusals import PLUGINS, REFUSALS, plain_sentence


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
        ["+capture/recorders@capture=unit_traces"],
        ["-m", "+launcher=joblib", "hydra.launcher.n_jobs=2", "seed=1,2"],
        ["-m", "+search=optuna", "hydra.sweeper.n_trials=2"],
        ["--cfg", "job", "+launcher=joblib"],
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
        (
            ["capture=null"],
            "capture=null is not a choice; known: default, everything, examples, none",
        ),
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
        # A choice without its +, with one too many, or of another verb.
        (["experiment=pretrained"], "experiment=pretrained lacks a +: did you mean +experiment="),
        (["experiment=pretraind"], "no experiment=pretraind; did you mean +experiment=pretrained?"),
        (["++experiment=overfit"], "++ is for single values; did you mean +experiment=overfit?"),
        (["-m", "launcher=joblib"], "launcher=joblib lacks a +: did you mean +launcher=joblib?"),
        (["-m", "search=optuna"], "search=optuna lacks a +: did you mean +search=optuna?"),
        (["capture/recorders@capture=unit_traces"], "did you mean +capture/recorders@capture=unit"),
        (
            ["+model=minilm"],
            "model is chosen already; to choose another one leave out the +: model=",
        ),
        (["+model=minilmm"], "there is no model=minilmm; did you mean minilm?"),
        (["segmenter=slic"], "is a choice of qa-research explain, not of qa-research train"),
        (["~experiment"], "experiment was not chosen, so ~experiment has nothing to remove"),
        (["model={lr: 3}"], "model={lr: 3} is not a choice; known: as_weights, bert_base"),
        (["model=[minilm,bert_tiny]"], "model=[minilm,bert_tiny] is not a choice; known: "),
        (["+experiment="], "+experiment= is not a choice; known: arms, demo, masked_words"),
        (["model/lr=3"], "there is no config key model/lr; did you mean model.lr?"),
        (["+seed=3"], "seed has a value already; without +: seed=3"),
        # Hydra's own settings.
        (["hydra.run.dri=x"], "there is no config key hydra.run.dri; did you mean hydra.run.dir?"),
        (["-m", "hydra.launcher.n_jobs=3"], "hydra.launcher.n_jobs needs +launcher=NAME, which"),
        (["-m", "hydra.sweeper.n_trials=3"], "hydra.sweeper.n_trials needs +search=NAME, which"),
        (["-m", "hydra.sweep.dir=a,b"], "a setting of Hydra's has one value for a whole sweep"),
        (["hydra/launcher=jobli"], "there is no hydra/launcher=jobli; did you mean joblib?"),
        # Sweeps.
        (
            ["seed=1,2"],
            "seed=1,2 names several values: add -m, which runs each; as one list it is seed=[1,2]",
        ),
        (["seed=range(1,3)"], "seed=range(1,3) names several values: add -m, which runs each"),
        (["model=minilm,bert_tiny"], "model=minilm,bert_tiny names several values: add -m"),
        (["+launcher=joblib", "seed=1"], "+launcher=joblib is for sweeps: add -m"),
        (["-m", "seed=1", "2"], "the values of a sweep are joined by commas, as in seed=1,2,3"),
        # What is no KEY=VALUE.
        (
            ["pretrained"],
            "'pretrained' is not of the form KEY=VALUE; did you mean +experiment=pretrained?",
        ),
        (["smoke"], "did you mean +experiment=smoke or trainer=smoke?"),
        (["experiment"], "did you mean +experiment=NAME?"),
        (["model"], "did you mean model=NAME?"),
        (["model.lr"], "'model.lr' is not of the form KEY=VALUE; did you mean model.lr=...?"),
        (["=3"], "'=3' is not of the form KEY=VALUE"),
        (["model..lr=3"], "'model..lr' cannot be the key of a KEY=VALUE"),
    ],
)
def test_names_that_do_not_exist_are_refused_with_the_nearest(words, sentence):
    with pytest.raises(REFUSALS) as refusal:
        check_overrides(words, "train")
    shown = plain_sentence(refusal.value)
    assert sentence in shown and "\n" not in shown


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["experiment=pretrained"], "is a choice of qa-research train, not of qa-research explain"),
        (["+segmenter=slic"], "segmenter is chosen already; to choose another one leave out the +"),
        (["segmenter=slik"], "there is no segmenter=slik; did you mean slic?"),
        (["grid"], "'grid' is not of the form KEY=VALUE; did you mean segmenter=grid?"),
        (["dog.jpg"], "'dog.jpg' is not of the form KEY=VALUE; did you mean image=dog.jpg?"),
    ],
)
def test_an_explanation_is_refused_in_the_same_words(words, sentence, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dog.jpg").touch()
    with pytest.raises(REFUSALS) as refusal:
        check_overrides(words, "explain")
    assert sentence in plain_sentence(refusal.value)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--config-name", "trian"], "there is no config trian; did you mean train?"),
        (["--config-dir", "nowhere"], "/nowhere is not a directory"),
        (["--config-path", "/nowhere"], "--config-path=/nowhere is not a directory"),
        (["model.lr=${nope}"], "model.lr refers to ${nope}, which the config does not have"),
        (
            ["seed=${oc.env:NOT_SET}"],
            "seed refers to the environment variable NOT_SET, which is not",
        ),
        (["~model.lr=5"], "model.lr is 0.001, so ~model.lr=5 has nothing to remove"),
        (["~model=minilm"], "model=minilm was not chosen, so ~model=minilm has nothing to remove"),
        (
            ["capture=none", "capture/recorders=[logits]"],
            "nothing that was chosen has a part capture/",
        ),
        (["hydra.job.num=x"], "hydra.job.num=x is refused: value 'x' of type 'str' could not be"),
    ],
)
def test_hydras_own_sentences_are_never_shown(words, sentence, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError) as refusal:
        run_hydra(checked, "train", words, "a.py")
    assert sentence in str(refusal.value) and "\n" not in str(refusal.value)


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
    from qa_research.launch.compose import conf_directory

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
    with pytest.raises(ValueError, match="add -m, which runs each"):
        run_hydra(seen.append, "train", ["seed=range(1,3)"], "a.py")
    assert len(seen) == 1 and sys.argv == before
