"""Asks a model random questions, in rounds, until it answers one correctly; each round goes to the ledger.

Knows no network: what answers is a function from questions to answers.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

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
from qa_research.tasks.opened import Answering, Told

# A model that failed on this many questions in a row is given up.
GIVE_UP_AFTER = 8
# What a row of answers may have besides, under the names of the ledger's columns.
_BESIDES = ("f1", "first_gold", "char_start", "char_end", "score", "probability")


@dataclass(frozen=True, slots=True)
class Plan:
    """What one search is for, and its limits.

    `goal`: until one answer is "right"; a number of "questions", which is `max_questions`; or until the
    interval of the ratio is at most `width` wide, a share in (0, 1], counting the answers `known` before:
    question number -> whether it was answered correctly. `deadline`: a value of time.monotonic().
    """

    goal: Goal
    max_questions: int
    round_size: int
    deadline: float
    width: float = 1.0
    known: Mapping[int, bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Round:
    """Questions that were asked at once, in order, and the seconds they took."""

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
        """Questions that count: in a search for a right answer, up to and including it."""
        return len([row for row in self.rows if row.counted])

    @property
    def right(self) -> int:
        """Right answers among those that count."""
        return len([row for row in self.rows if row.counts_as_right])

    @property
    def failed(self) -> int:
        """Questions that the model could not answer at all."""
        return len([row for row in self.rows if row.status == "failed"])


@dataclass(frozen=True, slots=True)
class Subject:
    """Who is asked, and from which questions, or other examples: all those of `source`.

    `numbers`: the index in its split of each question. `answer`, `told`, `answer_text` and `right`: see
    `tasks.opened.Opened`.
    """

    state: State
    source: Source
    questions: Sequence[Any]
    numbers: Sequence[int]
    answer: Answering[Any]
    told: Callable[[Any], Told]
    answer_text: Callable[[Mapping[str, Any]], str]
    right: str


def search(
    ledger: Ledger,
    subject: Subject,
    plan: Plan,
    seed: int,
    on_round: Callable[[Round], None],
    should_stop: Callable[[], bool],
) -> SearchResult:
    """Ask questions in random order, without replacement, until the plan's goal or a limit is reached.

    It continues the order of `seed` where the state's last search left it (see `start_search`), and ends with
    that order at the latest, so that no search asks a question twice. The order does not depend on the
    state, so states with the same history are asked the same questions. Each round
    is written to the ledger, in one transaction, before `on_round` sees it.

    Raises:
        ValueError: there are no questions.
        OSError: the ledger cannot be written; it keeps the earlier rounds.
    """
    questions = subject.questions
    if not questions:
        raise ValueError(f"the split {subject.source.split} of {subject.source.name} is empty")
    started = start_search(ledger, subject.state, subject.source, seed, plan.goal)
    order = (
        stream(seed, "asked", started.draw).permutation(len(questions))[started.first :].tolist()
    )
    rows: list[AskedQuestion] = []
    clock = time.monotonic()
    ending: Ending | None = None
    try:
        while ending is None:
            size = min(plan.round_size, plan.max_questions - len(rows))
            chosen = order[len(rows) : len(rows) + size]
            number = rows[-1].round + 1 if rows else 0
            asked = _ask_round(subject, chosen, number, len(rows))
            if plan.goal == "right":
                asked = replace(asked, rows=_up_to_first_right(asked.rows))
            rows += asked.rows
            ending = _ending(plan, rows, len(order), len(questions), should_stop)
            write_round(ledger, started, asked.rows, ending)
            on_round(asked)
    except BaseException:
        # So that a later search can continue this order. An unwritable ledger raises its own error.
        with suppress(OSError):
            end_search(ledger, started, ending or "stopped")
        raise
    return SearchResult(started, ending, tuple(rows), time.monotonic() - clock)


def _ending(
    plan: Plan,
    rows: Sequence[AskedQuestion],
    available: int,
    total: int,
    should_stop: Callable[[], bool],
) -> Ending | None:
    """Why asking ends here, or None to continue. `available`: questions left in the order at the start."""
    if plan.goal == "right" and any(row.counts_as_right for row in rows):
        return "right"
    if plan.goal == "width" and is_narrow(plan, rows):
        return "done"
    if len(rows) >= GIVE_UP_AFTER and all(row.status == "failed" for row in rows[-GIVE_UP_AFTER:]):
        return "failed"
    if len(rows) >= min(available, plan.max_questions):
        if all(row.status == "failed" for row in rows):
            return "failed"
        if plan.goal == "questions":
            return "done" if len(rows) >= plan.max_questions else "exhausted"
        is_bound = len(rows) >= plan.max_questions < total
        return "bound" if is_bound else "exhausted"
    if should_stop():
        return "stopped"
    return "bound" if time.monotonic() >= plan.deadline else None


def is_narrow(plan: Plan, rows: Sequence[AskedQuestion]) -> bool:
    """Whether the interval is as narrow as planned, with these answers added to the known ones."""
    answers = dict(plan.known)
    for row in rows:
        if row.counted and row.number is not None:
            answers[row.number] = bool(row.exact_match)
    return bool(answers) and exact_ratio(sum(answers.values()), len(answers)).width <= plan.width


def _ask_round(subject: Subject, chosen: Sequence[int], number: int, first_place: int) -> Round:
    clock = time.monotonic()
    questions = [subject.questions[i] for i in chosen]
    answers = answer_each(subject.answer, questions)
    seconds = time.monotonic() - clock
    rows = []
    for i, (index, question, answer) in enumerate(zip(chosen, questions, answers, strict=True)):
        told = subject.told(question)
        row = AskedQuestion(
            place=first_place + i,
            round=number,
            number=subject.numbers[index],
            id=told.id,
            kind=told.kind,
            question=told.text,
            golds=told.truths,
            status="failed",
            counted=False,
            reason=answer if isinstance(answer, str) else None,
            seconds=seconds / len(chosen),
        )
        rows.append(row if isinstance(answer, str) else _scored(row, answer, subject))
    return Round(number, tuple(rows), seconds)


def answer_each(answer: Answering[Any], questions: Sequence[Any]) -> list[Mapping[str, Any] | str]:
    """An answer to each question, or why there is none. Only the question that caused a failure fails.

    Questions that fail together are asked again in halves: of eight, a single bad one is found by three
    halvings, and the other seven are answered.
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
        found if _is_finite(found) else "its scores are not finite numbers" for found in answers
    ]


def _is_finite(answer: Mapping[str, Any]) -> bool:
    numbers = (answer.get(name) for name in ("score", "probability", "prediction"))
    return all(math.isfinite(number) for number in numbers if isinstance(number, float))


def _scored(row: AskedQuestion, answer: Mapping[str, Any], subject: Subject) -> AskedQuestion:
    return replace(
        row,
        status="answered",
        counted=True,
        answer=subject.answer_text(answer),
        exact_match=bool(answer[subject.right]),
        **{name: answer[name] for name in _BESIDES if name in answer},
    )


def _up_to_first_right(rows: tuple[AskedQuestion, ...]) -> tuple[AskedQuestion, ...]:
    """The rows of a round, of which those after the first right one do not count.

    A round of eight that reads - - + - + - - - counts as 1 right of 3. The search had ended there: which
    rows are dropped depends only on their place, not on their answers, so what counts stays a random order.
    Counting the whole round would read 2 of 8, and depend on the size of rounds.
    """
    first = next((i for i, row in enumerate(rows) if row.exact_match), len(rows))
    return rows[: first + 1] + tuple(replace(row, counted=False) for row in rows[first + 1 :])
