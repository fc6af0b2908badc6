"""What run.json says about a training: how it was made, how far it came, what it scored."""

import logging
import sys
import time
import uuid
from dataclasses import asdict
from pathlib import Path
from typing import Any

from qa_research import STARTED
from qa_research.runs.checkpoints import BEST, load_network_weights
from qa_research.runs.compare import best_intervals
from qa_research.runs.machine import machine, now, peak_memory_mb
from qa_research.runs.versions import git_state, installed_versions
from qa_research.signals import Stopped, one_sentence
from qa_research.stats import dependence
from qa_research.tasks.task import PERCENT, Task
from qa_research.text import command_line
from qa_research.training.setup import Setup
from qa_research.training.trainer import TrainerBundle

log = logging.getLogger(__name__)


def new_record(setup: Setup) -> dict[str, Any]:
    """The first content of run.json: identity, fingerprints, versions, config. No host or user names."""
    config = setup.config
    return {
        "id": uuid.uuid4().hex,
        "status": "running",
        "study": config["study"],
        "seed": config["seed"],
        "started": now(),
        "command": ["qa-research", "train", *sys.argv[1:]],
        "fingerprints": setup.task.fingerprints(),
        **setup.task.facts(),
        **({"finetuning": setup.plan.facts()} if setup.plan else {}),
        "versions": installed_versions(),
        "git": git_state(),
        "machine": machine(),
        # What config.yaml is compared with when the run is resumed.
        "config": config,
        "steps": 0,
    }


def add_result(record: dict[str, Any], bundle: TrainerBundle, task: Task) -> None:
    """Complete the record of a finished training."""
    progress, checkpoints = bundle.progress, bundle.checkpoints
    record |= {
        "status": "finished",
        "finished": now(),
        "steps": bundle.trainer.global_step,
        "train_samples": progress.train_samples,
        "train_s": round(progress.train_s, 1),
        "validation_s": round(progress.validation_s, 1),
        "peak_memory_mb": peak_memory_mb(),
        "best": checkpoints.best,
        "best_step": checkpoints.best_step,
        "error": None,
    }
    _add_intervals(record, checkpoints.directory.parent, task)
    if record["steps"] or task.afterwards_without_steps:
        _add_afterwards(record, bundle, task)
    if checkpoints.while_training is not None:
        record["best_while_training"] = checkpoints.while_training
        record["precision_while_training"] = str(bundle.trainer.precision)
    if bundle.capture:
        record["capture"] = bundle.capture.cost()


def _add_intervals(record: dict[str, Any], directory: Path, task: Task) -> None:
    """How sure the best scores are; only a warning if somebody removed or changed the predictions."""
    try:
        found = best_intervals(directory, task.metrics)
    except (FileNotFoundError, ValueError) as error:
        log.warning("The scores have no intervals: %s", error)
        return
    record["best_95"] = {name: asdict(interval) for name, interval in found.items()}


def _add_afterwards(record: dict[str, Any], bundle: TrainerBundle, task: Task) -> None:
    """What the task measures with the best weights; only a warning if somebody removed or changed them."""
    signals = bundle.saving.signals
    try:
        weights = load_network_weights(bundle.checkpoints.directory / BEST)
    except (FileNotFoundError, ValueError) as error:
        log.warning("The best weights cannot be read: %s", error)
        return
    task.network.float().load_state_dict(weights)
    record |= task.afterwards(lambda: signals.stop is not None)


def add_early_end(
    record: dict[str, Any], error: BaseException, bundle: TrainerBundle, first_step: int
) -> None:
    """Say why a training ended early, and after how many steps: if it was stopped, those saved."""
    saved_step = max(bundle.saving.saved_step, first_step)
    checkpoints, progress = bundle.checkpoints, bundle.progress
    record |= {"error": one_sentence(error), "finished": now()}
    if checkpoints.best:
        record |= {"best": checkpoints.best, "best_step": checkpoints.best_step}
    if progress.train_s:
        record["train_s"] = round(progress.train_s, 1)
        record["validation_s"] = round(progress.validation_s, 1)
    if not isinstance(error, Stopped):
        record |= {"status": "failed", "steps": max(saved_step, bundle.trainer.global_step)}
        record["saved_step"] = saved_step
        return
    record |= {"status": "interrupted", "steps": saved_step}
    if saved_step:
        log.info("Stopped by %s after step %d, which is saved.", error, saved_step)
    else:
        log.info("Stopped by %s before the first step: there is nothing to save.", error)


def time_until_training() -> str:
    """How long the program took to get here, as a sentence."""
    elapsed = time.perf_counter() - STARTED
    return f"First step starts {elapsed:.1f} s after the program did"


def told_result(directory: Path, record: dict[str, Any], setup: Setup) -> list[str]:
    """Lines with a short table of the best scores, and the commands to try next."""
    task, curves = setup.task, setup.tracker.command(directory)
    steps = record["steps"]
    best = f"best of {steps} steps: step {record['best_step']}" if steps else "not trained"
    commands = [
        ("Everything is in", str(directory)),
        *task.next_commands(directory, record),
        *([("See the curves", command_line(*curves))] if curves else []),
    ]
    return [
        "",
        *task.result(record),
        *_intervals(record, task),
        f"({best}; {record['train_s']:.0f} s training, {record['validation_s']:.0f} s validation)",
        *_scores_while_training(record, task),
        *_cost_of_capture(record.get("capture"), steps),
        "",
        *(f"{what:<19}{command}" for what, command in commands),
    ]


def _intervals(record: dict[str, Any], task: Task) -> list[str]:
    """The intervals of the scores, and what makes them wider than they look."""
    known: dict[str, dict[str, Any]] = record.get("best_95", {})
    metrics = [metric for metric in task.metrics if metric["name"] in known]
    if not metrics:
        return []
    shown = []
    for metric in metrics:
        found, digits = known[metric["name"]], ".1f" if metric["scale"] == PERCENT else ".4g"
        shown.append(f"{metric['label']} [{found['low']:{digits}}, {found['high']:{digits}}]")
    wider = {metric["label"]: known[metric["name"]]["wider"] for metric in metrics}
    sentence = dependence(wider, task.examples)
    return [f"95 % intervals: {', '.join(shown)}", *([f"({sentence})"] if sentence else [])]


def _scores_while_training(record: dict[str, Any], task: Task) -> list[str]:
    """What the best weights scored when they were chosen, if that differs from what `evaluate` says."""
    chosen = record.get("best_while_training")
    if not chosen:
        return []
    then, now = task.progress_text(chosen)[0], task.progress_text(record["best"])[0]
    if then == now:
        return []
    precision = record["precision_while_training"]
    return [f"({now} in float32, as `evaluate` computes; {then} in {precision}, which chose them)"]


def _cost_of_capture(cost: dict[str, float] | None, steps: int) -> list[str]:
    if not cost:
        return []
    if not steps:
        # Of a training's time there is no share.
        return [f"(captured once: {cost['seconds']:.1f} s; {cost['mb']:.0f} MB before compression)"]
    skipped = f", {cost['left_out']} skipped" if cost["left_out"] else ""
    return [
        f"(captured {cost['captures']} times{skipped}: {cost['seconds']:.1f} s, "
        f"{cost['percent_of_training']:.1f} % of the training's time; {cost['mb']:.0f} MB before compression)"
    ]
