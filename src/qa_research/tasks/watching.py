"""What is looked at inside a training, of any task: a few examples as one batch, and how people read them.

`Task.watching` returns it. Recorders, films and figures know examples as they are here, and no task.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy.typing import NDArray
from torch import Tensor

from qa_research.files import read_text
from qa_research.model.tokenizer import Off
from qa_research.streams import stream

PADDING = "padding"
NO_WORD = -1
# The score of a network that puts out one number for each example.
PREDICTION = "prediction"


@dataclass(frozen=True)
class WatchedExample:
    """One example as a person reads it, and the tokens that the network reads of it.

    `split`: `train`, `validation` or `file`. `title`: what it was taken from; may be empty. `heading`: the
    example in one line. `text`: what its tokens are of. `truths`: every right answer in words; none: there is
    no answer. By token: its text (`tokens`), what it belongs to (`parts`), and its characters of `text`
    (`chars`, the end exclusive; (0, 0) of special tokens). `marked`: the tokens that carry the truth, such as
    those of the true answer or the letters of planted motifs. `words`: by token the number of its word,
    counted from 0, and NO_WORD of special tokens; none: each token that has characters is a word.
    """

    id: str
    split: str
    kind: str
    title: str
    heading: str
    text: str
    truths: tuple[str, ...]
    tokens: tuple[str, ...]
    parts: tuple[str, ...]
    chars: tuple[tuple[int, int], ...]
    marked: tuple[int, ...] = ()
    words: tuple[int, ...] = ()

    @property
    def word_of(self) -> tuple[int, ...]:
        """By token the number of its word, or NO_WORD."""
        if self.words:
            return self.words
        own = [start < end for start, end in self.chars]
        return tuple(sum(own[:i]) if has else NO_WORD for i, has in enumerate(own))


@dataclass(frozen=True)
class Outputs:
    """What a network says of each example, and what would be true.

    `spans`: scores of each token as the start and the end of an answer; `labels`: a logit for each of `rows`,
    the labels; `number`: one number, whose row is called PREDICTION.
    """

    kind: Literal["spans", "labels", "number"]
    rows: tuple[str, ...]
    # Of spans [example 2], the first and the last token; of labels [example], their index in `rows`; of
    # numbers [example].
    true: Tensor
    # The scores in what the network's `forward` returns: [example row token] of spans, else [example row].
    read: Callable[[Any], Tensor]


@dataclass(frozen=True)
class Watched:
    """The watched examples as one batch, the same over a whole training.

    `inputs`: the arguments of the network's `forward`, each [example ...], and nothing else. `mask`: which
    tokens are not padding; tokens are padded on the right, and all sites of a network that have a token axis
    have this one. `part_names`: PADDING, and what the `parts` of examples are called. `marked_as`: what the
    marked tokens are, in a word such as `motif`; empty: none are marked. `off`: what a token becomes that is
    switched off, in the input called `switched`; None: nobody can say which words made an answer. An input of
    vectors, such as letters that are each one unit of four, is switched to `off.token_id` in all units.
    """

    examples: tuple[WatchedExample, ...]
    inputs: dict[str, Tensor]
    mask: Bool[Tensor, "example token"]
    part_names: tuple[str, ...]
    outputs: Outputs
    marked_as: str = ""
    off: Off | None = None
    switched: str = "input_ids"

    @property
    def parts(self) -> NDArray[np.int8]:
        """[example token]: what each token belongs to, as an index of `part_names`."""
        found = np.zeros(tuple(self.mask.shape), dtype=np.int8)
        for i, row in enumerate(self.examples):
            found[i, : len(row.parts)] = [self.part_names.index(part) for part in row.parts]
        return found

    @property
    def marked(self) -> NDArray[np.bool_]:
        """[example token]: the tokens that carry the truth."""
        found = np.zeros(tuple(self.mask.shape), dtype=bool)
        for i, row in enumerate(self.examples):
            found[i, list(row.marked)] = True
        return found

    @property
    def groups(self) -> dict[str, NDArray[np.bool_]]:
        """Groups of tokens by name, each [example token], between which attention is summed up."""
        parts = self.parts
        names = [name for name in self.part_names if name != PADDING]
        found = {name: np.asarray(parts == self.part_names.index(name)) for name in names}
        return found | ({self.marked_as: self.marked} if self.marked_as else {})


@dataclass(frozen=True)
class Watching:
    """The watched examples of a training, and what recorders have to know of its batches.

    `max_tokens`: the longest example of a batch. `batch_size`: examples of a batch. `is_compiled`: training
    calls no hooks. `mask`: what a batch calls its mask [example token], which is 0 where there is padding.
    """

    watched: Watched
    max_tokens: int
    batch_size: int
    is_compiled: bool
    mask: str = "attention_mask"


@dataclass(frozen=True)
class ReadTexts:
    """Texts as a tokenizer's network reads them: the fields of the same names of a `WatchedExample`."""

    text: str
    tokens: tuple[str, ...]
    parts: tuple[str, ...]
    chars: tuple[tuple[int, int], ...]
    words: tuple[int, ...]


