"""Training examples whose text is like that of another one, by BM25."""

import re
from collections.abc import Sequence
from typing import Any

import bm25s
import numpy as np
from jaxtyping import Float
from numpy import ndarray

from qa_research.console import tracked
from qa_research.tasks.opened import Opened, OwnExamples
from qa_research.tasks.watching import NO_WORD, Watched

# Of a sequence of letters, which has no words: so many in a row.
LETTERS = 3


def words_of(watched: Watched) -> list[str]:
    """The words of one example in lower case: of its heading, such as its question, and of what it reads.

    A sequence of letters has three letters each as a word, one after the other.
    """
    (example,) = watched.examples
    ends: dict[int, tuple[int, int]] = {}
    for number, (start, end) in zip(example.word_of, example.chars, strict=True):
        if number != NO_WORD:
            ends[number] = (ends.get(number, (start, end))[0], end)
    read = [example.text[start:end] for start, end in ends.values()]
    if all(len(word) == 1 for word in read):
        read = ["".join(read[i : i + LETTERS]) for i in range(len(read) - LETTERS + 1)]
    return [word.lower() for word in (*re.findall(r"\w+", example.heading), *read)]


def text_scores(
    questions: Sequence[Sequence[str]], examples: Sequence[Sequence[str]]
) -> Float[ndarray, "question example"]:
    """How alike the words of each pair are: BM25 with its usual k1=1.5 and b=0.75, of the package bm25s.

    A word counts more, the fewer examples have it. Source: Robertson & Zaragoza 2009.
    """
    index = bm25s.BM25()
    index.index([list(words) for words in examples], show_progress=False)
    known = index.vocab_dict
    return np.stack(
        [
            index.get_scores([word for word in words if word in known])
            if any(word in known for word in words)
            else np.zeros(len(examples))
            for words in questions
        ]
    ).astype(np.float64)


def similar_to(
    opened: Opened[Any], identity: str, count: int, among: Sequence[str] | None = None
) -> list[str]:
    """The ids of the training examples most like the run's example of an id, which is not among them.

    `among`: only these; None: all training examples. Those equally alike are in the order of the data.

    Raises:
        ValueError: no example has the id, or fewer than `count` others share a word with it.
    """
    examples = OwnExamples(opened)
    own = examples.by_id(identity, "--similar-to")
    known = None if among is None else set(among)
    rows = {
        name: row
        for row in examples.train.rows
        if (name := opened.told(row).id) != identity and (known is None or name in known)
    }
    if len(rows) < count:
        raise ValueError(
            f"--similar {count}: there are only {len(rows):,} other training {opened.examples} to choose from"
        )
    words = [
        words_of(opened.watched([row])) for row in tracked(list(rows.values()), "Reading texts")
    ]
    scores = text_scores([words_of(opened.watched([own]))], words)[0]
    if (alike := int((scores > 0).sum())) < count:
        raise ValueError(
            f"--similar {count}: only {alike:,} other training {opened.examples} share a word with {identity}"
        )
    best = np.argsort(-scores, kind="stable")[:count]
    return [list(rows)[place] for place in best.tolist()]
