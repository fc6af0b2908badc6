"""The words of the built-in corpus: subjects, kinds of facts, and how facts and questions are worded.

`{s}` is the subject, `{v}` the value, which is the answer. All sentences were written for this project.
"""

from dataclasses import dataclass


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
