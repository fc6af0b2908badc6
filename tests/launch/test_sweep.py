import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from qa_research.launch.sweep import Outcome, count_jobs, table
from qa_research.runs.directory import read_record

ROOT = Path(__file__).parents[2]
SHORT = (
    *("+experiment=smoke", "train.progress=none", "train.threads=1"),
    "model._target_=tests.training.signalling.Signalling",
)


def outcome(number: int, overrides: str, status="done", score=None, error=None) -> Outcome:
    return Outcome(number, tuple(overrides.split()), status, score, "val/f1", error)


def test_a_table_has_a_line_for_each_combination_and_its_spread_over_seeds():
    shown = table(
        [
            outcome(0, "a=1 seed=1 b=x", score=10.0),
            outcome(1, "a=1 seed=2 b=x", score=14.0),
            outcome(2, "a=2 seed=1 b=x", "failed", error="no such thing"),
            outcome(3, "a=2 seed=2 b=x", "interrupted"),
        ],
        planned=6,
    )
    lines = shown.splitlines()
    assert lines[0] == "b=x"
    assert lines[1].split() == ["done", "failed", "interrupted", "val/f1"]
    assert lines[2].split(maxsplit=4) == [
        *("a=1", "2", "0", "0"),
        "12.00 +- 2.83 (2 seeds, 10.00 to 14.00)",
    ]
    assert lines[3].split() == ["a=2", "0", "1", "1", "-"]
    assert lines[4] == "failed: a=2 seed=1 b=x: no such thing"
    assert lines[5] == "2 of 6 jobs have not started."


def test_a_sweep_over_seeds_alone_is_one_line():
    shown = table([outcome(i, f"seed={i}", score=float(i)) for i in (1, 2, 3)], planned=3)
    assert (
        "2.00 +- 1.00 (3 seeds, 1.00 to 3.00)" in shown
        and len(shown.splitlines()) == 2
        and "all " in shown
    )
    assert table([], 3) == "No job of this sweep has started."


@pytest.mark.parametrize(
    ("overrides", "count"),
    [
        (["seed=1,2,3", "a=range(0,4)"], 12),
        (["seed=1"], 1),
        (["a=choice(x,y)", "b=[1,2]"], 2),
        (["a=glob(*)"], None),
    ],
)
def test_jobs_are_counted_before_they_run(overrides, count):
    assert count_jobs(overrides) == count


