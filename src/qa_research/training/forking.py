"""The beginning of a fork: what it takes over from the run that it is a fork of, and what it changes."""

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from qa_research.capture.callback import Capture
from qa_research.capture.recording.files import RECORDING
from qa_research.config import build
from qa_research.runs.anchors import anchor_file
from qa_research.runs.checkpoints import (
    BEST,
    LAST,
    ResumePoint,
    check_belongs,
    read_checkpoint,
    stated_step,
)
from qa_research.runs.forks import Origin
from qa_research.runs.metrics import METRICS
from qa_research.runs.predictions import PREDICTIONS
from qa_research.tasks.learning import LearningModule
from qa_research.tasks.task import Task
from qa_research.training.best import Checkpoints
from qa_research.training.finetuning.adapted import Adapted
from qa_research.training.finetuning.plan import plan_of
from qa_research.training.resumable import DurableCheckpointIO
from qa_research.training.setup import Setup


def check_can_begin(origin: Origin, config: Mapping[str, Any]) -> None:
    """Refuse a fork that would take no step.

    Raises:
        ValueError: it would end before it begins.
    """
    step = origin.anchor.step
    ends = {
        "trainer.max_steps": config["trainer"]["max_steps"],
        "train.until_step": config["train"]["until_step"],
    }
    for key, end in ends.items():
        if end is not None and 0 <= end <= step:
            raise ValueError(f"{key}={end} ends this fork before it begins, at step {step}")


def begin_fork(origin: Origin, directory: Path, run_id: str, setup: Setup) -> ResumePoint:
    """Write into a new run's directory what it takes over from its origin; the state that it goes on from.

    That is the state of the step with its metrics, and the weights of the steps before it. The best weights
    so far, if they are still there: else the best are those of the steps after the fork. The recording, if
    the same is recorded.

    Raises:
        ValueError: the state does not fit this config's network, or it is damaged.
    """
    content = read_checkpoint(origin.anchor.path, mmap=False)
    check_belongs(origin.anchor.path, content, origin.record["id"], setup.task.shapes())
    content["exact"]["run"] = run_id
    data = content.get(type(setup.task.data).__qualname__, {})
    if edits_in(origin.config) != edits_in(setup.config):
        # Examples are left out from here on, not since its origin left out others.
        data.pop("edited_since", None)
    _take_best(origin, directory, content["callbacks"])
    _take_recording(origin, directory, content["callbacks"], setup)
    if origin.config["finetuning"] != setup.config["finetuning"]:
        before = _group_names(setup.task, origin.config["finetuning"])
        after = _group_names(setup.task, setup.config["finetuning"])
        content["optimizer_states"] = [
            regrouped(state, before, after) for state in content["optimizer_states"]
        ]
        factors = len(after)
        for schedule in content["lr_schedulers"]:
            for key in ("base_lrs", "lr_lambdas", "_last_lr"):
                schedule[key] = [schedule[key][0]] * factors
    _take_file(origin.directory / METRICS, directory / METRICS)
    for path in (origin.directory / "checkpoints").glob("step-*.ckpt"):
        if path.stem[5:].isdecimal() and int(path.stem[5:]) <= origin.anchor.step:
            _link(path, directory / "checkpoints" / path.name)
    last = directory / "checkpoints" / LAST
    DurableCheckpointIO().save_checkpoint(content, last)
    # The state that the fork can be trained again from: its own, as it changed it.
    _link(last, anchor_file(directory, origin.anchor.step))
    return ResumePoint(last, origin.anchor.step)


def edits_in(config: Mapping[str, Any]) -> list[Any]:
    """Which training examples a config leaves out, and what becomes of their places."""
    return [config["data"].get(key) for key in ("without", "only", "holes")]


def handed_over(state: Path, target: Path, run_id: str) -> None:
    """Write a saved state as that of another run, which has the same steps."""
    content = read_checkpoint(state, mmap=False)
    content["exact"]["run"] = run_id
    DurableCheckpointIO().save_checkpoint(content, target)


def _take_best(origin: Origin, directory: Path, callbacks: dict[str, Any]) -> None:
    """The best weights until the fork, with their predictions, if its origin has found none better since."""
    best = origin.directory / "checkpoints" / BEST
    state = callbacks[Checkpoints.__qualname__]
    if best.is_file() and stated_step(read_checkpoint(best)) == state["best_step"]:
        _link(best, directory / "checkpoints" / BEST)
        _take_file(origin.directory / PREDICTIONS, directory / PREDICTIONS)
    else:
        state |= {"best": {}, "best_step": None}


def _take_recording(
    origin: Origin, directory: Path, callbacks: dict[str, Any], setup: Setup
) -> None:
    """The recording, to be cut and gone on with; if something else is recorded, it begins at the fork."""
    recording = origin.directory / RECORDING
    if setup.capture and setup.config["capture"] == origin.config["capture"]:
        if recording.is_dir():
            shutil.copytree(recording, directory / RECORDING)
    else:
        callbacks.pop(Capture.__qualname__, None)


def regrouped(
    state: Mapping[str, Any], before: Sequence[Sequence[str]], after: Sequence[Sequence[str]]
) -> dict[str, Any]:
    """The state of an optimizer whose parameters are divided into other groups, by their names.

    torch numbers parameters through all groups. Example: before [[a, b], [c]], so a 0, b 1, c 2; after
    [[c], [b]]: what was of 2 is now of 0, that of 1 stays, and that of a is dropped, as it does not train.
    """
    names = [name for group in before for name in group]
    old = {name: state["state"][n] for n, name in enumerate(names) if n in state["state"]}
    groups, found, number = [], {}, 0
    for group in after:
        groups.append(state["param_groups"][0] | {"params": [*range(number, number + len(group))]})
        for name in group:
            if name in old:
                found[number] = old[name]
            number += 1
    return {"state": found, "param_groups": groups}


def _group_names(task: Task, finetuning: Mapping[str, Any] | None) -> list[list[str]]:
    """The names of the parameters in each group of the optimizer that a strategy has.

    Raises:
        ValueError: it adds to the network.
    """
    module: LearningModule = task.module
    shares = None
    if finetuning is not None:
        strategy = build("finetuning", finetuning)
        if isinstance(strategy, Adapted):
            raise ValueError(
                f"a fork cannot change to or from finetuning={strategy.adapters.kind}, which adds to the "
                "network; train it from the beginning"
            )
        shares = plan_of(strategy, task.network).shares()
    names = {id(parameter): name for name, parameter in task.network.named_parameters()}
    groups = module.parameter_groups(shares)[0]
    return [[names[id(parameter)] for parameter in group["params"]] for group in groups]


def _take_file(source: Path, target: Path) -> None:
    if source.is_file():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)


def _link(source: Path, target: Path) -> None:
    """A second name of a file that is never changed, only replaced; a copy where there are no hard links."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
