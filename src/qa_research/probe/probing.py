"""Which layer knows what: linear probes over the layers and kept steps of a run, with their controls, beside
an untrained network, and what the task loses without what they found.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Int
from numpy import ndarray

from qa_research.capture.recording.reader import Recording
from qa_research.capture.sites import Site
from qa_research.console import tracked
from qa_research.model.untrained import untrained
from qa_research.probe.activations import (
    Activations,
    activations_of,
    batches,
    name_of,
    recorded_activations,
    sites_of,
)
from qa_research.probe.effect import Cost, cost_of
from qa_research.probe.erasure import Whitening
from qa_research.probe.labels import NAMES, Items, items_of
from qa_research.probe.linear import Accuracy, Tally, accuracy_of, predicted, tally
from qa_research.streams import stream, stream_seed
from qa_research.tasks.opened import Opened
from qa_research.tasks.watching import Watched, WatchedExample

# With fewer texts on one side neither a probe nor an interval means anything.
LEAST_TEXTS = 10
# The task is run so often without directions that more would take minutes.
MOST_ERASED = 64


@dataclass(frozen=True)
class ProbeRequest:
    """`read`: labels (empty: those that the examples have). `questions`: at most so many. `random`: how many
    draws of random directions are erased.
    """

    read: tuple[str, ...]
    questions: int
    random: int
    seed: int


@dataclass(frozen=True)
class Reading:
    """How well one label is read at one site after `step` optimizer steps (None: not known).

    `untrained`: how well from a network of random weights, and its selectivity.
    """

    label: str
    step: int | None
    site: str
    measured: Accuracy
    untrained: Accuracy


@dataclass(frozen=True)
class Erasing:
    """What erasing did at the site where selectivity is highest, of `directions` directions.

    `probe`: balanced accuracy of a probe trained again, as it is, without the found directions, and without
    random ones (mean). `before`, `after`, `random`: how the task went on `questions` examples.
    """

    label: str
    step: int | None
    site: str
    directions: int
    probe: tuple[float, float, float]
    questions: int
    before: Cost
    after: Cost
    random: tuple[Cost, ...]


@dataclass(frozen=True)
class Probed:
    """All of it. By label: how many `items` were scored, and the `classes`. `notes`: what was not read."""

    run: str
    examples: str
    trained_on: int
    scored_on: int
    texts: int
    items: dict[str, int]
    classes: dict[str, tuple[str, ...]]
    readings: tuple[Reading, ...]
    erasings: tuple[Erasing, ...]
    notes: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """As JSON's values."""
        return asdict(self)


@dataclass(frozen=True)
class _Asked:
    """The examples, and which of them probes are trained on; `text`: the number of each one's text."""

    rows: Sequence[Any]
    watched: Sequence[Watched]
    text: Int[ndarray, " example"]
    trains: Bool[ndarray, " example"]
    items: dict[str, Items]
    notes: tuple[str, ...]

    @property
    def examples(self) -> list[WatchedExample]:
        return [row for batch in self.watched for row in batch.examples]


def probe_steps(opened: Sequence[Opened[Any]], request: ProbeRequest) -> Probed:
    """Probes of one run at one or several of its checkpoints, of which directions are erased from the last.

    Raises:
        ValueError: too few examples, a label that they do not have, or a network that cannot be looked into.
    """
    first, last = opened[0], opened[-1]
    sites = sites_of(first.network)
    rows, note = first.drawn(request.questions, stream(request.seed, "probe-examples"))
    asked = _asked(first, rows, request, (note,) if note else ())
    floor = _floor(asked, first, sites, request)
    readings: list[Reading] = []
    for each in opened:
        final = activations_of(each.network, asked.watched, sites, "Looking inside")
        readings += _readings(each.step, final, floor, asked, sites, request)
    best = [_best(readings, name, last.step) for name in asked.items]
    erasings = [
        _erasing(last, asked, asked.items[one.label], one, sites, final, request)
        for one in tracked(best, "Erasing")
    ]
    return _probed(last, asked, readings, erasings)