def start(tmp_path: Path, *overrides: str, plan: str = "") -> subprocess.Popen[str]:
    places = (f"paths.runs={tmp_path / 'runs'}", f"paths.cache={tmp_path / 'cache'}")
    return subprocess.Popen(
        [sys.executable, str(ROOT / "train.py"), "-m", *SHORT, *places, *overrides],
        cwd=tmp_path,
        env=os.environ | {"SIGNALLING": plan, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def sweep(tmp_path: Path, *overrides: str, plan: str = "") -> tuple[int, str]:
    process = start(tmp_path, *overrides, plan=plan)
    text, _ = process.communicate(timeout=240)
    return process.returncode, text


@pytest.mark.slow
def test_a_failed_job_is_said_at_once_and_the_others_run(tmp_path):
    code, text = sweep(tmp_path, "model.lr=1e30,1e-3", "seed=1,2")
    assert code == 2
    assert text.index("qa-research: the loss is") < text.index("Everything is in")
    lines = {
        line.split()[0]: line.split()[1:4] for line in text.splitlines() if "model.lr=" in line
    }
    assert lines["model.lr=1e+30"] == ["0", "2", "0"] and lines["model.lr=0.001"] == ["2", "0", "0"]
    assert "Traceback" not in text


@pytest.mark.slow
def test_a_stopped_sweep_goes_on_with_what_is_missing(tmp_path):
    # The fifth training step of the sweep is the second one of its second job.
    code, text = sweep(tmp_path, "seed=1,2,3", plan="training:5:2:0")
    assert code == 130, text
    assert "1 of 3 jobs have not started." in text and "Resume with: python" in text
    code, text = sweep(tmp_path, "seed=1,2,3")
    assert code == 0, text
    assert text.count("This run is finished") == 1 and text.count("Resuming after step 2") == 1
    assert "(3 seeds, " in text and "Traceback" not in text
    code, text = sweep(tmp_path, "seed=1,2,3")
    assert code == 0 and text.count("This run is finished") == 3


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["joblib", "submitit_local"])
def test_jobs_run_in_processes_of_their_own(tmp_path, launcher):
    for repeated in (False, True):
        code, text = sweep(tmp_path, f"+launcher={launcher}", "seed=1,2")
        assert code == 0, text
        assert "(2 seeds, " in text
        # What a submitit job says stands in a file of its own.
        if launcher == "joblib":
            assert text.count("This run is finished") == 2 * repeated
    assert len(list((tmp_path / "runs/smoke").glob("*/run.json"))) == 2
    logs = sorted((tmp_path / "runs/sweeps").glob("*/.submitit/*/*_log.err"))
    assert len(logs) == (4 if launcher == "submitit_local" else 0)


@pytest.mark.slow
def test_a_parallel_sweep_saves_its_jobs_before_it_leaves(tmp_path):
    # A signal to one worker ends the whole sweep: the other one finishes, nothing else is begun.
    code, text = sweep(tmp_path, "+launcher=joblib", "seed=1,2,3,4,5,6", plan="training:2:15:0")
    assert code == 143, text
    assert "which is saved" in text and "have not started" in text
    code, text = sweep(tmp_path, "+launcher=joblib", "seed=1,2,3,4,5,6")
    assert code == 0 and "Resuming after step 2" in text and "(6 seeds, " in text


@pytest.mark.slow
@pytest.mark.parametrize("to_all", [False, True])
def test_ctrl_c_in_a_parallel_sweep_saves_also_while_a_worker_is_idle(tmp_path, to_all):
    # Two workers, one job: a signal that killed the idle one would kill the other with it.
    process = start(tmp_path, "+launcher=joblib", "trainer.max_epochs=100000", "seed=1")
    said = ""
    while "First step starts" not in said:
        said += process.stdout.readline()
    time.sleep(2)
    if to_all:
        os.killpg(process.pid, signal.SIGINT)
    else:
        process.send_signal(signal.SIGTERM)
    text, _ = process.communicate(timeout=100)
    assert process.returncode == (130 if to_all else 143), said + text
    assert "which is saved" in text and "Resume with: python" in text
    (record,) = (tmp_path / "runs/smoke").glob("*/run.json")
    assert read_record(record.parent)["status"] == "interrupted"


@pytest.mark.slow
def test_slurms_warning_before_the_end_saves(tmp_path):
    sweep(tmp_path, "+launcher=submitit_local", "seed=1", plan="training:2:12:0")
    (record,) = (tmp_path / "runs/smoke").glob("*/run.json")
    assert read_record(record.parent)["status"] == "interrupted"
    assert read_record(record.parent)["steps"] == 2
    code, text = sweep(tmp_path, "+launcher=submitit_local", "seed=1")
    assert code == 0, text
    assert read_record(record.parent)["resumed"][0]["step"] == 2


@pytest.mark.slow
def test_the_same_search_again_repeats_no_trial(tmp_path):
    code, text = sweep(tmp_path, "+search=optuna", "hydra.sweeper.n_trials=2")
    assert code == 0 and text.count("Everything is in") == 2, text
    code, text = sweep(tmp_path, "+search=optuna", "hydra.sweeper.n_trials=3")
    assert code == 0 and text.count("This run is finished") == 2, text
    assert len(list((tmp_path / "runs/search").glob("*/run.json"))) == 3
    (found, *_) = (tmp_path / "runs/sweeps").glob("*/optimization_results.yaml")
    assert "model.lr" in found.read_text()


@pytest.mark.slow
def test_the_slurm_launcher_composes(tmp_path):
    command = [sys.executable, str(ROOT / "train.py"), "+launcher=slurm", "--cfg", "hydra"]
    done = subprocess.run(
        [*command, "-p", "hydra.launcher"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "SlurmLauncher" in done.stdout and "timeout_min: 1440" in done.stdout


def test_a_sweep_of_distributed_trainings_is_refused_in_a_sentence(tmp_path):
    code, text = sweep(tmp_path, "trainer=ddp", "seed=1,2")
    assert code == 2 and "qa-research: a sweep runs one process per training" in text
    assert not (tmp_path / "runs/smoke").exists()
