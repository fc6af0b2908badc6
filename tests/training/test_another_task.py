"""A task in one file trains, resumes, sweeps and is compared: nothing on the way knows question answering."""

import ast
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hydra import compose

from qa_research.capture.recording.reader import Recording
from qa_research.launch.compose import checked
from qa_research.runs.compare import side_by_side
from qa_research.runs.directory import read_record, run_directory
from qa_research.runs.listing import headline, list_runs, sorted_runs
from qa_research.runs.open import open_run
from qa_research.tasks.stages import STAGES
from qa_research.training.story import train
from tests.toy.line import Point
from tests.training.reading import result_of, rows_of

ROOT = Path(__file__).parents[2]
CONF = f"hydra.searchpath=[file://{ROOT / 'tests/toy/conf'}]"


@pytest.fixture
def line(composed, tmp_path):
    """A checked config of the toy task, whose runs lie in the test's own folder."""

    def make(*overrides: str, runs: str = "runs") -> dict:
        places = [f"paths.runs={tmp_path / runs}", f"paths.cache={tmp_path / 'cache'}"]
        words = [CONF, "+experiment=line", "train.progress=none", "train.threads=1"]
        return checked(compose("train", [*words, *places, *overrides]))

    return make


class StopAt:
    """Sends SIGTERM to this process at the n-th training step."""

    def __init__(self, monkeypatch, step: int) -> None:
        from tests.toy.line import LineModule

        original, self.calls = LineModule.training_step, 0

        def stopping(module, batch, batch_idx):
            self.calls += 1
            if self.calls == step:
                os.kill(os.getpid(), signal.SIGTERM)
            return original(module, batch, batch_idx)

        monkeypatch.setattr(LineModule, "training_step", stopping)


def test_it_trains_and_is_reported_the_second_time(line, caplog):
    config = line()
    error = train(config)
    run = run_directory(config)
    record = read_record(run)
    assert record["status"] == "finished" and record["examples"] == {"train": 64, "validation": 64}
    assert error == record["best"]["val/squared_error"] < 1
    columns = list(rows_of(run)[0])
    assert columns[5:] == ["val/loss", "val/squared_error", "val/pearson"]
    rows = json.loads((run / "predictions" / "validation.json").read_text())
    mean = sum(row["squared_error"] for row in rows) / len(rows)
    assert mean == pytest.approx(record["best"]["val/squared_error"])
    before = (run / "metrics.csv").stat().st_mtime_ns
    assert train(config) == error
    assert (run / "metrics.csv").stat().st_mtime_ns == before


def test_it_is_read_back_from_its_directory(line):
    config = line()
    train(config)
    opened = open_run(run_directory(config))
    at_zero, at_one = (
        row["prediction"]
        for row in opened.rows([Point("a", "", 0.0, None), Point("b", "", 1.0, None)])
    )
    assert at_one > at_zero > at_one - 6 and at_zero < 0


def test_its_forward_pass_is_opened(line, verb):
    config = line()
    train(config)
    run = run_directory(config)
    code, said, err = verb("forward", str(run), "--input", "x=0.5", "--json")
    assert code == 0, err
    stages = {stage["stage"]: stage for stage in json.loads(said)["stages"]}
    assert tuple(stages) == STAGES
    opened = open_run(run)
    (row,) = opened.rows([Point("a", "", 0.5, None)])
    (head,) = stages["head"]["tables"][0]
    assert head["logit"] == pytest.approx(row["prediction"], abs=1e-6)
    slope, bias = (tensor.item() for tensor in opened.network.state_dict().values())
    assert head["sum of products"] == pytest.approx(0.5 * slope, abs=1e-6)
    assert head["bias"] == pytest.approx(bias, abs=1e-6)
    assert stages["postprocess"]["tables"][0][0]["value"] == head["logit"]
    assert "What is right is not known" in stages["evaluate"]["sentences"][0]
    code, _, err = verb("forward", str(run), "--question", "Who?", "--context", "Ms Lund.")
    assert code == 2 and "is asked with --input x=..., not with --question and --context" in err
    code, said, _ = verb("forward", str(run), "--question", "v3", "--json")
    known = {stage["stage"]: stage for stage in json.loads(said)["stages"]}["evaluate"]["tables"][0]
    (point,) = (row for row in opened.own("validation").rows if row.id == "v3")
    (row,) = opened.rows([point])
    assert [cell["quantity"] for cell in known] == ["true", "loss"]
    assert known[1]["value"] == pytest.approx(row["squared_error"], abs=1e-5)


