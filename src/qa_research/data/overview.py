"""What a set of questions holds, in numbers: lengths, kinds, answers, repetitions, faults. Pure."""

import math
import statistics
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass

from qa_research.data.question import BadRow, Question, find_bad_rows

CountTokens = Callable[[Sequence[str]], list[int]]


@dataclass(frozen=True, slots=True)
class Spread:
    """The spread of some whole numbers; 95 % of them are at most `percentile_95`."""

    minimum: int
    median: float
    mean: float
    percentile_95: int
    maximum: int


@dataclass(frozen=True, slots=True)
class Repeated:
    """How many values stand more than once, and how many questions have one of them."""

    values: int
    questions: int


@dataclass(frozen=True)
class Overview:
    """A set of questions in numbers.

    `lengths` has a spread by text (question; context, each distinct one once; first answer) and unit
    (characters, words, tokens). `kinds` counts questions, the commonest first.
    `answers_per_question` and `distinct_answers_per_question` say how many questions have so many
    gold answers (0: unanswerable) and so many different ones. `distinct_answers` is the number of
    different answers in all. `repeated` is by what is repeated: id, question and context, question,
    context. `misplaced` are the questions with an answer that is not at its offset.
    """

    questions: int
    contexts: int
    titles: int
    unanswerable: int
    lengths: dict[str, dict[str, Spread]]
    kinds: dict[str, int]
    answers_per_question: dict[int, int]
    distinct_answers_per_question: dict[int, int]
    distinct_answers: int
    repeated: dict[str, Repeated]
    misplaced: int
    bad_rows: list[BadRow]


def overview(questions: Sequence[Question], count_tokens: CountTokens | None) -> Overview:
    """The numbers of a set of questions; lengths in tokens where something can count them.

    Raises:
        ValueError: there are no questions.
    """
    if not questions:
        raise ValueError("there are no questions to describe")
    contexts = Counter(row.context for row in questions)
    texts = {
        "question": [row.question for row in questions],
        "context": list(contexts),
        "first answer": [row.answers[0].text for row in questions if row.answers],
    }
    distinct = [{gold.text for gold in row.answers} for row in questions]
    return Overview(
        questions=len(questions),
        contexts=len(contexts),
        titles=len({row.title for row in questions}),
        unanswerable=sum(not row.answers for row in questions),
        lengths={name: _lengths(part, count_tokens) for name, part in texts.items() if part},
        kinds=dict(Counter(row.kind for row in questions).most_common()),
        answers_per_question=_histogram(len(row.answers) for row in questions),
        distinct_answers_per_question=_histogram(map(len, distinct)),
        distinct_answers=len(set().union(*distinct)),
        repeated={
            "id": _repeated(row.id for row in questions),
            "question and context": _repeated((row.question, row.context) for row in questions),
            "question": _repeated(row.question for row in questions),
            "context": _repeated(row.context for row in questions),
        },
        misplaced=sum(map(_is_misplaced, questions)),
        bad_rows=find_bad_rows(questions),
    )


def spread(values: Sequence[int]) -> Spread:
    """The spread of at least one number."""
    ordered = sorted(values)
    return Spread(
        minimum=ordered[0],
        median=float(statistics.median(ordered)),
        mean=sum(ordered) / len(ordered),
        percentile_95=ordered[math.ceil(0.95 * len(ordered)) - 1],
        maximum=ordered[-1],
    )


def _lengths(texts: list[str], count_tokens: CountTokens | None) -> dict[str, Spread]:
    found = {
        "characters": spread([len(text) for text in texts]),
        "words": spread([len(text.split()) for text in texts]),
    }
    if count_tokens:
        found["tokens"] = spread(count_tokens(texts))
    return found


def _histogram(numbers: Iterable[int]) -> dict[int, int]:
    return dict(sorted(Counter(numbers).items()))


def _repeated(values: Iterable[Hashable]) -> Repeated:
    counts = [count for count in Counter(values).values() if count > 1]
    return Repeated(len(counts), sum(counts))


def _is_misplaced(row: Question) -> bool:
    return any(
        gold.start < 0 or not row.context.startswith(gold.text, gold.start) for gold in row.answers
    )
