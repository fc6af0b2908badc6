"""The watched questions, the same few over a whole training: how they are chosen, one window of each, and
what a recording says about them.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Int
from numpy.typing import NDArray
from torch import Tensor

from qa_research.capture.recording.arrays import ROWS, Coordinate
from qa_research.files import read_text
from qa_research.streams import stream
from qa_research.tasks.answering.batches import padded_batch
from qa_research.tasks.answering.question import Question, describe_bad_rows, find_bad_rows
from qa_research.tasks.answering.squad import read_questions
from qa_research.tasks.answering.windows import TokenText, Windows, make_windows
from qa_research.text import plural

# What a token belongs to; recordings store indices.
PARTS = ("padding", "cls", "question", "sep", "context")
_QUESTION, _CONTEXT = PARTS.index("question"), PARTS.index("context")
_SENTENCE_END = re.compile(r"[.!?]+(?=\s|$)")


@dataclass(frozen=True)
class Watched:
    """Questions with one window each: the first that holds the answer, or else the first of all.

    `splits`: `train`, `validation` or `file`. `windows`: all of these questions, with the `indices` of those
    that are watched, and their `texts`. `batch`: the network's input, padded to the longest window. `parts`:
    what each token belongs to, as an index of PARTS. `matching`: see `_matching`.
    """

    questions: tuple[Question, ...]
    splits: tuple[str, ...]
    windows: Windows
    indices: tuple[int, ...]
    texts: tuple[TokenText, ...]
    batch: dict[str, Tensor]
    parts: NDArray[np.int8]
    matching: NDArray[np.bool_]

    @property
    def mask(self) -> Bool[Tensor, "question token"]:
        """Which tokens are not padding."""
        return self.batch["attention_mask"].bool()

    @property
    def spans(self) -> Int[Tensor, "question row"]:
        """First and last token of the first gold answer; both 0, [CLS], if there is none."""
        return torch.stack([self.batch["start_positions"], self.batch["end_positions"]], dim=1)

    @property
    def answer(self) -> NDArray[np.bool_]:
        """[question token]: the tokens of the first gold answer."""
        first, last = self.spans.numpy().T
        position = np.arange(self.parts.shape[1])
        inside = (position >= first[:, None]) & (position <= last[:, None])
        inside &= (last > 0)[:, None]
        return np.asarray(inside)


def choose_questions(
    request: int | str | Sequence[str | int],
    train: Sequence[Question],
    validation: Sequence[Question],
    seed: int,
) -> list[tuple[str, Question]]:
    """(split, question) for a number, ids, or a file (of ids if it ends in .txt, else of questions).

    A number is drawn with `seed`: half from training, half from validation, alternating between kinds.

    Raises:
        ValueError: an id that is not in the data, more questions than there are, or an unusable file.
    """
    splits = {"train": train, "validation": validation}
    if train is validation:
        splits.pop("validation")
    if isinstance(request, int):
        return _draw(request, splits, seed)
    if isinstance(request, str) and Path(request).is_file():
        if not request.endswith(".txt"):
            return _from_file(request)
        ids = read_text(Path(request), f"capture.questions={request}").split()
    else:
        ids = [request] if isinstance(request, str) else [str(word) for word in request]
    if not ids:
        raise ValueError(f"capture.questions={request} names no question")
    known = {row.id: (split, row) for split, rows in splits.items() for row in rows}
    missing = [name for name in ids if name not in known]
    if missing:
        raise ValueError(
            f"capture.questions: {', '.join(missing[:5])} "
            f"{'is' if len(missing) == 1 else 'are'} in neither split (nor a file); ids there look like "
            f"{', '.join(rows[0].id for rows in splits.values())}"
        )
    return [known[name] for name in dict.fromkeys(ids)]


def _draw(
    count: int, splits: Mapping[str, Sequence[Question]], seed: int
) -> list[tuple[str, Question]]:
    """`count` questions, half of each split; a split that is too small leaves its share to the other.

    Example: 4 of a training split with the kinds "who" (60 rows) and "when" (40), and a validation split
    like it. Each split gives 2: its rows are shuffled, and kinds take turns, the most common one first, so
    who, when, who, when. 4 of 1 training and 9 validation rows are 1 and 3. The order depends only on
    `seed`, which is that of the data: trainings with other seeds watch the same questions.
    """
    available = sum(len(rows) for rows in splits.values())
    if count > available:
        raise ValueError(f"capture.questions={count}, but there are only {available}")
    chosen: list[tuple[str, Question]] = []
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


def _alternating(rows: Iterable[Question]) -> Iterator[Question]:
    """All rows, one of each kind in turn, the most common kind first."""
    groups: dict[str, list[Question]] = {}
    for row in rows:
        groups.setdefault(row.kind, []).append(row)
    kinds = sorted(groups, key=lambda kind: (-len(groups[kind]), kind))
    for turn in zip_longest(*(groups[kind] for kind in kinds)):
        yield from filter(None, turn)


def _from_file(path: str) -> list[tuple[str, Question]]:
    questions = read_questions(path, "capture.questions")
    if bad := find_bad_rows(questions):
        raise ValueError(
            f"capture.questions={path} has {plural(len(bad), 'unusable question')}: "
            f"{describe_bad_rows(bad, 5)}"
        )
    return [("file", row) for row in questions]


def watched_windows(
    chosen: Sequence[tuple[str, Question]], tokenizer: Any, max_tokens: int, stride_tokens: int
) -> Watched:
    """The chosen questions as one batch."""
    questions = tuple(row for _, row in chosen)
    windows = make_windows(questions, tokenizer, max_tokens, stride_tokens)
    indices = []
    for number in range(len(questions)):
        own = np.flatnonzero(windows.question == number)
        holding = own[windows.span_last[own] > 0]
        indices.append(int((holding if len(holding) else own)[0]))
    batch = padded_batch(windows, indices, int(tokenizer.pad_token_id))
    parts = np.zeros(batch["input_ids"].shape, dtype=np.int8)
    matching = np.zeros(parts.shape, dtype=bool)
    texts = []
    for i, (index, question) in enumerate(zip(indices, questions, strict=True)):
        text = windows.text(index, question.context, tokenizer)
        texts.append(text)
        parts[i, : len(text)] = [PARTS.index(part) for part in text.parts]
        ids = batch["input_ids"][i, : len(text)].tolist()
        known = [-1 if token == tokenizer.unk_token_id else token for token in ids]
        matching[i, : len(text)] = _matching(known, text, question)
    splits = tuple(split for split, _ in chosen)
    return Watched(questions, splits, windows, tuple(indices), tuple(texts), batch, parts, matching)


def _matching(ids: Sequence[int], text: TokenText, question: Question) -> NDArray[np.bool_]:
    """[token]: the words by which the question picks out its fact, in the question and in the context.

    Of the words that the question shares with the sentence of the answer (outside the answer itself), those
    that the fewest other sentences contain. `ids`: -1 for an unknown word, which matches nothing.

    Example: "Who leads chess?", and "Dr Obi leads rowing. Ms Lund leads chess. Zeb leads judo." The
    sentence of the answer, Ms Lund, shares "leads" and "chess" with the question. Two other sentences have
    "leads", none has "chess": so "chess" matches, once in the question and once in the context.
    """
    found = np.zeros(len(ids), dtype=bool)
    if not question.answers:
        return found
    gold = question.answers[0]
    starts = np.array([start for start, _ in text.chars])
    ends = [match.end() for match in _SENTENCE_END.finditer(question.context)]
    sentence = np.searchsorted(ends, starts, side="right")
    own_sentence = int(np.searchsorted(ends, gold.start, side="right"))
    is_answer = (starts >= gold.start) & (starts < gold.start + len(gold.text))
    is_context = np.array([part == "context" for part in text.parts])
    is_question = np.array([part == "question" for part in text.parts])
    candidates = is_context & (sentence == own_sentence) & ~is_answer
    asked = {token for token, here in zip(ids, is_question, strict=True) if here and token >= 0}
    shared = asked & {token for token, here in zip(ids, candidates, strict=True) if here}
    if not shared:
        return found
    # A word counts once for each other sentence that has it.
    pairs = {
        (token, s)
        for token, s, here in zip(ids, sentence, is_context, strict=True)
        if here and s != own_sentence
    }
    elsewhere = Counter(token for token, _ in pairs)
    fewest = min(elsewhere[token] for token in shared)
    rarest = [token for token in shared if elsewhere[token] == fewest]
    found |= np.isin(ids, rarest) & (candidates | is_question)
    return found


def describe(watched: Watched) -> dict[str, Any]:
    """A recording's root attributes: all text of the watched questions, in the order of the axis."""
    rows = zip(watched.splits, watched.questions, watched.texts, strict=True)
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
                "tokens": list(text.tokens),
            }
            for split, row, text in rows
        ]
    }


def shared_coordinates(watched: Watched, axes: Iterable[str]) -> Mapping[str, Coordinate]:
    """The coordinates along the axes `row`, `question` and `token`, as far as a recorder has these axes."""
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
    shape = watched.parts.shape
    chars = np.zeros((2, *shape), dtype=np.int32)
    for i, text in enumerate(watched.texts):
        chars[:, i, : len(text)] = np.array(text.chars).T
    return found | {
        "token": Coordinate(("token",), np.arange(shape[1], dtype=np.int32)),
        "token_id": Coordinate(by_token, watched.batch["input_ids"].numpy().astype(np.int32)),
        "part": Coordinate(by_token, watched.parts, PARTS),
        "char_start": Coordinate(by_token, chars[0]),
        "char_end": Coordinate(by_token, chars[1]),
    }