@pytest.mark.parametrize("step", [1, 7, 16, 23])
def test_stopped_and_resumed_it_is_bit_for_bit_the_uninterrupted_one(line, monkeypatch, step):
    from qa_research.signals import Stopped

    uninterrupted, halted = line(runs="uninterrupted"), line(runs="halted")
    train(uninterrupted)
    with monkeypatch.context() as patch:
        StopAt(patch, step)
        with pytest.raises(Stopped):
            train(halted)
    assert read_record(run_directory(halted))["steps"] == step
    train(halted)
    assert result_of(run_directory(halted)) == result_of(run_directory(uninterrupted))


def test_runs_are_listed_sorted_and_compared_by_its_own_metric(line, tmp_path):
    configs = [line(f"seed={seed}", f"model.lr={lr}") for seed, lr in ((1, 0.001), (3, 0.1))]
    errors = [train(config) for config in configs]
    listed = list_runs(tmp_path / "runs").runs
    assert headline(listed) == ["val/squared_error", "val/pearson"]
    # Lower is better, so the run with the higher learning rate comes first.
    assert [run.entry.seed for run in sorted_runs(listed, "val/squared_error")] == [3, 1]
    found = side_by_side([run_directory(config) for config in configs])
    (pair,) = found.pairs
    assert pair.verdict.startswith("B is better in squared error on these 64 points")
    difference = pair.comparison.differences[0]
    assert difference.points == pytest.approx(errors[1] - errors[0])
    assert found.as_json()["pairs"][0]["comparison"]["squared_error"]["p"] < 0.05


WATCHED = [
    "capture=examples",
    "capture/recorders=[outputs,head_weights,dynamics]",
    "capture.every_n_steps=4",
    "capture.max_step_fraction=null",
]


def test_it_is_looked_into_and_learns_the_same(line):
    alone, watched = line(runs="alone"), line(*WATCHED, runs="watched")
    train(alone)
    train(watched)
    (bare, seen) = (run_directory(config) for config in (alone, watched))
    assert result_of(bare) == result_of(seen)
    recording = Recording(seen / "recording.zarr")
    assert recording.recorders == ["outputs", "head_weights", "dynamics"]
    outputs, weights = recording.read("outputs"), recording.read("head_weights")
    assert outputs["step"].values.tolist() == list(range(0, 33, 4))
    splits = [row["split"] for row in recording.questions]
    assert splits.count("train") == splits.count("validation") == 4
    x = np.array([float(row["question"].removeprefix("x = ")) for row in recording.questions])
    slope = weights["weight"].sel(row="prediction", unit=0)
    predicted = outputs["prediction"]
    # x is told with two digits.
    assert np.allclose(np.polyfit(x, predicted.values.T, 1)[0], slope, atol=0.05)
    error = predicted - outputs["true_value"]
    assert np.allclose(error, outputs["error"]) and np.allclose(error**2, outputs["loss"])


