"""Minimal pairs of the built-in corpus: the same notice and question, but of another group, so that another
answer is right.
"""

import re
from dataclasses import dataclass
from functools import cache

from qa_research.streams import stream
from qa_research.tasks.answering.corpus import KINDS, SUBJECT, asked_for
from qa_research.tasks.answering.question import Gold, Question


@dataclass(frozen=True, slots=True)
class StatedFact:
    """A fact of a notice: its subject, such as `group K`, its value, and the character where that starts."""

    subject: str
    value: str
    start: int


def counterpart(question: Question, seed: int) -> Question | None:
    """The same question about another group of its notice, drawn with `seed` where there are several.

    Its id says the group, too. None: it is not about a notice, or no other group has a fact of the kind that
    is asked for, as of every `lookup` question.

    Example: the notice says "Group B meets in the barn. The place for group K is the attic." Then "Where does
    group B meet?" (the barn) has the counterpart "Where does group K meet?" (the attic).
    """
    kind, asked = asked_for(question.question), SUBJECT.search(question.question)
    if not kind or asked is None:
        return None
    facts = stated_facts(question.context, kind)
    others = [fact for fact in facts if fact.subject != asked[0]]
    if len(others) != len(facts) - 1 or not others:
        return None
    other = others[stream(seed, f"counterpart/{question.id}").permutation(len(others))[0]]
    return Question(
        id=f"{question.id}, of {other.subject}",
        title=question.title,
        context=question.context,
        question=SUBJECT.sub(other.subject, question.question),
        answers=(Gold(other.value, other.start),),
        kind=question.kind,
    )


def stated_facts(context: str, kind: str) -> list[StatedFact]:
    """The facts of one of KINDS that a notice states, in the order of the text."""
    found = [
        StatedFact(match["s"][0].lower() + match["s"][1:], match["v"], match.start("v"))
        for pattern in _patterns(kind)
        for match in pattern.finditer(context)
    ]
    return sorted(found, key=lambda fact: fact.start)


@cache
def _patterns(kind: str) -> list[re.Pattern[str]]:
    """What finds each way to state a fact; a statement begins with a capital, whatever comes first."""
    values = "|".join(map(re.escape, KINDS[kind].values))
    slots = {"{s}": "(?P<s>[Gg]roup [A-Z])", "{v}": f"(?P<v>{values})"}
    patterns = []
    for statement in KINDS[kind].statements:
        parts = [slots.get(part, re.escape(part)) for part in re.split(r"(\{[sv]\})", statement)]
        patterns.append(re.compile(r"(?<!\w)" + "".join(parts)))
    return patterns
