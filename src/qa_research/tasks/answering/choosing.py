"""Which validation questions choose the best weights and end a training; scores are claimed on the others.

The best of many validations was partly lucky on the questions that chose it, and the more validations there
were, the luckier. So a share of them chooses, and a score is told of those that chose nothing.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence, Set

from qa_research.tasks.answering.question import Question, plain_text
from qa_research.tasks.dividing import drawn_groups
from qa_research.text import plural

# So few are not divided: a fifth of them would choose almost at random.
FEWEST_TO_DIVIDE = 100
DIGITS = 16


def choosing_ids(questions: Sequence[Question], share: float, seed: int) -> frozenset[str]:
    """The ids of those that choose: about `share` of the questions, in whole contexts; or of all of them.

    Which contexts choose depends on their text and `seed` only, so trainings of any model, vocabulary and
    seed agree. All choose with a share of 1, fewer than FEWEST_TO_DIVIDE questions, or a single context.

    Example: contexts with 60, 50, 30 and 10 questions, in the order of their draw, and a share of 0.2, which
    is 30 of 150. One context always chooses: 60. Each further one would lead away from 30. So 60 choose.
    """
    sizes = Counter(row.context for row in questions)
    if share == 1 or len(questions) < FEWEST_TO_DIVIDE or len(sizes) == 1:
        return frozenset(row.id for row in questions)
    chosen = drawn_groups(sizes, share, seed, "choosing")
    return frozenset(row.id for row in questions if row.context in chosen)


def divided(
    questions: Sequence[Question], share: float, seed: int
) -> tuple[list[Question], list[Question]]:
    """The questions of one file to train on, and about `share` of them, in whole contexts, to validate on.

    Which contexts these are depends on their text and `seed` only. Contexts that differ in case and blanks
    alone are one.

    Raises:
        ValueError: all are about one context.
    """
    contexts = [plain_text(row.context) for row in questions]
    sizes = Counter(contexts)
    if len(sizes) < 2:
        raise ValueError(
            "all questions are about one context, and a context is never on both sides"
        )
    drawn = drawn_groups(sizes, share, seed, "validation")
    train: list[Question] = []
    validation: list[Question] = []
    for row, context in zip(questions, contexts, strict=True):
        (validation if context in drawn else train).append(row)
    return train, validation


def those_left(choosing: frozenset[str], questions: Iterable[Question]) -> frozenset[str]:
    """Which of the `questions` choose after some were left out; all of them if no other division is left."""
    left = frozenset(row.id for row in questions)
    return choosing & left if choosing & left and left - choosing else left


def note_on_choosing(
    questions: Sequence[Question], ids: Set[str], contexts: Set[str]
) -> str | None:
    """A sentence on those of other `questions` that chose a checkpoint; None if none did.

    `ids`, `contexts`: of the questions that chose it, the latter as digests. An id that is a plain number
    counts only with the same context: it may be a row's number in two files.
    """
    same_context = [context_digest(row.context) in contexts for row in questions]
    same_id = [
        row.id in ids and (not row.id.isdecimal() or is_known)
        for row, is_known in zip(questions, same_context, strict=True)
    ]
    either = sum(map(max, same_id, same_context))
    if not either:
        return None
    return (
        f"{either:,} of {plural(len(questions), 'question')} chose the best weights, or have a context of "
        f"questions that did ({sum(same_id):,} by id, {sum(same_context):,} by context), so their scores are "
        "partly luck"
    )


def context_digest(context: str) -> str:
    """So many digits of a context's sha256 that they tell it from others: its name in predictions."""
    return hashlib.sha256(context.encode()).hexdigest()[:DIGITS]
