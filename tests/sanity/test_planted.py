"""Each planted fault turns the right check red, and a sound training is green, for every task."""

import json

import pytest
import torch

from qa_research.launch.sanity import composed_training
from qa_research.sanity import memory
from qa_research.sanity.sanity import CHECKS, examine, lay_out
from qa_research.tasks.answering.corpus import generate
from qa_research.tasks.answering.squad import squad_json

USUAL = ("train.threads=1", "trainer.precision=32-true", "capture=none")
TEXT = ("model.hidden_size=32", "model.intermediate_size=64", "model.vocab_size=1000")
# By task: a small training, and the classes of its data and its module.
TASKS = {
    "answering": (
        (
            *("data=squad_file", "data.train_path=train.json", "data.validation_path=dev.json"),
            *("data.max_tokens=128", "data.stride_tokens=32", "data.batch_size=32", *TEXT, *USUAL),
        ),
        "FileData",
        "QuestionAnswering",
    ),
    "paraphrase": (
        (
            *("+experiment=paraphrase", "model=pairs_bert_tiny", "model.lr=1e-3"),
            *("data.train_examples=200", "data.validation_examples=80", *TEXT, *USUAL),
        ),
        "BuiltinPairs",
        "PairClassifier",
    ),
    "sequences": (
        (
            *("+experiment=sequence_transformer", "data.made_train=200", *USUAL),
            *("data.made_validation=60", "model.width=32", "model.mlp_width=64"),
            "data._target_=tests.sanity.planted.UnevenMotifs",
        ),
        "UnevenMotifs",
        "Transformer",
    ),
}
BY_HEART = {check.name for check in memory.CHECKS}
WITHOUT_HEART = [check for check in CHECKS if check.name not in BY_HEART]
LABELS, IDS = "labels are the examples' own", "ids spell the text"
TYPES, MASK = "token types are their texts'", "the mask is that of the tokens"
CUT, PARTS = "nothing is cut off", "validation is not training"
EVAL, LEAK = "eval mode has no dropout", "no leak across the batch"
PADDING, INPUT, TYPES_COUNT = "padding is ignored", "the input counts", "token types count"
FIRST, GRADIENT = "first loss", "every parameter gets a gradient"
CLIPPING, STEP = "clipping leaves the gradient", "a step changes every parameter"
FALLS, HEART = "loss falls", "ten examples learned by heart"
BLANK, CAPACITY = "blank inputs are worse", "capacity counts"


def in_data(fault: str, task: str) -> tuple[str, ...]:
    return (f"data._target_=tests.sanity.planted.{fault}Of{TASKS[task][1]}",)


def in_module(fault: str, task: str) -> tuple[str, ...]:
    return (f"model._target_=tests.sanity.planted.{fault}Of{TASKS[task][2]}",)


def planted(section: str, fault: str) -> tuple[str, ...]:
    return (f"{section}._target_=tests.sanity.planted.{fault}",)


# By fault that every task can have: the check that must turn red, and others that rightly may.
OF_EVERY_TASK = {
    "ShuffledLabels": (in_data, LABELS, set()),
    "MaskOfOnes": (in_data, MASK, set()),
    "ValidationIsTraining": (in_data, PARTS, set()),
    "DropoutInEval": (in_module, EVAL, {LEAK, PADDING}),
    "BatchLeak": (in_module, LEAK, set()),
    "FrozenHead": (in_module, GRADIENT, set()),
    "HeadLeftOut": (in_module, STEP, set()),
    "NoLearningRate": (in_module, STEP, {FALLS}),
    "LossUpwards": (in_module, FIRST, {FALLS}),
    "LossOfSums": (in_module, FIRST, set()),
}
OF_TEXTS = {
    "SwappedTypes": (in_data, TYPES, set()),
    "OtherTokenizer": (in_data, IDS, set()),
    "MaskIgnored": (in_module, PADDING, set()),
    "TypesIgnored": (in_module, TYPES_COUNT, {GRADIENT, STEP}),
    "InputsIgnored": (in_module, INPUT, {LEAK, GRADIENT, STEP}),
}
CLIPPED = ("trainer.gradient_clip_val=1.0e-12",)
TRUNCATED = ("data.max_tokens=24", "data.stride_tokens=2", "answer.max_answer_tokens=1")
# By task and fault: the overrides that plant it, the check that must turn red, and others that may.
FAULTS = {
    **{
        (task, fault): (place(fault, task), right, others)
        for task in TASKS
        for fault, (place, right, others) in OF_EVERY_TASK.items()
    },
    **{
        (task, fault): (place(fault, task), right, others)
        for task in ("answering", "paraphrase")
        for fault, (place, right, others) in OF_TEXTS.items()
    },
    **{(task, "clipping to zero"): (CLIPPED, CLIPPING, {FALLS, STEP}) for task in TASKS},
    ("answering", "labels off by one"): (planted("data", "LabelsOffByOne"), LABELS, set()),
    ("answering", "truncated answers"): (TRUNCATED, CUT, set()),
    ("paraphrase", "flipped labels"): (planted("data", "FlippedLabels"), LABELS, set()),
    ("paraphrase", "truncated pairs"): (("data.max_tokens=8",), CUT, {IDS}),
    ("sequences", "other letters"): (planted("data", "OtherLetters"), IDS, set()),
    ("sequences", "ignored mask"): (planted("model", "NumberWithoutMask"), PADDING, set()),
    ("sequences", "ignored inputs"): (
        planted("model", "NumberWithoutInputs"),
        INPUT,
        {LEAK, GRADIENT, STEP, FALLS},
    ),
}
# What ten examples learned by heart show, and no single step.
OF_MEMORY = {
    ("answering", "InputsIgnored"): (in_module("InputsIgnored", "answering"), {HEART, BLANK}),
    ("paraphrase", "InputsIgnored"): (in_module("InputsIgnored", "paraphrase"), {HEART, BLANK}),
    ("answering", "ignored width"): (planted("model", "WidthIgnored"), {CAPACITY}),
    ("answering", "detached body"): (planted("model", "DetachedBody"), {CAPACITY, HEART, BLANK}),
}