def read_texts(encoding: Any, texts: Sequence[str], names: Sequence[str]) -> ReadTexts:
    """An encoding of the library `tokenizers` of one text or of a pair, whose parts are called `names`.

    Example: "Ann sings." and "She does." are the text "Ann sings.\\nShe does.", of which the second "She" has
    the characters 11 to 14. The first special token is "cls", the others are "sep".
    """
    starts = [sum(len(text) + 1 for text in texts[:i]) for i in range(len(texts))]
    parts, chars, words = [], [], []
    numbers: dict[tuple[int, int], int] = {}
    rows = zip(encoding.sequence_ids, encoding.word_ids, encoding.offsets, strict=True)
    for token, (sequence, word, (first, last)) in enumerate(rows):
        if sequence is None:
            parts.append("sep" if token else "cls")
            chars.append((0, 0))
            words.append(NO_WORD)
            continue
        parts.append(names[sequence])
        chars.append((starts[sequence] + first, starts[sequence] + last))
        # A token without a word number is a word of its own.
        key = (sequence, word if word is not None else -1 - token)
        words.append(numbers.setdefault(key, len(numbers)))
    return ReadTexts(
        "\n".join(texts), tuple(encoding.tokens), tuple(parts), tuple(chars), tuple(words)
    )


class Row(Protocol):
    """An example of a task's data, such as a question; kinds take turns when examples are drawn."""

    @property
    def id(self) -> str: ...
    @property
    def kind(self) -> str: ...


Own = TypeVar("Own", bound=Row)


def choose_examples(
    request: int | str | Sequence[str | int],
    splits: Mapping[str, Sequence[Own]],
    seed: int,
    from_file: Callable[[str], Sequence[Own]],
    what: str,
) -> list[tuple[str, Own]]:
    """(split, example) as `capture.questions` requests: a number, ids, or a file.

    A number is drawn with `seed`: half from each split, alternating between kinds. A file has ids if it ends
    in .txt, else it is read by `from_file`. `what`: one of the examples in a word, such as `question`.

    Raises:
        ValueError: an id that is in no split, more examples than there are, or an unusable file.
    """
    if isinstance(request, int):
        return _draw(request, splits, seed)
    if isinstance(request, str) and Path(request).is_file():
        if not request.endswith(".txt"):
            return [("file", row) for row in from_file(request)]
        ids = read_text(Path(request), f"capture.questions={request}").split()
    else:
        ids = [request] if isinstance(request, str) else [str(word) for word in request]
    if not ids:
        raise ValueError(f"capture.questions={request} names no {what}")
    known = {row.id: (split, row) for split, rows in splits.items() for row in rows}
    missing = [name for name in ids if name not in known]
    if missing:
        raise ValueError(
            f"capture.questions: {', '.join(missing[:5])} "
            f"{'is' if len(missing) == 1 else 'are'} in neither split (nor a file); ids there look like "
            f"{', '.join(rows[0].id for rows in splits.values())}"
        )
    return [known[name] for name in dict.fromkeys(ids)]


def _draw(count: int, splits: Mapping[str, Sequence[Own]], seed: int) -> list[tuple[str, Own]]:
    """`count` examples, half of each split; a split that is too small leaves its share to the other.

    Example: 4 of a training split with the kinds "who" (60 rows) and "when" (40), and a validation split
    like it. Each split gives 2: its rows are shuffled, and kinds take turns, the most common one first, so
    who, when, who, when. 4 of 1 training and 9 validation rows are 1 and 3. The order depends only on
    `seed`, which is that of the data: trainings with other seeds watch the same examples.
    """
    available = sum(len(rows) for rows in splits.values())
    if count > available:
        raise ValueError(f"capture.questions={count}, but there are only {available}")
    chosen: list[tuple[str, Own]] = []
    for number, (split, rows) in enumerate(splits.items()):
        missing = count - len(chosen)
        available -= len(rows)
        # Half, rounded up, and whatever the splits to come do not have; the last one takes the rest.
        wanted = min((missing + 1) // 2, len(rows)) if available else missing
        wanted = max(wanted, missing - available)
        shuffled = (rows[i] for i in stream(seed, "watched", number).permutation(len(rows)))
        for row, _ in zip(_alternating(shuffled), range(wanted), strict=False):
            chosen.append((split, row))
    return chosen


def _alternating(rows: Iterable[Own]) -> Iterator[Own]:
    """All rows, one of each kind in turn, the most common kind first."""
    groups: dict[str, list[Own]] = {}
    for row in rows:
        groups.setdefault(row.kind, []).append(row)
    kinds = sorted(groups, key=lambda kind: (-len(groups[kind]), kind))
    for turn in zip_longest(*(groups[kind] for kind in kinds)):
        yield from filter(None, turn)


def losses(scores: Float[Tensor, "example row"], outputs: Outputs) -> Float[Tensor, " example"]:
    """The loss of each example: cross entropy of its label in nats, or the squared error of its number."""
    if outputs.kind == "labels":
        return torch.nn.functional.cross_entropy(scores, outputs.true, reduction="none")
    return (scores[:, 0] - outputs.true).square()


def losses_of(
    scores: Float[Tensor, "example row ..."], watched: Watched
) -> Float[Tensor, " example"]:
    """The same of any outputs: of a span the mean of its start's and its end's cross entropy, in nats."""
    if watched.outputs.kind != "spans":
        return losses(scores, watched.outputs)
    allowed = scores.masked_fill(~watched.mask[:, None, :], -torch.inf)
    logs = torch.log_softmax(allowed, dim=-1)
    own: Tensor = -logs.gather(2, watched.outputs.true[:, :, None])[:, :, 0].mean(dim=1)
    return own
