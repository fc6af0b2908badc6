"""Runs side by side: what differs in their making, what they scored, and which is better."""

import json
import string
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from qa_research.ledger.runs import RunEntry
from qa_research.runs.directory import WITHOUT_EFFECT
from qa_research.runs.store import live_status, read_entry
from qa_research.tasks.answering.comparison import Comparison, compare, verdict
from qa_research.tasks.answering.score import QuestionScore

_FIELDS = ("id", "kind", "prediction", "exact_match", "f1")
Differences = dict[str, list[Any]]


class Absent:
    """The value of a key that a run does not have; JSON has no name for it and leaves it out."""

    def __repr__(self) -> str:
        return "(absent)"


ABSENT = Absent()


@dataclass(frozen=True, slots=True)
class Pair:
    """One run beside the first. `comparison` is None where `refused` says why there is none."""

    first: str
    second: str
    comparison: Comparison | None
    refused: str

    @property
    def verdict(self) -> str:
        """Which is better and how sure, or why that cannot be said."""
        if self.comparison is None:
            return f"{self.second} against {self.first}: {self.refused}."
        return verdict(self.comparison, self.first, self.second)


@dataclass(frozen=True, slots=True)
class SideBySide:
    """Several runs, called by the letters of `labels`; differences hold a value a run.

    `config` can have changed the result, `without_effect` cannot; `making` is the rest: data,
    fingerprints, versions, git.
    """

    labels: list[str]
    entries: list[RunEntry]
    statuses: list[str]
    config: Differences
    without_effect: Differences
    making: Differences
    scores: Differences
    pairs: list[Pair]

    def as_json(self) -> dict[str, Any]:
        """The same as plain values; a key that a run does not have is left out."""
        runs = [
            {"run": entry.name, "directory": str(entry.directory), "id": entry.id, "status": status}
            for entry, status in zip(self.entries, self.statuses, strict=True)
        ]
        return {
            "runs": dict(zip(self.labels, runs, strict=True)),
            "config": self._by_label(self.config),
            "without_effect": self._by_label(self.without_effect),
            "making": self._by_label(self.making),
            "scores": self._by_label(self.scores),
            "pairs": [asdict(pair) | {"verdict": pair.verdict} for pair in self.pairs],
        }

    def _by_label(self, differences: Differences) -> dict[str, dict[str, Any]]:
        return {
            key: {
                label: value
                for label, value in zip(self.labels, values, strict=True)
                if value is not ABSENT
            }
            for key, values in differences.items()
        }


def side_by_side(directories: Sequence[Path]) -> SideBySide:
    """Compare runs: each with the first, on the questions both answered.

    Raises:
        ValueError: fewer than two runs, one named twice, too many, or a damaged one.
    """
    entries = [read_entry(directory) for directory in directories]
    if len(entries) < 2:
        raise ValueError("name at least two runs to compare: qa-research runs compare A B")
    if len(entries) > len(string.ascii_uppercase):
        raise ValueError(f"{len(entries)} runs are too many to stand side by side; at most 26")
    names = [entry.name for entry in entries]
    for place, entry in enumerate(entries):
        for other in entries[:place]:
            if entry.id == other.id:
                raise ValueError(f"{entry.name} and {other.name} are the same run, or a copy of it")
    labels = list(string.ascii_uppercase[: len(names)])
    config = differences([flattened(entry.config) for entry in entries])
    idle = {key: values for key, values in config.items() if has_no_effect(key)}
    return SideBySide(
        labels=labels,
        entries=entries,
        statuses=[live_status(entry) for entry in entries],
        config={key: values for key, values in config.items() if key not in idle},
        without_effect=idle,
        making=differences([_making(entry) for entry in entries]),
        scores=table([entry.scores for entry in entries]),
        pairs=_pairs(labels, entries),
    )


def flattened(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested keys as dotted ones."""
    flat: dict[str, Any] = {}
    for key, content in value.items():
        if isinstance(content, Mapping) and content:
            flat |= flattened(content, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = content
    return flat


def table(columns: Sequence[Mapping[str, Any]]) -> Differences:
    """All keys of all columns, in the order they are met, with one value a column."""
    keys = dict.fromkeys(key for column in columns for key in column)
    return {key: [column.get(key, ABSENT) for column in columns] for key in keys}


def differences(columns: Sequence[Mapping[str, Any]]) -> Differences:
    """The rows of `table` in which not all are equal; 1, 1.0 and true are different."""
    return {
        key: values
        for key, values in table(columns).items()
        if any(repr(value) != repr(values[0]) for value in values)
    }


def has_no_effect(key: str) -> bool:
    """Whether a config key cannot change a result."""
    return any(key == name or key.startswith(f"{name}.") for name in WITHOUT_EFFECT)


def read_scores(directory: Path) -> list[QuestionScore]:
    """What each validation question earned at the best checkpoint.

    Raises:
        FileNotFoundError: nothing has been validated yet.
        ValueError: the file is damaged.
    """
    path = directory / "predictions" / "validation.json"
    if not path.is_file():
        raise FileNotFoundError(
            f"{directory.parent.name}/{directory.name} has no predictions yet; they come with its "
            "first validation"
        )
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        return [QuestionScore(**{field: row[field] for field in _FIELDS}) for row in rows]
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is damaged: {type(error).__name__} {error}") from error


def _making(entry: RunEntry) -> dict[str, Any]:
    git = {"commit": entry.git_commit, "modified": entry.git_modified}
    parts = {"fingerprints": entry.fingerprints, "versions": entry.versions, "git": git}
    return {"data": entry.data} | flattened(parts)


def _pairs(labels: Sequence[str], entries: Sequence[RunEntry]) -> list[Pair]:
    refused = {
        label: reason
        for label, entry in zip(labels[1:], entries[1:], strict=True)
        if (reason := _why_not(entries[0], entry))
    }
    scores = {}
    for label, entry in zip(labels, entries, strict=True):
        if label not in refused:
            try:
                scores[label] = read_scores(entry.directory)
            except (FileNotFoundError, ValueError) as error:
                refused[label] = str(error)
    if labels[0] in refused:
        reason = refused[labels[0]]
        return [Pair(labels[0], label, None, refused.get(label, reason)) for label in labels[1:]]
    for label, rows in scores.items():
        if _ids(rows) != _ids(scores[labels[0]]):
            refused[label] = "their predictions are not of the same questions"
    able = [label for label in labels[1:] if label not in refused]
    found = dict(
        zip(able, compare(scores[labels[0]], [scores[label] for label in able]), strict=True)
    )
    return [
        Pair(labels[0], label, found.get(label), refused.get(label, "")) for label in labels[1:]
    ]


def _why_not(first: RunEntry, second: RunEntry) -> str:
    ours, theirs = (entry.fingerprints.get("validation") for entry in (first, second))
    if ours is None or theirs is None:
        return (
            "run.json has no fingerprint of the validation questions, so they may not be the same"
        )
    if ours != theirs:
        return (
            "they were validated on different questions, so their scores cannot be paired; "
            "`qa-research evaluate RUN --data FILE` scores both on the same"
        )
    return ""


def _ids(rows: Iterable[QuestionScore]) -> list[str]:
    return [row.id for row in rows]
