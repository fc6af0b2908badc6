"""All checks of a training that a config describes; nothing is written but caches of its data."""

import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from qa_research.config import class_of
from qa_research.sanity import data, learning, memory, passes
from qa_research.sanity.bench import Bench, first_rows, rows_of, weights_of
from qa_research.sanity.check import Check, Checked
from qa_research.tasks.task import Task
from qa_research.tasks.wiring import Batch, Wiring
from qa_research.training.setup import set_up

CHECKS: tuple[Check, ...] = (*data.CHECKS, *passes.CHECKS, *learning.CHECKS, *memory.CHECKS)
# Training examples that batches are made of: tokenising all of a large data set would take minutes.
SAMPLE = 1000
# Enough of them for labels that are wrong in one of twenty, and read in a second.
BATCHES = 4
# Rows of each that a network computes.
TRIED = 8
# What is learned by heart is chosen from so many batches: the shorter its rows, the faster.
LOOKED_AT, FEW = 32, 10


def lay_out(config: Mapping[str, Any]) -> Bench:
    """The task that a checked config describes, with its first batches.

    All data are read, and a tokenizer is trained on all, but only a sample is made into batches.

    Raises:
        ValueError, OSError: the config cannot be trained, or its task cannot be checked.
    """
    kind: type[Task] = class_of("task", config["task"])
    if kind.wiring is Task.wiring:
        raise ValueError(
            f"sanity cannot check a training on {config['task']['examples']}: this task does not say how its "
            "batches are made from its examples (Task.wiring)"
        )
    # Nothing is recorded, and compiling takes a minute.
    plain = {**config, "capture": None}
    if "compile" in plain["model"]:
        plain["model"] = {**plain["model"], "compile": False}
    setup = set_up(plain)
    task = setup.task
    wiring = task.wiring()
    examples = {split: wiring.examples(split) for split in ("train", "validation")}
    task.data.keep_some(SAMPLE)
    # Not `setup.prepare`, which also counts the steps of a training on all examples.
    task.prepare(Path(plain["paths"]["cache"]).expanduser(), plain["seed"])
    batches = [dict(batch) for batch in islice(task.data.train_dataloader(), LOOKED_AT)]
    first = batches[:BATCHES]
    return Bench(
        task,
        wiring,
        plain,
        examples,
        batches=first,
        tried=[first_rows(batch, TRIED) for batch in first],
        few=_few(batches, wiring),
        initial=weights_of(task.network),
        report=tuple(setup.report),
    )


def _few(batches: Sequence[Batch], wiring: Wiring) -> Batch:
    """Ten rows that have a label, of several labels, as far as one batch has such; of the shortest batch."""

    def order(batch: Batch) -> tuple[int, bool, int]:
        labels = batch[wiring.labels[-1]][_to_learn(batch, wiring)].tolist()
        return -len(labels), len(set(labels)) < 2, batch[wiring.read].shape[1]

    best = min(batches, key=order)
    return rows_of(best, _to_learn(best, wiring) or [0])


def _to_learn(batch: Batch, wiring: Wiring) -> list[int]:
    """Rows of a batch that have a label, ten at most; of each label as many, if there are few labels."""
    labels = batch[wiring.labels[-1]].tolist()
    rows = list(range(len(labels)))
    if wiring.outputs == "spans":
        # (0, 0) is no answer.
        rows = [row for row in rows if labels[row]]
    if wiring.outputs == "labels":
        # The first ones of all labels, then the second ones, and so on.
        rows.sort(key=lambda row: labels[:row].count(labels[row]))
    return rows[:FEW]


def examine(bench: Bench, checks: Sequence[Check] = CHECKS) -> Iterator[Checked]:
    """Make the checks, one after the other; the global random state is as before after each."""
    for check in checks:
        started = time.monotonic()
        with torch.random.fork_rng():
            torch.manual_seed(int(bench.config["seed"]) % 2**63)
            found = check.found(bench)
        yield Checked(check.name, found, time.monotonic() - started)
