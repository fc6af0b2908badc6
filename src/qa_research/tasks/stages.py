"""One example on its way through a network, from text to score, in stages that a person can read.

A task says what happens before and after its network (`Passing`); what the network computes in between is the
same for all tasks, and is told in `forward/`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from qa_research.model.tokenizer import words_of
from qa_research.tasks.watching import Watched

# In the order in which an example passes them.
STAGES = ("preprocess", "tokenize", "model", "head", "postprocess", "evaluate")


@dataclass(frozen=True)
class Table:
    """Numbers of a stage. On a screen it is cut down to the `telling` rows, if there are any, and it has no
    `unshown` columns; --json has all of them.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    telling: frozenset[int] = frozenset()
    unshown: tuple[str, ...] = ()


@dataclass(frozen=True)
class Stage:
    """One of `STAGES`. `turns`: what it makes of what, such as `logits -> answer`."""

    name: str
    turns: str
    sentences: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """As JSON's values: rows as objects, numbers as they are."""
        return {
            "stage": self.name,
            "turns": self.turns,
            "sentences": list(self.sentences),
            "tables": [
                [dict(zip(table.columns, row, strict=True)) for row in table.rows]
                for table in self.tables
            ],
        }


@dataclass(frozen=True)
class Passing:
    """What a task says of one example that passes its network.

    `watched`: the example as a batch of one. `places`: for each row of its outputs the token at which that
    score is read; none if a score is one of the example as a whole, and then hidden states are shown at the
    first token. `finish`: from the scores, [row token] or [row], the stages after the network.
    """

    watched: Watched
    preprocess: Stage
    places: tuple[int, ...]
    finish: Callable[[Tensor], Sequence[Stage]]


def preprocess_texts(texts: Sequence[tuple[str, str]], tokenizer: Any) -> Stage:
    """The first stage of a task whose examples are texts: (name, text) of each, cut into words."""
    rows = []
    for name, text in texts:
        words = words_of(tokenizer, text)
        rows.append((name, text, len(text), len(words), " ".join(words)))
    columns = ("text", "as it was given", "characters", "words", "in words")
    return Stage("preprocess", "text -> words", (), (Table(columns, tuple(rows)),))
