"""A question: one row of a SQuAD-like data set, and the checks that every row must pass."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

QUESTION_WORDS = ("what", "who", "whom", "whose", "when", "where", "which", "why", "how")


@dataclass(frozen=True, slots=True)
class Gold:
    """A correct answer: its text, and the character of the context at which it starts."""

    text: str
    start: int


@dataclass(frozen=True, slots=True)
class Question:
    """One question with its context and its correct answers (none: the context does not answer it).

    `kind` groups questions in reports: `lookup` or `match` in the built-in corpus; in other data the
    first question word of the text, or `other`.
    """

    id: str
    title: str
    context: str
    question: str
    answers: tuple[Gold, ...]
    kind: str


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that cannot be used for training or scoring: its position, its id, and why."""

    position: int
    id: str
    reason: str


def texts_of(questions: Iterable[Question]) -> Iterator[str]:
    """Every context and every question, as a tokenizer is trained on them; repeats included."""
    for row in questions:
        yield row.context
        yield row.question


def question_word(text: str) -> str:
    """The first question word in `text`, lower case, or `other` ("In what year ...?" is `what`)."""
    for word in text.lower().replace("?", " ").replace(",", " ").split():
        stem = word.removesuffix("'s").removesuffix("’s")
        if stem in QUESTION_WORDS:
            return {"whom": "who", "whose": "who"}.get(stem, stem)
    return "other"


def find_bad_rows(questions: Iterable[Question]) -> list[BadRow]:
    """Rows with an empty text, an answer that is not at its offset, or the id of an earlier row."""
    bad: list[BadRow] = []
    seen: set[str] = set()
    for position, row in enumerate(questions):
        reason = _fault(row)
        if row.id in seen:
            reason = "duplicate id"
        seen.add(row.id)
        if reason:
            bad.append(BadRow(position, row.id, reason))
    return bad


def _fault(row: Question) -> str | None:
    if not row.context.strip():
        return "empty context"
    if not row.question.strip():
        return "empty question"
    for gold in row.answers:
        if not gold.text:
            return "empty answer"
        found = row.context[max(gold.start, 0) : max(gold.start, 0) + len(gold.text)]
        if gold.start < 0 or found != gold.text:
            return f"answer {gold.text!r} is not at character {gold.start} (found {found!r})"
    return None


def describe_bad_rows(bad: Sequence[BadRow], limit: int) -> str:
    """The first `limit` bad rows as text, and how many more there are."""
    text = "; ".join(f"{row.id}: {row.reason}" for row in bad[:limit])
    return text + (f"; and {len(bad) - limit} more" if len(bad) > limit else "")
