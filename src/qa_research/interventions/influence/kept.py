"""Scores of training examples by the weights that a run has kept of its steps."""

import logging
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from qa_research.interventions.allowed import check_allowed
from qa_research.interventions.influence.found import (
    Influence,
    Request,
    drawn_examples,
    drawn_questions,
    influence_found,
)
from qa_research.interventions.influence.gradients import Sketch, changed_parameters
from qa_research.interventions.influence.measuring import Asked, Measuring, asked_of, representation
from qa_research.runs.metrics import METRICS, number_in, read_metrics
from qa_research.runs.open import open_run
from qa_research.streams import stream_seed
from qa_research.tasks.opened import Opened, OwnExamples
from qa_research.text import plural

log = logging.getLogger(__name__)


def influence_at(opened: Opened[Any], steps: Mapping[int, str], request: Request) -> Influence:
    """What training examples did for some questions, by gradients at kept steps.

    `opened`: the run with the weights of the first of `steps`, the name of a checkpoint by step.

    Raises:
        FileNotFoundError: the examples are gone.
        ValueError: an id is none of theirs, or it would take longer than it may.
    """
    started = time.monotonic()
    own = OwnExamples(opened)
    rows, notes = drawn_questions(own, request)
    questions, examples = (asked_of(opened, some) for some in (rows, drawn_examples(own, request)))
    last = open_run(opened.directory, list(steps.values())[-1]) if len(steps) > 1 else opened
    trained = changed_parameters(opened.network, last.network) if len(steps) > 1 else None
    sketch = Sketch(opened.network, sketch_seed(request))
    check_time(opened, sketch, questions, examples, len(steps), request)
    measuring = Measuring(questions, examples, sketch)
    rates = rates_at(opened.directory, list(steps))
    for place, (step, name) in enumerate(steps.items()):
        log.info("Step %s: %d of %d", f"{step:,}", place + 1, len(steps))
        # One network at a time is in memory, besides the first and the last.
        now = open_run(opened.directory, name) if place else opened
        measuring.add(now.network, rates[step], trained)
    total = len(list(opened.network.parameters()))
    if trained is not None and len(trained) < total:
        notes.append(
            f"Of {total} tensors {len(trained)} changed between these steps, and the gradients are of these"
        )
    return influence_found(
        opened,
        list(steps),
        (questions, examples),
        measuring.scores(),
        request.top,
        None,
        time.monotonic() - started,
        notes,
    )


def sketch_seed(request: Request) -> int:
    """Of the signs by which gradients are shortened."""
    return stream_seed(request.seed, "influence-signs") % 2**63


def check_time(
    opened: Opened[Any],
    sketch: Sketch,
    questions: list[Asked],
    examples: list[Asked],
    states: int,
    request: Request,
) -> None:
    """Tell what the gradients of so many states will take, judged by a few.

    Raises:
        ValueError: it is more than it may take.
    """
    some = [*questions[:2], *examples[:4]]
    # The first is slower than those that follow.
    sketch(opened.network, some[0].watched)
    start = time.perf_counter()
    for one in some:
        sketch(opened.network, one.watched)
        representation(opened.network, one.watched)
    each = (time.perf_counter() - start) / len(some) * states
    count = math.floor(60 * request.max_minutes / each) - len(questions)
    check_allowed(
        f"taking gradients of {len(examples):,} {opened.examples} at {plural(states, 'step')}",
        each * (len(questions) + len(examples)),
        request.max_minutes,
        f"--examples {count}" if count > 0 else None,
    )


def rates_at(directory: Path, steps: list[int]) -> dict[int, float]:
    """The learning rate after each step, by the curve in metrics.csv; between two of its points, between.

    Raises:
        ValueError: metrics.csv has none.
    """
    path = directory / METRICS
    rows = [row for row in (read_metrics(path) if path.is_file() else []) if row.get("train/lr")]
    if not rows:
        raise ValueError(
            f"{path} has no learning rate, by which gradients are weighed; train with logger=csv"
        )
    at = [int(row["step"]) for row in rows]
    rates = [number_in(row, "train/lr", path) for row in rows]
    return {step: float(np.interp(step, at, rates)) for step in steps}
