"""Exact match and F1 of predictions, question by question, and their means with intervals. Pure.

The rules are SQuAD's. v1.1 and v2.0 differ on answers that are empty after normalising: v2.0 ignores
such gold answers, and scores an empty prediction to an unanswerable question 1.
"""

import re
import string
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from qa_research.tasks.answering.question import Question

Rules = Literal["v1.1", "v2.0"]
_ARTICLES = re.compile(r"\b(a|an|the)\b")
# Thai, Lao, Burmese, Khmer, the kana and the Chinese characters: no blanks between words.
_UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


@dataclass(frozen=True, slots=True)
class QuestionScore:
    """What one prediction earned: `exact_match` 0 or 1, `f1` between 0 and 1.

    Questions with the same number of a `paragraph` are about the same context.
    """

    id: str
    kind: str
    paragraph: int
    prediction: str
    exact_match: float
    f1: float


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean in percent with its 95 % interval over questions, or over paragraphs if some hold several.

    `wider`: how many times as wide the interval is as if the questions were independent.
    """

    value: float
    low: float
    high: float
    wider: float

    def __str__(self) -> str:
        return f"{self.value:.1f} [{self.low:.1f}, {self.high:.1f}]"


@dataclass(frozen=True, slots=True)
class Summary:
    """Scores of a group of questions."""

    total: int
    paragraphs: int
    exact_match: Mean
    f1: Mean


def normalize(text: str) -> str:
    """Lower case, without ASCII punctuation, English articles and extra spaces.

    Source: Rajpurkar et al. 2016, SQuAD; the official evaluation's order of steps.
    """
    # Punctuation goes before articles, and nothing takes its place:
    # "The U.S. cat, a  dog!" -> "the us cat a  dog" -> "us cat dog", but "the-end" -> "theend".
    without_marks = text.lower().translate(_PUNCTUATION)
    return " ".join(_ARTICLES.sub(" ", without_marks).split())


def exact_match(prediction: str, gold: str) -> float:
    """1 if both are equal after normalising, else 0."""
    return float(normalize(prediction) == normalize(gold))


def f1(prediction: str, gold: str, rules: Rules) -> float:
    """Harmonic mean of precision and recall over normalised words, in [0, 1]."""
    # "red house" for "the red house on hill": 2 words in common, precision 2/2, recall 2/4, F1 2/3.
    # Words count as often as they occur: "cat cat" and "cat" have one in common.
    found, wanted = normalize(prediction).split(), normalize(gold).split()
    if rules == "v2.0" and (not found or not wanted):
        return float(found == wanted)
    common = sum((Counter(found) & Counter(wanted)).values())
    if common == 0:
        return 0.0
    precision, recall = common / len(found), common / len(wanted)
    return 2 * precision * recall / (precision + recall)


def rules_for(questions: Iterable[Question]) -> Rules:
    """v2.0 if any question has no answer, else v1.1."""
    return "v2.0" if any(not row.answers for row in questions) else "v1.1"


def paragraphs_of(questions: Iterable[Question]) -> list[int]:
    """The number of each question's context, in order of appearance."""
    numbers: dict[str, int] = {}
    return [numbers.setdefault(row.context, len(numbers)) for row in questions]


def score_question(
    row: Question, prediction: str, rules: Rules, paragraph: int = 0
) -> QuestionScore:
    """The best score over all gold answers; `paragraph`: the number of the question's context.

    Raises:
        ValueError: the question has no answer, and the rules are those of v1.1.
    """
    golds = [gold.text for gold in row.answers]
    if rules == "v2.0":
        golds = [gold for gold in golds if normalize(gold)] or [""]
    if not golds:
        raise ValueError(f"question {row.id} has no answer; score it with the rules of v2.0")
    exact = max(exact_match(prediction, gold) for gold in golds)
    return QuestionScore(
        id=row.id,
        kind=row.kind,
        paragraph=paragraph,
        prediction=prediction,
        exact_match=exact,
        # To "the" for "a", which are both nothing after normalising, the program of v1.1 gives exact match 1
        # and F1 0; an exact match is never less alike than that.
        f1=max(exact, *(f1(prediction, gold, rules) for gold in golds)),
    )


def note_on_unspaced(questions: Sequence[Question]) -> str | None:
    """A sentence for those whose answers are in a script without blanks; None if there are none."""
    golds = [[gold.text for gold in row.answers] for row in questions]
    count = sum(any(_UNSPACED.search(text) and " " not in text for text in row) for row in golds)
    if not count:
        return None
    return (
        f"{count} of {len(questions)} questions have answers in a script without blanks between words: by "
        "SQuAD's official rules, which are made for English, F1 is there no more than exact match, and "
        "full-width punctuation counts"
    )


def score_questions(
    questions: Sequence[Question], predictions: Mapping[str, str], rules: Rules
) -> list[QuestionScore]:
    """One score per question, in order; a missing prediction counts as the answer ""."""
    return [
        score_question(row, predictions.get(row.id, ""), rules, paragraph)
        for row, paragraph in zip(questions, paragraphs_of(questions), strict=True)
    ]


def mean_scores(scores: Sequence[QuestionScore]) -> tuple[float, float]:
    """Exact match and F1 of a group of questions in percent.

    Raises:
        ValueError: no scores.
    """
    if not scores:
        raise ValueError("the mean of no scores is not defined")
    total = len(scores)
    return (
        100 * sum(score.exact_match for score in scores) / total,
        100 * sum(score.f1 for score in scores) / total,
    )


def summarize(scores: Sequence[QuestionScore]) -> Summary:
    """Exact match and F1 of a group of questions, with intervals (`stats.mean_intervals`)."""
    # scipy, which a training's first step need not wait for.
    import numpy as np

    from qa_research.stats import mean_intervals

    means = mean_scores(scores)
    values = np.array([[score.exact_match, score.f1] for score in scores]).T
    paragraphs = np.array([score.paragraph for score in scores])
    intervals = mean_intervals(values, (0.0, 1.0), paragraphs)
    exact, overlap = (
        Mean(mean, 100 * found.low, 100 * found.high, found.wider or 1.0)
        for mean, found in zip(means, intervals, strict=True)
    )
    return Summary(len(scores), len(set(paragraphs.tolist())), exact, overlap)


def by_kind(scores: Iterable[QuestionScore]) -> dict[str, list[QuestionScore]]:
    """The scores of each kind of question, the most frequent first."""
    groups: dict[str, list[QuestionScore]] = {}
    for score in scores:
        groups.setdefault(score.kind, []).append(score)
    return dict(sorted(groups.items(), key=lambda item: (-len(item[1]), item[0])))


def summarize_by_kind(scores: Sequence[QuestionScore]) -> dict[str, Summary]:
    """A summary of each kind of question, the most frequent first."""
    return {kind: summarize(group) for kind, group in by_kind(scores).items()}
