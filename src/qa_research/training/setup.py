"""The objects that a config describes, and every check that can be made before a run is touched."""

import logging
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from qa_research.capture.callback import Capture
from qa_research.config import build, build_capture
from qa_research.runs.checkpoints import (
    find_checkpoint,
    network_weights,
    read_checkpoint,
    stated_step,
)
from qa_research.runs.directory import check_writable, read_record, run_name
from qa_research.runs.places import with_absolute_paths
from qa_research.runs.schema import check_has
from qa_research.runs.told import inputs_of
from qa_research.tasks.task import StoredRun, Task
from qa_research.text import did_you_mean
from qa_research.trackers.tracker import Tracker
from qa_research.training.finetuning.adapted import Adapted
from qa_research.training.finetuning.plan import Plan, plan_of
from qa_research.training.finetuning.strategies import Strategy
from qa_research.training.silencing import check_silence
from qa_research.training.trainer import check_trainer, processes_of

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Setup:
    """A task with its data read and its network made, before anything is trained.

    `report`: how the network was made. `plan`: what of it trains when; None: everything, always. `capture`:
    what records the training's inside, or None. `tracker`: where its curves go. `config`: with absolute
    paths, so that the run finds its data again from anywhere; `composed`: as it was typed. `inputs`: the
    sha256 of what was read, as `runs.told.inputs_of` has it. `first`: the config of a training whose weights
    this one begins with, or None.
    """

    task: Task
    report: list[str]
    plan: Plan | None
    capture: Capture | None
    tracker: Tracker
    config: dict[str, Any]
    composed: dict[str, Any]
    inputs: dict[str, str] | None
    first: dict[str, Any] | None

    def begin_with(self, directory: Path) -> None:
        """Take the best weights of the first training, which is finished, from its directory.

        Raises:
            ValueError, FileNotFoundError: it has none, or they do not fit.
        """
        path = find_checkpoint(directory / "checkpoints", "best")
        content, record = read_checkpoint(path), read_record(directory) or {}
        check_has(directory / "run.json", record, ("fingerprints",))
        run = StoredRun(
            directory=directory,
            checkpoint=path,
            step=stated_step(content),
            config=self.first or {},
            record=record,
            name=run_name(directory),
            results=directory,
            is_run=True,
        )
        self.report[:] = self.task.start_from(run, network_weights(content))
        if self.capture:
            # Its recorders have seen other initial weights.
            _watch(self.capture, self.task, self.config)

    def prepare(self) -> None:
        """Turn the data into batches of tensors, or read them from the cache."""
        self.task.prepare(_cache(self.config), self.config["seed"])
        _check_shares(self.task, processes_of(self.config["trainer"]))
        _check_part(self.task, self.config["trainer"].get("limit_train_batches"))
        self.task.data.check_order(self.config["trainer"]["max_epochs"])
        if self.plan:
            self.plan.check_steps(_most_steps(self.task, self.config["trainer"]))


def set_up(config: dict[str, Any]) -> Setup:
    """Make the task that a config describes, and its capture.

    Raises:
        ValueError, OSError: they cannot be made as the config asks.
    """
    check_trainer(config["trainer"])
    tracker: Tracker = build("logger", config["logger"])
    tracker.check()
    if config["train"]["threads"] is not None:
        torch.set_num_threads(config["train"]["threads"])
    cache = _cache(config)
    check_writable(cache, "paths.cache=DIR")
    task = Task.from_config(config)
    # Before they are read, so that a change while they are read is noticed the next time.
    inputs = inputs_of(config)
    report = task.load(cache, config["seed"])
    plan = _plan(config, task)
    is_compiled = bool(config["model"].get("compile"))
    if silent := check_silence(config["train"], task.network, is_compiled):
        report.append(silent)
    capture: Capture | None = None
    if config["capture"]:
        capture = build_capture(config["capture"])
        _watch(capture, task, config)
    _check_measured(task, "checkpoint.monitor=", [config["checkpoint"]["monitor"]])
    _check_measured(task, "train.stop_at: ", config["train"]["stop_at"] or {})
    absolute = with_absolute_paths(config)
    first = task.first_training(absolute)
    if first and processes_of(config["trainer"]) > 1:
        raise ValueError(
            f"trainer.devices={config['trainer']['devices']} does not go with a training that begins with "
            "another one, since both train in one process: trainer.devices=1, or do without "
            "model.pretraining"
        )
    return Setup(task, report, plan, capture, tracker, absolute, config, inputs, first)


