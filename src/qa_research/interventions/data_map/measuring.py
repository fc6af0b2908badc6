"""The data map of a run: how each training example was learned over the kept steps."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from qa_research.interventions.data_map.choosing import MapRequest, check_time, chosen
from qa_research.interventions.data_map.dynamics import (
    NEVER,
    Agreement,
    agreement_of,
    dynamics_of,
    regions_of,
)
from qa_research.interventions.data_map.finding import Found, found_by
from qa_research.model.untrained import untrained
from qa_research.runs.open import open_run
from qa_research.streams import stream_seed
from qa_research.tasks.opened import OnTruth, Opened, Told

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Placed:
    """An example on the map, and where it is there; see `Dynamics`.

    `variability`: None of a single step. `first_right`: a step, or None. `probabilities`, `right`: by step.
    """

    id: str
    kind: str
    text: str
    truths: tuple[str, ...]
    region: str
    confidence: float
    variability: float | None
    correctness: float
    forgotten: int
    first_right: int | None
    is_marked: bool
    probabilities: tuple[float, ...]
    right: tuple[bool, ...]


@dataclass(frozen=True)
class DataMap:
    """The map of some training examples of a run, which has `total` of them.

    `agreement`: None with few steps. `found`: empty if none are marked. `notes`: what is not on the map.
    """

    run: str
    examples: str
    total: int
    steps: tuple[int, ...]
    placed: tuple[Placed, ...]
    agreement: Agreement | None
    found: tuple[Found, ...]
    notes: tuple[str, ...]

    @property
    def varies(self) -> bool:
        """Whether there are several steps, and so a variability."""
        return len(self.steps) > 1

    def as_json(self) -> dict[str, Any]:
        """As JSON's values; a correlation that is not defined is null."""
        values = asdict(self)
        if self.agreement is not None:
            values["agreement"] = {
                name: value if np.isfinite(value) else None
                for name, value in asdict(self.agreement).items()
            }
        return values


@dataclass(frozen=True)
class _Measured:
    """What was measured of the examples that are on the map, and of a network of random weights."""

    told: Sequence[Told]
    probability: Float[ndarray, "step example"]
    right: Bool[ndarray, "step example"]
    group: Int[ndarray, " example"]
    marked: Bool[ndarray, " example"]
    random: Float[ndarray, " example"] | None


def map_of(opened: Opened[Any], steps: Mapping[int, str], request: MapRequest) -> DataMap:
    """The map of a run's training examples at some of its steps, as `runs.checkpoints.steps_in` has them.

    `opened`: the run with the weights of the first of them.

    Raises:
        FileNotFoundError: the training examples are gone.
        ValueError: they have changed, an id is none of theirs, the task says no probability of the truth, or
            it would take longer than it may.
    """
    rows, total = chosen(opened, request)
    found = _over_steps(opened, rows, steps, request)
    probability = np.stack([one.probability for one in found])
    random = probability[len(steps)] if request.marked else None
    probability = probability[: len(steps)]
    is_on = np.asarray(np.isfinite(probability).all(axis=0))
    told = [opened.told(row) for row, keep in zip(rows, is_on.tolist(), strict=True) if keep]
    marked = set(request.marked)
    measured = _Measured(
        told,
        probability[:, is_on],
        np.stack([one.is_right for one in found[: len(steps)]])[:, is_on],
        found[0].group[is_on],
        np.array([one.id in marked for one in told], dtype=bool),
        None if random is None else random[is_on],
    )
    return _map(opened, measured, total, tuple(steps), len(rows))


def _over_steps(
    first: Opened[Any], rows: Sequence[Any], steps: Mapping[int, str], request: MapRequest
) -> list[OnTruth]:
    """What the network of each step makes of the examples; if some are marked, last one of random weights."""
    is_slow = check_time(first, rows, len(steps) + bool(request.marked), request)
    measure = first.truth_of(rows)
    found: list[OnTruth] = []
    for place, (step, name) in enumerate(steps.items()):
        if is_slow:
            log.info("Step %s: %d of %d", f"{step:,}", place + 1, len(steps))
        # One network at a time is in memory, besides the first.
        opened = open_run(first.directory, name) if place else first
        found.append(measure(opened.network))
    if request.marked:
        seed = stream_seed(request.seed, "data-map-untrained") % 2**63
        found.append(measure(untrained(first.network, seed)))
    return found


def _map(
    opened: Opened[Any], measured: _Measured, total: int, steps: Sequence[int], asked: int
) -> DataMap:
    """The map of what was measured of some of `asked` examples."""
    what, count = opened.examples, len(measured.told)
    if not count:
        raise ValueError(f"no text that the network reads holds the truth of any of these {what}")
    notes = []
    if count < asked:
        notes.append(
            f"{asked - count:,} of {asked:,} {what} are not on the map: no text that the network reads holds "
            "their truth"
        )
    if len(steps) == 1:
        notes.append(
            "One step has no variability, so nothing is ambiguous; more kept steps tell it"
        )
    return DataMap(
        run=opened.name,
        examples=what,
        total=total,
        steps=tuple(steps),
        placed=_placed(measured, steps),
        agreement=agreement_of(measured.probability, measured.right),
        found=_found(measured),
        notes=tuple(notes),
    )


def _placed(measured: _Measured, steps: Sequence[int]) -> tuple[Placed, ...]:
    found = dynamics_of(measured.probability, measured.right)
    regions = regions_of(found)
    varies = len(steps) > 1
    return tuple(
        Placed(
            id=told.id,
            kind=told.kind,
            text=told.text,
            truths=told.truths,
            region=regions[i],
            confidence=float(found.confidence[i]),
            variability=float(found.variability[i]) if varies else None,
            correctness=float(found.correctness[i]),
            forgotten=int(found.forgotten[i]),
            first_right=None if found.learned[i] == NEVER else steps[found.learned[i]],
            is_marked=bool(measured.marked[i]),
            probabilities=tuple(measured.probability[:, i].tolist()),
            right=tuple(measured.right[:, i].tolist()),
        )
        for i, told in enumerate(measured.told)
    )


def _found(measured: _Measured) -> tuple[Found, ...]:
    """How well the measures of the map find what is marked, beside some that know nothing of the training."""
    if measured.random is None:
        return ()
    own = dynamics_of(measured.probability, measured.right)
    lengths = [
        np.array([len(text) for text in texts], dtype=np.float64)
        for texts in (
            [one.text for one in measured.told],
            ["".join(one.truths[:1]) for one in measured.told],
        )
    ]
    measures = {
        "low confidence": -own.confidence,
        "high variability": own.variability,
        "low correctness": -own.correctness,
        "low probability at the last step": -measured.probability[-1],
        "low probability with random weights": -measured.random,
        "length of the text": lengths[0],
        "length of the truth": lengths[1],
    }
    return found_by(measures, measured.marked, measured.group)
