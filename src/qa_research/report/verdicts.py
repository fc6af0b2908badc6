"""Sentences that judge: which of two runs is better, on all examples and by kind, and how a run ended."""

import re
from dataclasses import replace

import numpy as np

from qa_research.pages.document import Text
from qa_research.report.sources import MOST_TOLD, Source, taken_from
from qa_research.runs.compare import SIGNIFICANT, Difference, compare, part_of, read_shares
from qa_research.runs.directory import flattened
from qa_research.runs.family import parting_step
from qa_research.runs.metrics import METRICS, number_in
from qa_research.runs.predictions import PREDICTIONS
from qa_research.stats import holm
from qa_research.tasks.task import PERCENT, better
from qa_research.text import sentence_case

STOP_AT = "train.stop_at."
# A threshold counts as reached from so little before it, as a training takes it.
SLACK = 1e-4


@taken_from(str(PREDICTIONS))
def verdict(source: Source, second: int) -> str:
    """Which of two runs is better and how sure that is, by a paired comparison over the same examples."""
    other = source.siblings[second]
    pair = source.beside.pairs[second - 1]
    said = replace(pair, first=f"“{source.name}”", second=f"“{other.name}”").verdict
    return _typeset(said.replace("`", ""))


@taken_from("run.json")
def parting(source: Source, second: int) -> str:
    """Until which step two runs are one training, of which one or both are forks."""
    other = source.siblings[second]
    step = parting_step(source.entry, other.entry)
    return f"“{source.name}” and “{other.name}” are one training until step {step}."


@taken_from(str(PREDICTIONS))
def verdict_by_kind(source: Source, second: int) -> str:
    """The same for each kind of example, in the first metric; corrected for the number of kinds.

    Example: `By kind: on lookup (159), “B” is better by 36.5 points [29.2, 43.9]; on match (162), the two
    cannot be distinguished (+0.6 points [-6.1, 7.2]).`
    """
    other, metric = source.siblings[second], source.metrics[0]
    told = [
        f"on {kind} ({total:,}), {_judged(found, source, other)}"
        for kind, total, found in differences_by_kind(source, other)
    ]
    return _typeset(f"{sentence_case(metric['label'])} by kind: {'; '.join(told)}.")


def _judged(found: Difference, first: Source, second: Source) -> str:
    """Which of two runs is better and by how much; or, of the second, how much more it scored."""
    metric = first.metrics[0]
    in_percent = metric["scale"] == PERCENT
    is_sure = found.p_holm < SIGNIFICANT
    # Of the better one the difference is told as what it is ahead.
    turn = -1 if is_sure and found.points < 0 else 1
    low, high = sorted((turn * found.low, turn * found.high))
    form = "{:.1f}" if in_percent else "{:.4g}"
    ahead = form.format(turn * found.points)
    ends = f"{' points' if in_percent else ''} [{form.format(low)}, {form.format(high)}]"
    if not is_sure:
        sign = "+" if found.points >= 0 else ""
        return f"the two cannot be distinguished (“{second.name}” {sign}{ahead}{ends})"
    second_wins = (found.points > 0) == (metric["better"] == "higher")
    return f"“{(second if second_wins else first).name}” is better by {ahead}{ends}"


def _typeset(sentence: str) -> str:
    """The sentence with a minus before each negative number, as the rest of a report has it."""
    return re.sub(r"(?<=[ \[(])-(?=\d)", "−", sentence)


def kinds_compared(first: Source, second: Source) -> list[str]:
    """The kinds of which a verdict is told: there are several, but few, and the runs can be compared."""
    pair = first.beside.pairs[second.number - 1]
    kinds = list(dict.fromkeys(row["kind"] for row in first.predictions if row.get("kind")))
    return kinds if pair.comparison is not None and 1 < len(kinds) <= MOST_TOLD else []


def differences_by_kind(first: Source, second: Source) -> list[tuple[str, int, Difference]]:
    """Each kind, how many examples of it were compared, and how much more the second run scored on them."""
    metrics = first.metrics[:1]
    shares = [read_shares(run.directory, metrics) for run in (first, second)]
    kinds = np.array([row.get("kind") for row in first.predictions])
    compared = [
        compare(part_of(shares[0], kinds == kind), [part_of(shares[1], kinds == kind)], metrics)[0]
        for kind in kinds_compared(first, second)
    ]
    found = [one.differences[0] for one in compared]
    corrected = holm([difference.p for difference in found])
    return [
        (kind, one.total, replace(difference, p_holm=p))
        for kind, one, difference, p in zip(
            kinds_compared(first, second), compared, found, corrected, strict=True
        )
    ]


@taken_from("run.json")
def ending(source: Source, is_brief: bool = False) -> str:
    """What ended a training: a setting that it reached, a signal or an error; nothing if nothing did yet.

    It follows the status: `finished at train.stop_at (choosing/exact_match reached 100)`, if brief without
    the brackets, `finished at trainer.max_steps`, `interrupted by SIGINT`.
    """
    entry = source.entry
    if entry.status != "finished":
        by_signal = entry.status == "interrupted"
        return "" if not entry.error else f"by {entry.error}" if by_signal else f"({entry.error})"
    if reached := reached_threshold(source):
        return "at train.stop_at" if is_brief else f"at train.stop_at ({reached})"
    config = flattened(entry.config)
    by_steps = entry.steps is not None and entry.steps == config.get("trainer.max_steps")
    return "at trainer.max_steps" if by_steps else "at trainer.max_epochs"


def reached_threshold(source: Source) -> str:
    """Which threshold of train.stop_at the last validation reached, and with what; else nothing."""
    path = source.directory / METRICS
    for key, threshold in flattened(source.entry.config).items():
        name = key.removeprefix(STOP_AT)
        measured = [row for row in source.rows if row.get(name)]
        if name == key or threshold is None or not measured:
            continue
        value = number_in(measured[-1], name, path)
        above = value - threshold if better(name, source.metrics) == "higher" else threshold - value
        if above >= -SLACK:
            return f"{name} reached {value:.4g}"
    return ""


def status_words(source: Source, is_brief: bool = False) -> Text:
    """What the run is doing, or how it ended: `finished at trainer.max_steps`."""
    ended = source.value("ending", is_brief=True) if is_brief else source.value("ending")
    # A run that was killed, or goes on, did not say how it ends.
    return (source.value("status"), *((" ", ended) if ended.text else ()))
