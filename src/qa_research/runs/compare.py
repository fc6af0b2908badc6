"""Runs side by side: what differs in how they were made, what they scored, and which is better."""

import json
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from qa_research.ledger.runs import RunEntry
from qa_research.runs.directory import WITHOUT_EFFECT
from qa_research.runs.paired import Comparison, Shares, compare, verdict
from qa_research.runs.store import live_status, read_entry
from qa_research.tasks.task import Metric

Differences = dict[str, list[Any]]


class Absent:
    """The value of a key that a run does not have; JSON has no name for it and leaves it out."""

    def __repr__(self) -> str:
        return "(absent)"


ABSENT = Absent()


@dataclass(frozen=True, slots=True)
class Pair:
    """One run next to the first. `comparison` is None where `refused` says why there is none.

    `examples`: what was compared, such as `questions`.
    """

    first: str
    second: str
    comparison: Comparison | None
    refused: str
    examples: str

    @property
    def verdict(self) -> str:
        """Which is better and how sure, or why that cannot be said."""
        if self.comparison is None:
            return f"{self.second} against {self.first}: {self.refused}."
        return verdict(self.comparison, self.first, self.second, self.examples)

    def as_json(self) -> dict[str, Any]:
        """The same as plain values."""
        return {
            "first": self.first,
            "second": self.second,
            "comparison": self.comparison.as_json() if self.comparison else None,
            "refused": self.refused,
            "verdict": self.verdict,
        }


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
            "pairs": [pair.as_json() for pair in self.pairs],
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


def read_shares(directory: Path, metrics: Sequence[Metric]) -> Shares:
    """What each validation example contributed to the metrics at the best checkpoint.

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
        names = [metric["per_example"] for metric in metrics]
        values = {n: np.array([row[n] for row in rows], dtype=np.float64) for n in names}
        return Shares([row["id"] for row in rows], values)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is damaged: {type(error).__name__} {error}") from error


def _making(entry: RunEntry) -> dict[str, Any]:
    git = {"commit": entry.git_commit, "modified": entry.git_modified}
    parts = {"fingerprints": entry.fingerprints, "versions": entry.versions, "git": git}
    return {"data": entry.data} | flattened(parts)


def _pairs(labels: Sequence[str], entries: Sequence[RunEntry]) -> list[Pair]:
    first = entries[0]
    examples, metrics = first.config["task"]["examples"], first.config["task"]["metrics"]
    refused = {
        label: reason
        for label, entry in zip(labels[1:], entries[1:], strict=True)
        if (reason := _why_not(first, entry))
    }
    shares = {}
    for label, entry in zip(labels, entries, strict=True):
        if label not in refused:
            try:
                shares[label] = read_shares(entry.directory, metrics)
            except (FileNotFoundError, ValueError) as error:
                refused[label] = str(error)
    if labels[0] in refused:
        reason = refused[labels[0]]
        return [
            Pair(labels[0], label, None, refused.get(label, reason), examples)
            for label in labels[1:]
        ]
    for label, found in shares.items():
        if found.ids != shares[labels[0]].ids:
            refused[label] = f"their predictions are not for the same {examples}"
    able = [label for label in labels[1:] if label not in refused]
    compared = compare(shares[labels[0]], [shares[label] for label in able], metrics)
    by_label = dict(zip(able, compared, strict=True))
    return [
        Pair(labels[0], label, by_label.get(label), refused.get(label, ""), examples)
        for label in labels[1:]
    ]


def _why_not(first: RunEntry, second: RunEntry) -> str:
    examples = first.config["task"]["examples"]
    if first.config["task"]["_target_"] != second.config["task"]["_target_"]:
        return "they learned different tasks"
    ours, theirs = (entry.fingerprints.get("validation") for entry in (first, second))
    if ours is None or theirs is None:
        return (
            f"run.json has no fingerprint of the validation {examples}, so they may not be the same"
        )
    if ours != theirs:
        return (
            f"they were validated on different {examples}, so their scores cannot be paired; "
            "`qa-research evaluate RUN --data FILE` scores both on the same"
        )
    return ""
