"""What a trained network of any task scored on examples: by kind, beside those that chose it, in files."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from qa_research.calibration import Calibration, calibration, confidence_of
from qa_research.files import write_text, written_folder
from qa_research.stats import dependence
from qa_research.tasks.opened import Calibrated, Examples, Opened, Told
from qa_research.tasks.scoring import Score, score_of
from qa_research.tasks.task import PERCENT, Metric, keys_of
from qa_research.text import aligned, csv_line, in_digits, print_line

PREDICTIONS, SCORES, MISTAKES = "predictions.json", "scores.json", "mistakes.csv"
RELIABILITY = "reliability.png"
ALL = "all"


@dataclass(frozen=True)
class Mistake:
    """An example that was answered wrongly: what it is, what was answered, and how sure the network was."""

    id: str
    kind: str
    text: str
    truths: tuple[str, ...]
    prediction: str
    probability: float | None


@dataclass(frozen=True)
class Evaluation:
    """Scores of examples: `scores` by kind (`all` first) and by a metric's name.

    `choosing`: of those that chose the checkpoint, which are in none of the others; empty if none did, or
    all. `mistakes`: surest first; None where the task calls no answer right. `unlabelled`: examples of which
    nobody said what is right, which no score is of.
    """

    examples: str
    metrics: Sequence[Metric]
    rows: Sequence[Mapping[str, Any]]
    scores: Mapping[str, Mapping[str, Score]]
    choosing: Mapping[str, Score]
    mistakes: Sequence[Mistake] | None
    unlabelled: int
    chose: str
    calibrated: Calibrated | None = None

    @cached_property
    def calibration(self) -> Calibration | None:
        """How far its confidence is from being right; None: it says of no answer how sure it is."""
        own = self.calibrated
        return None if own is None else calibration(own.logits, own.labels, own.temperature)

    def as_json(self, wrong: int | None = None) -> dict[str, Any]:
        """Plain values; `wrong`: also so many mistakes."""
        by_kind = {kind: _plain(scores) for kind, scores in self.scores.items()}
        overall = by_kind.pop(ALL, {})
        shown = (
            {} if wrong is None else {"wrong": [asdict(m) for m in (self.mistakes or ())[:wrong]]}
        )
        return {
            "examples": self.examples,
            "total": next((score["total"] for score in overall.values()), 0),
            "unlabelled": self.unlabelled,
            "scores": overall,
            "by_kind": by_kind,
            "choosing": _plain(self.choosing) or None,
            "mistakes": None if self.mistakes is None else len(self.mistakes),
            "calibration": None if self.calibration is None else self.calibration.as_json(),
        } | shown

    def lines(self) -> list[str]:
        """A row for all examples and one for each kind, and what else is to be known of the scores."""
        header = ["", self.examples, *(f"{metric['label']} [95 %]" for metric in self.metrics)]
        table = [header]
        for kind, scores in self.scores.items():
            cells = [shown_score(scores[m["name"]], m) for m in self.metrics]
            table.append([kind, f"{next(iter(scores.values())).total:,}", *cells])
        lines = aligned(table, {1}) if self.scores else []
        wider = {m["label"]: self.scores[ALL][m["name"]].wider for m in self.metrics if self.scores}
        if self.scores and (note := dependence(wider, self.examples)):
            lines.append(f"{note}.")
        if self.choosing:
            told = [
                f"{m['label']} {shown_score(self.choosing[m['name']], m)}" for m in self.metrics
            ]
            total = next(iter(self.choosing.values())).total
            lines.append(
                f"{total:,} more {self.examples} {self.chose} and are scored apart: "
                f"{', '.join(told)}"
            )
        if self.calibration is not None:
            lines += ["", *self.calibration.lines(self.examples)]
        if self.unlabelled:
            lines.append(
                f"{self.unlabelled:,} of {len(self.rows):,} {self.examples} have no known answer, "
                "and are not scored"
            )
        return lines

    def show_mistakes(self, most: int) -> None:
        """The surest of the wrong answers, two lines each."""
        for mistake in (self.mistakes or ())[:most]:
            kind = f" ({mistake.kind})" if mistake.kind else ""
            print_line(f"\n{mistake.id}{kind}: {mistake.text}")
            sure = (
                "" if mistake.probability is None else f"   (probability {mistake.probability:.3f})"
            )
            print_line(f"  {mistake.prediction}{sure}; right is {' | '.join(mistake.truths)}")

    def write(self, directory: Path) -> list[str]:
        """Write predictions.json and scores.json, and mistakes.csv and reliability.png if there are any."""
        contents = {PREDICTIONS: _as_json(self.rows), SCORES: _as_json(self.as_json())}
        if self.mistakes is not None:
            contents[MISTAKES] = "".join(_mistakes_csv(self.mistakes))
        with written_folder(directory, replace=True) as new:
            for name, content in contents.items():
                write_text(new / name, content)
            if (own := self.calibrated) is not None:
                # matplotlib takes a while to import.
                from qa_research.figures.reliability import reliability_diagram
                from qa_research.figures.saving import save_figure

                figure = reliability_diagram(
                    *confidence_of(own.logits, own.labels), 1 / own.logits.shape[1]
                )
                save_figure(figure, new / RELIABILITY)
        return [*contents, *([RELIABILITY] if self.calibrated is not None else [])]


def write_rows(directory: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write predictions.json alone."""
    with written_folder(directory, replace=True) as new:
        write_text(new / PREDICTIONS, _as_json(rows))


