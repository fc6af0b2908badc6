"""Runs side by side: what differs in how they were made, what they scored, and which is better.

Examples are resampled, not trainings: how much another seed would differ is not part of the result.
"""

import string
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qa_research.ledger.runs import RunEntry
from qa_research.runs.directory import flattened, has_no_effect
from qa_research.runs.family import parting_step
from qa_research.runs.forks import FORK
from qa_research.runs.metrics import METRICS, count_validations
from qa_research.runs.predictions import chose_of, read_run_predictions
from qa_research.runs.store import live_status, read_entry
from qa_research.stats import Interval, dependence, holm
from qa_research.tasks.scoring import Columns, columns_of, difference_of, groups_of, interval_of
from qa_research.tasks.task import PERCENT, Metric, keys_of

SIGNIFICANT = 0.05


@dataclass(frozen=True)
class Shares:
    """What each validation example contributed to each metric: `values` by the metric's keys.

    `groups`: examples with one number belong together, such as questions about one paragraph; None: the
    run's predictions do not say. `chose`: the ids of those that chose the checkpoint.
    """

    ids: list[str]
    values: Columns
    groups: NDArray[np.int64] | None
    chose: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Difference:
    """How much more the second run scored, in the metric's own unit, with its 95 % interval.

    `wider`: how many times as wide the interval is as if all examples were independent (see
    `stats.Interval`). `p` is two-sided: how often two equally good runs differ at least this much by chance.
    `p_holm` is corrected, by Holm's method, for all metrics of all runs that are compared together.
    """

    points: float
    low: float
    high: float
    wider: float | None
    p: float
    p_holm: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """A second run compared with a first on the same `total` examples.

    `differences` are in the order of `metrics`. If the first metric says of every example whether it is
    correct or not, `only_first` and `only_second` count those that only one run got right; otherwise they
    are None. `equal`: no example has another score. Every `p` comes from sign flips (`stats.sign_flips`),
    which for right and wrong is McNemar's exact test, or of a metric that is no mean from exchanges
    (`scores.statistic_difference`); examples that belong together are flipped together.
    `left_out`: how many more examples both have, which chose one of the checkpoints. `chosen_on`: no others
    are left, so that what is compared are these; `both_chosen_on`: each of them chose both checkpoints.
    """

    total: int
    metrics: list[Metric]
    differences: list[Difference]
    only_first: int | None
    only_second: int | None
    equal: bool
    left_out: int = 0
    chosen_on: bool = False
    both_chosen_on: bool = False

    def as_json(self) -> dict[str, Any]:
        """Plain values for JSON, each difference under its metric's name."""
        by_name = {
            quantity(metric): asdict(difference)
            for metric, difference in zip(self.metrics, self.differences, strict=True)
        }
        counts = {"only_first": self.only_first, "only_second": self.only_second}
        chosen = {"left_out": self.left_out, "chosen_on": self.chosen_on}
        return {"total": self.total} | chosen | by_name | counts


def compare(first: Shares, others: Sequence[Shares], metrics: list[Metric]) -> list[Comparison]:
    """Each of `others` compared with `first`, in order, corrected for their number and that of the metrics.

    On the examples that chose neither checkpoint: the best of many validations was partly lucky on those that
    chose it, and luckier than the best of a few.

    Raises:
        ValueError: no examples, or not the same ones in the same order.
    """
    comparisons = [_compare_fresh(first, other, metrics) for other in others]
    # One family: that any metric of any run is called different although none is happens in at most 5 of 100
    # comparisons. Example: p of 0.01 and 0.04 for the two metrics of one run. The smaller is multiplied by 2,
    # the larger by 1: 0.02 and 0.04.
    corrected = iter(
        holm([difference.p for found in comparisons for difference in found.differences])
    )
    return [
        replace(
            comparison,
            differences=[
                replace(difference, p_holm=next(corrected)) for difference in comparison.differences
            ],
        )
        for comparison in comparisons
    ]


