"""A run's answers to many questions, scored, and the files that keep them.

The official SQuAD evaluations, v1.1 and v2.0, for anybody's predictions. Pure.

Source: Rajpurkar et al. 2016 and 2018; the evaluation scripts published with the data sets, whose
keys and corner cases these follow. Values are percentages.

Prediction files in SQuAD's format: one JSON object, question id -> answer text.

Evaluations and answers as a person reads them, on stdout.
"""

import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from qa_research.tasks.answering.decode import Answer
from qa_research.tasks.answering.question import Question
from qa_research.tasks.answering.score import (
    QuestionScore,
    Rules,
    Summary,
    rules_for,
    score_question,
    score_questions,
    summarize,
    summarize_by_kind,
)


@dataclass(frozen=True)
class Evaluation:
    """Scores of answers to questions: over all, by kind, and as the official evaluation gives them."""

    rules: str
    overall: Summary
    by_kind: dict[str, Summary]
    official: dict[str, float | int]

    def as_json(self) -> dict[str, Any]:
        """Plain values; intervals are 95 % bootstrap intervals over questions, in percent."""
        return self.official | {
            "rules": self.rules,
            "exact_match_95": [self.overall.exact_match.low, self.overall.exact_match.high],
            "f1_95": [self.overall.f1.low, self.overall.f1.high],
            "by_kind": {kind: asdict(summary) for kind, summary in self.by_kind.items()},
        }


def evaluate(questions: Sequence[Question], answers: Sequence[Answer]) -> Evaluation:
    """Score `answers`, one for each of `questions`, by v2.0 where a question has no answer."""
    rules = rules_for(questions)
    predictions = {answer.question_id: answer.text for answer in answers}
    scores = score_questions(questions, predictions, rules)
    if rules == "v1.1":
        official = evaluate_v1(questions, predictions)
    else:
        odds = {answer.question_id: answer.null_odds for answer in answers}
        official = evaluate_v2(questions, predictions, None, 0.0)
        spans = {a.question_id: next((c.text for c in a.candidates if c.text), "") for a in answers}
        best = evaluate_v2(questions, spans, odds, 0.0)
        official |= {key: value for key, value in best.items() if key.startswith("best_")}
    return Evaluation(rules, summarize(scores), summarize_by_kind(scores), official)


def write_evaluation(directory: Path, answers: Sequence[Answer], evaluation: Evaluation) -> None:
    """predictions.json and null_odds.json in SQuAD's format, n_best.json, and scores.json."""
    directory.mkdir(parents=True, exist_ok=True)
    contents: dict[str, Any] = {
        "predictions.json": {answer.question_id: answer.text for answer in answers},
        "n_best.json": {
            answer.question_id: [asdict(candidate) for candidate in answer.candidates]
            for answer in answers
        },
        "null_odds.json": {answer.question_id: answer.null_odds for answer in answers},
        "scores.json": evaluation.as_json(),
    }
    for name, content in contents.items():
        temporary = directory / f"{name}.tmp"
        temporary.write_text(json.dumps(content, ensure_ascii=False, indent=1), encoding="utf-8")
        os.replace(temporary, directory / name)


def evaluate_v1(
    questions: Sequence[Question], predictions: Mapping[str, str]
) -> dict[str, float | int]:
    """`exact_match`, `f1`, `total`; a question without prediction earns 0."""
    scores = _scores(questions, predictions, "v1.1")
    total = len(questions)
    return {
        "exact_match": 100 * sum(score.exact_match for score in scores.values()) / total,
        "f1": 100 * sum(score.f1 for score in scores.values()) / total,
        "total": total,
    }


def evaluate_v2(
    questions: Sequence[Question],
    predictions: Mapping[str, str],
    null_odds: Mapping[str, float] | None,
    null_threshold: float,
) -> dict[str, float | int]:
    """`exact_match`, `f1`, `total`, the same for HasAns and NoAns, and with odds the best threshold.

    Where a question's `null_odds` exceed `null_threshold` its prediction counts as "no answer".
    Questions without prediction are left out, as in the official script.
    """
    odds = {row.id: 0.0 for row in questions} | dict(null_odds or {})
    has_answer = {row.id: bool(row.answers) for row in questions}
    raw = _scores(questions, predictions, "v2.0")
    exact = {k: s.exact_match for k, s in raw.items()}
    f1 = {k: s.f1 for k, s in raw.items()}
    result: dict[str, float | int] = {}
    for prefix, wanted in (("", (True, False)), ("HasAns_", (True,)), ("NoAns_", (False,))):
        ids = [key for key in raw if has_answer[key] in wanted]
        if not ids:
            continue
        for name, scores in (("exact_match", exact), ("f1", f1)):
            kept = (_kept(scores[k], odds[k] > null_threshold, has_answer[k]) for k in ids)
            result[prefix + name] = 100 * sum(kept) / len(ids)
        result[prefix + "total"] = len(ids)
    if null_odds is not None:
        for name, scores in (("exact_match", exact), ("f1", f1)):
            best, threshold = _best_threshold(scores, predictions, null_odds, has_answer)
            result[f"best_{name}"] = best
            result[f"best_{name}_threshold"] = threshold
    return result


