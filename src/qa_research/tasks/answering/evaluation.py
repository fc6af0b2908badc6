"""Answers to many questions: their scores, overall, by kind and by SQuAD's official rules, and their files.

`score.py` scores one prediction. What a person reads of them on stdout is printed at the end.
Source: Rajpurkar et al. 2016 and 2018; the evaluation scripts published with the data sets, whose keys
and corner cases `evaluate_v1` and `evaluate_v2` follow.
"""

from collections.abc import Mapping, Sequence, Set
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from qa_research.files import write_text, written_folder
from qa_research.stats import dependence
from qa_research.tasks.answering.decode import Answer
from qa_research.tasks.answering.mistakes import MISTAKES, Mistake, find_mistakes, mistakes_csv
from qa_research.tasks.answering.predictions import write_answers, write_json
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
from qa_research.text import plural, print_line

# The official evaluations' keys and values, all but the totals and thresholds in percent.
Official = dict[str, float | int]


@dataclass(frozen=True)
class Evaluation:
    """Scores of answers to questions: overall, by kind, and as the official evaluation reports them.

    `choosing`: the scores of those that chose the checkpoint, which are in none of the others. `mistakes`: of
    all of them.
    """

    rules: Rules
    overall: Summary
    by_kind: dict[str, Summary]
    official: Official
    choosing: Summary | None
    mistakes: tuple[Mistake, ...]

    def as_json(self) -> dict[str, Any]:
        """Plain values; 95 % intervals in percent, over paragraphs where some hold several questions."""
        return self.official | {
            "rules": self.rules,
            **intervals_as_json(self.overall),
            "by_kind": {kind: asdict(summary) for kind, summary in self.by_kind.items()},
            "choosing": asdict(self.choosing) if self.choosing else None,
            "mistakes": len(self.mistakes),
        }


def intervals_as_json(overall: Summary) -> dict[str, Any]:
    """The ends of the intervals in percent, and what they rest on."""
    return {
        "exact_match_95": [overall.exact_match.low, overall.exact_match.high],
        "f1_95": [overall.f1.low, overall.f1.high],
        "paragraphs": overall.paragraphs,
        "times_as_wide_as_independent": {
            "exact_match": overall.exact_match.wider,
            "f1": overall.f1.wider,
        },
    }


def evaluate(
    questions: Sequence[Question],
    answers: Sequence[Answer],
    choosing: Set[str] = frozenset(),
) -> Evaluation:
    """Score `answers`, one for each of `questions`; by v2.0 if a question has no answer.

    `choosing`: ids of questions that chose the checkpoint, which are scored apart. If all did, none are.
    """
    rules = rules_for(questions)
    predictions = {answer.question_id: answer.text for answer in answers}
    chose = [row for row in questions if row.id in choosing]
    if len(chose) == len(questions):
        chose = []
    apart = {row.id for row in chose}
    all_scores = {score.id: score for score in score_questions(questions, predictions, rules)}
    mistakes = find_mistakes(questions, answers, all_scores, frozenset(choosing))
    questions = [row for row in questions if row.id not in apart]
    answers = [answer for answer in answers if answer.question_id not in apart]
    scores = score_questions(questions, predictions, rules)
    if rules == "v1.1":
        official = evaluate_v1(questions, predictions)
    else:
        official = evaluate_v2(questions, predictions, None, 0.0)
        # The best threshold is sought over what would be answered without any: the best spans.
        spans = {a.question_id: next((c.text for c in a.candidates if c.text), "") for a in answers}
        odds = {answer.question_id: answer.null_odds for answer in answers}
        best = evaluate_v2(questions, spans, odds, 0.0)
        official |= {key: value for key, value in best.items() if key.startswith("best_")}
    chosen = summarize(score_questions(chose, predictions, rules)) if chose else None
    return Evaluation(
        rules, summarize(scores), summarize_by_kind(scores), official, chosen, tuple(mistakes)
    )


def evaluate_v1(questions: Sequence[Question], predictions: Mapping[str, str]) -> Official:
    """`exact_match`, `f1`, `total`; a missing prediction scores 0.

    A question that is there twice counts twice, as in the official script.
    """
    answered = [row for row in questions if row.id in predictions]
    scores = score_questions(answered, predictions, "v1.1")
    total = len(questions)
    return {
        "exact_match": 100 * sum(score.exact_match for score in scores) / total,
        "f1": 100 * sum(score.f1 for score in scores) / total,
        "total": total,
    }


def evaluate_v2(
    questions: Sequence[Question],
    predictions: Mapping[str, str],
    null_odds: Mapping[str, float] | None,
    null_threshold: float,
) -> Official:
    """`exact_match`, `f1`, `total`, the same for HasAns and NoAns, and with odds the best threshold.

    If a question's `null_odds` exceed `null_threshold`, its prediction counts as "no answer".
    Questions without a prediction are skipped, and of two with one id the later one counts, as in the
    official script.
    """
    odds = {row.id: 0.0 for row in questions} | dict(null_odds or {})
    has_answer = {row.id: bool(row.answers) for row in questions}
    raw = _scores(questions, predictions, "v2.0")
    by_measure = {
        "exact_match": {key: score.exact_match for key, score in raw.items()},
        "f1": {key: score.f1 for key, score in raw.items()},
    }
    groups = {
        "": list(raw),
        "HasAns_": [key for key in raw if has_answer[key]],
        "NoAns_": [key for key in raw if not has_answer[key]],
    }
    result: Official = {}
    for prefix, ids in groups.items():
        if not ids:
            continue
        for name, scores in by_measure.items():
            # Abstaining is right exactly where there is no answer.
            earned = [
                float(not has_answer[key]) if odds[key] > null_threshold else scores[key]
                for key in ids
            ]
            result[prefix + name] = 100 * sum(earned) / len(ids)
        result[prefix + "total"] = len(ids)
    if null_odds is not None:
        for name, scores in by_measure.items():
            best, threshold = _best_threshold(scores, predictions, null_odds, has_answer)
            result[f"best_{name}"] = best
            result[f"best_{name}_threshold"] = threshold
    return result


