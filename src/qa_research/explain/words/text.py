"""A question and its context as words that can be switched off: one window, the words' tokens, and "off".

Special tokens such as [CLS] and [SEP] belong to no word and always stay. Nothing here knows a network.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Bool, Int
from numpy import ndarray
from torch import Tensor

from qa_research.model.tokenizer import encode_windows
from qa_research.tasks.answering.batches import padded_batch
from qa_research.tasks.answering.labels import owned_chars
from qa_research.tasks.answering.question import Question
from qa_research.tasks.answering.windows import Windows
from qa_research.tasks.watching import NO_WORD

Part = Literal["question", "context"]


@dataclass(frozen=True, slots=True)
class Word:
    """A word as the tokenizer splits text into words (punctuation marks are words, too), and its tokens.

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
    """The words of one window of a question and its context, and the network's inputs for it.

    `inputs`: one row of `padded_batch`, without labels. `window` is one of `windows`, counted from 0.
    `question` is what was tokenized, without the blanks before it.
    """

    question: str
    context: str
    words: tuple[Word, ...]
    inputs: dict[str, Tensor]
    window: int
    windows: int

    @property
    def n_tokens(self) -> int:
        """Tokens of the window, including special ones."""
        return self.inputs["input_ids"].shape[1]

    @property
    def context_chars(self) -> tuple[int, int]:
        """The characters of the context that the window covers."""
        inside = [word for word in self.words if word.part == "context"]
        if not inside:
            return 0, 0
        return inside[0].char_start, inside[-1].char_end

    @property
    def note(self) -> str | None:
        """Which part of a context longer than a window it is, as a sentence; None where it is all of it."""
        if self.windows == 1:
            return None
        start, end = self.context_chars
        return (
            f"The context is longer than a window: characters {start} to {end} of {len(self.context)} "
            f"are explained (window {self.window + 1} of {self.windows})."
        )

    def words_of(self, first_token: int, last_token: int) -> list[int]:
        """The words, by number, that have a token from `first_token` to `last_token` (inclusive)."""
        return [
            number
            for number, word in enumerate(self.words)
            if word.first_token <= last_token and word.last_token >= first_token
        ]


INPUTS = ("input_ids", "attention_mask", "token_type_ids")


def texts_of(
    row: Question, windows: Windows, tokenizer: Any, max_tokens: int, stride_tokens: int
) -> list[Text]:
    """Each of `windows`, which are the windows of this one `row`, as words.

    Raises:
        ValueError: none of a window's tokens belongs to a word.
    """
    question = row.question.lstrip()
    encoded = encode_windows(tokenizer, [question], [row.context], max_tokens, stride_tokens)
    found = []
    for index, encoding in enumerate(encoded.encodings):
        batch = padded_batch(windows, [index], int(tokenizer.pad_token_id))
        assert batch["input_ids"].shape[1] == len(encoding.ids)
        inputs = {name: batch[name] for name in INPUTS if name in batch}
        words = _words(encoding, question, row.context)
        if not words:
            raise ValueError("neither the question nor the context has a word the tokenizer knows")
        found.append(Text(question, row.context, words, inputs, index, len(windows)))
    return found


def _words(encoding: Any, question: str, context: str) -> tuple[Word, ...]:
    """Neighbouring tokens of one sequence with one word number are a word.

    The tokens of "Who is unbelievable?" and "Ms Lund." may be

        token     [CLS] who is un ##believ ##able ? [SEP] ms lund . [SEP]
        sequence  None  0   0  0  0        0      0 None  1  1    1 None
        word      None  0   1  2  2        2      3 None  0  1    2 None

    so "unbelievable" has the tokens 3 to 5, and the numbers start again with the context.
    """
    # A token without a word number is a word of its own.
    keys = [
        (sequence, number if number is not None else -1 - token)
        for token, (sequence, number) in enumerate(
            zip(encoding.sequence_ids, encoding.word_ids, strict=True)
        )
    ]
    offsets = np.array(encoding.offsets, dtype=np.int32)
    for number, text in enumerate((question, context)):
        inside = [sequence == number for sequence in encoding.sequence_ids]
        offsets[inside] = owned_chars(text, offsets[inside])
    words = []
    for (sequence, _), group in groupby(range(len(keys)), keys.__getitem__):
        tokens = list(group)
        if sequence is None:
            continue
        part: Part = "context" if sequence else "question"
        source = context if sequence else question
        start, end = int(offsets[tokens[0], 0]), int(offsets[tokens[-1], 1])
        words.append(Word(source[start:end], part, start, end, tokens[0], tokens[-1]))
    return tuple(words)


def unit_of_token(text: Text, units: Sequence[int]) -> Int[Tensor, " token"]:
    """By token the index in `units` of its word; NO_WORD for special tokens and words that stay on."""
    found = torch.full((text.n_tokens,), NO_WORD)
    for unit, number in enumerate(units):
        word = text.words[number]
        found[word.first_token : word.last_token + 1] = unit
    return found


def masked_ids(
    ids: Int[Tensor, " token"],
    unit_of: Int[Tensor, " token"],
    off_id: int,
    masks: Bool[ndarray, "mask unit"],
) -> Int[Tensor, "mask token"]:
    """Token ids with the units that are False in a mask replaced by `off_id`, token by token.

    `unit_of` is the unit of each token, NO_WORD where it always stays. For units [-1, 0, 1, 1, -1] (a
    word of one token, a word of two) the mask [True, False] keeps tokens 0, 1 and 4 and replaces 2 and 3.
    """
    switched = torch.from_numpy(masks).to(ids.device)
    stays = torch.ones((len(masks), 1), dtype=torch.bool, device=ids.device)
    # Index -1, NO_WORD, is the last column, which is always on.
    on = torch.cat([switched, stays], dim=1)[:, unit_of]
    return torch.where(on, ids, off_id)