def test_training_stops_at_the_value_of_its_metric(line):
    config = line("train.stop_at={val/squared_error: 0.9}", "trainer.max_epochs=50")
    assert train(config) <= 0.9
    assert read_record(run_directory(config))["steps"] < 50 * 8


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("checkpoint.monitor=val/f1", "checkpoint.monitor=val/f1 is not measured"),
        ("train.stop_at={val/exact_match: 1}", "val/exact_match is not measured"),
        (
            "capture=default",
            "capture.logits records a start and an end score of each token, and this network puts out one "
            "number for each example; capture/recorders may have: outputs, ",
        ),
        ("capture=examples", "this network has no layers to look into"),
        ("+model.lrr=1", "no config key model.lrr; did you mean model.lr"),
    ],
)
def test_what_does_not_fit_the_task_is_refused(line, override, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        train(line(override))


@pytest.mark.slow
def test_it_sweeps_from_the_command_line(tmp_path):
    words = ["-m", CONF, "+experiment=line", "seed=1,2", "train.progress=none"]
    done = subprocess.run(
        [sys.executable, str(ROOT / "train.py"), *words],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    records = [read_record(path.parent) for path in tmp_path.glob("runs/line/*/run.json")]
    assert [record["status"] for record in records] == ["finished", "finished"]
    assert sorted(record["seed"] for record in records) == [1, 2]


SHARED = [
    *(ROOT / "src/qa_research/training").glob("*.py"),
    *(ROOT / "src/qa_research/runs").glob("*.py"),
    *(p for p in (ROOT / "src/qa_research/launch").glob("*.py") if p.name != "explain.py"),
]
# The part of tasks/ that every task shares.
SEAM = {
    f"qa_research.tasks.{name}"
    for name in (
        *("task", "learning", "opened", "scoring", "evaluation", "left_out"),
        *("elsewhere", "earlier_configs", "run_qa"),
    )
}


def imports(path: Path) -> set[str]:
    """The modules that a file imports, anywhere in it."""
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    return {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}


@pytest.mark.parametrize("path", SHARED, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_what_every_task_shares_names_no_task(path):
    text = path.read_text(encoding="utf-8")
    assert {name for name in imports(path) if name.startswith("qa_research.tasks")} <= SEAM
    strings = [
        node.value
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    docs = {
        ast.get_docstring(n, clean=False)
        for n in ast.walk(ast.parse(text))
        if isinstance(n, DOCUMENTED)
    }
    named = re.compile(r"exact_match|\bval/f1|\bsquad|\bspan\b|" + "|".join(map(re.escape, TASKS)))
    assert [s for s in strings if s not in docs and named.search(s)] == []


# The folders of tasks.
TASKS = [
    f"tasks.{path.name}"
    for path in sorted((ROOT / "src/qa_research/tasks").iterdir())
    if (path / "task.py").is_file()
]
# What uses finished runs knows a task only where it is about answers to questions: why, for each.
ABOUT_ANSWERS = {
    "cli/answers.py": "SQuAD's scores and files; --context; score",
    "cli/attribute.py": "which words led to an answer",
    "cli/options.py": "--data of questions, and who answers them",
    "cli/squad.py": "the questions of SQuAD",
    "cli/watch.py": "--question and --context of a film",
    "efficacy/ask.py": "--on-bad-rows, and answers kept for the report",
    "efficacy/chosen.py": "contexts that chose the weights, in other files",
    "notebook.py": "Run.ask(question, context)",
}
USING = [
    path
    for folder in ("cli", "efficacy", "report", "ledger", "stacks", "trackers", "figures", "pages")
    for path in sorted((ROOT / "src/qa_research" / folder).rglob("*.py"))
] + [ROOT / "src/qa_research/notebook.py"]


def test_what_uses_runs_knows_a_task_only_where_it_is_about_answers():
    assert "tasks.answering" in TASKS
    knowing = {
        str(path.relative_to(ROOT / "src/qa_research"))
        for path in USING
        if any(f"qa_research.{task}" in name for name in imports(path) for task in TASKS)
    }
    assert knowing <= ABOUT_ANSWERS.keys()
    # Nothing is on the list that need not be.
    assert ABOUT_ANSWERS.keys() <= knowing


DOCUMENTED = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
