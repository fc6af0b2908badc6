"""A training on the screen: what begins, and at its end the scores, where all is, what to try next."""

import logging
import time
from pathlib import Path
from typing import Any

import torch

from qa_research import STARTED
from qa_research.model.bert import count_parameters
from qa_research.tasks.answering.data import QuestionData
from qa_research.tasks.answering.module import QuestionAnswering

log = logging.getLogger(__name__)


def describe(data: QuestionData, module: QuestionAnswering, report: tuple[str, ...]) -> None:
    """What is about to be trained, and on what."""
    for line in report:
        log.info("%s", line)
    lengths = data.train_windows.lengths
    log.info(
        "Data: %s, %s training and %s validation questions in %s and %s windows of %.0f tokens on average",
        data.name,
        *(f"{len(rows):,}" for rows in (data.train, data.validation)),
        *(f"{len(windows):,}" for windows in (data.train_windows, data.validation_windows)),
        lengths.mean(),
    )
    log.info(
        "Model: %s, %.1f million parameters, %d threads",
        module.name,
        count_parameters(module.network) / 1e6,
        torch.get_num_threads(),
    )
    if data.guessing:
        shown = ", ".join(f"{kind} {value:.1f}" for kind, value in data.guessing.items())
        log.info("Guessing among the candidates of the right kind earns exact match: %s", shown)


def time_until_training() -> str:
    """How long the way here was."""
    passed = time.perf_counter() - STARTED
    return f"First step begins {passed:.1f} s after the program started"


def show_result(directory: Path, record: dict[str, Any]) -> None:
    """A short table of the best scores, and the commands that go on from here."""
    best: dict[str, float] = record["best"]
    prefix = "val/exact_match_"
    kinds = [key.removeprefix(prefix) for key in best if key.startswith(prefix)]
    rows = [("all", best["val/exact_match"], best["val/f1"])]
    if len(kinds) > 1:
        rows += [(kind, best[prefix + kind], best[f"val/f1_{kind}"]) for kind in kinds]
    guessing: dict[str, float] = record["guessing"]
    header = f"{'validation':<12}{'exact match':>12}{'F1':>8}" + ("   guessing" if guessing else "")
    lines = ["", header]
    for kind, exact, f1 in rows:
        guess = f"{guessing[kind]:>11.1f}" if kind in guessing else ""
        lines.append(f"{kind:<12}{exact:>12.1f}{f1:>8.1f}{guess}")
    if guessing and _on_the_plateau(best, guessing):
        lines.append(
            "`match` stands where guessing among the candidates would be: it knows what kind of answer is "
            "asked for, and does not yet look at whom the question is about."
        )
    trained = f"best of {record['steps']} steps: step {record['best_step']}"
    lines += [
        f"({trained}; {record['train_s']:.0f} s training, {record['validation_s']:.0f} s validation)",
        *_captured(record.get("capture")),
        "",
        f"Everything is in   {directory}",
        f"Score it again     qa-research evaluate {directory}",
        f'Ask it             qa-research ask {directory} --question "..." --context "..."',
        *([f"Watch it learn     qa-research watch {directory}"] if "capture" in record else []),
        f"See the curves     tensorboard --logdir {directory.parent.parent}",
    ]
    for line in lines:
        log.info("%s", line)


def _captured(cost: dict[str, float] | None) -> list[str]:
    if not cost:
        return []
    left_out = f", {cost['left_out']} left out" if cost["left_out"] else ""
    return [
        f"(looked inside {cost['captures']} times{left_out}: {cost['seconds']:.1f} s, "
        f"{cost['percent_of_training']:.1f} % of the training's time; {cost['mb']:.0f} MB before compression)"
    ]


def _on_the_plateau(best: dict[str, float], guessing: dict[str, float]) -> bool:
    """Lookup mastered, match within ten points of guessing."""
    lookup, match = best.get("val/exact_match_lookup"), best.get("val/exact_match_match")
    if lookup is None or match is None:
        return False
    return lookup >= 90 and abs(match - guessing["match"]) <= 10
