"""The verdict on sampled stacks: each fault is named, and nothing else is."""

import re
from collections.abc import Mapping
from dataclasses import replace
from math import exp
from pathlib import Path
from typing import Any

import pytest

from qa_research.launch.compose import default_config
from qa_research.ledger.stacks import Frame
from qa_research.stacks.evidence import is_network, observe
from qa_research.stacks.faults import RULES, WASTE, find_faults, waiting_for_data
from qa_research.stacks.verdict import NO_STEP, TOO_FEW, WORK, judge
from qa_research.streams import stream
from tests.stacks.made_recordings import (
    ASKING,
    COLLATING,
    DROPPING,
    FACTS,
    FIT,
    GATHERING,
    GPU,
    READING,
    READING_LOSS,
    SYNCING,
    Made,
)

CLEAN = {"forward": 280, "backward": 520, "optimizer": 100, "waiting for data": 4, "between": 20}


def facts(**changed: Any) -> dict[str, Any]:
    return {**FACTS, **changed}


def growing(mb: float) -> Any:
    return lambda part: 700 + mb * part


FAULTS: Mapping[str, Made] = {
    "slow loader": Made(CLEAN | {"waiting for data": 400}, stacks={"waiting for data": READING}),
    "Python loop in the collate function": Made(
        CLEAN | {"waiting for data": 400}, stacks={"waiting for data": COLLATING}
    ),
    "slow logger": Made(CLEAN | {"logging": 300}),
    "slow checkpoint disk": Made(CLEAN | {"checkpoint": 300}, stacks={"checkpoint": SYNCING}),
    "memory creep": Made(CLEAN, memory_mb=growing(600)),
    "too few threads": Made(
        CLEAN, facts=facts(threads=1), busy=dict.fromkeys(("forward", "backward", "optimizer"), 1)
    ),
    "network at start": Made(CLEAN, starting={"imports": 40, "data": 60}, stacks={"data": ASKING}),
    "accidental float64": Made(CLEAN, facts=facts(parameters={"float64": 4_400_000})),
    "waiting for other ranks": Made(CLEAN | {"backward": 200}, stacks={"backward": GATHERING}),
    "standing still": Made({"forward": 600, "backward": 100}, busy={"forward": 0}, step_count=20),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_the_verdict(name: str) -> None:
    verdict = judge([FAULTS[name].recording()])
    assert (verdict.bound, verdict.is_fault) == (name, True)
    assert verdict.sentence.startswith(f"{name}: ")
    assert verdict.next_steps
    assert [finding.name for finding in verdict.also] == ["compute"]


def test_every_rule_is_tried_on_a_fault_of_its_own() -> None:
    found = {
        rule.__name__
        for rule in RULES
        if any(rule(observe(made.recording())) for made in FAULTS.values())
    }
    assert found == {rule.__name__ for rule in RULES}


def test_a_clean_training_is_bound_by_its_computing() -> None:
    verdict = judge([Made(CLEAN).recording()])
    assert (verdict.bound, verdict.is_fault, verdict.also) == ("compute", False, ())
    assert verdict.sentence == (
        "compute-bound: forward, backward and optimizer take 97 % [96, 98] of the steps' time, "
        "backward alone 56 % [53, 60]; next: trainer=gpu, where there is one"
    )


@pytest.mark.parametrize("seed", range(40))
def test_nothing_is_alleged_of_clean_trainings(seed: int) -> None:
    # 4 % of logging and of checkpoints, and 30 MB that are added once, half way.
    steps = CLEAN | {"logging": 40, "checkpoint": 40, "validation": 100, "capture": 20}
    made = Made(steps, seed=seed, memory_mb=lambda part: 730 if part > 0.5 else 700)
    assert find_faults(observe(made.recording())) == []


@pytest.mark.parametrize(
    ("waiting", "others", "is_fault"),
    [
        # 14 % of few samples may be less than a tenth, of many it is more; 9 % is less of any number.
        (14, 86, False),
        (140, 860, True),
        (900, 9_100, False),
    ],
)
def test_the_end_of_the_interval_decides(waiting: int, others: int, is_fault: bool) -> None:
    made = Made(
        {"waiting for data": waiting, "forward": others}, stacks={"waiting for data": READING}
    )
    assert judge([made.recording()]).is_fault == is_fault


def test_a_rank_that_waits_within_backward_does_not_stand_still() -> None:
    made = replace(FAULTS["standing still"], facts=facts(processes=2, threads=1))
    assert not judge([made.recording()]).is_fault


def test_at_the_threshold_a_fault_is_alleged_in_few_recordings() -> None:
    # A true share of a tenth is below the lower end of an exact 95 % interval in 2.5 % of cases at most.
    draws = stream(1, "verdicts").binomial(300, WASTE, 400)
    alleged = [
        waiting_for_data(
            observe(Made({"waiting for data": int(n), "forward": 300 - int(n)}).recording())
        )
        for n in draws
    ]
    assert sum(finding is not None for finding in alleged) <= 0.05 * len(draws)


def test_few_samples_say_nothing() -> None:
    verdict = judge([Made({"forward": 6, "backward": 5}, {"imports": 2}, {}).recording()])
    assert verdict.bound == TOO_FEW
    assert verdict.sentence.startswith("too few samples: 13 samples, ")


def test_no_samples_say_nothing() -> None:
    verdict = judge([replace(Made({}).recording(), samples=())])
    assert (verdict.bound, verdict.evidence) == (TOO_FEW, ())


def test_two_that_take_as_long_are_both_named() -> None:
    verdict = judge([Made({"forward": 500, "between": 510}).recording()])
    assert verdict.sentence.startswith(
        "overhead and compute-bound: Python between the phases takes 50 %"
    )
    of_choice = judge([Made({"forward": 500, "validation": 490}).recording()])
    assert (of_choice.bound, [f.label for f in of_choice.also]) == ("validation", ["compute-bound"])
    assert judge([Made({"forward": 20, "between": 21}, {}, {}).recording()]).bound == TOO_FEW


def test_without_a_step_only_the_phases_are_told() -> None:
    verdict = judge([Made({}, {"imports": 60, "tokenizing": 20}, {}).recording()])
    assert (verdict.bound, verdict.is_fault) == (NO_STEP, False)
    assert re.fullmatch(
        r"no optimizer step: none ended in \d\.\d s, most of which were imports 75 % \[64, 84\]",
        verdict.sentence,
    )


def test_an_imported_recording_has_no_verdict() -> None:
    imported = replace(Made(CLEAN).recording(), mean_s=0.0, to_s=0.0)
    assert judge([imported]).sentence.startswith("no times: ")


def test_a_short_training_is_bound_by_its_start_or_its_end() -> None:
    short = {"forward": 20, "backward": 20}
    verdict = judge([Made(short, {"imports": 75, "data": 25}).recording()])
    assert verdict.bound == "start-up"
    assert (
        "went by before the first step was done, most of it imports 75 % [65, 83]"
        in verdict.sentence
    )
    assert judge([Made(short, ending={"validation": 200}).recording()]).bound == "ending"
    # 48 % are not more than half.
    assert (
        judge([Made({"forward": 100}, {"imports": 100}, {"data": 8}).recording()]).bound
        == "compute"
    )


@pytest.mark.parametrize("steps", [{}, {"forward": 1}])
def test_steps_that_were_too_quick_to_be_sampled_are_not_judged(steps: Mapping[str, int]) -> None:
    verdict = judge([Made(steps, {"imports": 100}).recording()])
    assert (verdict.bound, verdict.also) == ("start-up", ())


@pytest.mark.parametrize("work", ["validation", "capture"])
def test_work_that_was_asked_for_bounds_but_is_no_fault(work: str) -> None:
    verdict = judge([Made(CLEAN | {work: 2_000}).recording()])
    assert (verdict.bound, verdict.is_fault) == (work, False)


def test_work_of_which_less_would_do_comes_first_where_it_is_much() -> None:
    verdict = judge([Made(CLEAN | {"capture": 500}, facts=facts(capture_budget=None)).recording()])
    assert verdict.sentence.startswith(
        "much capture: captures take 35 % [33, 38] of the steps' time, "
    )
    assert [finding.label for finding in verdict.also] == ["compute-bound"]
    assert judge([Made(CLEAN | {"validation": 200}).recording()]).bound == "compute"


def test_a_capture_without_a_limit_is_told() -> None:
    no_limit = Made(CLEAN | {"capture": 2_000}, facts=facts(capture_budget=None))
    assert "(now null, so nothing limits it)" in judge([no_limit.recording()]).sentence


def test_a_loop_in_a_collate_function_is_named_with_its_line() -> None:
    sentence = judge([FAULTS["Python loop in the collate function"].recording()]).sentence
    assert "mine/collate.py:12, in pad: row.append(0)" in sentence


def test_a_loader_that_waits_is_told_from_one_that_computes() -> None:
    loader = FAULTS["slow loader"]
    waits = replace(loader, busy={"waiting for data": 0.02}, steps={"waiting for data": 900})
    assert any(
        "it waits rather than computes" in step for step in judge([waits.recording()]).next_steps
    )
    computes = judge([loader.recording()])
    assert not any("it waits" in step for step in computes.next_steps)
    assert any("mine/data.py:7" in line.text for line in computes.evidence)


def test_torchs_own_collate_function_is_part_of_the_loader() -> None:
    torchs = Frame(
        "torch/utils/data/_utils/collate.py", 272, "collate_tensor_fn", "torch.stack(batch)"
    )
    made = replace(FAULTS["slow loader"], stacks={"waiting for data": (*COLLATING[:2], torchs)})
    assert judge([made.recording()]).bound == "slow loader"


def test_importing_a_client_is_no_look_up() -> None:
    importing = (
        Frame("huggingface_hub/__init__.py", 1, "__getattr__", "importlib.import_module(name)"),
        Frame("<frozen importlib._bootstrap_external>", 1062, "get_data"),
    )
    made = Made(CLEAN, starting={"imports": 100}, stacks={"imports": importing})
    assert not judge([made.recording()]).is_fault


def test_importing_what_speaks_to_others_is_neither_a_look_up_nor_a_wait() -> None:
    importing = Frame("<frozen importlib._bootstrap>", 241, "_call_with_frames_removed")
    decorators = (("torch/distributed/", "register"), ("huggingface_hub/", "validated"))
    for package, function in decorators:
        module = Frame(f"{package}api.py", 1, "<module>")
        # A decorator runs while its module is imported.
        stack = (FIT, importing, module, Frame(f"{package}rules.py", 7, function))
        observed = observe(Made({"forward": 200}, stacks={"forward": stack}).recording())
        assert {sample.phase for sample in observed.steps.samples} == {"forward"}
        assert not any(is_network(sample) for sample in observed.steps.samples)
    asks = (importing, Frame("mine/data.py", 3, "<module>"), *ASKING[1:])
    observed = observe(Made({"forward": 200}, stacks={"forward": asks}).recording())
    assert all(is_network(sample) for sample in observed.steps.samples)


def test_a_short_look_up_is_no_fault() -> None:
    made = Made(CLEAN, starting={"imports": 40, "data": 5}, stacks={"data": ASKING})
    assert not judge([made.recording()]).is_fault


@pytest.mark.parametrize(
    "memory",
    [
        lambda part: 700 + 400 * (part > 0.7),
        lambda part: 700 + 200 * (part > 0.6) + 200 * (part > 0.8),
        lambda part: 700 + 300 * (part * 11 % 1),
        lambda part: 700 + 600 * (1 - exp(-8 * part)),
        lambda part: 1000 - 300 * part,
        lambda part: 700 + 20 * part,
    ],
    ids=["a jump", "two jumps", "saw teeth", "levels off", "falls", "a little"],
)
def test_memory_that_does_not_creep_is_not_said_to(memory: Any) -> None:
    assert not judge([Made(CLEAN, memory_mb=memory).recording()]).is_fault


def test_a_short_training_may_still_be_filling_its_caches() -> None:
    assert not judge([Made(CLEAN, memory_mb=growing(600), step_count=90).recording()]).is_fault


def test_the_growth_of_memory_is_told_in_mb_for_a_hundred_steps() -> None:
    (growth, *_) = judge([Made(CLEAN, memory_mb=growing(600)).recording()]).evidence
    assert growth.estimate is not None
    # 600 MB in 400 steps.
    assert growth.estimate.low < 150 < growth.estimate.high
    assert growth.estimate.high - growth.estimate.low < 30


def test_as_many_threads_as_cores_are_enough() -> None:
    hyperthreads = facts(threads=4, processors=8, cores=4)
    assert not judge([Made(CLEAN, facts=hyperthreads).recording()]).is_fault
    ranks = facts(threads=1, processors=2, processes=2)
    assert not judge([Made(CLEAN, facts=ranks).recording()]).is_fault


def test_a_library_with_threads_of_its_own_needs_none_of_torchs() -> None:
    made = Made(CLEAN, facts=facts(threads=1), busy={"forward": 2, "backward": 2})
    assert not judge([made.recording()]).is_fault


def test_processors_that_others_use_are_told() -> None:
    busy = dict.fromkeys(("forward", "backward", "optimizer"), 0.7)
    verdict = judge([Made(CLEAN, busy=busy).recording()])
    assert "an idle machine: 2 threads got 0.7" in verdict.sentence


@pytest.mark.parametrize(
    "changed",
    [
        {"precision": "64-true", "parameters": {"float64": 4_400_000}},
        {"parameters": {"float32": 4_400_000, "float64": 1}},
        {"parameters": {}, "batch": {}},
    ],
    ids=["asked for", "one number", "unknown"],
)
def test_float64_that_is_asked_for_or_negligible_is_no_fault(changed: dict[str, Any]) -> None:
    assert not judge([Made(CLEAN, facts=facts(**changed)).recording()]).is_fault


def test_float64_in_a_batch_is_a_fault() -> None:
    verdict = judge([Made(CLEAN, facts=facts(batch={"x": "float64"})).recording()])
    assert "the batch has float64: x" in verdict.sentence


def test_dropout_is_told_with_what_it_takes() -> None:
    made = Made(CLEAN | {"forward": 560}, stacks={"forward": DROPPING})
    verdict = judge([made.recording()])
    assert any(line.text.startswith("dropout in forward 4") for line in verdict.evidence)
    assert any(step.startswith("model.dropout=0.0") for step in verdict.next_steps)


def test_on_a_gpu_a_loss_that_is_read_is_computing() -> None:
    made = Made(
        CLEAN | {"logging": 500}, facts=GPU, stacks={"logging": READING_LOSS}, busy={"x": 1}
    )
    verdict = judge([made.recording()])
    assert (verdict.bound, verdict.is_fault) == ("compute", False)
    assert "next: a larger data.batch_size" in verdict.sentence
    on_cpu = judge([replace(made, facts=FACTS).recording()])
    assert on_cpu.bound == "slow logger"


def test_on_a_gpu_float32_is_advised_against() -> None:
    made = Made(CLEAN, facts={**GPU, "precision": "32-true"})
    assert judge([made.recording()]).next_steps[0] == "trainer.precision=bf16-mixed"


def test_the_fault_of_one_rank_is_the_trainings() -> None:
    clean = Made(CLEAN, facts=facts(processes=2, threads=1)).recording()
    slow = replace(FAULTS["slow loader"], rank=1, facts=facts(processes=2, threads=1)).recording()
    verdict = judge([clean, slow])
    assert verdict.sentence.startswith("slow loader (rank 1): ")
    # What both have is told once.
    assert [finding.name for finding in judge([slow, slow]).also] == ["compute"]


def test_the_worst_of_several_faults_comes_first() -> None:
    made = Made(
        CLEAN | {"logging": 300, "waiting for data": 600}, stacks={"waiting for data": READING}
    )
    verdict = judge([made.recording()])
    assert verdict.bound == "slow loader"
    assert [finding.name for finding in verdict.also] == ["slow logger", "compute"]


def test_the_lines_are_the_sentence_then_evidence_advice_and_the_rest() -> None:
    verdict = judge([FAULTS["slow logger"].recording()])
    sentence, *lines = verdict.lines()
    assert sentence == verdict.sentence
    assert lines[0] == "  logging 25 % [22, 27]"
    assert "  next: logger=csv" in lines
    assert lines[-1].startswith("  also compute-bound: forward, backward and optimizer take 74 %")


def test_no_recordings_have_no_verdict() -> None:
    with pytest.raises(ValueError, match="at least one recording"):
        judge([])


def test_facts_that_are_missing_allege_nothing() -> None:
    assert judge([Made(CLEAN, facts={}).recording()]).bound == "compute"


def test_samples_without_processor_time_or_memory_are_judged() -> None:
    recording = FAULTS["slow loader"].recording()
    bare = tuple(replace(s, cpu_s=None, memory_mb=None) for s in recording.samples)
    assert judge([replace(recording, samples=bare)]).bound == "slow loader"


def _keys(config: Mapping[str, Any], prefix: str = "") -> set[str]:
    found = set()
    for name, value in config.items():
        found.add(prefix + name)
        if isinstance(value, Mapping):
            found |= _keys(value, f"{prefix}{name}.")
    return found


def _all_next_steps() -> set[str]:
    recordings = [made.recording() for made in FAULTS.values()]
    recordings += [Made({phase: 900}).recording() for work in WORK for phase in work.phases]
    recordings += [
        Made({phase: 900, "forward": 300}, stacks={"forward": DROPPING}, facts=known).recording()
        for phase in ("backward", "optimizer", "capture")
        for known in (GPU, facts(precision="32-true", capture_budget=0.1), facts(workers=2))
    ]
    few = {"forward": 9}
    recordings += [
        Made(few, {"imports": 99}).recording(),
        Made(few, ending={"data": 99}).recording(),
    ]
    return {step for recording in recordings for step in judge([recording]).next_steps}


def test_what_is_advised_names_keys_that_exist() -> None:
    known = _keys(default_config())
    groups = {folder.name for folder in Path("conf").iterdir() if folder.is_dir()}
    named = set()
    group = "|".join(groups)
    for step in _all_next_steps():
        named |= set(re.findall(rf"\b(?:{group})\.[a-z_.]*[a-z]", step))
        for folder, option in re.findall(rf"\b({group})=([a-z]\w*)", step):
            assert Path(f"conf/{folder}/{option}.yaml").is_file(), step
    assert len(named) > 10
    assert named <= known