def verdict(comparison: Comparison, first: str, second: str, examples: str) -> str:
    """A sentence: which of the two is better, by how much and how sure, or that they cannot be distinguished.

    `examples`: what they are called, such as `questions`.
    """
    better = {}
    for metric, difference in zip(comparison.metrics, comparison.differences, strict=True):
        if difference.p_holm < SIGNIFICANT:
            second_wins = (difference.points > 0) == (metric["better"] == "higher")
            better[metric["label"]] = second if second_wins else first
    on = f"on these {comparison.total:,} {examples}"
    if comparison.left_out:
        on += f" ({comparison.left_out:,} more chose a checkpoint and are left out)"
    if comparison.equal:
        return f"{first} and {second} score equally {on}."
    if not better:
        judged = f"{first} and {second} cannot be distinguished {on}"
    elif len(set(better.values())) == 2:
        each = ", ".join(f"{winner} in {label}" for label, winner in better.items())
        judged = f"{each.replace(' in ', ' is better in ', 1)}, {on}"
    else:
        judged = f"{next(iter(better.values()))} is better in {' and '.join(better)} {on}"
        for metric in comparison.metrics:
            if metric["label"] not in better:
                judged += f"; in {metric['label']} they cannot be distinguished"
    details = ", ".join(
        _in_detail(comparison, place, first, second) for place in range(len(comparison.metrics))
    )
    wider = {
        metric["label"]: difference.wider
        for metric, difference in zip(comparison.metrics, comparison.differences, strict=True)
    }
    note = dependence(wider, examples)
    return f"{judged}. {second} against {first}: {details}.{f' {note}.' if note else ''}"


def _compare_fresh(first: Shares, second: Shares, metrics: list[Metric]) -> Comparison:
    """Two runs compared on the examples that chose neither checkpoint, or on all if none are left."""
    if first.ids != second.ids:
        raise ValueError("only scores of the same examples in the same order can be compared")
    chose = first.chose | second.chose
    fresh = np.array([identity not in chose for identity in first.ids], dtype=bool)
    if not fresh.any():
        both = chose == first.chose & second.chose
        return replace(_compare_two(first, second, metrics), chosen_on=True, both_chosen_on=both)
    compared = _compare_two(part_of(first, fresh), part_of(second, fresh), metrics)
    return replace(compared, left_out=int((~fresh).sum()))


def part_of(shares: Shares, which: NDArray[np.bool_]) -> Shares:
    """Those of the examples, in their order."""
    ids = [identity for identity, is_one in zip(shares.ids, which, strict=True) if is_one]
    values = {name: column[which] for name, column in shares.values.items()}
    groups = None if shares.groups is None else shares.groups[which]
    return Shares(ids, values, groups, shares.chose & frozenset(ids))


def _compare_two(first: Shares, second: Shares, metrics: list[Metric]) -> Comparison:
    if not first.ids or first.ids != second.ids:
        raise ValueError("only scores of the same examples in the same order can be compared")
    groups = second.groups if first.groups is None else first.groups
    only_first = only_second = None
    keys = keys_of(metrics[0])
    one, other = (shares.values[keys[0]] for shares in (first, second))
    if keys == [metrics[0].get("per_example")] and np.isin((one, other), (0.0, 1.0)).all():
        # Right or wrong: of first 1 0 0 1 and second 1 1 1 0, 2 only by the second, 1 only by the first.
        only_first, only_second = int((one > other).sum()), int((other > one).sum())
    found = []
    for metric in metrics:
        pair = difference_of(first.values, second.values, metric, groups)
        ends = pair.interval
        found.append(Difference(pair.value, ends.low, ends.high, ends.wider, pair.p, p_holm=pair.p))
    equal = all(
        np.array_equal(first.values[key], second.values[key])
        for metric in metrics
        for key in keys_of(metric)
    )
    return Comparison(len(first.ids), metrics, found, only_first, only_second, equal)


def quantity(metric: Metric) -> str:
    """What a metric is called in JSON: as in the predictions, or as what is measured."""
    return metric.get("per_example") or metric["name"].rpartition("/")[2]


def _in_detail(comparison: Comparison, place: int, first: str, second: str) -> str:
    metric, difference = comparison.metrics[place], comparison.differences[place]
    in_percent = metric["scale"] == PERCENT
    low, points, high = (
        f"{value:+.1f}" if in_percent else f"{value:+.4g}"
        for value in (difference.low, difference.points, difference.high)
    )
    moved = f"{metric['label']} {points}{' points' if in_percent else ''} [{low}, {high}]"
    p = _p_value(difference)
    if place == 0 and comparison.only_first is not None:
        counts = f"{second} {comparison.only_second:,}, {first} {comparison.only_first:,}"
        return f"{moved} ({p}; only one correct: {counts})"
    return f"{moved} ({p})"


