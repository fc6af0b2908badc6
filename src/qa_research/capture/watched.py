"""The watched questions: fixed rows whose internals are followed over a whole training.

What stands beside the recorded numbers: the watched questions, their tokens and true spans.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Int
from numpy.typing import NDArray
from torch import Tensor

from qa_research.capture.recording.arrays import ROWS, Coordinate
from qa_research.streams import stream
from qa_research.tasks.answering.question import Question, describe_bad_rows, find_bad_rows
from qa_research.tasks.answering.squad import read_questions
from qa_research.tasks.answering.windows import Windows, make_windows, padded_batch

PARTS = ("padding", "cls", "question", "sep", "context")
_PADDING, _CLS, _QUESTION, _SEP, _CONTEXT = range(len(PARTS))
_SENTENCE_END = re.compile(r"[.!?]+(?=\s|$)")


@dataclass(frozen=True)
class Watched:
    """Questions with one window each: the first that holds the answer, else the first of all.

    `splits`: `train`, `validation` or `file`. `batch`: what the network is given, padded to the longest
    window. `parts`: what each token belongs to, as an index of PARTS. `matching`: the tokens that the
    question shares with the sentence of the answer (outside the answer itself) and with the fewest other
    sentences of its context: the words by which this fact is told from the others.
    """

    questions: tuple[Question, ...]
    splits: tuple[str, ...]
    windows: Windows
    indices: tuple[int, ...]
    batch: dict[str, Tensor]
    tokens: tuple[list[str], ...]
    parts: NDArray[np.int8]
    matching: NDArray[np.bool_]

    @property
    def mask(self) -> Bool[Tensor, "question token"]:
        """Which tokens are no padding."""
        return self.batch["attention_mask"].bool()

    @property
    def spans(self) -> Int[Tensor, "question row"]:
        """First and last token of the first gold answer; both 0, [CLS], where there is none."""
        return torch.stack([self.batch["start_positions"], self.batch["end_positions"]], dim=1)

    @property
    def answer(self) -> NDArray[np.bool_]:
        """[question token]: the tokens of the first gold answer."""
        first, last = self.spans.numpy().T
        position = np.arange(self.parts.shape[1])
        inside = (position >= first[:, None]) & (position <= last[:, None])
        inside &= (last > 0)[:, None]
        return np.asarray(inside)


def choose(
    wish: int | str | Sequence[str | int],
    train: Sequence[Question],
    validation: Sequence[Question],
    seed: int,
) -> list[tuple[str, Question]]:
    """(split, question) for a number, ids, or a file (of ids, if it ends in .txt, or of questions).

    A number is drawn by `seed`: half from training, half from validation, each kind in turn.

    Raises:
        ValueError: an id that is not in the data, more questions than there are, or an unusable file.
    """
    splits = {"train": train, "validation": validation}
    if train is validation:
        splits.pop("validation")
    if isinstance(wish, int):
        return _drawn(wish, splits, seed)
    if isinstance(wish, str) and Path(wish).is_file():
        if not wish.endswith(".txt"):
            return _from_file(wish)
        try:
            ids = Path(wish).read_text(encoding="utf-8").split()
        except UnicodeDecodeError as error:
            raise ValueError(f"capture.questions={wish} is no text in UTF-8: {error}") from error
    else:
        ids = [wish] if isinstance(wish, str) else [str(word) for word in wish]
    if not ids:
        raise ValueError(f"capture.questions={wish} names no question")
    known = {row.id: (split, row) for split, rows in splits.items() for row in rows}
    missing = [name for name in ids if name not in known]
    if missing:
        raise ValueError(
            f"capture.questions: {', '.join(missing[:5])} "
            f"{'is' if len(missing) == 1 else 'are'} in neither split (nor a file); ids there look like "
            f"{', '.join(rows[0].id for rows in splits.values())}"
        )
    return [known[name] for name in dict.fromkeys(ids)]


def watch(
    chosen: Sequence[tuple[str, Question]], tokenizer: Any, max_tokens: int, stride_tokens: int
) -> Watched:
    """The chosen questions as one batch."""
    questions = [row for _, row in chosen]
    windows = make_windows(questions, tokenizer, max_tokens, stride_tokens)
    indices = []
    for number in range(len(questions)):
        own = np.flatnonzero(windows.question == number)
        holding = own[windows.span_last[own] > 0]
        indices.append(int((holding if len(holding) else own)[0]))
    batch = padded_batch(windows, indices, int(tokenizer.pad_token_id))
    parts = np.zeros(batch["input_ids"].shape, dtype=np.int8)
    matching = np.zeros(parts.shape, dtype=bool)
    special = {tokenizer.cls_token_id, tokenizer.sep_token_id}
    tokens = []
    for row, index in enumerate(indices):
        count = int(windows.lengths[index])
        ids = batch["input_ids"][row, :count].tolist()
        tokens.append(tokenizer.convert_ids_to_tokens(ids))
        first, last = int(windows.context_first[index]), int(windows.context_last[index])
        parts[row, :count] = [_SEP if i in special else _QUESTION for i in ids]
        parts[row, 0] = _CLS
        if first:
            parts[row, first : last + 1] = _CONTEXT
        offset = int(windows.starts[index])
        starts = windows.char_start[offset : offset + count]
        known = [i if i != tokenizer.unk_token_id else -1 for i in ids]
        matching[row, :count] = _matching(known, parts[row, :count], starts, questions[row])
    splits = tuple(split for split, _ in chosen)
    return Watched(
        tuple(questions), splits, windows, tuple(indices), batch, tuple(tokens), parts, matching
    )


def _drawn(
    count: int, splits: dict[str, Sequence[Question]], seed: int
) -> list[tuple[str, Question]]:
    there = sum(len(rows) for rows in splits.values())
    if count > there:
        raise ValueError(f"capture.questions={count}, but there are only {there}")
    chosen: list[tuple[str, Question]] = []
    for place, (split, rows) in enumerate(splits.items()):
        left = count - len(chosen)
        # The second split takes what the first cannot give.
        wanted = left if place == len(splits) - 1 else min((left + 1) // 2, len(rows))
        wanted = max(wanted, left - sum(len(r) for r in list(splits.values())[place + 1 :]))
        groups: dict[str, list[Question]] = {}
        for i in stream(seed, "watched", place).permutation(len(rows)):
            groups.setdefault(rows[i].kind, []).append(rows[i])
        common = sorted(groups, key=lambda kind: (-len(groups[kind]), kind))
        taken = 0
        while taken < wanted:
            for kind in common:
                if groups[kind] and taken < wanted:
                    chosen.append((split, groups[kind].pop(0)))
                    taken += 1
    return chosen


def _from_file(path: str) -> list[tuple[str, Question]]:
    questions = read_questions(path, "capture.questions")
    if bad := find_bad_rows(questions):
        raise ValueError(
            f"capture.questions={path} has {len(bad)} unusable questions: {describe_bad_rows(bad, 5)}"
        )
    return [("file", row) for row in questions]


def _matching(
    ids: Sequence[int], parts: NDArray[np.int8], starts: NDArray[np.int32], row: Question
) -> NDArray[np.bool_]:
    """[token]: the matching words, in the question and in the sentence of the answer; -1 matches nothing."""
    found = np.zeros(len(ids), dtype=bool)
    if not row.answers:
        return found
    ends = [match.end() for match in _SENTENCE_END.finditer(row.context)]
    sentence = np.searchsorted(ends, starts, side="right")
    gold = row.answers[0]
    own = int(np.searchsorted(ends, gold.start, side="right"))
    inside = (starts >= gold.start) & (starts < gold.start + len(gold.text))
    context = parts == _CONTEXT
    asked = {i for i, part in zip(ids, parts, strict=True) if part == _QUESTION and i >= 0}
    beside = context & (sentence == own) & ~inside
    shared = asked & {i for i, here in zip(ids, beside, strict=True) if here}
    if not shared:
        return found
    elsewhere = Counter(
        i
        for i, _ in {
            (i, s) for i, s, c in zip(ids, sentence, context, strict=True) if c and s != own
        }
    )
    fewest = min(elsewhere[i] for i in shared)
    words = [i for i in shared if elsewhere[i] == fewest]
    found |= np.isin(ids, words) & (beside | (parts == _QUESTION))
    return found


def about(watched: Watched) -> dict[str, Any]:
    """The root's attributes: all text of the watched questions, in the order of the axis."""
    rows = zip(watched.splits, watched.questions, watched.tokens, strict=True)
    return {
        "questions": [
            {
                "id": row.id,
                "split": split,
                "kind": row.kind,
                "title": row.title,
                "question": row.question,
                "context": row.context,
                "answers": [gold.text for gold in row.answers],
                "tokens": tokens,
            }
            for split, row, tokens in rows
        ]
    }


