"""The official SQuAD evaluations, v1.1 and v2.0, for anybody's predictions. Pure.

Source: Rajpurkar et al. 2016 and 2018; the evaluation scripts published with the data sets, whose
keys and corner cases these follow. Values are percentages.
"""

from collections.abc import Mapping, Sequence

from qa_research.answer.score import QuestionScore, Rules, score_question
from qa_research.data.question import Question


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
