import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def launch(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "train.py"), *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["model.lrr=1"], "there is no config key model.lrr; did you mean model.lr?"),
        (["modle=minilm"], "there is no config key modle; did you mean model?"),
        (["model=minilmm"], "there is no model=minilmm; did you mean minilm?"),
        (
            ["+experiment=pretraind"],
            "there is no experiment=pretraind; did you mean +experiment=pretrained?",
        ),
        (
            ["data=squad_file"],
            "data.train_path and data.validation_path must be given; with one file",
        ),
        (["seed=x"], "seed must be a valid integer, got 'x'"),
    ],
)
def test_a_bad_command_is_one_sentence_and_exit_code_2(arguments, sentence, tmp_path):
    done = launch(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert sentence in done.stderr and done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_debug_shows_the_traceback(tmp_path):
    done = launch("seed=x", "--debug", cwd=tmp_path)
    assert done.returncode != 0 and "Traceback" in done.stderr


def test_help_lists_parts_and_values():
    done = launch("--help")
    assert done.returncode == 0
    assert "\n  overfit " in done.stdout
    assert "data.batch_size=32" in done.stdout


@pytest.mark.slow
def test_a_sweep_runs_one_after_the_other_and_leaves_no_hydra_directories(tmp_path):
    done = launch(
        *("-m", "+experiment=smoke", "seed=1,2", "train.progress=none"),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    names = sorted(path.name[:28] for path in (tmp_path / "runs/smoke").iterdir())
    assert names == ["bert_tiny-random-builtin-s1-", "bert_tiny-random-builtin-s2-"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "runs"]
    assert not list(tmp_path.rglob(".hydra"))
    for path in (tmp_path / "runs/smoke").iterdir():
        (line,) = [x for x in (path / "train.log").read_text().splitlines() if " Run: " in x]
        assert line.endswith(path.name)


@pytest.mark.slow
def test_a_finished_run_is_told_again_without_importing_torch(tmp_path):
    words = ("+experiment=smoke", "capture=none", "train.progress=none")
    first = launch(*words, cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    command = [sys.executable, "-X", "importtime", str(ROOT / "train.py"), *words]
    again = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    imported = {line.rpartition("|")[2].strip() for line in again.stderr.splitlines()}
    assert "hydra" in imported and not imported & {"torch", "lightning", "transformers"}
    assert (
        "This run is finished; train.resume=never trains it again." in again.stdout + again.stderr
    )
