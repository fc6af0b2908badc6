"""Minimal pairs as the network reads them: chosen, checked, in batches, with unrelated texts beside them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from qa_research.streams import stream
from qa_research.tasks.batches import batches_of_tokens
from qa_research.tasks.opened import Opened, OwnExamples
from qa_research.tasks.watching import PADDING, Watched, WatchedExample

# Of a batch, padding included: few, as activations at all sites are kept of it and of its unrelated texts.
MOST_TOKENS = 1024
# How many unrelated texts each pair has at most, of which every component is given one.
UNRELATED = 4
# So many examples are read at once in search of pairs and unrelated texts; for the latter, at most.
READ_AT_ONCE, MOST_READ = 128, 2048
# Whose mean activations are put in by mean ablation.
REFERENCE = 64
# Tokens by what they are to a pair, before what they belong to.
CHANGED, ANSWER, OTHER, WORD, OTHER_WORD = (
    *("changed", "answer", "other_answer", "answer_word", "other_word"),
)


@dataclass(frozen=True)
class Side:
    """An example of a pair, in the task's own type and as the network reads it."""

    row: Any
    read: WatchedExample


@dataclass(frozen=True)
class Pair:
    """Two examples of equally many tokens with different right answers; the second is the corrupted one.

    `unrelated`: examples about other texts, of as many tokens, or nearly.
    """

    clean: Side
    corrupted: Side
    unrelated: tuple[Side, ...] = ()

    @property
    def tokens(self) -> int:
        """How many tokens each of both has."""
        return len(self.clean.read.tokens)

    def told(self) -> dict[str, Any]:
        """The pair as JSON has it."""
        one, other = self.clean.read, self.corrupted.read
        return {
            "id": one.id,
            "other_id": other.id,
            "asked": one.heading,
            "other_asked": other.heading,
            "answer": "; ".join(one.truths),
            "other_answer": "; ".join(other.truths),
            "tokens": self.tokens,
        }


@dataclass(frozen=True)
class PairBatch:
    """Some pairs as two batches of the same shape. `unrelated`: several, each of another text for every pair.

    `groups` [pair token]: tokens by what they are; each token that is no padding is in exactly one.
    """

    pairs: tuple[Pair, ...]
    clean: Watched
    corrupted: Watched
    unrelated: tuple[Watched, ...]
    groups: Mapping[str, Bool[Tensor, "pair token"]]

    def as_long(
        self, values: Float[Tensor, "pair _token unit"], text: Watched
    ) -> Float[Tensor, "pair token unit"]:
        """What passes one of the unrelated texts, at the tokens of the pairs.

        Where it is shorter than its pair, it is repeated; equally long, it is as it was.
        """
        own = text.mask.sum(dim=1, keepdim=True)
        places = torch.arange(self.clean.mask.shape[1])[None] % own
        return values[torch.arange(len(values))[:, None], places]

    def difference(self, scores: Float[Tensor, "pair row ..."]) -> Float[Tensor, " pair"]:
        """How much higher a network scores the clean answer than the corrupted one, in logits.

        The score of a span is that of its first token as a start and of its last one as an end. Example: the
        starts score 5 and 1, the ends 4 and 2: the first answer has 9, the other 3, the difference is 6.
        """
        return self._scored(scores, self.clean) - self._scored(scores, self.corrupted)

    def _scored(self, scores: Tensor, watched: Watched) -> Float[Tensor, " pair"]:
        true = watched.outputs.true
        if watched.outputs.kind == "labels":
            return scores.gather(1, true[:, None])[:, 0]
        return scores.gather(2, true[:, :, None])[:, :, 0].sum(dim=1)


def misfit(clean: WatchedExample, corrupted: WatchedExample, kind: str) -> str:
    """Why two examples are no minimal pair, as a clause; empty: they are one.

    `kind`: of their outputs.
    """
    lengths = len(clean.tokens), len(corrupted.tokens)
    if lengths[0] != lengths[1]:
        return f"have {lengths[0]} and {lengths[1]} tokens, and both must have as many"
    if kind == "spans" and not (clean.marked and corrupted.marked):
        return "must both have an answer that stands in the text"
    if kind == "spans" and clean.marked == corrupted.marked:
        return "have their answers at the same tokens, and must have them at different ones"
    if kind == "labels" and clean.truths == corrupted.truths:
        return "have the same answer, and must have different ones"
    if clean.text == corrupted.text and clean.chars != corrupted.chars:
        return "have their answers in different windows of the text"
    return ""


