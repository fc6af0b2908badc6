"""Questions -> token windows and the answer's token span, kept in one memory-mapped Arrow file.

One function for training and validation: the labels stand in every window, the context's offsets too.

Windows -> padded tensors: what a model is given.
"""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from qa_research.console import tracked
from qa_research.tasks.answering.question import Question
from qa_research.tasks.answering.token_text import Part, TokenText

FORMAT = "windows-1"
QUESTIONS_AT_ONCE = 1000

Ints = NDArray[np.int32]


@dataclass(frozen=True)
class Windows:
    """Token windows, all in flat arrays: tokens of window i are `starts[i]:starts[i + 1]`.

    Per token: `input_ids`, `token_types`, and `char_start`/`char_end`, the characters of the context
    that it covers (0, 0 outside the context). Per window: `question` (its index), `context_first` and
    `context_last` (tokens, inclusive), `span_first` and `span_last` (the first gold answer's tokens;
    both 0, the [CLS] token, where the answer is not wholly in the window or there is none).
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
    """The windows of all questions, in order, labelled as Hugging Face's example labels them.

    A window holds the whole question and up to `max_tokens` tokens in all; windows of one question
    share `stride_tokens` tokens of context. `tokenizer` is a fast Hugging Face tokenizer.

    Raises:
        ValueError: a question leaves no room for the context to move on.
    Source: the question-answering example of Hugging Face's transformers, `prepare_train_features`.
    """
    _check_question_lengths(questions, tokenizer, max_tokens, stride_tokens)
    columns: dict[str, list[Any]] = {name: [] for name in (*_PER_TOKEN, *_PER_WINDOW)}
    lengths: list[int] = []
    has_token_types = "token_type_ids" in tokenizer.model_input_names
    for begin in tracked(range(0, len(questions), QUESTIONS_AT_ONCE), "Cutting windows"):
        batch = questions[begin : begin + QUESTIONS_AT_ONCE]
        encodings = tokenizer(
            [row.question.lstrip() for row in batch],
            [row.context for row in batch],
            truncation="only_second",
            max_length=max_tokens,
            stride=stride_tokens,
            return_overflowing_tokens=True,
            return_offsets_mapping=True,
        )
        for i, local in enumerate(encodings["overflow_to_sample_mapping"]):
            row = batch[local]
            encoding = encodings.encodings[i]
            parts = np.array([-1 if part is None else part for part in encoding.sequence_ids])
            inside = np.flatnonzero(parts == 1)
            offsets = np.array(encoding.offsets, dtype=np.int32)
            offsets[parts != 1] = 0
            first, last = (int(inside[0]), int(inside[-1])) if len(inside) else (0, 0)
            span = _span(offsets, first, last, row) if len(inside) else (0, 0)
            lengths.append(len(parts))
            columns["input_ids"].append(np.array(encoding.ids, dtype=np.int32))
            columns["token_types"].append(np.array(encoding.type_ids, dtype=np.int32))
            columns["char_start"].append(offsets[:, 0])
            columns["char_end"].append(offsets[:, 1])
            for name, value in zip(_PER_WINDOW, (begin + local, first, last, *span), strict=True):
                columns[name].append(value)
    _forget_settings(tokenizer)
    empty = np.zeros(0, dtype=np.int32)
    return Windows(
        starts=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        has_token_types=has_token_types,
        **{name: np.concatenate(columns[name] or [empty]) for name in _PER_TOKEN},
        **{name: np.array(columns[name], dtype=np.int32) for name in _PER_WINDOW},
    )


_PER_TOKEN = ("input_ids", "token_types", "char_start", "char_end")
_PER_WINDOW = ("question", "context_first", "context_last", "span_first", "span_last")


def cached_windows(
    questions: Sequence[Question],
    tokenizer: Any,
    max_tokens: int,
    stride_tokens: int,
    cache: Path,
) -> Windows:
    """`make_windows`, read from `cache` where the same questions were cut before.

    The key is the content of the questions, the tokenizer and the settings.
    """
    key = hashlib.sha256()
    _forget_settings(tokenizer)
    text = tokenizer.backend_tokenizer.to_str()
    for part in (FORMAT, text, tokenizer.model_input_names, (max_tokens, stride_tokens)):
        key.update(str(part).encode())
    key.update(fingerprint(questions).encode())
    path = cache / f"windows-{key.hexdigest()[:16]}.arrow"
    if not path.exists():
        _write(make_windows(questions, tokenizer, max_tokens, stride_tokens), path)
    return _read(path)


def _forget_settings(tokenizer: Any) -> None:
    """A tokenizer keeps the last call's truncation and padding, which are no part of what it is."""
    tokenizer.backend_tokenizer.no_truncation()
    tokenizer.backend_tokenizer.no_padding()


