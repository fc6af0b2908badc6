"""All that is shown of one question, ready to print or to be JSON. Knows no network."""

from dataclasses import asdict, dataclass
from typing import Any

from qa_research.data.fitting import Fit
from qa_research.data.question import Question


@dataclass(frozen=True, slots=True)
class GoldText:
    """A gold answer's text, how often it was given, and the characters where it was said to start."""

    text: str
    times: int
    starts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class RunAnswer:
    """What a run answers: empty for "no answer in this text".

    `score` is the sum of both logits, `exact_match` and `f1` are by SQuAD's rules, in [0, 1].
    """

    run: str
    checkpoint: str
    text: str
    probability: float
    score: float
    char_start: int
    char_end: int
    exact_match: float
    f1: float


@dataclass(frozen=True, slots=True)
class Viewed:
    """A question of a source, where it stands there, and what is known of it.

    `same_id` are the other questions of its id, `fault` says why it could not be trained on. `fit` is
    under the tokenizer called `tokenizer`; None: there is none at hand.
    """

    source: str
    index: int
    total: int
    row: Question
    same_id: tuple[int, ...]
    fault: str | None
    tokenizer: str | None
    fit: Fit | None
    answered: RunAnswer | None

    def as_json(self) -> dict[str, Any]:
        """Everything, under the names of the hub's columns where there are such."""
        row = self.row
        return {
            "source": self.source,
            "index": self.index,
            "total": self.total,
            "id": row.id,
            "title": row.title,
            "kind": row.kind,
            "question": row.question,
            "context": row.context,
            "answers": [asdict(gold) for gold in gold_texts(row)],
            "same_id": list(self.same_id),
            "fault": self.fault,
            "tokenizer": self.tokenizer,
            "fit": asdict(self.fit) if self.fit else None,
            "run": asdict(self.answered) if self.answered else None,
        }


def gold_texts(row: Question) -> list[GoldText]:
    """Each distinct gold text once, in the order in which they were first given."""
    found: list[GoldText] = []
    for text in dict.fromkeys(gold.text for gold in row.answers):
        starts = [gold.start for gold in row.answers if gold.text == text]
        found.append(GoldText(text, len(starts), tuple(sorted(set(starts)))))
    return found