def verdicts(task, overrides, cache, checks=WITHOUT_HEART):
    """What the checks find; nothing of them is left in the global random state."""
    bench = lay_out(composed_training([*TASKS[task][0], f"paths.cache={cache}", *overrides]))
    state = torch.get_rng_state()
    found = {one.name: one.found for one in examine(bench, checks)}
    assert torch.equal(torch.get_rng_state(), state)
    assert found.keys() == {check.name for check in checks}
    return found


def reds(found):
    return {name for name, one in found.items() if one.verdict == "red"}


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """A folder for caches, with some built-in questions as files, which are read faster than made."""
    folder = tmp_path_factory.mktemp("cache")
    corpus = generate(0)
    for name, rows in {"train": corpus.train[:200], "dev": corpus.validation[:40]}.items():
        (folder / f"{name}.json").write_text(json.dumps(squad_json(rows, "1.1")))
    return folder


@pytest.fixture(autouse=True)
def allowed(monkeypatch, cache):
    monkeypatch.chdir(cache)
    monkeypatch.setenv("QA_RESEARCH_ALLOW", "tests.sanity.planted")
    # On a busy machine, too, steps and not the clock end what is learned by heart.
    monkeypatch.setattr(memory, "MOST_SECONDS", 60.0)


# A second each, and there are fifty.
@pytest.mark.slow
@pytest.mark.parametrize(("task", "fault"), FAULTS)
def test_a_planted_fault_turns_its_check_red_and_no_other(task, fault, cache):
    overrides, right, others = FAULTS[task, fault]
    found = verdicts(task, overrides, cache)
    assert right in reds(found)
    assert reds(found) <= {right, *others}
    assert all(found[name].expected and found[name].look_at for name in reds(found))


@pytest.mark.slow
@pytest.mark.parametrize(("task", "fault"), OF_MEMORY)
def test_what_is_learned_by_heart_shows_a_fault(task, fault, cache, monkeypatch):
    monkeypatch.setattr(memory, "MOST_STEPS", 100)
    overrides, right = OF_MEMORY[task, fault]
    found = verdicts(task, overrides, cache, memory.CHECKS)
    assert right <= reds(found) <= {*right, CAPACITY}


@pytest.mark.parametrize("task", TASKS)
def test_a_sound_training_is_green(task, cache):
    found = verdicts(task, (), cache, CHECKS)
    assert reds(found) == set()
    skipped = {name for name, one in found.items() if one.verdict == "skipped"}
    assert skipped == ({TYPES, TYPES_COUNT, CUT} if task == "sequences" else set())


def test_a_network_that_is_too_slow_to_learn_by_heart_is_not_red(monkeypatch, cache):
    monkeypatch.setattr(memory, "MOST_SECONDS", 0.01)
    found = verdicts("answering", (), cache, memory.CHECKS)
    assert {one.verdict for one in found.values()} == {"skipped"}
    assert "too few to tell" in found[HEART].measured


@pytest.mark.parametrize(
    "overrides",
    [
        *(("finetuning=frozen",), ("finetuning=discriminative",), ("data.curriculum=loss",)),
        *(("finetuning=lora",), ("finetuning=bottleneck", "finetuning.width=16")),
    ],
    ids=" ".join,
)
def test_what_trains_less_or_in_another_order_is_not_red(overrides, cache):
    assert reds(verdicts("answering", overrides, cache)) == set()


def test_what_a_check_does_to_the_weights_is_undone(cache):
    bench = lay_out(composed_training([*TASKS["answering"][0], f"paths.cache={cache}"]))
    for _ in examine(bench):
        now = bench.network.state_dict()
        assert all(torch.equal(now[name], tensor) for name, tensor in bench.initial.items())