def fingerprint(questions: Sequence[Question]) -> str:
    """A sha256 of all that the questions hold."""
    digest = hashlib.sha256()
    for row in questions:
        digest.update(repr((row.id, row.context, row.question, row.answers, row.kind)).encode())
    return digest.hexdigest()


def _write(windows: Windows, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays = {name: getattr(windows, name) for name in ("starts", *_PER_TOKEN, *_PER_WINDOW)}
    arrays["has_token_types"] = np.array([windows.has_token_types])
    # One row whose cells are whole arrays: every cell is then one flat, mappable buffer.
    columns = [pa.LargeListArray.from_arrays([0, len(a)], pa.array(a)) for a in arrays.values()]
    table = pa.Table.from_arrays(columns, names=list(arrays))
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    with pa.OSFile(str(temporary), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    os.replace(temporary, path)


def _read(path: Path) -> Windows:
    table = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
    arrays = {
        name: table[name].chunk(0).values.to_numpy(zero_copy_only=name != "has_token_types")
        for name in table.column_names
    }
    return Windows(**{**arrays, "has_token_types": bool(arrays["has_token_types"][0])})


def _span(offsets: Ints, first: int, last: int, row: Question) -> tuple[int, int]:
    """Tokens of the first gold answer, or (0, 0) where it is not wholly in the window."""
    if not row.answers:
        return 0, 0
    begin = row.answers[0].start
    end = begin + len(row.answers[0].text)
    starts, ends = offsets[first : last + 1, 0], offsets[first : last + 1, 1]
    if starts[0] > begin or ends[-1] < end:
        return 0, 0
    return (
        first + int(np.searchsorted(starts, begin, side="right")) - 1,
        first + int(np.searchsorted(ends, end, side="left")),
    )


def _check_question_lengths(
    questions: Sequence[Question], tokenizer: Any, max_tokens: int, stride_tokens: int
) -> None:
    """Before the slow work: the tokenizer's own message names neither question nor key."""
    special = tokenizer.num_special_tokens_to_add(pair=True)
    for begin in range(0, len(questions), QUESTIONS_AT_ONCE):
        batch = questions[begin : begin + QUESTIONS_AT_ONCE]
        texts = [row.question.lstrip() for row in batch]
        # A token covers a character at least, so short texts need no look.
        room = max_tokens - special - stride_tokens - 1
        suspects = [i for i, text in enumerate(texts) if len(text.encode()) > room]
        if not suspects:
            continue
        encodings = tokenizer([texts[i] for i in suspects], add_special_tokens=False)["input_ids"]
        for i, ids in zip(suspects, encodings, strict=True):
            if len(ids) > room:
                raise ValueError(
                    f"question {batch[i].id} has {len(ids)} tokens, but data.max_tokens={max_tokens} "
                    f"with data.stride_tokens={stride_tokens} leaves room for {room}; raise "
                    "data.max_tokens, lower data.stride_tokens, or remove the question"
                )


def padded_batch(windows: Windows, indices: Sequence[int], pad_token_id: int) -> dict[str, Tensor]:
    """The chosen windows, padded on the right to the longest of them.

    Keys, all int64: `input_ids`, `attention_mask` and, where the tokenizer has them,
    `token_type_ids` [window token]; `start_positions`, `end_positions` and `window`, the index of
    each window [window].
    """
    rows = np.asarray(indices, dtype=np.int64)
    starts = windows.starts[rows]
    lengths = windows.starts[rows + 1] - starts
    columns = np.arange(int(lengths.max()))
    mask = columns < lengths[:, None]
    where = np.minimum(starts[:, None] + columns, len(windows.input_ids) - 1)
    batch = {
        "input_ids": np.where(mask, windows.input_ids[where], pad_token_id),
        "attention_mask": mask,
        "start_positions": windows.span_first[rows],
        "end_positions": windows.span_last[rows],
        "window": rows,
    }
    if windows.has_token_types:
        batch["token_type_ids"] = np.where(mask, windows.token_types[where], 0)
    return {name: torch.from_numpy(array.astype(np.int64)) for name, array in batch.items()}


class WindowDataset(Dataset[dict[str, Tensor]]):
    """Windows for a DataLoader, a whole padded batch at a time."""

    def __init__(self, windows: Windows, pad_token_id: int) -> None:
        self.windows = windows
        self.pad_token_id = pad_token_id

    def __len__(self) -> int:
        return len(self.windows)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return padded_batch(self.windows, [index], self.pad_token_id)

    def __getitems__(self, indices: list[int]) -> dict[str, Tensor]:
        return padded_batch(self.windows, indices, self.pad_token_id)