def _watch(capture: Capture, task: Task, config: Mapping[str, Any]) -> None:
    capture.watch(task, gradients_are_scaled=config["trainer"]["precision"] == "16-mixed")


def check_mode(task: Task, checkpoint: Mapping[str, Any]) -> None:
    """Refuse a new run that would keep its worst weights as its best.

    Raises:
        ValueError: `mode` is not that of what `monitor` measures.
    """
    name, mode = checkpoint["monitor"], checkpoint["mode"]
    better = task.better(name)
    right = "max" if better == "higher" else "min"
    if mode != right:
        raise ValueError(
            f"checkpoint.mode={mode} would keep the weights with the worst {name}, of which {better} is "
            f"better; add checkpoint.mode={right}"
        )


def _check_shares(task: Task, processes: int) -> None:
    """Refuse more processes than there are rows, as one without a row would keep the others waiting."""
    if processes == 1:
        return
    splits = {"training": task.data.train_dataloader, "validation": task.data.val_dataloader}
    for split, loader in splits.items():
        rows = len(loader().dataset)
        if rows < processes:
            raise ValueError(
                f"trainer.devices={processes} is more than the {rows} {split} windows, and each process "
                "needs at least one"
            )


def _check_part(task: Task, limit: float | None) -> None:
    """Refuse a part of an epoch that is less than one batch."""
    batches = len(task.data.train_dataloader())
    if limit is not None and limit < 1 and batches * limit < 1:
        raise ValueError(
            f"trainer.limit_train_batches={limit} of the {batches} batches of an epoch is less than one"
        )


def _plan(config: Mapping[str, Any], task: Task) -> Plan | None:
    """What of the network trains when, as `finetuning` says; the module's optimizer will follow it."""
    section, processes = config["finetuning"], processes_of(config["trainer"])
    if section is None:
        return None
    if processes > 1:
        raise ValueError(
            f"trainer.devices={processes} does not go with a strategy of finetuning, which trains in one "
            "process: trainer.devices=1, or finetuning=full"
        )
    strategy: Strategy = build("finetuning", section)
    if isinstance(strategy, Adapted):
        task.module.add(strategy.adapters, config["seed"])
    plan = plan_of(strategy, task.network)
    task.module.shares = plan.shares()
    return plan


def _most_steps(task: Task, trainer: Mapping[str, Any]) -> int:
    """How many optimizer steps a training of one process has, unless something ends it early."""
    batches = batches_of_epoch(len(task.data.batch_sizes(0)), trainer.get("limit_train_batches"))
    steps: int = math.ceil(batches / trainer["accumulate_grad_batches"]) * trainer["max_epochs"]
    most: int = trainer["max_steps"]
    return steps if most < 0 else min(steps, most)


def batches_of_epoch(batches: int, limit: int | float | None) -> int:
    """How many batches an epoch has of those there are; `limit`: `trainer.limit_train_batches`."""
    if limit is None:
        return batches
    return min(batches, limit) if isinstance(limit, int) else int(batches * limit)


def _check_measured(task: Task, setting: str, names: Iterable[str]) -> None:
    measured, may_choose = task.measured(), task.may_choose()
    for name in names:
        if name not in measured:
            raise ValueError(f"{setting}{name} is not measured{did_you_mean(name, may_choose)}")
        if name not in may_choose:
            quantity = name.partition("/")[2]
            raise ValueError(
                f"{setting}{name} is a score that is reported, and one that also chooses is partly luck; use "
                f"choosing/{quantity}, or data.choosing_share=1 to let all {task.examples} choose"
            )


def _cache(config: Mapping[str, Any]) -> Path:
    return Path(config["paths"]["cache"]).expanduser()
