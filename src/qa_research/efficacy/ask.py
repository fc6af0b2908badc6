"""Runs that are asked until they know: which states, which questions, how often, and what was found."""

import logging
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from qa_research.efficacy.search import Plan, Round, SearchResult, Subject, is_narrow, search
from qa_research.efficacy.standings import Standing, standings
from qa_research.ledger.asked import Goal, Source, State, counted_answers
from qa_research.ledger.runs import Ledger
from qa_research.model.weights import weights_fingerprint
from qa_research.runs.index import ledger_path
from qa_research.runs.open import open_run
from qa_research.tasks.answering.question import Question
from qa_research.tasks.answering.trained import TrainedAnswerer, name_of, questions_of
from qa_research.tasks.answering.windows import fingerprint

log = logging.getLogger(__name__)
# Questions asked at once. Until one is right few, for what is asked after it does not count; a number of
# them many, so that questions of one length find each other.
ROUND_SIZES: dict[Goal, int] = {"right": 8, "width": 64, "questions": 256}
MOST_QUESTIONS = 1000


@dataclass(frozen=True, slots=True)
class AskRequest:
    """What is asked for. `searches` for a right answer; or a number of `questions`; or a `width` in points.

    `data`: validation, train or a file. None for a bound or size: the usual one.
    """

    data: str
    seed: int
    searches: int
    questions: int | None
    width: float | None
    max_questions: int | None
    max_minutes: float
    round_size: int | None

    @property
    def goal(self) -> Goal:
        """What ends a search."""
        if self.questions is not None:
            return "questions"
        return "right" if self.width is None else "width"


class Screen(Protocol):
    """Who is told what happens."""

    def begin(self, subject: Subject, seed: int) -> None: ...
    def round(self, asked: Round, plan: Plan) -> None: ...
    def found(self, found: SearchResult, plan: Plan) -> None: ...
    def already(self, standing: Standing) -> None: ...


def ask_run(
    directory: Path,
    checkpoints: Sequence[str],
    wish: AskRequest,
    screen: Screen,
    should_stop: Callable[[], bool],
) -> list[tuple[Standing, list[SearchResult]]]:
    """Ask each checkpoint of a run; the standing of each, with what is in the ledger from before.

    Raises:
        ValueError, OSError: what was wished for cannot be had; said before the first question.
    """
    deadline = time.monotonic() + 60 * wish.max_minutes
    results = []
    questions: list[Question] = []
    # Before anything slow: a ledger that cannot be written would lose all that is asked.
    with Ledger(ledger_path(directory)) as ledger:
        for checkpoint in checkpoints:
            opened = open_run(directory, checkpoint)
            questions = questions or questions_of(opened.config, opened.record, wish.data)
            subject = subject_of(opened, questions, wish.data)
            plan = _plan(wish, len(questions), deadline)
            found = _ask(ledger, subject, plan, wish, screen, should_stop)
            standing = _standing(ledger, subject)
            assert standing is not None
            if not found:
                screen.already(standing)
            results.append((standing, found))
            if should_stop() or time.monotonic() >= deadline:
                break
    if left := checkpoints[len(results) :]:
        log.warning("Not asked, for it was stopped or out of time: %s", ", ".join(left))
    return results


def subject_of(opened: TrainedAnswerer, questions: Sequence[Question], data: str) -> Subject:
    """An opened run as one to ask."""
    name, split = name_of(opened.config, data)
    directory = Path(os.path.abspath(opened.directory))
    if "id" not in opened.record:
        raise ValueError(f"run.json of {directory} is missing, or has no id")
    state = State(
        run_id=opened.record["id"],
        run=f"{directory.parent.name}/{directory.name}",
        step=opened.step,
        weights=weights_fingerprint(opened.network),
        pretrained=opened.config["model"]["weights"] != "random",
    )
    source = Source(name, split, fingerprint(questions), len(questions))
    return Subject(state, source, questions, opened.answer)


def _plan(wish: AskRequest, total: int, deadline: float) -> Plan:
    goal = wish.goal
    if wish.questions is not None and wish.questions > total:
        raise ValueError(f"--questions {wish.questions}, but there are only {total} in {wish.data}")
    usual = MOST_QUESTIONS if goal == "right" else total
    most = min(total, wish.max_questions if wish.max_questions is not None else usual)
    if wish.questions is not None:
        if wish.questions > most:
            raise ValueError(f"--questions {wish.questions} is more than --max-questions {most}")
        most = wish.questions
    return Plan(
        goal=goal,
        max_questions=most,
        round_size=wish.round_size or ROUND_SIZES[goal],
        deadline=deadline,
        width=1.0 if wish.width is None else wish.width / 100,
    )


def _ask(
    ledger: Ledger,
    subject: Subject,
    plan: Plan,
    wish: AskRequest,
    screen: Screen,
    should_stop: Callable[[], bool],
) -> list[SearchResult]:
    before = _standing(ledger, subject)
    if wish.width is not None and before and before.ratio:
        known = counted_answers(ledger, subject.state, subject.source)
        plan = replace(plan, known=known)
        if before.is_whole or is_narrow(plan, []):
            return []
    screen.begin(subject, wish.seed)
    results = []
    left = wish.searches
    while left:
        found = search(
            ledger, subject, plan, wish.seed, lambda asked: screen.round(asked, plan), should_stop
        )
        screen.found(found, plan)
        results.append(found)
        if (
            found.ending in ("stopped", "failed")
            or should_stop()
            or time.monotonic() >= plan.deadline
        ):
            break
        # Where an order ended before anything was right, another one is gone on with.
        left -= not (found.ending == "exhausted" and found.search.first and plan.goal == "right")
    return results


def _standing(ledger: Ledger, subject: Subject) -> Standing | None:
    """What the ledger has of this state on this source."""
    try:
        known = standings(ledger, subject.state.run_id)
    except FileNotFoundError:
        return None
    wanted = (subject.state.weights, subject.state.step, subject.source)
    for standing in known:
        if (standing.state.weights, standing.state.step, standing.source) == wanted:
            return standing
    return None
