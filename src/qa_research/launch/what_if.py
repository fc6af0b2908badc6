"""What if?: a stretch of a training without some examples or parts, beside random ones of the same size."""

import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from qa_research.capture.components import Silence, named, parts_of, units_like
from qa_research.config import check_value
from qa_research.console import tracked
from qa_research.files import ids_named
from qa_research.interventions.influence.similar import similar_to
from qa_research.interventions.replay.proof import Witness, kept_weights
from qa_research.interventions.what_if.changes import (
    BOUND,
    CHANGED,
    RANDOM,
    REFERENCE,
    Change,
    random_examples,
    random_parts,
)
from qa_research.interventions.what_if.effects import (
    StepEffect,
    WhatIf,
    effect_at,
    reached_of,
)
from qa_research.launch.fork import (
    Similar,
    has_anchor,
)
from qa_research.launch.stretch import Stretch
from qa_research.runs.directory import run_name
from qa_research.runs.open import open_run
from qa_research.signals import Signals
from qa_research.streams import stream
from qa_research.tasks.left_out import Edits, Holes, which_of
from qa_research.tasks.opened import Opened
from qa_research.tasks.scoring import Columns, by_kind, columns_of, groups_of
from qa_research.tasks.task import Metric, Task
from qa_research.text import names_in, plural
from qa_research.training.looks import Look, both
from qa_research.training.rerun import Reruns
from qa_research.training.setup import set_up
from qa_research.training.silencing import Window

# How many times scores are measured if nobody says how often.
SCORINGS = 10


@dataclass(frozen=True)
class Question:
    """What is asked. `without`: ids or files; `similar`: those of the steps that are most like one;
    `silence`: names of parts, until `silence_until` (None: the end).

    `questions`: how many examples are scored at most, of the `kinds` (empty: all). `level`: of a score, of
    which it is told when it is reached; None: halfway.
    """

    without: Sequence[str] = ()
    similar: Similar | None = None
    holes: str | None = None
    silence: Sequence[str] = ()
    silence_until: int | None = None
    silence_with: str | None = None
    draws: int = 20
    every: int | None = None
    questions: int = 200
    kinds: Sequence[str] = ()
    level: float | None = None
    seed: int = 1

    def check(self, first: int) -> None:
        """Refuse what contradicts itself.

        Raises:
            ValueError: nothing is changed after step `first`, or two things are, or an option has no effect.
        """
        if bool(self.without or self.similar) == bool(self.silence):
            raise ValueError(
                "choose one change: --without ID,..., --similar-to ID or --silence NAME,..."
            )
        check_value("--holes", self.holes, Holes | None)
        check_value("--with", self.silence_with, Silence | None)
        if self.silence:
            if self.holes:
                raise ValueError(
                    f"--holes {self.holes} says what becomes of the places of examples that are left out, "
                    "and --silence leaves none out"
                )
        elif self.silence_until is not None or self.silence_with is not None:
            raise ValueError(
                "--until and --with say when and how parts are silent, and --silence which"
            )
        if self.silence_until is not None and self.silence_until < first:
            raise ValueError(f"--until {self.silence_until} is before --at {first}")


