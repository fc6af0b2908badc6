"""What the screen shows around a training: the start-up time; the scores, and what to try next."""

import logging
import time
from pathlib import Path
from typing import Any

from qa_research import STARTED
from qa_research.tasks.task import Task

log = logging.getLogger(__name__)


def time_until_training() -> str:
    """How long the program took to get here, as a sentence."""
    elapsed = time.perf_counter() - STARTED
    return f"First step starts {elapsed:.1f} s after the program did"


def show_result(directory: Path, record: dict[str, Any], task: Task) -> None:
    """A short table of the best scores, and the commands to try next."""
    best = f"best of {record['steps']} steps: step {record['best_step']}"
    commands = [
        ("Everything is in", str(directory)),
        *task.next_commands(directory, record),
        ("See the curves", f"tensorboard --logdir {directory.parent.parent}"),
    ]
    lines = [
        "",
        *task.result(record),
        f"({best}; {record['train_s']:.0f} s training, {record['validation_s']:.0f} s validation)",
        *_cost_of_capture(record.get("capture")),
        "",
        *(f"{what:<19}{command}" for what, command in commands),
    ]
    for line in lines:
        log.info("%s", line)


def _cost_of_capture(cost: dict[str, float] | None) -> list[str]:
    if not cost:
        return []
    skipped = f", {cost['left_out']} skipped" if cost["left_out"] else ""
    return [
        f"(captured {cost['captures']} times{skipped}: {cost['seconds']:.1f} s, "
        f"{cost['percent_of_training']:.1f} % of the training's time; {cost['mb']:.0f} MB before compression)"
    ]
