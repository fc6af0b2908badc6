"""What the seam promises: a further task is a small folder, and what tasks share names none of them."""

import subprocess
import sys
from pathlib import Path

import pytest

import qa_research.tasks

TASKS = Path(qa_research.tasks.__file__).parent
MOST_LINES = 600


@pytest.mark.parametrize("task", ["paraphrase", "sequences", "masked_words"])
def test_a_further_task_is_at_most_600_lines(task):
    files = list((TASKS / task).glob("*.py"))
    assert files
    lines = sum(len(file.read_text(encoding="utf-8").splitlines()) for file in files)
    assert lines <= MOST_LINES, f"{task} has {lines} lines: what can other tasks share?"


@pytest.mark.parametrize("task", ["answering", "masked_words", "paraphrase", "sequences"])
def test_a_run_is_read_back_without_what_only_a_training_needs(task):
    script = (
        f"import sys, qa_research.tasks.{task}.task\n"
        "print(sorted({'lightning', 'peft'} & sys.modules.keys()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_what_tasks_share_names_none_of_them():
    for file in TASKS.glob("*.py"):
        # Models from elsewhere are opened by the one task that has some.
        if file.name in ("elsewhere.py", "earlier_configs.py", "run_qa.py"):
            continue
        text = file.read_text(encoding="utf-8")
        for task in ("answering", "paraphrase", "sequences", "masked_words"):
            assert f"import qa_research.tasks.{task}" not in text
            assert f"from qa_research.tasks.{task}" not in text, file.name