def _kept(score: float, abstains: bool, has_answer: bool) -> float:
    return float(not has_answer) if abstains else score


def _best_threshold(
    scores: Mapping[str, float],
    predictions: Mapping[str, str],
    odds: Mapping[str, float],
    has_answer: Mapping[str, bool],
) -> tuple[float, float]:
    """The highest mean score over all thresholds, in percent, and where it is reached."""
    # Abstaining everywhere is right for all questions of the data that have no answer.
    current = best = float(sum(not answered for answered in has_answer.values()))
    threshold = 0.0
    for key in sorted(odds, key=lambda key: odds[key]):
        if key not in scores:
            continue
        # Answering this question too: what it earns, or what abstaining would have earned.
        current += scores[key] if has_answer[key] else (-1.0 if predictions[key] else 0.0)
        if current > best:
            best, threshold = current, odds[key]
    return 100 * best / len(scores), threshold


def _scores(
    questions: Sequence[Question], predictions: Mapping[str, str], rules: Rules
) -> dict[str, QuestionScore]:
    answered = (row for row in questions if row.id in predictions)
    return {row.id: score_question(row, predictions[row.id], rules) for row in answered}


def read_predictions(path: Path) -> dict[str, str]:
    """The answers of a predictions file.

    Raises:
        FileNotFoundError, ValueError: it is missing, or no object of texts.
    """
    value = _read_object(path, "PREDICTIONS")
    odd = [key for key, text in value.items() if not isinstance(text, str)]
    if odd:
        raise ValueError(
            f"PREDICTIONS={path}: the answer to {odd[0]!r} is a {type(value[odd[0]]).__name__}; "
            "expected one JSON object, question id -> answer text"
        )
    return value


def read_numbers(path: Path) -> dict[str, float]:
    """The odds of "no answer" by question id."""
    value = _read_object(path, "--null-odds")
    odd = [key for key, number in value.items() if not isinstance(number, (int, float))]
    if odd:
        raise ValueError(f"--null-odds={path}: {odd[0]!r} has no number")
    return {key: float(number) for key, number in value.items()}


def check_fit(questions: Iterable[Question], predictions: Mapping[str, str]) -> None:
    """Refuse predictions none of which belongs to a question.

    Raises:
        ValueError: no id is common to both.
    """
    ids = {row.id for row in questions}
    if not ids & set(predictions):
        example = next(iter(predictions), "none")
        raise ValueError(
            f"no prediction belongs to a question of DATA: PREDICTIONS has ids like {example!r}, "
            f"DATA like {next(iter(ids))!r}"
        )


def _read_object(path: Path, name: str) -> dict[str, Any]:
    if not path.is_file():
        raise FileNotFoundError(f"{name}={path} does not exist")
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{name}={path} is no valid JSON: {error}") from error
    if not isinstance(value, dict):
        raise ValueError(
            f"{name}={path} holds a {type(value).__name__}; expected one JSON object with question ids"
        )
    return value


def show_evaluation(result: Evaluation) -> None:
    """A row for all questions and one a kind; for v2.0 also answerable and unanswerable ones."""
    print(f"{'':<12}{'questions':>10}   {'exact match [95 %]':<22}{'F1 [95 %]':<22}")
    parts = {"all": result.overall} | (result.by_kind if len(result.by_kind) > 1 else {})
    for kind, part in parts.items():
        print(f"{kind:<12}{part.total:>10}   {part.exact_match!s:<22}{part.f1!s:<22}".rstrip())
    if result.rules == "v2.0":
        for name in ("HasAns", "NoAns"):
            if f"{name}_total" in result.official:
                exact, f1 = (result.official[f"{name}_{m}"] for m in ("exact_match", "f1"))
                total = result.official[f"{name}_total"]
                print(f"{name:<12}{total:>10}   {exact:<22.1f}{f1:<22.1f}".rstrip())
        best, threshold = (result.official[f"best_f1{end}"] for end in ("", "_threshold"))
        print(f"best F1 over all null thresholds: {best:.1f} at {threshold:.2f}")


def show_answer(answer: Answer, context: str, n_best: int) -> None:
    """The answer within its surroundings, then the `n_best` candidates with their probabilities."""
    # A pipe gets whole lines; only a terminal wraps them.
    console = Console(soft_wrap=not sys.stdout.isatty(), highlight=False)
    if answer.text:
        where = f"characters {answer.char_start} to {answer.char_end}"
        console.print(
            f"{answer.text}   (probability {answer.probability:.3f}, {where})", markup=False
        )
    else:
        console.print(f"no answer in this text   (probability {answer.probability:.3f})")
    before, after = context[: answer.char_start], context[answer.char_end :]
    left = ("..." if len(before) > 80 else "") + before[-80:]
    right = after[:80] + ("..." if len(after) > 80 else "")
    if answer.text:
        console.print(Text.assemble("\n  ", left, (answer.text, "bold reverse"), right, "\n"))
    for place, candidate in enumerate(answer.candidates[:n_best], start=1):
        text = candidate.text or "(no answer)"
        console.print(f"{place:>3}. {candidate.probability:.3f}  {text}", markup=False)
