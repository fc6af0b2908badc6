"""Asks checkpoints of a run: which questions, how many searches, when to stop, and what was found."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from qa_research.efficacy.chosen import note_on_luck
from qa_research.efficacy.search import Plan, Round, SearchResult, Subject, is_narrow, search
from qa_research.efficacy.standings import Standing, standings
from qa_research.files import UTF_8
from qa_research.ledger.asked import Goal, Source, State, counted_answers
from qa_research.ledger.runs import Ledger
from qa_research.model.weights import weights_fingerprint
from qa_research.runs.named import NamedModel
from qa_research.runs.open import open_model
from qa_research.runs.places import RANDOM, start_of
from qa_research.tasks.answering.question import DROPPING, OnBadRows
from qa_research.tasks.answering.trained import (
    SPLITS,
    FileReading,
    TrainedAnswerer,
    run_questions,
)
from qa_research.tasks.opened import Examples, Opened

log = logging.getLogger(__name__)
# Questions asked at once. Few until one is right, because those after it do not count; many for a number of
# them, so that questions of similar length share a batch.
ROUND_SIZES: dict[Goal, int] = {"right": 8, "width": 64, "questions": 256}
MAX_QUESTIONS = 1000


@dataclass(frozen=True, slots=True)
class AskRequest:
    """What to ask for: `searches` for a right answer; or a number of `questions`; or a `width` in points.

    `data`: validation, train or a file of text in `encoding`. None for a limit or a size: the default.
    """

    data: str
    seed: int
    searches: int
    questions: int | None
    width: float | None
    max_questions: int | None
    max_minutes: float
    round_size: int | None
    encoding: str = UTF_8
    on_bad_rows: OnBadRows = "error"

    @property
    def goal(self) -> Goal:
        """What ends a search."""
        if self.questions is not None:
            return "questions"
        return "right" if self.width is None else "width"


@dataclass(frozen=True, slots=True)
class AskResult:
    """One checkpoint that was asked: its standing, earlier answers included, and the searches made now."""

    standing: Standing
    found: tuple[SearchResult, ...]

    def as_json(self) -> dict[str, Any]:
        """Plain values; ratios in percent."""
        return self.standing.as_json() | {"found": [asdict(found) for found in self.found]}


class Screen(Protocol):
    """Shows what happens while it happens."""

    def begin(self, subject: Subject, seed: int) -> None: ...
    def round_asked(self, asked: Round, plan: Plan) -> None: ...
    def search_ended(self, found: SearchResult, plan: Plan) -> None: ...
    def nothing_to_ask(self, standing: Standing) -> None: ...


def ask_run(
    named: NamedModel,
    checkpoints: Sequence[str],
    request: AskRequest,
    screen: Screen,
    should_stop: Callable[[], bool],
) -> list[AskResult]:
    """Ask each checkpoint of a run or a model, until all were asked, a signal, or the time is up.

    Raises:
        ValueError, OSError: the request cannot be fulfilled; raised before the first question.
    """
    deadline = time.monotonic() + 60 * request.max_minutes
    results: list[AskResult] = []
    examples: Examples[Any] | None = None
    latest: tuple[Opened[Any], Subject, list[SearchResult]] | None = None
    # Before anything slow: a ledger that cannot be written would lose all that is asked.
    with Ledger(named.ledger) as ledger:
        for checkpoint in checkpoints:
            opened = open_model(named, checkpoint)
            if examples is None:
                examples = examples_of(opened, request)
            subject = subject_of(opened, examples)
            if not results:
                _say_if_fewer(request, len(subject.questions), opened.examples)
            plan = _plan(request, len(subject.questions), deadline)
            found = _ask(ledger, subject, plan, request, screen, should_stop)
            standing = _standing(ledger, subject)
            assert standing is not None
            if not found:
                screen.nothing_to_ask(standing)
            results.append(AskResult(standing, tuple(found)))
            latest = (opened, subject, found)
            if should_stop() or time.monotonic() >= deadline:
                break
    if latest is not None and not should_stop():
        _keep(*latest)
    if left := checkpoints[len(results) :]:
        log.warning("Stopped or out of time before asking %s", ", ".join(left))
    return results


def examples_of(opened: Opened[Any], request: AskRequest) -> Examples[Any]:
    """What is asked of a run, once it is known that its answers are right or wrong.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: no answer of this task is right; or of some examples nobody said which is.
    """
    if isinstance(opened, TrainedAnswerer):
        return _questions(opened, request)
    if opened.right is None:
        raise ValueError(
            f"efficacy asks until an answer is right, and {opened.why_none_is_right}; qa-research evaluate "
            f"{opened.name} scores it"
        )
    if request.on_bad_rows != "error":
        raise ValueError(
            f"--on-bad-rows={request.on_bad_rows} is for questions; these are {opened.examples}"
        )
    if request.data in SPLITS:
        found = opened.own(request.data)
    else:
        found = opened.of_file(str(Path(request.data)), request.encoding)
    if unsaid := sum(not opened.told(row).truths for row in found.rows):
        raise ValueError(
            f"--data={Path(request.data)}: {unsaid:,} of {len(found.rows):,} {opened.examples} have no "
            "known answer; qa-research predict answers them"
        )
    return found


def _questions(opened: TrainedAnswerer, request: AskRequest) -> Examples[Any]:
    # Without `drop`, a question that is too long counts as failed when it is asked.
    tokenizer = opened.tokenizer if request.on_bad_rows in DROPPING else None
    reading = FileReading(request.encoding, request.on_bad_rows, tokenizer=tokenizer)
    found = run_questions(opened.config, opened.record, request.data, reading)
    if luck := note_on_luck(opened, found, request.data):
        log.info("%s%s", luck[0].upper(), luck[1:])
    return found


def _keep(opened: Opened[Any], subject: Subject, found: Sequence[SearchResult]) -> None:
    """Keep the telling answers of the searches made now, for the run's report."""
    if not isinstance(opened, TrainedAnswerer):
        return
    # Slow to import, and not needed to ask.
    from qa_research.capture.answers import Candidate, keep_answers

    questions = dict(zip(subject.numbers, subject.questions, strict=True))
    asked = [
        Candidate(questions[row.number], bool(row.exact_match), row.probability or 0.0)
        for one in found
        for row in one.rows
        if row.counted and row.number is not None
    ]
    source = subject.source
    keep_answers(opened, "efficacy", source.name, asked, source.split)