def drawn_pairs(own: OwnExamples[Any], count: int, seed: int) -> list[Pair]:
    """At most `count` pairs about different texts, drawn from the validation examples that chose nothing.

    If all chose, from all of them.

    Raises:
        ValueError: no example has a counterpart.
    """
    opened, given = own.opened, own.validation
    rows = [
        row for row in given.rows if given.all_chose or opened.told(row).id not in given.choosing
    ]
    order = stream(seed, "pairs").permutation(len(rows))
    found: dict[str, Pair] = {}
    any_pair = False
    for chunk in _chunks([rows[i] for i in order]):
        with_other = [(row, opened.counterpart(row, seed)) for row in chunk]
        twos = [(row, other) for row, other in with_other if other is not None]
        any_pair = any_pair or bool(twos)
        for pair, reason in _read(opened, twos):
            if not reason:
                found.setdefault(pair.clean.read.text, pair)
        if len(found) >= count:
            break
    if not found:
        why = "have equally many tokens" if any_pair else "have a counterpart"
        raise ValueError(
            f"none of the validation {opened.examples} of {opened.name} {why}: "
            f"{opened.why_no_counterpart}; --pairs-file FILE takes pairs of your own"
        )
    return list(found.values())[:count]


def named_pairs(own: OwnExamples[Any], ids: Sequence[str], seed: int) -> list[Pair]:
    """The pairs of the run's own examples of these ids.

    Raises:
        ValueError: an id of none, or an example that has no counterpart.
    """
    twos = []
    for identity in ids:
        row = own.by_id(identity)
        other = own.opened.counterpart(row, seed)
        if other is None:
            raise ValueError(
                f"--question {identity} has no counterpart with another answer: "
                f"{own.opened.why_no_counterpart}; --pairs-file FILE takes pairs of your own"
            )
        twos.append((row, other))
    return _checked(own.opened, twos, "--question ")


def pairs_of_file(opened: Opened[Any], path: str, encoding: str) -> list[Pair]:
    """The pairs of a file of examples, of which each two that follow each other are one.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it cannot be read, has an odd number of examples, or two that are no pair.
    """
    try:
        rows = opened.of_file(path, encoding).rows
    except (ValueError, FileNotFoundError) as error:
        # It calls its file by the option that other verbs have.
        raise type(error)(str(error).replace("--data=", "--pairs-file=")) from error
    if len(rows) % 2:
        raise ValueError(
            f"--pairs-file={path} has {len(rows)} {opened.examples}, and each two that follow each other are "
            "a pair: there must be an even number"
        )
    return _checked(opened, list(zip(rows[::2], rows[1::2], strict=True)), f"--pairs-file={path}: ")


def _checked(opened: Opened[Any], twos: Sequence[tuple[Any, Any]], name: str) -> list[Pair]:
    pairs = []
    for pair, reason in _read(opened, twos):
        if reason:
            ids = f"{pair.clean.read.id} and {pair.corrupted.read.id}"
            raise ValueError(f"{name}{ids} {reason}")
        pairs.append(pair)
    return pairs


def _read(opened: Opened[Any], twos: Sequence[tuple[Any, Any]]) -> Iterator[tuple[Pair, str]]:
    """Each pair as the network reads it, and why it is none.

    Raises:
        ValueError: the network says a number, or cannot be looked into.
    """
    if not twos:
        return
    clean, corrupted = (opened.watched([two[side] for two in twos]) for side in (0, 1))
    if clean.outputs.kind == "number":
        raise ValueError(
            f"{opened.name} says one number of each of its {opened.examples}: there are no two answers whose "
            "scores could be compared"
        )
    for two, one, other in zip(twos, clean.examples, corrupted.examples, strict=True):
        pair = Pair(Side(two[0], one), Side(two[1], other))
        yield pair, misfit(one, other, clean.outputs.kind)