def summary_as_official(
    questions: Sequence[Question],
    predictions: Mapping[str, str],
    rules: Rules,
    null_odds: Mapping[str, float] | None,
    null_threshold: float,
) -> Summary:
    """The means of `evaluate_v1` or `evaluate_v2` with intervals: questions count as they do there."""
    scores = score_questions(questions, predictions, rules)
    if rules == "v1.1":
        missing = {row.id for row in questions} - predictions.keys()
        return summarize(
            [replace(s, exact_match=0.0, f1=0.0) if s.id in missing else s for s in scores]
        )
    odds = null_odds or {}
    unanswerable = {row.id for row in questions if not row.answers}
    latest = {score.id: score for score in scores if score.id in predictions}
    for key, score in latest.items():
        if odds.get(key, 0.0) > null_threshold:
            earned = float(key in unanswerable)
            latest[key] = replace(score, exact_match=earned, f1=earned)
    return summarize(list(latest.values()))


def _best_threshold(
    scores: Mapping[str, float],
    predictions: Mapping[str, str],
    odds: Mapping[str, float],
    has_answer: Mapping[str, bool],
) -> tuple[float, float]:
    """The highest mean score over all thresholds, in percent, and the threshold that reaches it.

    Example: question (odds, score if answered)  A (-4, 1)  B (-1, none to give)  C (2, 1).
    Abstaining always is right for B: 1 of 3. The threshold rises past one question after the other:
    answering A earns 1 (2), answering B loses its 1 (1), answering C earns 1 (2). The highest, 2 of 3, is
    first reached at A's odds, -4.
    """
    # As in the official script, questions without a prediction count here too.
    current = best = float(sum(not answered for answered in has_answer.values()))
    threshold = 0.0
    for key in sorted(odds, key=lambda key: odds[key]):
        if key not in scores:
            continue
        if has_answer[key]:
            current += scores[key]
        elif predictions[key]:
            current -= 1.0
        if current > best:
            best, threshold = current, odds[key]
    return 100 * best / len(scores), threshold


def _scores(
    questions: Sequence[Question], predictions: Mapping[str, str], rules: Rules
) -> dict[str, QuestionScore]:
    answered = (row for row in questions if row.id in predictions)
    return {row.id: score_question(row, predictions[row.id], rules) for row in answered}


def write_evaluation(directory: Path, answers: Sequence[Answer], evaluation: Evaluation) -> None:
    """What `write_answers` writes, scores.json and mistakes.csv; all of it or nothing."""
    with written_folder(directory, replace=True) as new:
        write_answers(new, answers)
        write_json(new / "scores.json", evaluation.as_json())
        write_text(new / MISTAKES, "".join(mistakes_csv(evaluation.mistakes)))


def show_evaluation(result: Evaluation) -> None:
    """One row for all questions and one per kind; for v2.0 also answerable and unanswerable ones."""
    print_line(f"{'':<12}{'questions':>10}   {'exact match [95 %]':<22}{'F1 [95 %]':<22}")
    parts = {"all": result.overall} | (result.by_kind if len(result.by_kind) > 1 else {})
    for name, part in parts.items():
        _print_row(name, part.total, str(part.exact_match), str(part.f1))
    if result.rules == "v2.0":
        official = result.official
        for name in ("HasAns", "NoAns"):
            if f"{name}_total" in official:
                exact_match, f1 = official[f"{name}_exact_match"], official[f"{name}_f1"]
                _print_row(name, int(official[f"{name}_total"]), f"{exact_match:.1f}", f"{f1:.1f}")
        best, threshold = official["best_f1"], official["best_f1_threshold"]
        print_line(
            f"best F1 over all null thresholds, chosen on these questions: {best:.1f} at {threshold:.2f}"
        )
    if sentence := _dependence_of(result.overall):
        print_line(f"{sentence}.")
    if apart := result.choosing:
        print_line(
            f"{plural(apart.total, 'more question')} chose the best weights and are scored apart: exact "
            f"match {apart.exact_match}, F1 {apart.f1}"
        )


def show_official(result: Official, overall: Summary) -> None:
    """The official evaluation's values, a line each, and the intervals of exact match and F1."""
    for key, value in result.items():
        print_line(
            f"{key:<28}{value:>10.3f}" if isinstance(value, float) else f"{key:<28}{value:>10}"
        )
    print_line(f"95 %: exact match {overall.exact_match}, F1 {overall.f1}")
    if sentence := _dependence_of(overall):
        print_line(f"{sentence}.")


def _dependence_of(overall: Summary) -> str:
    """How much wider the intervals are for questions that share paragraphs; empty if none do."""
    wider = {"exact match": overall.exact_match.wider, "F1": overall.f1.wider}
    return dependence(wider, "questions")


def _print_row(name: str, total: int, exact_match: str, f1: str) -> None:
    print_line(f"{name:<12}{total:>10}   {exact_match:<22}{f1:<22}".rstrip())