def shared_coordinates(watched: Watched, axes: Iterable[str]) -> Mapping[str, Coordinate]:
    """What stands along the axes `row`, `question` and `token`, where a recorder has them."""
    has = set(axes)
    found = {"row": Coordinate(("row",), ROWS)} if "row" in has else {}
    if "question" not in has:
        return found
    spans = watched.spans.numpy().astype(np.int32)
    by_question, by_token = ("question",), ("question", "token")
    found |= {
        "question": Coordinate(by_question, np.arange(len(spans), dtype=np.int32)),
        "tokens": Coordinate(by_question, watched.mask.sum(dim=1).numpy().astype(np.int32)),
        "true_first": Coordinate(by_question, spans[:, 0]),
        "true_last": Coordinate(by_question, spans[:, 1]),
    }
    if not has & {"token", "query"}:
        return found
    windows = watched.windows
    shape = watched.parts.shape
    offsets = {name: np.zeros(shape, dtype=np.int32) for name in ("char_start", "char_end")}
    for row, index in enumerate(watched.indices):
        begin, end = windows.starts[index], windows.starts[index + 1]
        offsets["char_start"][row, : end - begin] = windows.char_start[begin:end]
        offsets["char_end"][row, : end - begin] = windows.char_end[begin:end]
    found |= {
        "token": Coordinate(("token",), np.arange(shape[1], dtype=np.int32)),
        "token_id": Coordinate(by_token, watched.batch["input_ids"].numpy().astype(np.int32)),
        "part": Coordinate(by_token, watched.parts, PARTS),
    }
    return found | {name: Coordinate(by_token, values) for name, values in offsets.items()}