def _p_value(difference: Difference) -> str:
    def text(p: float) -> str:
        return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"

    alone, together = text(difference.p), text(difference.p_holm)
    return alone if alone == together else f"{alone}, after Holm {together}"


Differences = dict[str, list[Any]]


class Absent:
    """The value of a key that a run does not have; in JSON the key is omitted."""

    def __repr__(self) -> str:
        return "(absent)"


ABSENT = Absent()


@dataclass(frozen=True, slots=True)
class Pair:
    """One run compared with the first; where `comparison` is None, `refused` says why.

    `examples`: what was compared, such as `questions`. `validations`: of how many each checkpoint is the
    best (None: unknown).
    """

    first: str
    second: str
    comparison: Comparison | None
    refused: str
    examples: str
    validations: tuple[int | None, int | None]

    @property
    def warning(self) -> str:
        """Why the comparison may mislead: the examples chose what they compare. Else nothing."""
        if self.comparison is None or not self.comparison.chosen_on:
            return ""
        first, second = self.validations
        told = ["an unknown number of" if n is None else f"{n:,}" for n in (first, second)]
        effect = "so that both scores are partly luck"
        # Where one was chosen on a part of them only, the other may be favoured whatever the numbers.
        alike = self.comparison.both_chosen_on
        if alike and first is not None and second is not None and first != second:
            effect = f"which favours {self.first if first > second else self.second}"
        return (
            f"Each of these {self.examples} chose at least one of the checkpoints ({self.first} the best of "
            f"{told[0]} validations, {self.second} of {told[1]}), {effect}."
        )

    @property
    def verdict(self) -> str:
        """Which is better and how sure that is, or why they cannot be compared."""
        if self.comparison is None:
            return f"{self.second} against {self.first}: {self.refused}."
        judged = verdict(self.comparison, self.first, self.second, self.examples)
        return f"{judged} {self.warning}".rstrip()

    def as_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "first": self.first,
            "second": self.second,
            "comparison": self.comparison.as_json() if self.comparison else None,
            "refused": self.refused,
            "warning": self.warning,
            "verdict": self.verdict,
        }


@dataclass(frozen=True, slots=True)
class SideBySide:
    """Several runs, called by the letters in `labels`; each difference has one value per run.

    `config`: keys that can change a result. `without_effect`: keys that cannot. `making`: data,
    fingerprints, versions, git. `parting_steps`: until which step each of the others is the same training as
    the first run, as it is a fork of it or both are forks of another; None: they are not.
    """

    labels: list[str]
    entries: list[RunEntry]
    statuses: list[str]
    config: Differences
    without_effect: Differences
    making: Differences
    scores: Differences
    pairs: list[Pair]
    parting_steps: list[int | None]

    def as_json(self) -> dict[str, Any]:
        """Plain values for JSON; a key that a run does not have is omitted."""
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
            "parting_steps": dict(zip(self.labels[1:], self.parting_steps, strict=True)),
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
    """Compare each run with the first, on the validation examples of both.

    Raises:
        ValueError: fewer than two runs, one named twice, too many, or a damaged one.
    """
    entries = [read_entry(directory) for directory in directories]
    if len(entries) < 2:
        raise ValueError("name at least two runs to compare: qa-research runs compare A B")
    if len(entries) > len(string.ascii_uppercase):
        raise ValueError(f"{len(entries)} runs are too many to compare at once; at most 26")
    for first, second in combinations(entries, 2):
        if first.id == second.id:
            raise ValueError(f"{second.name} and {first.name} are the same run, or a copy of it")
    labels = list(string.ascii_uppercase[: len(entries)])
    configs = [{k: v for k, v in entry.config.items() if k != FORK} for entry in entries]
    config = differences([flattened(config) for config in configs])
    without_effect = {key: values for key, values in config.items() if has_no_effect(key)}
    return SideBySide(
        labels=labels,
        entries=entries,
        statuses=[live_status(entry) for entry in entries],
        config={key: values for key, values in config.items() if key not in without_effect},
        without_effect=without_effect,
        making=differences([_making(entry) for entry in entries]),
        scores=table([entry.scores for entry in entries]),
        pairs=_pairs(labels, entries),
        parting_steps=[parting_step(entries[0], entry) for entry in entries[1:]],
    )


