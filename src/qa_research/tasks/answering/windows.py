"""Questions -> token windows with the answer's span, cached in a memory-mapped Arrow file.

Windows for training and validation are the same: each has its label and its characters of the context.
`TokenText` is one window as text: its tokens, what each belongs to, which characters it covers.
`batches.py` makes tensors of windows; nothing here imports torch, so that browsing starts quickly.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from qa_research.caches import made_once
from qa_research.console import tracked
from qa_research.model.tokenizer import (
    count_tokens,
    encode_windows,
    text_ids,
    tokenizer_fingerprint,
)
from qa_research.tasks.answering.labels import Ints, label, letters_of, owned_chars
from qa_research.tasks.answering.question import BadRow, Question

Part = Literal["cls", "question", "sep", "context"]


@dataclass(frozen=True, slots=True)
class TokenText:
    """The tokens of one window of a question and its context.

    By token: its text in the vocabulary's spelling (`tokens`), what it belongs to (`parts`), and the
    characters of the context that it owns (`chars`, the end exclusive; (0, 0) outside the context). A
    span is its first and last token, inclusive; (0, 0), the [CLS] token, is "no answer".

    Example: `context` "Ann sings." in the window [CLS] who sings ? [SEP] ann sing ##s . [SEP]
        chars            (0,0) (0,0) (0,0) (0,0) (0,0) (0,3) (4,8) (8,9) (9,10) (0,0)
        text(6, 7)       "sings"
        span_of(4, 9)    (6, 7); span_of(5, 9) is None: no token starts at character 5
        context_chars    (0, 10)
    """

    context: str
    tokens: tuple[str, ...]
    parts: tuple[Part, ...]
    chars: tuple[tuple[int, int], ...]

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def context_tokens(self) -> list[int]:
        """The tokens that belong to the context, by number."""
        return [token for token, part in enumerate(self.parts) if part == "context"]

    @property
    def context_chars(self) -> tuple[int, int]:
        """The characters of the context that the window covers; (0, 0) if it covers none."""
        inside = self.context_tokens
        return (self.chars[inside[0]][0], self.chars[inside[-1]][1]) if inside else (0, 0)

    def text(self, first: int, last: int) -> str:
        """The characters of the context from token `first` to `last`; empty for "no answer"."""
        return self.context[self.chars[first][0] : self.chars[last][1]]

    def span_of(self, char_start: int, char_end: int) -> tuple[int, int] | None:
        """The span of tokens that covers exactly these characters, or None.

        Tokens without characters, such as RoBERTa's for a blank, are not the end of a span.
        """
        covering = [
            (token, *chars) for token, chars in enumerate(self.chars) if chars[0] < chars[1]
        ]
        firsts = [token for token, start, _ in covering if start == char_start]
        lasts = [token for token, _, end in covering if end == char_end]
        if not firsts or not lasts or firsts[0] > lasts[-1]:
            return None
        return firsts[0], lasts[-1]

    def context_pieces(self) -> list[tuple[str, int | None]]:
        """The whole context in pieces, each with its token; None for characters outside all tokens."""
        inside = self.context_tokens
        found = pieces(self.context, [self.chars[token] for token in inside])
        return [(text, None if number is None else inside[number]) for text, number in found]


def pieces(text: str, spans: Iterable[tuple[int, int]]) -> list[tuple[str, int | None]]:
    """`text` split at spans of its characters; the texts of all pieces joined are `text`.

    Each piece has the number of its span, or None where it lies between, before or after them. The
    spans are in order. Where two overlap, as byte-level tokens of one character do, the characters
    belong to the first.

    >>> pieces("a bcd!", [(0, 1), (2, 4), (3, 5)])
    [('a', 0), (' ', None), ('bc', 1), ('d', 2), ('!', None)]
    """
    found: list[tuple[str, int | None]] = []
    reached = 0
    for number, (start, end) in enumerate(spans):
        if start > reached:
            found.append((text[reached:start], None))
        found.append((text[max(reached, start) : end], number))
        reached = max(reached, end)
    if reached < len(text):
        found.append((text[reached:], None))
    return found


# windows-2: a token owns its characters as `labels.owned_chars` says; text is never a special token.
FORMAT = "windows-2"
QUESTIONS_AT_ONCE = 1000


@dataclass(frozen=True)
class Windows:
    """Token windows in flat arrays: the tokens of window i are `starts[i]:starts[i + 1]`.

    Per token: `input_ids`, `token_types`, and `char_start`/`char_end`, the characters of the context
    that it owns (0, 0 outside the context; see `labels.owned_chars`). Per window: `question` (its
    index), `context_first` and `context_last` (tokens, inclusive), `span_first` and `span_last` (the
    first gold answer's tokens; both 0, the [CLS] token, if there is no answer or the window does not
    hold all of it).
    """

    starts: NDArray[np.int64]
    input_ids: Ints
    token_types: Ints
    char_start: Ints
    char_end: Ints
    question: Ints
    context_first: Ints
    context_last: Ints
    span_first: Ints
    span_last: Ints
    has_token_types: bool

    def __len__(self) -> int:
        return len(self.question)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each window."""
        return np.diff(self.starts)

    def tokens(self, index: int) -> slice:
        """Where the tokens of a window are in the arrays with an entry per token."""
        return slice(int(self.starts[index]), int(self.starts[index + 1]))

    def text(self, index: int, context: str, tokenizer: Any) -> TokenText:
        """One window as text; `context` and `tokenizer` are those it was made from."""
        tokens = self.tokens(index)
        ids = self.input_ids[tokens].tolist()
        special = {tokenizer.cls_token_id, tokenizer.sep_token_id}
        parts: list[Part] = ["sep" if i in special else "question" for i in ids]
        parts[0] = "cls"
        first, last = int(self.context_first[index]), int(self.context_last[index])
        if first:
            parts[first : last + 1] = ["context"] * (last - first + 1)
        chars = zip(self.char_start[tokens].tolist(), self.char_end[tokens].tolist(), strict=True)
        names = tokenizer.convert_ids_to_tokens(ids)
        return TokenText(context, tuple(names), tuple(parts), tuple(chars))