def _chunks(rows: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(rows), READ_AT_ONCE):
        yield rows[start : start + READ_AT_ONCE]


def with_unrelated(
    own: OwnExamples[Any], pairs: Sequence[Pair], seed: int
) -> tuple[list[Pair], list[Any]]:
    """The pairs, each with unrelated texts of its length; and the examples that mean ablation refers to.

    Both are the run's own validation examples, drawn with the seed, and none of them is about the text of a
    pair. Where none is as long as a pair, those nearest in length are taken.

    Raises:
        ValueError: the run has no other texts.
    """
    texts = {side.read.text for pair in pairs for side in (pair.clean, pair.corrupted)}
    wanted = {pair.tokens for pair in pairs}
    by_length: dict[int, list[Side]] = {}
    reference: list[Any] = []
    opened, rows = own.opened, own.validation.rows
    order = stream(seed, "unrelated-order").permutation(len(rows))[:MOST_READ]
    for chunk in _chunks([rows[i] for i in order]):
        for row, read in zip(chunk, opened.watched(chunk).examples, strict=True):
            if read.text in texts:
                continue
            if len(reference) < REFERENCE:
                reference.append(row)
            by_length.setdefault(len(read.tokens), []).append(Side(row, read))
        if all(len(by_length.get(tokens, ())) >= UNRELATED for tokens in wanted):
            break
    if not by_length:
        raise ValueError(
            f"{opened.name} has no {opened.examples} about other texts to compare its pairs with"
        )
    rng = stream(seed, "unrelated")
    return [_completed(pair, by_length, rng) for pair in pairs], reference


def _completed(
    pair: Pair, by_length: Mapping[int, Sequence[Side]], rng: np.random.Generator
) -> Pair:
    nearest = min(by_length, key=lambda tokens: (abs(tokens - pair.tokens), tokens))
    near = by_length[nearest]
    own = tuple(near[i] for i in rng.permutation(len(near))[:UNRELATED])
    return replace(pair, unrelated=own)


def batches_of(opened: Opened[Any], pairs: Sequence[Pair]) -> list[PairBatch]:
    """The pairs in batches of similar length, the longest first."""
    lengths = np.array([pair.tokens for pair in pairs])
    return [
        _batch(opened, [pairs[i] for i in own]) for own in batches_of_tokens(lengths, MOST_TOKENS)
    ]


def _batch(opened: Opened[Any], pairs: Sequence[Pair]) -> PairBatch:
    clean = opened.watched([pair.clean.row for pair in pairs])
    corrupted = opened.watched([pair.corrupted.row for pair in pairs])
    # A pair that has fewer unrelated texts than others has some of them again.
    unrelated = tuple(
        opened.watched([pair.unrelated[n % len(pair.unrelated)].row for pair in pairs])
        for n in range(max(len(pair.unrelated) for pair in pairs))
    )
    return PairBatch(tuple(pairs), clean, corrupted, unrelated, token_groups(clean, corrupted))


def token_groups(clean: Watched, corrupted: Watched) -> dict[str, Bool[Tensor, "pair token"]]:
    """Tokens by what they are to a pair, each in the first that it belongs to.

    `changed`: the two texts differ there. `answer`, `other_answer`: the right answer of each. `answer_word`,
    `other_word`: the word of the text by which the question finds it, where the task knows it. The others by
    what they belong to, such as `question`, `context`, `cls` and `sep`.
    """
    switched = clean.inputs[clean.switched] != corrupted.inputs[corrupted.switched]
    words = [watched.groups.get("match_context") for watched in (clean, corrupted)]
    candidates = {
        CHANGED: switched.flatten(2).any(dim=2) if switched.ndim > 2 else switched,
        ANSWER: torch.from_numpy(clean.marked),
        OTHER: torch.from_numpy(corrupted.marked),
    }
    for name, word in zip((WORD, OTHER_WORD), words, strict=True):
        if word is not None:
            candidates[name] = torch.from_numpy(word)
    parts = torch.from_numpy(clean.parts)
    for number, name in enumerate(clean.part_names):
        if name != PADDING:
            candidates[name] = parts == number
    left = clean.mask.clone()
    found = {}
    for name, own in candidates.items():
        found[name] = own & left
        left &= ~own
    return found
