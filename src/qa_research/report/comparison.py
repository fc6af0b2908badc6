"""Several runs side by side: what each is called, what they share, and what is missing. Draws nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from qa_research.ledger.runs import RunEntry
from qa_research.report.sources import Source
from qa_research.runs.compare import Differences
from qa_research.tasks.task import PERCENT, Metric

# A run whose configuration differs from the others' in more keys is called by its name.
MOST_KEYS_IN_NAME = 2


@dataclass(frozen=True)
class Report:
    """Runs that are reported together, each called by how it differs from the others."""

    runs: Sequence[Source]

    @property
    def metric(self) -> Metric:
        """What is compared first."""
        return self.runs[0].metrics[0]

    @property
    def in_percent(self) -> bool:
        """Whether that is in percent."""
        return self.metric["scale"] == PERCENT

    @property
    def guessing(self) -> Mapping[str, float]:
        """What a guess among the right candidates scores, in percent by kind, where it is known."""
        known: Mapping[str, float] = self.runs[0].record.get("guessing") or {}
        return known

    @property
    def missing(self) -> list[str]:
        """What the runs have not recorded, and how to get it, a sentence each."""
        return [f"{run.name}: {sentence}" for run in self.runs for sentence in run.lacks]

    @property
    def shared_questions(self) -> list[str]:
        """The ids of the questions that every run watched.

        First those that one run learned and another did not; of these, validation before training, and what
        is hardest to guess before what is easy.
        """
        first, *others = (run.film_by_id for run in self.runs)
        ids = [name for name in first if all(name in films for films in others)]
        return sorted(ids, key=self._order)

    def _order(self, question: str) -> tuple[bool, bool, float, float]:
        films = [run.film_by_id[question] for run in self.runs]
        right = [bool(film.right[-1]) for film in films]
        spread = float(np.nan_to_num(np.ptp([film.true_probability[-1] for film in films])))
        guessed = self.guessing.get(films[0].kind, 0.0)
        return all(right) or not any(right), films[0].split != "validation", guessed, -spread


def read_report(directories: Sequence[Path]) -> Report:
    """The runs of these directories, named.

    Raises:
        ValueError: fewer than two runs, one twice, a damaged one, or different tasks.
    """
    sources = [Source(directory) for directory in directories]
    for number, source in enumerate(sources):
        source.number, source.siblings = number, sources
        _check_same_task(sources[0], source)
    found = sources[0].beside
    for source, name in zip(sources, names_of(found.entries, found.config), strict=True):
        source.name = name
    return Report(sources)


def _check_same_task(first: Source, other: Source) -> None:
    """Refuse to put runs beside each other that have no metric in common.

    Raises:
        ValueError: they were trained on different tasks.
    """
    if first.entry.config["task"]["_target_"] != other.entry.config["task"]["_target_"]:
        raise ValueError(
            f"{first.entry.name} was trained on {first.examples}, {other.entry.name} on {other.examples}: "
            "runs of different tasks are reported one by one, or with others of their task"
        )


def names_of(entries: Sequence[RunEntry], differing: Differences) -> list[str]:
    """What each run is called: by what differs, such as `random weights`; else by a letter, as a chart needs.

    `differing`: the keys of their configs that differ, and can change a result. Example: runs that differ in
    seed and learning rate are `seed 1, lr 0.001` and `seed 2, lr 0.0003`.
    """
    own = [f"run {chr(ord('A') + place)}" for place in range(len(entries))]
    if not differing or len(differing) > MOST_KEYS_IN_NAME:
        return own
    weights = {repr(value) for value in differing.get("model.weights", [])}
    pretrained = "pretrained weights" if len(weights - {repr("random")}) == 1 else ""
    names = [
        ", ".join(_called(key, values[i], pretrained) for key, values in differing.items())
        for i in range(len(entries))
    ]
    return names if len(set(names)) == len(names) else own


def _called(key: str, value: Any, pretrained: str) -> str:
    if key == "model.weights":
        return "random weights" if value == "random" else pretrained or f"weights of {value}"
    return f"{key.rpartition('.')[2]} {value}"