def make_windows(
    questions: Sequence[Question], tokenizer: Any, max_tokens: int, stride_tokens: int
) -> Windows:
    """The windows of all questions, in order, with the tokens of the first gold answer.

    A window holds the whole question and has at most `max_tokens` tokens; consecutive windows of a
    question share `stride_tokens` tokens of context. `tokenizer` is a fast Hugging Face tokenizer.

    Example: a question of 4 tokens, a context of 20 (c0 to c19), max_tokens 17, stride_tokens 4. The
    question, [CLS] and two [SEP] leave room for 10 tokens of context, and each window starts 10 - 4 = 6
    further on: c0-c9, c6-c15, c12-c19. An answer at c8-c10 is wholly in the second only, where c6 is
    token 6: its label there is (8, 10), and (0, 0) in the other two.

    Raises:
        ValueError: a question is so long that each window would start where the last one did.
    Source: the question-answering example of Hugging Face's transformers, `prepare_train_features`; its
    labels also take in a neighbouring token where an answer starts or ends with a blank, an accent that
    the tokenizer drops, or a character of several tokens, and these do not (`labels.label`).
    """
    for row in too_long(questions, tokenizer, max_tokens, stride_tokens):
        raise ValueError(
            f"question {row.id} {row.reason}; raise data.max_tokens, lower data.stride_tokens, or remove "
            "the question"
        )
    columns: dict[str, list[Any]] = {name: [] for name in (*_PER_TOKEN, *_PER_WINDOW)}
    for begin in tracked(range(0, len(questions), QUESTIONS_AT_ONCE), "Making windows"):
        batch = questions[begin : begin + QUESTIONS_AT_ONCE]
        encoded = encode_windows(
            tokenizer,
            [row.question.lstrip() for row in batch],
            [row.context for row in batch],
            max_tokens,
            stride_tokens,
        )
        # Of each window the position of its question in the batch: [0, 0, 1] if the first has two.
        positions = encoded["overflow_to_sample_mapping"]
        pairs = zip(positions, encoded.encodings, strict=True)
        for position, own in groupby(pairs, key=itemgetter(0)):
            encodings = [encoding for _, encoding in own]
            row = batch[position]
            for window in _windows_of(row, begin + position, encodings, tokenizer):
                for name, values in window.items():
                    columns[name].append(values)
    lengths = [len(ids) for ids in columns["input_ids"]]
    empty = np.zeros(0, dtype=np.int32)
    return Windows(
        starts=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        has_token_types="token_type_ids" in tokenizer.model_input_names,
        **{name: np.concatenate(columns[name] or [empty]) for name in _PER_TOKEN},
        **{name: np.array(columns[name], dtype=np.int32) for name in _PER_WINDOW},
    )


def _windows_of(
    row: Question, number: int, encodings: Sequence[Any], tokenizer: Any
) -> list[dict[str, Any]]:
    """The windows of question `number`, under the names of the arrays of `Windows`."""
    insides = [np.flatnonzero([i == 1 for i in encoding.sequence_ids]) for encoding in encodings]
    # The tokenizer counts the question's characters from 0, too; only the context's are kept.
    reported = [
        np.array(encoding.offsets, dtype=np.int32)[inside]
        for encoding, inside in zip(encodings, insides, strict=True)
    ]
    owned = owned_chars(row.context, np.concatenate(reported))
    letters = letters_of(row, owned) if row.answers else None
    parts = np.split(owned, np.cumsum([len(part) for part in reported])[:-1])
    return [
        _window(encoding, inside, chars, letters, number, tokenizer)
        for encoding, inside, chars in zip(encodings, insides, parts, strict=True)
    ]


