"""Scores of training examples, judged by trainings of the same steps without random halves of them."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy import ndarray
from torch import nn

from qa_research.console import tracked
from qa_research.interventions.allowed import check_allowed
from qa_research.interventions.influence.found import (
    Influence,
    Request,
    Truth,
    drawn_examples,
    drawn_questions,
    influence_found,
)
from qa_research.interventions.influence.gradients import Sketch
from qa_research.interventions.influence.judging import chance_scores, datamodeling_scores
from qa_research.interventions.influence.kept import check_time, rates_at, sketch_seed
from qa_research.interventions.influence.measuring import (
    TEXT,
    Asked,
    Measuring,
    asked_of,
    losses_now,
)
from qa_research.interventions.replay.proof import Witness, kept_weights
from qa_research.launch.stretch import stretch_of
from qa_research.runs.open import open_run
from qa_research.signals import Signals
from qa_research.streams import stream
from qa_research.tasks.left_out import Edits
from qa_research.tasks.opened import Opened, OwnExamples
from qa_research.text import plural
from qa_research.training.looks import both
from qa_research.training.rerun import Reruns

# Gradients are taken at so many steps of the stretch: after each third of it.
STATES = 3
# The share of the examples that each training leaves out, as in Park et al. 2023.
LEFT_OUT = 0.5
# With fewer trainings a correlation says nothing.
LEAST_TRAININGS = 10


def judged_influence(
    run: str,
    first: int,
    until: int,
    trainings: int,
    request: Request,
    runs: Path,
    from_start: bool,
    anyway: bool,
) -> Influence:
    """What the examples of some steps did for questions, and how well each method predicts it.

    Trains the steps after `first` up to `until` as they were, and `trainings` times without a random half of
    their examples, whose places stay empty.

    Raises:
        FileNotFoundError, ValueError: no such run, step or example, or it would take longer than it may.
    """
    started = time.monotonic()
    if trainings < LEAST_TRAININGS:
        raise ValueError(
            f"--judge {trainings} is too few trainings to order; at least {LEAST_TRAININGS}"
        )
    stretch = stretch_of(run, first, until, runs, anyway)
    opened = open_run(stretch.directory)
    own = OwnExamples(opened)
    rows, notes = drawn_questions(own, request)
    steps = sorted({*np.linspace(first, until, STATES + 1).round().astype(int).tolist()[1:]})
    rates = rates_at(stretch.directory, steps)
    # What is not there is said before steps are trained for it.
    drawn_examples(own, request)
    reruns = stretch.reruns(from_start)
    served = list(reruns.served())
    chosen = drawn_examples(own, request, among=served)
    kept = _halves(len(chosen), trainings, request)
    without = [
        tuple(opened.told(row).id for row, stays in zip(chosen, own_half, strict=True) if not stays)
        for own_half in kept
    ]
    # What cannot be left out is refused before anything is trained.
    reruns.task.data.edit(Edits(without=without[0], holes="empty"))
    questions, examples = (asked_of(opened, some) for some in (rows, chosen))
    sketch = Sketch(opened.network, sketch_seed(request))
    check_time(opened, sketch, questions, examples, len(steps), request)
    measuring = Measuring(questions, examples, sketch)
    at = _Measure(opened, measuring, rates)
    witness = Witness(kept_weights(stretch.directory, first, until))
    with Signals() as signals:
        begun = time.monotonic()
        reruns.train(both(at, witness), signals)
        each = time.monotonic() - begun - at.seconds
        what = f"training these steps {trainings} times"
        check_allowed(what, each * trainings, request.max_minutes, None)
        losses = _trained_without(reruns, without, opened, questions, signals)
    scores = measuring.scores()
    if len(examples) < len(served):
        notes.append(
            f"These steps train on {plural(len(served), 'example')}, and half of {len(examples):,} of them "
            "are left out each time"
        )
    truth = _truth((first, until), scores, kept, losses, without, witness)
    asked = (questions, examples)
    seconds = time.monotonic() - started
    return influence_found(opened, steps, asked, scores, request.top, truth, seconds, notes)


def _truth(
    stretch: tuple[int, int],
    scores: Mapping[str, Float[ndarray, "question example"]],
    kept: Bool[ndarray, "training example"],
    losses: Float[ndarray, "training question"],
    without: Sequence[tuple[str, ...]],
    witness: Witness,
) -> Truth:
    return Truth(
        trainings=len(kept),
        first=stretch[0],
        until=stretch[1],
        left_out=len(without[0]),
        losses=tuple(map(tuple, losses.tolist())),
        without=tuple(without),
        judged=datamodeling_scores(scores, kept, losses, TEXT),
        chance=chance_scores(kept, losses),
        spread=float(losses.std(axis=0).mean()),
        exact=witness.is_exact,
        compared=len(witness.proofs),
    )


def _trained_without(
    reruns: Reruns,
    without: Sequence[tuple[str, ...]],
    opened: Opened[Any],
    questions: Sequence[Asked],
    signals: Signals,
) -> Float[ndarray, "training question"]:
    """Train the steps without some examples, and again without others: the questions' losses at the end."""
    losses = []
    for own in tracked(without, "Training again"):
        end = _Losses(opened, questions, reruns.until)
        reruns.train(end, signals, Edits(without=own, holes="empty"))
        losses.append(end.losses)
    return np.stack(losses)


def _halves(count: int, trainings: int, request: Request) -> ndarray:
    """[training example] Whether a training keeps an example: all but a random half of them."""
    rng = stream(request.seed, "influence-halves")
    kept = np.ones((trainings, count), dtype=np.bool_)
    for own in kept:
        own[rng.permutation(count)[: int(LEFT_OUT * count)]] = False
    return kept


class _Measure:
    """Takes gradients at some steps of a training, in a copy of its weights, which leaves no trace in it."""

    def __init__(self, opened: Opened[Any], measuring: Measuring, rates: dict[int, float]) -> None:
        self.opened, self.measuring, self.rates = opened, measuring, rates
        self.seconds = 0.0

    def __call__(self, step: int, network: nn.Module) -> None:
        if step not in self.rates:
            return
        begun = time.monotonic()
        self.opened.network.load_state_dict(network.state_dict())
        # What trains may change from step to step.
        trained = {name for name, own in network.named_parameters() if own.requires_grad}
        with torch.random.fork_rng([]):
            self.measuring.add(self.opened.network, self.rates[step], trained)
        self.seconds += time.monotonic() - begun


class _Losses:
    """The loss of each question at the last step of a training, in a copy of its weights."""

    def __init__(self, opened: Opened[Any], questions: Sequence[Asked], until: int) -> None:
        self.opened, self.questions, self.until = opened, questions, until
        self.losses: Float[ndarray, " question"] = np.full(len(questions), np.nan)

    def __call__(self, step: int, network: nn.Module) -> None:
        if step != self.until:
            return
        self.opened.network.load_state_dict(network.state_dict())
        self.losses = losses_now(self.opened.network, self.questions)