def evaluate(opened: Opened[Any], found: Examples[Any]) -> Evaluation:
    """Ask a network these examples and score its answers.

    Raises:
        ValueError: no examples.
    """
    metrics, rows = opened.metrics, opened.answering_of(found.rows)(found.rows)
    keys = {key for metric in metrics for key in keys_of(metric)}
    scored = [row for row in rows if keys <= row.keys()]
    chose = [row for row in scored if row["id"] in found.choosing]
    apart = () if len(chose) == len(scored) else {row["id"] for row in chose}
    fresh = [row for row in scored if row["id"] not in apart]
    kinds = list(dict.fromkeys(row["kind"] for row in fresh if row.get("kind")))
    groups = {ALL: fresh} if fresh else {}
    if len(kinds) > 1:
        groups |= {kind: [row for row in fresh if row.get("kind") == kind] for kind in kinds}
    return Evaluation(
        examples=opened.examples,
        metrics=metrics,
        rows=rows,
        scores={kind: _scores(group, metrics) for kind, group in groups.items()},
        choosing=_scores(chose, metrics) if apart else {},
        mistakes=_mistakes(opened, found, rows),
        unlabelled=len(rows) - len(scored),
        chose=opened.chose,
        calibrated=opened.calibrated(fresh) if fresh else None,
    )


def shown_score(score: Score, metric: Metric) -> str:
    """A value with its interval: `93.1 [88.0, 96.4]` in percent, else `0.943 [0.931, 0.953]`."""
    value, low, high = (
        in_digits(number, metric["scale"] == PERCENT)
        for number in (score.value, score.low, score.high)
    )
    return f"{value} [{low}, {high}]"


def _scores(rows: Sequence[Mapping[str, Any]], metrics: Sequence[Metric]) -> dict[str, Score]:
    return {metric["name"]: score_of(rows, metric) for metric in metrics}


def _mistakes(
    opened: Opened[Any], found: Examples[Any], rows: Sequence[Mapping[str, Any]]
) -> list[Mistake] | None:
    if opened.right is None:
        return None
    wrong = []
    for example, row in zip(found.rows, rows, strict=True):
        if row.get(opened.right) == 0:
            told: Told = opened.told(example)
            answer = opened.answer_text(row)
            wrong.append(
                Mistake(told.id, told.kind, told.text, told.truths, answer, row.get("probability"))
            )
    return sorted(wrong, key=lambda mistake: -(mistake.probability or 0.0))


def _mistakes_csv(mistakes: Sequence[Mistake]) -> list[str]:
    rows = [
        [m.id, m.kind, m.text, " | ".join(m.truths), m.prediction, m.probability] for m in mistakes
    ]
    header: list[Any] = ["id", "kind", "text", "right", "prediction", "probability"]
    return [csv_line(row) for row in [header, *rows]]


def _as_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1)


def _plain(scores: Mapping[str, Score]) -> dict[str, Any]:
    return {name: asdict(score) for name, score in scores.items()}
