"""Asks a model seeded random questions, in rounds, until it knows one; every answer goes to the ledger.

Knows no network: what answers is a function from questions to answers.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

from qa_research.ledger.asked import (
    AskedQuestion,
    Ending,
    Goal,
    Search,
    Source,
    State,
    end_search,
    start_search,
    write_round,
)
from qa_research.ledger.runs import Ledger
from qa_research.stats import exact_ratio
from qa_research.streams import stream
from qa_research.tasks.answering.decode import Answer
from qa_research.tasks.answering.question import Question
from qa_research.tasks.answering.score import Rules, rules_for, score_question

# A model that failed on so many questions in a row is asked no further.
HOPELESS = 8
Answerer = Callable[[Sequence[Question]], Sequence[Answer]]


@dataclass(frozen=True, slots=True)
class Plan:
    """What one search is for, and what bounds it.

    `goal`: until one answer is "right"; a number of "questions", which is `max_questions`; or until the
    interval of the ratio is at most `width` wide, a share in (0, 1], together with what was `known`
    before: by the number of a question, whether it was answered right. `deadline`: when
    time.monotonic() reaches it.
    """

    goal: Goal
    max_questions: int
    round_size: int
    deadline: float
    width: float = 1.0
    known: Mapping[int, bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Round:
    """What was asked at once, in order, and the seconds it took."""

    number: int
    rows: tuple[AskedQuestion, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class SearchResult:
    """How a search ended, and all that it asked."""

    search: Search
    ending: Ending
    rows: tuple[AskedQuestion, ...]
    seconds: float

    @property
    def counted(self) -> int:
        """Questions that count: of a search for a right answer, up to and including it."""
        return sum(row.counted for row in self.rows)

    @property
    def right(self) -> int:
        """Right answers among those that count."""
        return sum(bool(row.counted and row.exact_match) for row in self.rows)


@dataclass(frozen=True, slots=True)
class Subject:
    """Who is asked, and what from. `questions` are all of the split, which `source` names."""

    state: State
    source: Source
    questions: Sequence[Question]
    answer: Answerer


def search(
    ledger: Ledger,
    subject: Subject,
    plan: Plan,
    seed: int,
    on_round: Callable[[Round], None],
    should_stop: Callable[[], bool],
) -> SearchResult:
    """Ask questions in random order, without replacement, until the plan's goal or a bound.

    It goes on in the order of `seed` where the state's last search left it (see `start_search`). The
    order does not depend on the state: those with the same history are asked the same questions. What a
    round asked after its first right answer is left out by its place alone, so what counts remains a
    random order. Each round is written to the ledger, in one transaction, before `on_round` sees it.

    Raises:
        ValueError: there are no questions.
        OSError: the ledger cannot be written; earlier rounds stand in it.
    """
    questions = subject.questions
    if not questions:
        raise ValueError(f"the split {subject.source.split} of {subject.source.name} is empty")
    rules = rules_for(questions)
    wanted = plan.max_questions if plan.goal == "questions" else 1
    begun = start_search(ledger, subject.state, subject.source, seed, plan.goal, wanted)
    order = stream(seed, "asked", begun.draw).permutation(len(questions))[begun.first :].tolist()
    rows: list[AskedQuestion] = []
    clock = time.monotonic()
    ending: Ending | None = None
    try:
        while ending is None:
            size = min(plan.round_size, plan.max_questions - len(rows))
            chosen = order[len(rows) : len(rows) + size]
            number = rows[-1].round + 1 if rows else 0
            asked = _ask_round(subject, rules, chosen, number, len(rows))
            if plan.goal == "right":
                asked = replace(asked, rows=_up_to_the_first_right(asked.rows))
            rows += asked.rows
            ending = _ending(plan, rows, len(order), len(questions), should_stop)
            write_round(ledger, begun, asked.rows, ending)
            on_round(asked)
    except BaseException:
        # So that the order can be gone on with. A ledger that cannot be written has its own error.
        with suppress(OSError):
            end_search(ledger, begun, ending or "stopped")
        raise
    return SearchResult(begun, ending, tuple(rows), time.monotonic() - clock)


def _ending(
    plan: Plan,
    rows: Sequence[AskedQuestion],
    left: int,
    total: int,
    should_stop: Callable[[], bool],
) -> Ending | None:
    """Why asking ends here, or None: it goes on. `left`: questions the order had for this search."""
    if plan.goal == "right" and any(row.counted and row.exact_match for row in rows):
        return "right"
    if plan.goal == "width" and is_narrow(plan, rows):
        return "done"
    if len(rows) >= HOPELESS and all(row.status == "failed" for row in rows[-HOPELESS:]):
        return "failed"
    if len(rows) >= min(left, plan.max_questions):
        if all(row.status == "failed" for row in rows):
            return "failed"
        if plan.goal == "questions":
            return "done"
        is_bound = len(rows) >= plan.max_questions < total
        return "bound" if is_bound else "exhausted"
    if should_stop():
        return "stopped"
    return "bound" if time.monotonic() >= plan.deadline else None


def is_narrow(plan: Plan, rows: Sequence[AskedQuestion]) -> bool:
    """Whether the interval is as narrow as the plan wants it, with these answers beside the known ones."""
    answers = dict(plan.known)
    for row in rows:
        if row.counted and row.number is not None:
            answers[row.number] = bool(row.exact_match)
    return bool(answers) and exact_ratio(sum(answers.values()), len(answers)).width <= plan.width


def _ask_round(
    subject: Subject, rules: Rules, chosen: Sequence[int], number: int, place: int
) -> Round:
    clock = time.monotonic()
    questions = [subject.questions[i] for i in chosen]
    answers = answer_each(subject.answer, questions)
    seconds = time.monotonic() - clock
    rows = tuple(
        _row(question, answer, rules, place + i, number, index, seconds / len(chosen))
        for i, (index, question, answer) in enumerate(zip(chosen, questions, answers, strict=True))
    )
    return Round(number, rows, seconds)


def answer_each(answer: Answerer, questions: Sequence[Question]) -> list[Answer | str]:
    """An answer to each question, or why there is none: a failure costs the question that caused it alone.

    Questions that fail together are asked again in halves.
    """
    try:
        answers = answer(questions)
    except Exception as error:
        if len(questions) > 1:
            half = len(questions) // 2
            return answer_each(answer, questions[:half]) + answer_each(answer, questions[half:])
        first_line = (str(error).strip().splitlines() or [""])[0]
        return [f"{type(error).__name__}: {first_line}"[:300]]
    return [
        found if math.isfinite(found.score) else "its scores are not finite numbers"
        for found in answers
    ]


def _row(
    question: Question,
    answer: Answer | str,
    rules: Rules,
    place: int,
    number: int,
    index: int,
    seconds: float,
) -> AskedQuestion:
    golds = tuple(gold.text for gold in question.answers)
    row = AskedQuestion(
        place=place,
        round=number,
        number=index,
        id=question.id,
        kind=question.kind,
        question=question.question,
        golds=golds,
        status="failed",
        counted=False,
        seconds=seconds,
    )
    if isinstance(answer, str):
        return replace(row, reason=answer)
    score = score_question(question, answer.text, rules)
    return replace(
        row,
        status="answered",
        counted=True,
        answer=answer.text,
        exact_match=bool(score.exact_match),
        f1=score.f1,
        first_gold=answer.text.casefold() == (golds[0] if golds else "").casefold(),
        char_start=answer.char_start,
        char_end=answer.char_end,
        score=answer.score,
        probability=answer.probability,
    )


def _up_to_the_first_right(rows: tuple[AskedQuestion, ...]) -> tuple[AskedQuestion, ...]:
    """What a round asked after its first right answer does not count: the search had ended there."""
    first = next((i for i, row in enumerate(rows) if row.exact_match), len(rows))
    return rows[: first + 1] + tuple(replace(row, counted=False) for row in rows[first + 1 :])