def table(columns: Sequence[Mapping[str, Any]]) -> Differences:
    """All keys of all columns, in order of appearance, each with one value per column."""
    keys = dict.fromkeys(key for column in columns for key in column)
    return {key: [column.get(key, ABSENT) for column in columns] for key in keys}


def differences(columns: Sequence[Mapping[str, Any]]) -> Differences:
    """The rows of `table` whose values are not all equal; 1, 1.0 and true count as different."""
    return {
        key: values
        for key, values in table(columns).items()
        if any(repr(value) != repr(values[0]) for value in values)
    }


def read_shares(directory: Path, metrics: Sequence[Metric]) -> Shares:
    """What each validation example contributed to the metrics at the best checkpoint.

    Raises:
        FileNotFoundError: the run has not validated yet.
        ValueError: the file is damaged.
    """
    names = dict.fromkeys(key for metric in metrics for key in keys_of(metric))
    rows = read_run_predictions(directory, list(names))
    ids = [row["id"] for row in rows]
    return Shares(ids, columns_of(rows, metrics), groups_of(rows), chose_of(rows).ids)


def best_intervals(directory: Path, metrics: Sequence[Metric]) -> dict[str, Interval]:
    """The interval of each metric at the best checkpoint, by the metric's name and in its unit.

    Of the examples whose scores are told: those that did not choose the checkpoint, or all if all did.

    Raises:
        FileNotFoundError: the run has not validated yet.
        ValueError: its predictions are damaged.
    """
    shares = read_shares(directory, metrics)
    fresh = np.array([identity not in shares.chose for identity in shares.ids], dtype=bool)
    if fresh.any():
        shares = part_of(shares, fresh)
    return {metric["name"]: interval_of(shares.values, metric, shares.groups) for metric in metrics}


def _making(entry: RunEntry) -> dict[str, Any]:
    git = {"commit": entry.git_commit, "modified": entry.git_modified}
    parts = {"fingerprints": entry.fingerprints, "versions": entry.versions, "git": git}
    return {"data": entry.data} | flattened(parts)


def _pairs(labels: Sequence[str], entries: Sequence[RunEntry]) -> list[Pair]:
    """Each run after the first, compared with it or refused with a reason."""
    first = entries[0]
    examples, metrics = first.config["task"]["examples"], first.config["task"]["metrics"]
    # By label: why a run cannot be compared, and what was read of the others.
    refused: dict[str, str] = {}
    shares: dict[str, Shares] = {}
    for label, entry in zip(labels, entries, strict=True):
        reason = "" if entry is first else _why_not(first, entry)
        try:
            if not reason:
                shares[label] = read_shares(entry.directory, metrics)
        except (FileNotFoundError, ValueError) as error:
            reason = str(error)
        if not reason and labels[0] in shares and shares[label].ids != shares[labels[0]].ids:
            reason = f"their predictions are not for the same {examples}"
        if reason:
            refused[label] = reason
    if labels[0] in refused:
        # Nothing can be compared with it, so its reason is that of all runs without one of their own.
        refused = dict.fromkeys(labels, refused[labels[0]]) | refused
    others = [label for label in labels[1:] if label not in refused]
    compared: dict[str, Comparison] = {}
    if others:
        found = compare(shares[labels[0]], [shares[label] for label in others], metrics)
        compared = dict(zip(others, found, strict=True))
    numbers = [_validations(entry) for entry in entries]
    return [
        Pair(
            labels[0],
            label,
            compared.get(label),
            refused.get(label, ""),
            examples,
            validations=(numbers[0], number),
        )
        for label, number in zip(labels[1:], numbers[1:], strict=True)
    ]


def _validations(entry: RunEntry) -> int | None:
    try:
        return count_validations(entry.directory / METRICS)
    except (FileNotFoundError, ValueError):
        # Only named in a warning, which then says that the number is not known.
        return None


def _why_not(first: RunEntry, second: RunEntry) -> str:
    """Why two runs cannot be compared, or nothing."""
    examples = first.config["task"]["examples"]
    if first.config["task"]["_target_"] != second.config["task"]["_target_"]:
        return "they were trained on different tasks"
    ours, theirs = (entry.fingerprints.get("validation") for entry in (first, second))
    if ours is None or theirs is None:
        return f"run.json has no fingerprint of the validation {examples}, so these may differ"
    if ours != theirs:
        return (
            f"they were validated on different {examples}, so their scores cannot be paired; score both "
            "on the same with `qa-research evaluate RUN --data FILE`"
        )
    return ""
