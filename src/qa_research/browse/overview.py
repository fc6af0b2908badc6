"""A set of questions in numbers, and these on stdout: lengths, kinds, answers, repetitions, faults."""

import math
import statistics
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qa_research.tasks.answering.question import (
    BadRow,
    Question,
    count_misplaced,
    describe_bad_rows,
    find_bad_rows,
)
from qa_research.text import plural, print_line

if TYPE_CHECKING:
    from qa_research.tasks.answering.labels import Exactness

CountTokens = Callable[[Sequence[str]], list[int]]
BAD_ROWS_SHOWN = 5
KINDS_SHOWN = 12


@dataclass(frozen=True, slots=True)
class Spread:
    """The spread of some integers; 95 % of them are at most `percentile_95`."""

    minimum: int
    median: float
    mean: float
    percentile_95: int
    maximum: int


@dataclass(frozen=True, slots=True)
class Repeated:
    """How many values occur more than once, and how many questions have one of them."""

    values: int
    questions: int


@dataclass(frozen=True)
class Overview:
    """A set of questions in numbers.

    `lengths`: a spread by text (question; context, each distinct one once; first answer) and by unit
    (characters, words, tokens). `kinds`: questions of each kind, the most frequent first.
    `answers_per_question` and `distinct_answers_per_question`: number of gold answers (0: unanswerable)
    -> number of questions with that many. `distinct_answers`: different answers in the whole set.
    `unlabelled`: questions of which the data do not say whether they have an answer. `repeated`: by what
    is repeated, an id, question and context, a question, or a context. `misplaced`: questions with an
    answer that is not at its offset.
    """

    questions: int
    contexts: int
    titles: int
    unanswerable: int
    unlabelled: int
    lengths: dict[str, dict[str, Spread]]
    kinds: dict[str, int]
    answers_per_question: dict[int, int]
    distinct_answers_per_question: dict[int, int]
    distinct_answers: int
    repeated: dict[str, Repeated]
    misplaced: int
    bad_rows: list[BadRow]


def overview(questions: Sequence[Question], count_tokens: CountTokens | None) -> Overview:
    """The numbers of a set of questions; lengths in tokens if something can count them.

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
        unanswerable=sum(row.is_labelled and not row.answers for row in questions),
        unlabelled=sum(not row.is_labelled for row in questions),
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
        misplaced=count_misplaced(questions),
        bad_rows=find_bad_rows(questions),
    )


def spread(values: Sequence[int]) -> Spread:
    """The spread of at least one number."""
    # The 95 % point is the smallest value that 95 % of the values do not exceed: of 20 values the 19th.
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


def show_overview(found: Overview, where: str, tokenizer: str | None) -> None:
    """Print counts, a table of lengths, then kinds, answers, repetitions and faults.

    `where`: which questions these are. `tokenizer`: what counted the tokens.
    """
    print_line(
        f"{where}: {plural(found.questions, 'question')}, {plural(found.contexts, 'context')}, "
        f"{plural(found.titles, 'title')}\n"
    )
    print_line(
        f"{'length of':<14}{'in':<12}{'min':>8}{'median':>10}{'mean':>10}{'95 %':>8}{'max':>8}"
    )
    for name, by_unit in found.lengths.items():
        for i, (unit, spread) in enumerate(by_unit.items()):
            print_line(f"{'' if i else name:<14}{unit:<12}{_numbers(spread)}")
    print_line("each context counts once, however many questions it has", end="")
    print_line(f"; tokens are those of {tokenizer}\n" if tokenizer else "\n")
    kinds = [f"{kind} {_share(n, found.questions)}" for kind, n in found.kinds.items()]
    more = f", and {len(kinds) - KINDS_SHOWN} more" if len(kinds) > KINDS_SHOWN else ""
    print_line(f"kinds             {', '.join(kinds[:KINDS_SHOWN])}{more}")
    print_line(f"unanswerable      {_share(found.unanswerable, found.questions)}")
    if found.unlabelled:
        print_line(f"not labelled      {_share(found.unlabelled, found.questions)}: no 'answers'")
    print_line(f"gold answers      {_histogram_lines(found.answers_per_question)}")
    print_line(f"distinct          {_histogram_lines(found.distinct_answers_per_question)}")
    print_line(f"                  {found.distinct_answers:,} distinct answers in total")
    for i, (what, repeated) in enumerate(found.repeated.items()):
        print_line(f"{'' if i else 'repeated':<18}{_repeated_lines(what, repeated)}")
    print_line(
        f"misplaced         {plural(found.misplaced, 'question')} with an answer not at its offset"
    )
    bad = describe_bad_rows(found.bad_rows, BAD_ROWS_SHOWN)
    shown = f": {bad}" if bad else ""
    print_line(f"unusable          {plural(len(found.bad_rows), 'question')}{shown}")


def show_exactness(found: "Exactness", max_answer_tokens: int) -> None:
    """Print how many first gold answers a model could not give exactly, and what its vocabulary misses."""
    said = found.sentences("first gold", max_answer_tokens)
    if not found.answers:
        said.insert(0, "none: no question has an answer at its offset")
    elif not found.count:
        every = f"all {found.answers:,} first gold answers can be given exactly; the longest has "
        said.insert(0, f"{every}{plural(found.longest, 'token')}")
    for i, sentence in enumerate(said):
        print_line(f"{'' if i else 'exact answers':<18}{sentence}")


def _numbers(spread: Spread) -> str:
    return (
        f"{spread.minimum:>8,}{spread.median:>10,.1f}{spread.mean:>10,.1f}"
        f"{spread.percentile_95:>8,}{spread.maximum:>8,}"
    )


def _histogram_lines(counts: dict[int, int]) -> str:
    return ", ".join(f"{number} for {plural(n, 'question')}" for number, n in counts.items())


def _repeated_lines(what: str, repeated: Repeated) -> str:
    if not repeated.values:
        return f"{what}: none"
    return f"{what}: {repeated.values:,}, in {repeated.questions:,} questions"


def _share(number: int, total: int) -> str:
    return f"{number:,} ({100 * number / total:.1f} %)"