def probe_recording(opened: Opened[Any], recording: Recording, request: ProbeRequest) -> Probed:
    """Probes of what was recorded inside a run, at each capture; nothing is erased, as there are no weights.

    Raises:
        ValueError: no activations were recorded, too few examples, or a label that they do not have.
    """
    sites = sites_of(opened.network)
    # Before examples are read, which takes longer.
    next(recorded_activations(recording, sites, ()))
    ids = [str(row["id"]) for row in recording.questions]
    known = {
        opened.told(row).id: row
        for split in ("validation", "train")
        for row in opened.own(split).rows
    }
    if missing := [name for name in ids if name not in known]:
        raise ValueError(
            f"{recording.path} has {missing[0]}, which is none of the run's {opened.examples}; without "
            "--recorded the run's own are used"
        )
    asked = _asked(opened, [known[name] for name in ids], request)
    lengths = [len(row.tokens) for row in asked.examples]
    floor = _floor(asked, opened, sites, request)
    readings = [
        one
        for step, activations in recorded_activations(recording, sites, lengths)
        for one in _readings(step, activations, floor, asked, sites, request)
    ]
    return _probed(opened, asked, readings, [])


def _asked(
    opened: Opened[Any], rows: Sequence[Any], request: ProbeRequest, notes: tuple[str, ...] = ()
) -> _Asked:
    """The examples as the network reads them, divided by text into two halves, and their labels."""
    watched = batches(opened, rows)
    examples = [row for batch in watched for row in batch.examples]
    numbers: dict[str, int] = {}
    text = np.array([numbers.setdefault(row.text, len(numbers)) for row in examples])
    if len(numbers) < 2 * LEAST_TEXTS:
        raise ValueError(
            f"probes need {opened.examples} about {2 * LEAST_TEXTS} or more texts, half of them to be scored "
            f"on, and there are {len(numbers)}"
        )
    order = stream(request.seed, "probe-split").permutation(len(numbers))
    trains = np.isin(text, order[: len(numbers) // 2])
    items, unread = _items(opened, rows, examples, trains, request)
    return _Asked(rows, watched, text, trains, items, notes + unread)


def _items(
    opened: Opened[Any],
    rows: Sequence[Any],
    examples: Sequence[WatchedExample],
    trains: Bool[ndarray, " example"],
    request: ProbeRequest,
) -> tuple[dict[str, Items], tuple[str, ...]]:
    """Each label that is asked for, or all that there are; and why others are not read."""
    items: dict[str, Items] = {}
    notes = []
    groups = [opened.group_of(row) for row in rows]
    for name in request.read or NAMES:
        try:
            found = items_of(name, examples, groups, request.seed)
            _check_halves(found, trains)
            found.control(request.seed)
        except ValueError as error:
            if request.read:
                raise
            notes.append(f"not read: {error}")
        else:
            items[name] = found
    if not items:
        raise ValueError(f"these {opened.examples} have nothing to read: {notes[0]}")
    return items, tuple(notes)


def _check_halves(items: Items, trains: Bool[ndarray, " example"]) -> None:
    """Refuse a label of which either half of the examples has one class only."""
    is_train = trains[items.example]
    for half in (items.label[is_train], items.label[~is_train]):
        if len(np.unique(half)) < 2:
            raise ValueError(
                f"--read {items.name} has fewer than two classes in one half of the examples; "
                "--questions N takes more"
            )


def _floor(
    asked: _Asked, opened: Opened[Any], sites: Sequence[Site], request: ProbeRequest
) -> dict[tuple[str, Site], Accuracy]:
    """How well each label is read at each site of a network of random weights."""
    seed = stream_seed(request.seed, "probe-untrained") % 2**63
    network = untrained(opened.network, seed)
    random = activations_of(network, asked.watched, sites, "Looking into random weights")
    places = [(items, site) for items in asked.items.values() for site in sites]
    return {
        (items.name, site): _read(items, random, site, asked, request.seed)
        for items, site in tracked(places, "Probing random weights")
    }


def _readings(
    step: int | None,
    activations: Activations,
    floor: Mapping[tuple[str, Site], Accuracy],
    asked: _Asked,
    sites: Sequence[Site],
    request: ProbeRequest,
) -> list[Reading]:
    """Every label at every site, beside the untrained network."""
    places = [(items, site) for items in asked.items.values() for site in sites]
    found = []
    for items, site in tracked(places, "Probing" if step is None else f"Probing step {step:,}"):
        measured = _read(items, activations, site, asked, request.seed)
        found.append(Reading(items.name, step, name_of(site), measured, floor[items.name, site]))
    return found


def _read(items: Items, activations: Activations, site: Site, asked: _Asked, seed: int) -> Accuracy:
    """How well a label is read at one site, and its control."""
    values = activations.of(site, items)
    own, control = (
        _tally(items, values, labels, asked, seed) for labels in (items.label, items.control(seed))
    )
    return accuracy_of(own, control)


def _tally(
    items: Items, values: ndarray, labels: Int[ndarray, " item"], asked: _Asked, seed: int
) -> Tally:
    """A probe is trained on one half of the texts, and scored on the other."""
    is_train = asked.trains[items.example]
    said = predicted(values[is_train], labels[is_train], values[~is_train], seed)
    texts = asked.text[items.example][~is_train]
    return tally(said, labels[~is_train], texts, len(items.classes))


def _best(readings: Sequence[Reading], label: str, step: int | None) -> Reading:
    own = [one for one in readings if one.label == label and one.step == step]
    return max(own, key=lambda one: one.measured.selectivity)


def _erasing(
    opened: Opened[Any],
    asked: _Asked,
    items: Items,
    best: Reading,
    sites: Sequence[Site],
    activations: Activations,
    request: ProbeRequest,
) -> Erasing:
    """Erase a label where it is read best, and so many random directions as often as is asked."""
    site = next(site for site in sites if name_of(site) == best.site)
    values = activations.of(site, items)
    is_train = asked.trains[items.example]
    whitening = Whitening.of(values[is_train])
    found = whitening.found(values[is_train], items.label[is_train], len(items.classes))
    rng = stream(request.seed, "probe-erasing", NAMES.index(items.name))
    others = [whitening.random(found.directions, rng) for _ in range(request.random)]
    probes = [
        float(_tally(items, erase(values), items.label, asked, request.seed).accuracy()[0])
        for erase in (found, *others[:3])
    ]
    tested = [row for row, trains in zip(asked.rows, asked.trains, strict=True) if not trains]
    rows = tested[:MOST_ERASED]
    watched = batches(opened, rows)
    before, after, *random = (
        cost_of(opened, rows, watched, site, eraser) for eraser in (None, found, *others)
    )
    return Erasing(
        items.name,
        opened.step,
        best.site,
        found.directions,
        (best.measured.accuracy, probes[0], float(np.mean(probes[1:]))),
        len(rows),
        before,
        after,
        tuple(random),
    )


def _probed(
    opened: Opened[Any], asked: _Asked, readings: Sequence[Reading], erasings: Sequence[Erasing]
) -> Probed:
    scored = ~asked.trains
    return Probed(
        run=f"{opened.name}, {opened.label}",
        examples=opened.examples,
        trained_on=int(asked.trains.sum()),
        scored_on=int(scored.sum()),
        texts=len(np.unique(asked.text[scored])),
        items={n: int(scored[items.example].sum()) for n, items in asked.items.items()},
        classes={n: items.classes for n, items in asked.items.items()},
        readings=tuple(readings),
        erasings=tuple(erasings),
        notes=asked.notes,
    )
