"""A question: one row of a SQuAD-like data set, and the checks that every row must pass."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

# What is done about rows that cannot be used: refuse, leave them out, put answers where they stand, or put
# those where they stand that can be, and leave the others out.
OnBadRows = Literal["error", "drop", "move", "move_or_drop"]
MOVING = ("move", "move_or_drop")
DROPPING = ("drop", "move_or_drop")
# How many of them a sentence names.
BAD_ROWS_SHOWN = 3
# The start of an answer whose data do not say where it stands; asking and scoring need none.
NOT_SAID = -2
QUESTION_WORDS = ("what", "who", "whom", "whose", "when", "where", "which", "why", "how")


@dataclass(frozen=True, slots=True)
class Gold:
    """A correct answer: its text, and the character of the context at which it starts, or NOT_SAID."""

    text: str
    start: int


@dataclass(frozen=True, slots=True)
class Question:
    """One question with its context and its correct answers (none: the context does not answer it).

    `kind` groups questions in reports: `lookup` or `match` in the built-in corpus; in other data the
    first question word of the text, or `other`. `is_labelled`: whether its data say what the answer is;
    if not, there are no answers. `fault`: what of its data cannot be read, or cannot both be true, if
    anything; texts that cannot be read are empty.
    """

    id: str
    title: str
    context: str
    question: str
    answers: tuple[Gold, ...]
    kind: str
    is_labelled: bool = True
    fault: str = ""


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that cannot be used: its position, its id, and why."""

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


def asked_question(question: str, context: str) -> Question:
    """A question that somebody asks about a text; it has no answers to be scored with.

    Raises:
        ValueError: one of the two is empty, or is not valid Unicode.
    """
    row = Question("asked", "", context, question, (), question_word(question), is_labelled=False)
    if not question.strip() or not context.strip():
        raise ValueError(f"the {'context' if question.strip() else 'question'} is empty")
    if reason := _fault(row):
        raise ValueError(f"the question cannot be asked: {reason}")
    return row


def find_bad_rows(questions: Iterable[Question], for_training: bool = True) -> list[BadRow]:
    """Rows with an empty or broken text, unreadable or contradictory values, or the id of an earlier row.

    Training also needs answers, and each of them at its offset; asking and scoring do not.
    """
    bad: list[BadRow] = []
    seen: set[str] = set()
    for position, row in enumerate(questions):
        reason = _fault(row) or ("duplicate id" if row.id in seen else None)
        if for_training and not reason:
            reason = _fault_of_label(row)
        seen.add(row.id)
        if reason:
            bad.append(BadRow(position, readable(row.id), reason))
    return bad


def is_at_offset(context: str, gold: Gold) -> bool:
    """Whether the answer stands in the context where it says."""
    return gold.start >= 0 and context.startswith(gold.text, gold.start)


def count_misplaced(questions: Iterable[Question]) -> int:
    """How many questions have an answer that is not at its offset."""
    return sum(
        not all(is_at_offset(row.context, gold) for gold in row.answers) for row in questions
    )


@dataclass(frozen=True, slots=True)
class Shared:
    """How many validation questions are training questions, too.

    `ids`: have the id of one; `questions`: ask the same of the same context; `contexts`: have the context
    of one. `either`: the first or the second.
    """

    ids: int
    questions: int
    contexts: int
    either: int

    def sentence(self, total: int) -> str | None:
        """What a person should know before training, of `total` questions; None if nothing is shared."""
        if not (self.either or self.contexts):
            return None
        return (
            f"{self.either:,} of {total:,} validation questions are training questions too ({self.ids:,} by "
            f"id, {self.questions:,} by text), and {self.contexts:,} have the context of one; scores on them "
            "do not tell what is learned for others (data.validate_on_train=true says that this is wanted)"
        )


def shared_with(train: Sequence[Question], validation: Sequence[Question]) -> Shared:
    """What validation shares with training; texts are compared without regard to case and blanks.

    An id that is a plain number counts only with the same question: it may be a row's number in two files.
    """
    # Many questions have one context.
    plain = cache(plain_text)
    by_id = {row.id: plain(row.question) for row in train}
    asked = {(plain(row.context), plain(row.question)) for row in train}
    contexts = {context for context, _ in asked}
    ids = [
        row.id in by_id and (not row.id.isdecimal() or by_id[row.id] == plain(row.question))
        for row in validation
    ]
    texts = [(plain(row.context), plain(row.question)) for row in validation]
    same = [text in asked for text in texts]
    return Shared(
        ids=sum(ids),
        questions=sum(same),
        contexts=sum(context in contexts for context, _ in texts),
        either=sum(map(max, ids, same)),
    )


def plain_text(text: str) -> str:
    """The text as it is compared, without regard to case and blanks."""
    return " ".join(text.casefold().split())


def readable(text: str) -> str:
    """The text with halves of characters as escapes, so that it can be printed and stored.

    >>> readable("a\\ud83d")
    'a\\\\ud83d'
    """
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _fault(row: Question) -> str | None:
    for name, text in _texts(row):
        if not text.isascii() and (place := _half_character(text)) is not None:
            return (
                f"its {name} has half a character ({text[place]!a} at {place}, a lone surrogate), which is "
                "not valid Unicode"
            )
    if row.fault:
        return readable(row.fault)
    if not row.context.strip():
        return "empty context"
    if not row.question.strip():
        return "empty question"
    return None


def _texts(row: Question) -> Iterator[tuple[str, str]]:
    yield from (("id", row.id), ("title", row.title))
    yield from (("context", row.context), ("question", row.question))
    yield from (("answer", gold.text) for gold in row.answers)


def _half_character(text: str) -> int | None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return error.start
    return None


def _fault_of_label(row: Question) -> str | None:
    if not row.is_labelled:
        return "it has no 'answers'"
    for gold in row.answers:
        if not gold.text:
            return "empty answer"
        if gold.start == NOT_SAID:
            return f"answer {gold.text!r} has no answer_start"
        if not is_at_offset(row.context, gold):
            found = row.context[max(gold.start, 0) : max(gold.start, 0) + len(gold.text)]
            return f"answer {gold.text!r} is not at character {gold.start} (found {found!r})"
    return None


def describe_bad_rows(bad: Sequence[BadRow], limit: int = BAD_ROWS_SHOWN) -> str:
    """The first `limit` bad rows as text, and how many more there are."""
    text = "; ".join(f"{row.id}: {row.reason}" for row in bad[:limit])
    return text + (f"; and {len(bad) - limit} more" if len(bad) > limit else "")
