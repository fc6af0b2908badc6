"""Which questions were asked of one state more than once, beside what chance alone would do."""

from dataclasses import asdict, dataclass
from typing import Any

from qa_research.ledger.ledger import Ledger
from qa_research.ledger.standings import Standing, standings


@dataclass(frozen=True, slots=True)
class Repeat:
    """One question that was asked `times` times; `id` and `question` None: imported."""

    index: int
    id: str | None
    question: str | None
    times: int


@dataclass(frozen=True, slots=True)
class Repeats:
    """One state on one source: its standing says how many; here are the questions, most often first."""

    standing: Standing
    questions: tuple[Repeat, ...]

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "state": asdict(self.standing.state),
            "source": asdict(self.standing.source),
            "asked": self.standing.asked,
            "repeats": self.standing.repeats,
            "expected_repeats": self.standing.expected_repeats,
            "questions": [asdict(question) for question in self.questions],
        }


_REPEATS = """
SELECT run_id, run, step, weights, sources.fingerprint, sources.name, split,
       repeats.number, questions.id, question, times
FROM repeats
JOIN states ON states.id = state_id
JOIN sources ON sources.id = repeats.source_id
JOIN questions ON questions.source_id = repeats.source_id AND questions.number = repeats.number
ORDER BY times DESC, repeats.number
"""


def repeated(ledger: Ledger) -> list[Repeats]:
    """The repeats of every state that was asked, also of those without any.

    Raises:
        FileNotFoundError: nobody was ever asked.
    """
    found = standings(ledger)
    groups: dict[tuple[object, ...], list[Repeat]] = {}
    with ledger.reading() as connection:
        for row in connection.execute(_REPEATS):
            key = tuple(row[name] for name in ("run_id", "run", "step", "weights"))
            key += tuple(row[name] for name in ("fingerprint", "name", "split"))
            repeat = Repeat(row["number"], row["id"], row["question"], row["times"])
            groups.setdefault(key, []).append(repeat)
    return [Repeats(standing, tuple(groups.get(_key(standing), ()))) for standing in found]


def _key(standing: Standing) -> tuple[object, ...]:
    state, source = standing.state, standing.source
    return (
        *(state.run_id, state.run, state.step, state.weights),
        *(source.fingerprint, source.name, source.split),
    )