def _window(
    encoding: Any,
    inside: NDArray[np.int64],
    chars: Ints,
    letters: tuple[int, int] | None,
    number: int,
    tokenizer: Any,
) -> dict[str, Any]:
    """One window: its context is the tokens `inside`, which own `chars`; `letters`: the answer's."""
    offsets = np.zeros((len(encoding.ids), 2), dtype=np.int32)
    offsets[inside] = chars
    first, last = (int(inside[0]), int(inside[-1])) if len(inside) else (0, 0)
    found = label(chars, letters) if letters else None
    return {
        "input_ids": np.array(text_ids(encoding, tokenizer), dtype=np.int32),
        "token_types": np.array(encoding.type_ids, dtype=np.int32),
        "char_start": offsets[:, 0],
        "char_end": offsets[:, 1],
        "question": number,
        "context_first": first,
        "context_last": last,
        "span_first": first + found[0] if found else 0,
        "span_last": first + found[1] if found else 0,
    }


_PER_TOKEN = ("input_ids", "token_types", "char_start", "char_end")
_PER_WINDOW = ("question", "context_first", "context_last", "span_first", "span_last")


def cached_windows(
    questions: Sequence[Question],
    tokenizer: Any,
    max_tokens: int,
    stride_tokens: int,
    cache: Path,
) -> Windows:
    """`make_windows`, read from `cache` if they were made before.

    The key is the content of the questions, the tokenizer and the settings.
    """
    key = hashlib.sha256()
    parts = (FORMAT, tokenizer_fingerprint(tokenizer), (max_tokens, stride_tokens))
    for part in (*parts, fingerprint(questions)):
        key.update(str(part).encode())
    path = cache / f"windows-{key.hexdigest()[:16]}.arrow"

    def make(file: IO[bytes]) -> None:
        _write(make_windows(questions, tokenizer, max_tokens, stride_tokens), file)

    return _read(path, made_once(path, "windows", make))


def fingerprint(questions: Sequence[Question]) -> str:
    """A sha256 of the questions' content."""
    digest = hashlib.sha256()
    for row in questions:
        digest.update(repr((row.id, row.context, row.question, row.answers, row.kind)).encode())
    return digest.hexdigest()


def windows_fingerprint(splits: Iterable[Windows]) -> str:
    """A sha256 of the tokens and labels of several splits."""
    digest = hashlib.sha256()
    for windows in splits:
        for name in ("starts", *_PER_TOKEN, *_PER_WINDOW):
            digest.update(np.ascontiguousarray(getattr(windows, name)).data)
    return digest.hexdigest()


def _write(windows: Windows, file: IO[bytes]) -> None:
    arrays = {name: getattr(windows, name) for name in ("starts", *_PER_TOKEN, *_PER_WINDOW)}
    arrays["has_token_types"] = np.array([windows.has_token_types])
    # A table of one row whose cells are whole arrays: each cell is one flat buffer that can be mapped.
    columns = [pa.LargeListArray.from_arrays([0, len(a)], pa.array(a)) for a in arrays.values()]
    table = pa.Table.from_arrays(columns, names=list(arrays))
    with pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)


def _read(path: Path, size: int) -> Windows:
    """Windows mapped from the first `size` bytes of a file."""
    content = pa.memory_map(str(path)).read_buffer(size)
    table = pa.ipc.open_file(pa.BufferReader(content)).read_all()
    arrays = {
        name: table[name].chunk(0).values.to_numpy(zero_copy_only=name != "has_token_types")
        for name in table.column_names
    }
    return Windows(**{**arrays, "has_token_types": bool(arrays["has_token_types"][0])})


def too_long(
    questions: Sequence[Question], tokenizer: Any, max_tokens: int, stride_tokens: int
) -> list[BadRow]:
    """The questions that no window has room for, before the slow work.

    The tokenizer's own message names neither question nor key.
    """
    special = tokenizer.num_special_tokens_to_add(pair=True)
    # The shared tokens and one more must fit, so that the next window starts later.
    room = max_tokens - special - stride_tokens - 1
    found = []
    # A token covers at least one byte, so short texts need not be tokenized.
    suspects = [
        (position, row)
        for position, row in enumerate(questions)
        if len(row.question.lstrip().encode()) > room
    ]
    for begin in range(0, len(suspects), QUESTIONS_AT_ONCE):
        batch = suspects[begin : begin + QUESTIONS_AT_ONCE]
        lengths = count_tokens(tokenizer, [row.question.lstrip() for _, row in batch])
        for (position, row), length in zip(batch, lengths, strict=True):
            if length > room:
                reason = (
                    f"has {length} tokens, but data.max_tokens={max_tokens} with "
                    f"data.stride_tokens={stride_tokens} leaves room for {room}"
                )
                found.append(BadRow(position, row.id, reason))
    return found
