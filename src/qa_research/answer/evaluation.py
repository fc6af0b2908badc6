"""A run's answers to many questions, scored, and the files that keep them."""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from qa_research.answer.decode import Answer
from qa_research.answer.official import evaluate_v1, evaluate_v2
from qa_research.answer.score import (
    Summary,
    rules_for,
    score_questions,
    summarize,
    summarize_by_kind,
)
from qa_research.data.question import Question


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
