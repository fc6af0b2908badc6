"""A question and its context as words that can be switched off: one window, the words' tokens, and "off".

Special tokens such as [CLS] and [SEP] belong to no word and always stay. Nothing here knows a network.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Literal

import torch
from jaxtyping import Bool, Int
from numpy import ndarray
from torch import Tensor

from qa_research.tasks.answering.question import Question
from qa_research.tasks.answering.windows import Windows, padded_batch

Part = Literal["question", "context"]
NO_WORD = -1


@dataclass(frozen=True, slots=True)
class Word:
    """A word as the tokenizer splits text into words (punctuation is words of its own), and its tokens.

    `char_start:char_end` are characters of the question or the context, whichever `part` says;
    `first_token` and `last_token` are inclusive.
    """

    text: str
    part: Part
    char_start: int
    char_end: int
    first_token: int
    last_token: int


@dataclass(frozen=True)
class Text:
    """The words of one window of a question and its context, and what the network is given.

    `inputs`: one row of `padded_batch`, without labels. `window` is one of `windows`, counted from 0.
    `question` is as it was tokenized, without blanks before it.
    """

    question: str
    context: str
    words: tuple[Word, ...]
    inputs: dict[str, Tensor]
    window: int
    windows: int

    @property
    def n_tokens(self) -> int:
        """Tokens of the window, special ones counted."""
        return self.inputs["input_ids"].shape[1]

    @property
    def context_chars(self) -> tuple[int, int]:
        """The characters of the context that the window covers."""
        inside = [word for word in self.words if word.part == "context"]
        if not inside:
            return 0, 0
        return inside[0].char_start, inside[-1].char_end

    def words_of(self, first_token: int, last_token: int) -> list[int]:
        """The words, by number, that have a token between the two, which are included."""
        return [
            number
            for number, word in enumerate(self.words)
            if word.first_token <= last_token and word.last_token >= first_token
        ]


@dataclass(frozen=True, slots=True)
class Off:
    """The token that stands for a word that is switched off, for each of its tokens: positions stay.

    `note`: a sentence where the tokenizer has no mask token.
    """

    token_id: int
    token: str
    note: str | None


def off_token(tokenizer: Any) -> Off:
    """The tokenizer's mask token; without one its unknown token, else its padding token.

    Raises:
        ValueError: it has none of the three.
    """
    for name in ("mask_token", "unk_token", "pad_token"):
        token = getattr(tokenizer, name, None)
        if token is None:
            continue
        note = None
        if name != "mask_token":
            what = "unknown" if name == "unk_token" else "padding"
            note = (
                f"The tokenizer has no mask token: {token}, its {what} token, stands for a word that "
                "is off."
            )
        return Off(int(getattr(tokenizer, f"{name}_id")), str(token), note)
    raise ValueError("the tokenizer has no mask, unknown or padding token to stand for a word")


def text_of(
    row: Question,
    windows: Windows,
    index: int,
    tokenizer: Any,
    max_tokens: int,
    stride_tokens: int,
) -> Text:
    """Window number `index` of `windows` as words; these are the windows of `row` alone.

    Raises:
        ValueError: no token of it belongs to a word.
    """
    encodings = tokenizer(
        row.question.lstrip(),
        row.context,
        truncation="only_second",
        max_length=max_tokens,
        stride=stride_tokens,
        return_overflowing_tokens=True,
        return_offsets_mapping=True,
    )
    # A tokenizer keeps the last call's truncation, which is no part of what it is.
    tokenizer.backend_tokenizer.no_truncation()
    encoding = encodings.encodings[index]
    batch = padded_batch(windows, [index], int(tokenizer.pad_token_id))
    assert batch["input_ids"][0].tolist() == encoding.ids
    inputs = {name: batch[name] for name in _GIVEN if name in batch}
    words = _words(encoding, row.question.lstrip(), row.context)
    if not words:
        raise ValueError("neither question nor context has a word that the tokenizer knows of")
    return Text(row.question.lstrip(), row.context, words, inputs, index, len(windows))


_GIVEN = ("input_ids", "attention_mask", "token_type_ids")


def _words(encoding: Any, question: str, context: str) -> tuple[Word, ...]:
    """Tokens of one sequence and one word number are a word; its number restarts with the sequence."""
    parts, numbers, offsets = encoding.sequence_ids, encoding.word_ids, encoding.offsets
    # A token without number is a word alone.
    keys = [
        (part, number if number is not None else -1 - token)
        for token, (part, number) in enumerate(zip(parts, numbers, strict=True))
    ]
    words = []
    for (sequence, _), group in groupby(range(len(keys)), keys.__getitem__):
        tokens = list(group)
        if sequence is None:
            continue
        source = context if sequence else question
        start, end = offsets[tokens[0]][0], offsets[tokens[-1]][1]
        part: Part = "context" if sequence else "question"
        words.append(Word(source[start:end], part, start, end, tokens[0], tokens[-1]))
    return tuple(words)


def ids_with(
    ids: Int[Tensor, " token"],
    unit_of: Int[Tensor, " token"],
    off_id: int,
    masks: Bool[ndarray, "mask unit"],
) -> Int[Tensor, "mask token"]:
    """Token ids with the units that are False in a mask replaced by `off_id`, token by token.

    `unit_of` is the unit of each token, NO_WORD where it always stays.
    """
    switched = torch.from_numpy(masks).to(ids.device)
    stays = torch.ones((len(masks), 1), dtype=torch.bool, device=ids.device)
    # Index -1, NO_WORD, is the last column, which is always on.
    on = torch.cat([switched, stays], dim=1)[:, unit_of]
    return torch.where(on, ids, off_id)


def unit_of_token(text: Text, units: Sequence[int]) -> Int[Tensor, " token"]:
    """By token the place in `units` of its word; NO_WORD for special tokens and words that stay on."""
    found = torch.full((text.n_tokens,), NO_WORD)
    for place, number in enumerate(units):
        word = text.words[number]
        found[word.first_token : word.last_token + 1] = place
    return found
