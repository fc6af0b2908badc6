"""Which questions were answered wrongly, the most confident first: a list, a CSV file, on the screen."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from qa_research.console import Screen, styled
from qa_research.tasks.answering.decode import Answer
from qa_research.tasks.answering.question import Question
from qa_research.tasks.answering.score import QuestionScore
from qa_research.text import csv_line, plural, print_line

MISTAKES = "mistakes.csv"
COLUMNS = (
    *("id", "kind", "question", "expected", "given"),
    *("probability", "exact_match", "f1", "chose"),
)
NO_ANSWER = "(no answer)"
# Between several right answers.
OR = " | "
# Columns of the screen: a terminal has at least as many.
WIDTH, LABEL = 80, 12


@dataclass(frozen=True, slots=True)
class Mistake:
    """A question whose answer is no exact match, not even of one of several right ones.

    `expected`: the right answers, each once; none: the text does not answer it. `probability`: of the answer
    `given`, an empty one being "no answer". `chose`: whether the question chose the checkpoint.
    """

    id: str
    kind: str
    question: str
    expected: tuple[str, ...]
    given: str
    probability: float
    exact_match: float
    f1: float
    chose: bool

    def as_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in COLUMNS}


def find_mistakes(
    questions: Sequence[Question],
    answers: Sequence[Answer],
    scores: Mapping[str, QuestionScore],
    choosing: frozenset[str],
) -> list[Mistake]:
    """The questions with an exact match of 0, by falling probability of the answer given."""
    found = []
    for row, answer in zip(questions, answers, strict=True):
        score = scores[row.id]
        if score.exact_match:
            continue
        found.append(
            Mistake(
                id=row.id,
                kind=row.kind,
                question=row.question,
                expected=tuple(dict.fromkeys(gold.text for gold in row.answers)),
                given=answer.text,
                probability=answer.probability,
                exact_match=score.exact_match,
                f1=score.f1,
                chose=row.id in choosing,
            )
        )
    return sorted(found, key=lambda mistake: -mistake.probability)


def mistakes_csv(mistakes: Sequence[Mistake]) -> Iterator[str]:
    """A header, and a line for each mistake."""
    yield csv_line(COLUMNS)
    for mistake in mistakes:
        row = mistake.as_json()
        yield csv_line((row | {"expected": OR.join(mistake.expected)}).values())


def show_mistakes(mistakes: Sequence[Mistake], count: int) -> None:
    """The first `count` on stdout, each a few lines of at most WIDTH columns."""
    if not mistakes:
        return
    total = plural(len(mistakes), "wrong answer")
    shown = mistakes[:count]
    which = "" if len(shown) == len(mistakes) else f"the {len(shown):,} most confident of "
    print_line(f"\n{which}{total}, by probability:")
    for number, mistake in enumerate(shown, start=1):
        print_line()
        _show_part(f"{number}. {mistake.probability:.3f}", f"{mistake.id} ({mistake.kind})")
        _show_part("question", mistake.question)
        _show_part("expected", OR.join(mistake.expected) or NO_ANSWER)
        _show_part("given", mistake.given or NO_ANSWER)


def _show_part(label: str, text: str) -> None:
    """A label and the text beside it, folded at blanks."""
    lines = styled(text, lines=False).wrap(Screen(), WIDTH - LABEL)
    for number, line in enumerate(lines):
        # Wide characters take two columns, which rich counts.
        print_line(f"{'' if number else label:<{LABEL}}{line.plain.rstrip()}")