def what_if(stretch: Stretch, asked: Question, from_start: bool) -> WhatIf:
    """Train the steps of a stretch as they were, changed, and with random changes.

    Raises:
        FileNotFoundError, ValueError: no such example or part, no state to begin from, or nothing to compare
            with.
    """
    first, until, directory = stretch.first, stretch.until, stretch.directory
    asked.check(first)
    if asked.silence and stretch.config["model"].get("compile"):
        raise ValueError(
            "--silence does not work for a run with model.compile=true, whose compiled graph calls no hooks"
        )
    opened = open_run(directory)
    rows, note = opened.drawn(asked.questions, stream(asked.seed, "what-if-examples"), asked.kinds)
    if not has_anchor(directory, first):
        # What is not there is said before steps are trained for it.
        setup = set_up({**stretch.config, "capture": None})
        setup.prepare()
        _check_named(setup.task, asked)
        if asked.similar:
            opened.by_id(asked.similar.to, "--similar-to")
    started = time.monotonic()
    reruns = stretch.reruns(from_start)
    changes, notes = _changes(reruns, asked, opened)
    every = asked.every or max(1, -(-(until - first) // SCORINGS))
    scorer = Scorer(opened, rows, opened.metrics[0], [*range(first, until, every), until])
    witness = Witness(kept_weights(directory, first, until))
    found = _trained(reruns, changes, asked, scorer, witness)
    effects = _effects(found, scorer)
    return WhatIf(
        run=run_name(directory),
        first=first,
        until=until,
        changed=_words(asked, changes, first, until),
        random_words=_random_words(asked, changes),
        examples=len(rows),
        example_name=opened.examples,
        metric=scorer.metric,
        effects=effects,
        reached={k: reached_of(own, asked.level, scorer.metric) for k, own in effects.items()},
        exact=witness.is_exact,
        compared=len(witness.proofs),
        seconds=time.monotonic() - started,
        notes=(*notes, *([note] if note else [])),
    )


def _check_named(task: Task, asked: Question) -> None:
    """Refuse examples or parts that are not there, and data that cannot leave any out.

    Raises:
        ValueError: the first of them.
    """
    if not asked.silence:
        data: Any = task.data
        ids = ids_named(asked.without, "--without")
        which_of(data.ids(), ids, "--without")
        # Refuses what cannot be left out; each training sets its own edits.
        data.edit(Edits(without=ids))
    else:
        named(names_in(asked.silence), task.network, "--silence")


# What a training scored, by step; and by its role all trainings that had it.
Scores = dict[int, Columns]
Found = dict[str, list[Scores]]


def _trained(
    reruns: Reruns,
    changes: Sequence[Change],
    asked: Question,
    scorer: "Scorer",
    witness: Witness,
) -> Found:
    """Train the steps once for each change; the one that is as it was is compared with what was kept."""
    found: Found = {}
    how: Any = asked.silence_with or "zero"
    holes: Any = asked.holes
    begin = reruns.first
    with Signals() as signals:
        for change in tracked(changes, "Training again"):
            window = (
                Window(change.silent, begin, asked.silence_until, how) if change.silent else None
            )
            found.setdefault(change.role, []).append(scorer.fresh(window))
            look: Look = scorer
            if change.role == REFERENCE:
                look = both(scorer, witness)
            edits = Edits(without=list(change.without), holes=holes) if change.without else None
            reruns.train(look, signals, edits, window)
    return found


def _effects(found: Found, scorer: "Scorer") -> dict[str, tuple[StepEffect, ...]]:
    """By kind of example the effects over the steps."""
    groups = groups_of(scorer.told)

    def at(step: int, places: NDArray[np.int64]) -> StepEffect:
        def own(scores: Scores) -> Columns:
            return {key: column[places] for key, column in scores[step].items()}

        return effect_at(
            step,
            own(found[REFERENCE][0]),
            own(found[CHANGED][0]),
            [own(one) for one in found[RANDOM]],
            own(found[BOUND][0]) if BOUND in found else None,
            scorer.metric,
            None if groups is None else groups[places],
        )

    return {
        kind: tuple(at(step, places) for step in sorted(scorer.steps))
        for kind, places in by_kind(scorer.told).items()
    }


class Scorer:
    """Scores a network in training at some steps, by a copy of its weights, which leaves no trace in it.

    What is silent while it trains is silent while it is scored, as in the validation of a fork.
    """

    def __init__(
        self, opened: Opened[Any], rows: Sequence[Any], metric: Metric, steps: Sequence[int]
    ) -> None:
        self.opened, self.rows, self.metric, self.steps = opened, rows, metric, set(steps)
        self.asked = opened.answering_of(rows)
        self.window: Window | None = None
        self.found: dict[int, Columns] = {}
        self.told: list[dict[str, Any]] = []
        # All trainings begin in one state, which need be scored only once.
        self.at_first: Columns | None = None

    def fresh(self, window: Window | None = None) -> dict[int, Columns]:
        """Where the scores of the next training go, by step; `window`: when what is silent in it."""
        self.found, self.window = {}, window
        return self.found

    def __call__(self, step: int, network: nn.Module) -> None:
        if step not in self.steps:
            return
        is_first = step == min(self.steps)
        if is_first and self.at_first is not None:
            self.found[step] = self.at_first
            return
        own = self.opened.network
        own.load_state_dict(network.state_dict())
        with torch.random.fork_rng([]), self.window.at(step, own) if self.window else nullcontext():
            rows = self.asked(self.rows)
        self.told = self.told or rows
        self.found[step] = columns_of(rows, [self.metric])
        if is_first:
            self.at_first = self.found[step]


def _changes(
    reruns: Reruns, asked: Question, opened: Opened[Any]
) -> tuple[list[Change], list[str]]:
    """As it was, changed, the random changes, and the bound; and notes on them."""
    rng = stream(asked.seed, "what-if-random")
    if asked.without or asked.similar:
        return _without(reruns, asked, opened, rng)
    return _silent(reruns, asked, rng)


def _without(
    reruns: Reruns, asked: Question, opened: Opened[Any], rng: np.random.Generator
) -> tuple[list[Change], list[str]]:
    ids = ids_named(asked.without, "--without")
    _check_named(reruns.task, asked)
    served = reruns.served()
    if asked.similar:
        alike = similar_to(opened, asked.similar.to, asked.similar.count, among=list(served))
        ids = list(dict.fromkeys((*ids, *alike)))
    used = [one for one in ids if served.get(one)]
    notes = []
    if used and len(used) < len(ids):
        notes.append(
            f"These steps train on {len(used)} of the {plural(len(ids), 'example')} that are left out; each "
            "random change leaves out as many that they train on as often"
        )
    random = random_examples(ids, served, asked.draws, rng)
    if len(random) < asked.draws:
        notes.append(_all_sets(len(random), "examples that these steps train on as often"))
    return [Change(REFERENCE), Change(CHANGED, without=tuple(ids)), *random], notes


def _silent(
    reruns: Reruns, asked: Question, rng: np.random.Generator
) -> tuple[list[Change], list[str]]:
    network = reruns.task.network
    parts = named(names_in(asked.silence), network, "--silence")
    known = parts_of(network) + units_like(parts, network)
    sets = random_parts(parts, known, asked.draws, rng)
    random = [Change(RANDOM, silent=tuple(part.name for part in own)) for own in sets]
    notes = []
    if len(random) < asked.draws:
        notes.append(_all_sets(len(random), "such parts"))
    bound = []
    if any(part.number is not None for part in parts):
        layers = sorted({part.layer for part in parts})
        bound = [Change(BOUND, silent=tuple(f"layers.{layer}" for layer in layers))]
    names = tuple(part.name for part in parts)
    return [Change(REFERENCE), Change(CHANGED, silent=names), *random, *bound], notes


def _all_sets(count: int, what: str) -> str:
    return f"There are only {plural(count, 'other set')} of {what}: all were tried"


def _words(asked: Question, changes: Sequence[Change], first: int, until: int) -> str:
    changed = next(change for change in changes if change.role == CHANGED)
    if changed.without:
        shown = ", ".join(changed.without[:3]) + (", ..." if len(changed.without) > 3 else "")
        return f"without {plural(len(changed.without), 'training example')} ({shown})"
    end = until if asked.silence_until is None else asked.silence_until
    how = " (their mean instead)" if asked.silence_with == "mean" else ""
    return f"{', '.join(changed.silent)} silent in steps {first + 1} to {end}{how}"


def _random_words(asked: Question, changes: Sequence[Change]) -> str:
    random = [change for change in changes if change.role == RANDOM]
    if asked.without or asked.similar:
        return f"{plural(len(random), 'set')} of as many other examples of these steps left out"
    return f"{plural(len(random), 'set')} of as many other parts of the same layers or kinds silent"
