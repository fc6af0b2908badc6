"""The built-in corpus: notices of an invented school in SQuAD's form, generated from a seed.

There are two kinds of questions. `lookup`: only one fact of the context has this kind of answer, so it is
enough to understand what is asked for. `match`: at least three facts have it, so the subject of the
question must be matched with the subject of the fact; a model that cannot do that has to guess.
"""

import random
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from qa_research.streams import stream_seed
from qa_research.tasks.answering.question import Gold, Question


@dataclass(frozen=True, slots=True)
class FactKind:
    """One kind of fact: the values it may have, ways to state it and ways to ask for it."""

    values: tuple[str, ...]
    statements: tuple[str, ...]
    questions: tuple[str, ...]


def _listed(text: str) -> tuple[str, ...]:
    return tuple(text.split(", "))


# Letters, because a pretrained model cannot match them by meaning.
SUBJECTS = tuple(f"group {letter}" for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ")

_NAMES = _listed(
    "Alder, Birch, Calder, Dunn, Ekman, Farrow, Galt, Hale, Ibsen, Jarvis, Keller, Lund, Marsh, Nash, Obi, "
    "Price, Quill, Reeve, Sato, Thorne, Underhill, Varga, Wolf, Yates, Zeller, Okafor, Moreau, Petrov"
)
_TITLES = ("Ms", "Mr", "Dr")

KINDS: dict[str, FactKind] = {
    "teacher": FactKind(
        tuple(f"{_TITLES[i % 3]} {name}" for i, name in enumerate(_NAMES)),
        (
            "{v} teaches {s}.",
            "{s} is taught by {v}.",
            "The teacher for {s} is {v}.",
            "This year {v} leads {s}.",
        ),
        (
            "Who teaches {s}?",
            "Who is the teacher for {s}?",
            "By whom is {s} taught?",
            "Which teacher leads {s}?",
        ),
    ),
    "room": FactKind(
        _listed(
            "the boathouse, the north hall, the library, the old chapel, the green room, the cellar, "
            "the east wing, the workshop, the greenhouse, the tower, the long gallery, the courtyard, "
            "the barn, the music room, the attic"
        ),
        (
            "{s} meets in {v}.",
            "The place for {s} is {v}.",
            "Come to {v} for {s}.",
            "{s} is held in {v}.",
        ),
        (
            "Where does {s} meet?",
            "Where is {s} held?",
            "In which place is {s}?",
            "Where do I go for {s}?",
        ),
    ),
    "day": FactKind(
        _listed("Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday"),
        (
            "{s} is on {v}.",
            "{v} is the day for {s}.",
            "Every {v} you find {s} here.",
            "{s} runs each {v}.",
        ),
        (
            "On which day is {s}?",
            "What day does {s} run?",
            "Which day of the week is {s}?",
            "What is the day for {s}?",
        ),
    ),
    "time": FactKind(
        tuple(
            f"{part} {hour}"
            for hour in ("eight", "nine", "ten", "one", "two", "three", "four", "five")
            for part in ("half past", "a quarter to", "a quarter past")
        ),
        (
            "{s} starts at {v}.",
            "At {v} {s} begins.",
            "The hour for {s} is {v}.",
            "Be there at {v} for {s}.",
        ),
        (
            "At what time does {s} start?",
            "When does {s} begin?",
            "What is the hour for {s}?",
            "What time is {s}?",
        ),
    ),
    "fee": FactKind(
        tuple(f"{n} crowns" for n in range(5, 65, 3)),
        (
            "{s} costs {v}.",
            "The fee for {s} is {v}.",
            "Pay {v} for {s}.",
            "For {s} we ask {v}.",
        ),
        (
            "How much does {s} cost?",
            "What is the fee for {s}?",
            "What do I pay for {s}?",
            "What is the price of {s}?",
        ),
    ),
    "seats": FactKind(
        tuple(f"{n} pupils" for n in range(6, 46, 2)),
        (
            "{s} has room for {v}.",
            "At most {v} may join {s}.",
            "{s} takes {v}.",
            "There is space for {v} in {s}.",
        ),
        (
            "How many may join {s}?",
            "How many does {s} take?",
            "How many is there space for in {s}?",
            "What is the size of {s}?",
        ),
    ),
    "bring": FactKind(
        _listed(
            "a towel, a ruler, a straw hat, an apron, a torch, two pencils, a rope, warm gloves, a notebook, "
            "a jar, clean shoes, a scarf, a basket, a mug"
        ),
        (
            "Bring {v} to {s}.",
            "For {s} everyone needs {v}.",
            "{s} requires {v}.",
            "Do not forget {v} when you come to {s}.",
        ),
        (
            "What should I bring to {s}?",
            "What does {s} require?",
            "What does everyone need for {s}?",
            "What must not be forgotten for {s}?",
        ),
    ),
    "month": FactKind(
        _listed(
            "January, February, March, April, May, June, July, August, September, October, November, "
            "December"
        ),
        (
            "{s} opens in {v}.",
            "From {v} on you may join {s}.",
            "The first month for {s} is {v}.",
            "We offer {s} from {v}.",
        ),
        (
            "In which month does {s} open?",
            "What is the first month for {s}?",
            "From which month on may I join {s}?",
            "Which month does {s} open in?",
        ),
    ),
}

# Of a question or in the middle of a sentence: one that begins a sentence has a capital.
SUBJECT = re.compile(r"\bgroup [A-Z]\b")
_ASKING = {form: name for name, kind in KINDS.items() for form in kind.questions}

ASIDES = (
    "All are welcome.",
    "Please read this notice with care.",
    "The bell will ring twice before the start.",
    "Questions may be put to the office.",
    "Leave your coat on the hooks by the door.",
    "Those who are late wait outside until called.",
    "The canteen sells soup and bread as usual.",
    "Bicycles belong in the shed and nowhere else.",
    "Lost things are kept in the porter's box.",
    "Parents may watch from the back row.",
    "Changes will be pinned to this board.",
    "The heating is being repaired, so dress well.",
    "Visitors sign the book at the gate.",
    "Nobody needs to be good at it to take part.",
    "The headmistress wishes everyone a fine term.",
    "Dogs stay at home, even small ones.",
    "A list of names hangs next to the stairs.",
    "The old timetable is no longer valid.",
)


TRAIN_QUESTIONS = 20_000
VALIDATION_QUESTIONS = 1_000
QUESTIONS_PER_NOTICE = 2
LONG_NOTICE_SHARE = 0.02
LONG_NOTICE_ASIDES = 16


@dataclass(frozen=True, slots=True)
class Fact:
    """A statement of a notice: the text `before` its value, the value, and the text `after` it."""

    kind: str
    subject: str
    value: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Corpus:
    """Both splits, which have no context in common.

    `chances`: of each question, by its id, that a guesser is right who recognizes the kind of answer and
    picks one of the candidates at random. `facts`: how many the notice of each question states.
    """

    train: list[Question]
    validation: list[Question]
    chances: dict[str, float]
    facts: dict[str, int]

    @property
    def guessing(self) -> dict[str, float]:
        """The guesser's exact match on all validation questions."""
        return guessing(self.validation, self.chances)


def generate(seed: int) -> Corpus:
    """20,000 training and 1,000 validation questions, half of each `match`; equal for equal seeds."""
    contexts: set[str] = set()
    validation = _split(seed, "validation", VALIDATION_QUESTIONS, contexts)
    train = _split(seed, "train", TRAIN_QUESTIONS, contexts)
    chances, facts = validation.chances | train.chances, validation.facts | train.facts
    return Corpus(train.questions, validation.questions, chances, facts)


@dataclass(frozen=True)
class _Split:
    """Questions, and by their ids what `Corpus` says of them."""

    questions: list[Question] = field(default_factory=list)
    chances: dict[str, float] = field(default_factory=dict)
    facts: dict[str, int] = field(default_factory=dict)


def _split(seed: int, name: str, total: int, contexts: set[str]) -> _Split:
    """`total` questions about contexts that are not yet in `contexts`, and the guesser's chance of each."""
    rng = random.Random(stream_seed(seed, f"corpus-{name}"))
    split = _Split()
    questions = split.questions
    # Half of the questions must be `match`. A notice of four to six facts has three or more of one kind
    # and at least one other, and gets a question of each. With three facts there is room for one or the
    # other: both questions are `match` or both are `lookup`. Such notices come in pairs, `match` first; if
    # only one notice is to come, no new pair is started, and an open one is completed.
    all_match_next = True
    while len(questions) < total:
        may_be_short = not all_match_next or total - len(questions) >= 2 * QUESTIONS_PER_NOTICE
        n_facts = rng.randint(3, 6) if may_be_short else rng.randint(4, 6)
        if total - len(questions) == QUESTIONS_PER_NOTICE and not all_match_next:
            n_facts = 3
        short = 3 if all_match_next else 0
        n_match = short if n_facts == 3 else rng.randint(3, n_facts - 1)
        facts = _facts(rng, n_match, n_facts - n_match)
        context, starts = _notice(rng, facts)
        if context in contexts:
            continue
        contexts.add(context)
        if n_facts == 3:
            all_match_next = not all_match_next
        for i in _asked(rng, n_match, n_facts):
            fact = facts[i]
            questions.append(
                Question(
                    id=f"builtin-{name}-{len(questions):05d}",
                    title=f"Notice {len(contexts)}",
                    context=context,
                    question=rng.choice(KINDS[fact.kind].questions).format(s=fact.subject),
                    answers=(Gold(fact.value, starts[i]),),
                    kind="match" if i < n_match else "lookup",
                )
            )
            # So many facts are of the kind that is asked for.
            split.chances[questions[-1].id] = 1 / n_match if i < n_match else 1.0
            split.facts[questions[-1].id] = n_facts
    return split


def _facts(rng: random.Random, n_match: int, n_lookup: int) -> list[Fact]:
    """`n_match` facts of one kind, then `n_lookup` facts of other kinds, each about its own subject."""
    kinds = rng.sample(list(KINDS), n_lookup + 1)
    wanted = kinds[:1] * n_match + kinds[1:][:n_lookup]
    subjects = rng.sample(SUBJECTS, len(wanted))
    values = [
        *rng.sample(KINDS[kinds[0]].values, n_match),
        *(rng.choice(KINDS[kind].values) for kind in wanted[n_match:]),
    ]
    return [_fact(rng, *parts) for parts in zip(wanted, subjects, values, strict=True)]


def _fact(rng: random.Random, kind: str, subject: str, value: str) -> Fact:
    statement = rng.choice(KINDS[kind].statements)
    before, after = (part.format(s=subject) for part in statement.split("{v}"))
    return Fact(kind, subject, value, _capital(before), after)


def _notice(rng: random.Random, facts: Sequence[Fact]) -> tuple[str, list[int]]:
    """The facts as a text in random order, and where each fact's value starts in it."""
    is_long = rng.random() < LONG_NOTICE_SHARE
    asides = rng.sample(ASIDES, LONG_NOTICE_ASIDES if is_long else rng.randint(0, 1))
    parts: list[int | str] = [*range(len(facts)), *asides]
    rng.shuffle(parts)
    text = ""
    starts = [0] * len(facts)
    for part in parts:
        text += " " if text else ""
        if isinstance(part, str):
            text += part
            continue
        fact = facts[part]
        text += fact.before
        starts[part] = len(text)
        text += fact.value + fact.after
    return text, starts


def asked_for(question: str) -> str:
    """The kind of fact that a question of the built-in corpus asks for; empty of another question.

    >>> asked_for("Where does group B meet?"), asked_for("Who is it?")
    ('room', '')
    """
    return _ASKING.get(SUBJECT.sub("{s}", question), "")


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _asked(rng: random.Random, n_match: int, n_facts: int) -> list[int]:
    """Which two facts to ask for: a `match` and a `lookup` if the notice has both."""
    if n_match in (0, n_facts):
        return rng.sample(range(n_facts), QUESTIONS_PER_NOTICE)
    return [rng.randrange(n_match), rng.randrange(n_match, n_facts)]


def guessing(questions: Iterable[Question], chances: Mapping[str, float]) -> dict[str, float]:
    """The exact match of a guesser in percent, by kind and as `all`, of those whose chances are known."""
    groups: dict[str, list[float]] = {}
    for row in questions:
        if row.id in chances:
            for kind in ("all", row.kind):
                groups.setdefault(kind, []).append(chances[row.id])
    return {kind: 100 * sum(values) / len(values) for kind, values in sorted(groups.items())}