def subject_of(opened: Opened[Any], found: Examples[Any]) -> Subject:
    """An opened run as a subject to ask: the examples that did not choose its weights, or all if all did."""
    if "id" not in opened.record:
        raise ValueError(f"run.json of {opened.directory} is missing, or has no id")
    state = State(
        run_id=opened.record["id"],
        run=opened.name,
        step=opened.step,
        weights=weights_fingerprint(opened.network),
        pretrained=start_of(opened.config["model"]) != RANDOM if opened.is_run else None,
    )
    numbers = [
        i
        for i, row in enumerate(found.rows)
        if found.all_chose or opened.told(row).id not in found.choosing
    ]
    rows = [found.rows[i] for i in numbers]
    assert opened.right is not None
    return Subject(
        state=state,
        source=Source(
            found.name, found.split, opened.fingerprint(rows), len(rows), opened.examples
        ),
        questions=rows,
        numbers=numbers,
        answer=opened.answering_of(found.rows),
        told=opened.told,
        answer_text=opened.answer_text,
        right=opened.right,
    )


def _plan(request: AskRequest, total: int, deadline: float) -> Plan:
    goal = request.goal
    most = request.max_questions
    if most is None:
        most = MAX_QUESTIONS if goal == "right" else total
    most = min(total, most)
    if request.questions is not None:
        most = min(total, request.questions)
    return Plan(
        goal=goal,
        max_questions=most,
        round_size=request.round_size or ROUND_SIZES[goal],
        deadline=deadline,
        width=1.0 if request.width is None else request.width / 100,
    )


def _say_if_fewer(request: AskRequest, total: int, examples: str) -> None:
    if request.questions is not None and request.questions > total:
        log.info(
            "%s has %s %s, fewer than --questions %s: each is asked once",
            *(request.data, f"{total:,}", examples, f"{request.questions:,}"),
        )


def _ask(
    ledger: Ledger,
    subject: Subject,
    plan: Plan,
    request: AskRequest,
    screen: Screen,
    should_stop: Callable[[], bool],
) -> list[SearchResult]:
    """Search as often as requested; not at all where nothing is left to find out.

    That is where the interval is narrow enough already; or, for a number of questions too, where the whole
    split has been asked: a network in one state gives the same answers again.
    """
    before = _standing(ledger, subject)
    if request.questions is not None and before and before.is_whole:
        return []
    if request.width is not None and before and before.ratio:
        plan = replace(plan, known=counted_answers(ledger, subject.state, subject.source))
        if before.is_whole or is_narrow(plan, []):
            return []
    screen.begin(subject, request.seed)
    results: list[SearchResult] = []
    remaining = request.searches
    while remaining:
        found = search(
            ledger,
            subject,
            plan,
            request.seed,
            lambda asked: screen.round_asked(asked, plan),
            should_stop,
        )
        screen.search_ended(found, plan)
        results.append(found)
        gave_up = found.ending in ("stopped", "failed")
        if gave_up or should_stop() or time.monotonic() >= plan.deadline:
            break
        # A search that only had the rest of an order and found nothing continues in the next order.
        had_only_a_rest = found.ending == "exhausted" and found.search.first > 0
        if not (had_only_a_rest and plan.goal == "right"):
            remaining -= 1
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
