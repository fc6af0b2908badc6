"""One example on its way through a network, from text to score, in stages that a person can read.

A task says what happens before and after its network (`Passing`); what the network computes in between is the
same for all tasks, and is told in `forward/`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from jaxtyping import Float
from torch import Tensor

from qa_research.model.tokenizer import words_of
from qa_research.tasks.watching import Outputs, Watched, WatchedExample, losses

# In the order in which an example passes them.
STAGES = ("preprocess", "tokenize", "model", "head", "postprocess", "evaluate")

# The columns of a table of single numbers.
QUANTITY = ("quantity", "value")


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
    """The first stage: (name, text) of each text of an example, cut into words; without tokenizer letters."""
    rows = []
    for name, text in texts:
        words = list(text) if tokenizer is None else words_of(tokenizer, text)
        rows.append((name, text, len(text), len(words), " ".join(words)))
    columns = ("text", "as it was given", "characters", "words", "in words")
    return Stage("preprocess", "text -> words", (), (Table(columns, tuple(rows)),))


def passing_of(watched: Watched, is_known: bool, tokenizer: Any = None) -> Passing:
    """An example whose network says a label or a number of it as a whole.

    `watched`: a batch of this one. `is_known`: whether what is true of it is known; it is in `watched` then.
    `tokenizer`: what cuts its texts; None: each letter is a word.
    """
    example, outputs = watched.examples[0], watched.outputs
    before = preprocess_texts(_texts(example), tokenizer)

    def finish(scores: Float[Tensor, " row"]) -> list[Stage]:
        said = _label(scores, outputs) if outputs.kind == "labels" else _number(scores)
        return [said, _evaluate(scores, outputs, example.truths) if is_known else NOBODY_KNOWS]

    return Passing(watched, before, (), finish)


def _texts(example: WatchedExample) -> list[tuple[str, str]]:
    """What the parts of an example are called, and the text of each: from its first character to its last."""
    reach: dict[str, tuple[int, int]] = {}
    for part, (start, end) in zip(example.parts, example.chars, strict=True):
        if start < end:
            known = reach.get(part, (start, end))
            reach[part] = min(known[0], start), max(known[1], end)
    return [(part, example.text[start:end]) for part, (start, end) in reach.items()]


def _label(logits: Float[Tensor, " row"], outputs: Outputs) -> Stage:
    """Logits -> probabilities -> the most probable label."""
    shares = logits.softmax(dim=0)
    rows = tuple(
        zip(outputs.rows, logits.tolist(), logits.exp().tolist(), shares.tolist(), strict=True)
    )
    sentence = (
        "A probability is a label's share of the sum of exp(logit). The most probable label is the answer: "
        f"{outputs.rows[int(logits.argmax())]}"
    )
    columns = ("label", "logit", "exp(logit)", "probability")
    tables = (Table(columns, rows),)
    return Stage("postprocess", "logits -> probabilities -> label", (sentence,), tables)


def _number(scores: Float[Tensor, " row"]) -> Stage:
    sentence = "What the network puts out is the prediction itself."
    table = Table(QUANTITY, (("prediction", float(scores[0])),))
    return Stage("postprocess", "score -> prediction", (sentence,), (table,))


def _evaluate(scores: Float[Tensor, " row"], outputs: Outputs, truths: Sequence[str]) -> Stage:
    """What was said beside what is true."""
    loss = float(losses(scores[None], outputs)[0])
    rows: list[tuple[str, Any]] = [("true", " | ".join(truths))]
    if outputs.kind == "labels":
        rows.append(("correct", int(scores.argmax() == outputs.true[0])))
        sentence = "The loss is -ln of the probability of the true label."
    else:
        sentence = "The loss is the square of what the prediction is off by."
    rows.append(("loss", loss))
    return Stage("evaluate", "answer -> score", (sentence,), (Table(QUANTITY, tuple(rows)),))


# The last stage of an example of which nobody said what is true.
NOBODY_KNOWS = Stage(
    "evaluate",
    "answer -> score",
    (
        "What is right is not known, so nothing is scored. The run's own examples, asked by id, are.",
    ),
)
