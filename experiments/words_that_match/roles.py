"""The words of a question and its context by the role they play for the answer, and texts without them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Int
from torch import Tensor

from qa_research.explain.words.reader import Reader
from qa_research.explain.words.text import Text
from qa_research.streams import stream
from qa_research.tasks.answering.corpus import KINDS
from qa_research.tasks.answering.question import Question

ROLES = {
    "kind": "the question's words for the kind of answer",
    "asked letter": "the group's letter in the question",
    "stated letter": "the group's letter in the context",
    "both letters": "both letters",
    "other letter": "control: another group's letter in the context",
    "sentence word": "control: a random other word of the answer's sentence",
    "as many words": "control: as many words of the context as the kind has",
}
# Upper case: at the beginning of a sentence.
GROUP = re.compile(r"\b[Gg]roup ([A-Z])\b")


@dataclass(frozen=True)
class Rival:
    """Another candidate of the context, of the kind that is asked for: its span by its tokens, inclusive,
    and its group's letter in the context, by the word's number.
    """

    first: int
    last: int
    letter: int


def roles(text: Text, row: Question, draw_of: tuple[int, str, int]) -> dict[str, list[int]]:
    """The words of each role, by number; random ones from the stream that `draw_of` names."""
    draw = stream(*draw_of)
    words = list(enumerate(text.words))
    asked = next(
        i + 1 for i, word in words if word.part == "question" and word.text.lower() == "group"
    )
    letter = text.words[asked].text
    stated = [i for i, word in words if word.part == "context" and word.text == letter]
    assert is_letter(letter), row.question
    assert len(stated) == 1, row.context
    kind = [
        i
        for i, word in words
        if word.part == "question" and word.text.isalnum() and i not in (asked - 1, asked)
    ]
    answer = range(row.answers[0].start, row.answers[0].start + len(row.answers[0].text))
    free = [
        i
        for i, word in words
        if word.part == "context"
        and word.char_start not in answer
        and word.text != letter
        and word.text.isalnum()
    ]
    letters = [i for i in free if is_letter(text.words[i].text)]
    others = [i for i in free if i not in letters and text.words[i].text.lower() != "group"]
    sentence = sentence_at(row.context, row.answers[0].start)
    near = [i for i in others if text.words[i].char_start in sentence]
    return {
        "kind": kind,
        "asked letter": [asked],
        "stated letter": stated,
        "both letters": [asked, *stated],
        "other letter": [int(draw.choice(letters))],
        "sentence word": [int(draw.choice(near))],
        "as many words": draw.choice(others, len(kind), replace=False).tolist(),
    }


def is_letter(word: str) -> bool:
    """Whether a word of a context is the letter of a group."""
    return len(word) == 1 and word.isupper()


def sentence_at(context: str, char: int) -> range:
    """The characters of the sentence around one; only full stops end a sentence of the corpus."""
    return range(context.rfind(".", 0, char) + 1, context.index(".", char))


def rival(text: Text, row: Question, draw_of: tuple[int, str, int]) -> Rival:
    """A random one of the other candidates."""
    gold = row.answers[0]
    values = next(kind.values for kind in KINDS.values() if gold.text in kind.values)
    found = [
        place
        for value in values
        if value != gold.text
        for place in re.finditer(rf"\b{re.escape(value)}\b", row.context)
    ]
    assert len(found) > 1, "a `match` question has at least three candidates"
    place = stream(*draw_of).choice(len(found))
    start, end = found[place].span()
    sentence = sentence_at(row.context, start)
    group = GROUP.search(row.context, sentence.start, sentence.stop)
    assert group is not None
    span = [
        i
        for i, word in enumerate(text.words)
        if word.part == "context" and start <= word.char_start < end
    ]
    letter = next(
        i
        for i, word in enumerate(text.words)
        if word.part == "context" and word.char_start == group.start(1)
    )
    return Rival(text.words[span[0]].first_token, text.words[span[-1]].last_token, letter)


def without(reader: Reader, words: Sequence[int], off: int) -> Int[Tensor, " token"]:
    """The text's tokens with every token of these words replaced by `off`."""
    ids = reader.full_ids[0].clone()
    for number in words:
        word = reader.text.words[number]
        ids[word.first_token : word.last_token + 1] = off
    return ids


def swapped(reader: Reader, asked: int, letter: int) -> Int[Tensor, " token"]:
    """The text's tokens with the asked letter replaced by the one that the context has as word `letter`."""
    place, source = (reader.text.words[number] for number in (asked, letter))
    assert place.first_token == place.last_token
    assert source.first_token == source.last_token
    ids = reader.full_ids[0].clone()
    ids[place.first_token] = ids[source.first_token]
    return ids


def about(reader: Reader, other: Rival) -> Reader:
    """A reader of the same text whose span is the rival's."""
    return replace(reader, target=replace(reader.target, first=other.first, last=other.last))


def stacked(texts: Sequence[Int[Tensor, " token"]]) -> Int[Tensor, "text token"]:
    """Texts of one window as a batch."""
    return torch.stack(list(texts))
