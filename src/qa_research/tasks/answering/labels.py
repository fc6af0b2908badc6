"""Which characters a token owns, which tokens are a gold answer, and which answers no span can give.

Pure arithmetic on texts and offsets; `windows.py` makes the windows.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from qa_research.tasks.answering.question import Question

if TYPE_CHECKING:
    from qa_research.tasks.answering.windows import Windows

Ints = NDArray[np.int32]
Bools = NDArray[np.bool_]
# From this share of unknown tokens on, a vocabulary is said not to know the text.
MANY_UNKNOWN = 0.05


def owned_chars(context: str, chars: Ints) -> Ints:
    """[token 2]: the characters that each token of `context` owns, from those that the tokenizer reports.

    Without blanks at the ends, which some tokenizers count to the word; with the combining marks that
    follow, unless another token covers them: an accent that the tokenizer drops belongs to its letter.

    `chars` [token 2]: of all tokens of the context, of however many windows; the end is exclusive.

    Example: of "Noël  a" with a decomposed ë (N o e ¨ l) in tokens 0-3, 4-5 and 5-8, where the tokenizer
    drops the ¨ at 3, they own 0-4, 4-5 and 7-8.
    """
    is_blank, is_mark = _kinds(context)
    start, end = chars.T
    if not len(chars) or not (
        is_mark.any() or is_blank[start].any() or is_blank[np.maximum(end - 1, 0)].any()
    ):
        return chars
    is_loose = is_mark & ~_covered(len(context), chars)
    first = np.minimum(_next(~is_blank)[start], end)
    last = np.maximum(_previous(~is_blank)[end], first)
    last = np.where(last > first, _next(~is_loose)[last], last)
    return np.stack([first, last], axis=1).astype(np.int32)


def letters_of(row: Question, chars: Ints) -> tuple[int, int] | None:
    """The characters of the first gold answer without what no token covers at its ends.

    `chars` [token 2]: owned by all tokens of the context. None if the answer has no token at all, or no
    place in the context.
    """
    begin = row.answers[0].start
    if begin < 0:
        return None
    end = begin + len(row.answers[0].text)
    inside = np.flatnonzero(_covered(len(row.context), chars)[begin:end])
    return (begin + int(inside[0]), begin + int(inside[-1]) + 1) if len(inside) else None


def label(chars: Ints, letters: tuple[int, int]) -> tuple[int, int] | None:
    """The tokens (first and last, inclusive) of these letters; None if the window does not hold them all.

    Tokens that cover exactly the letters, if there are; else from the first token that ends behind the
    first letter to the last one that starts before the end. No token without any of the letters. `chars`
    [token 2]: of the window's context.

    Example: the letters 11-17 among tokens of 0-3, 4-10, 11-13 and 13-18. The third token is the first to
    end behind 11, the fourth the last to start before 17: (2, 3). Byte-level tokens may cover one
    character together, or the end of one and the start of the next: of 0-1, 1-2, 1-2 and 1-3, the letters
    0-2 are the first three.
    """
    begin, end = letters
    start, stop = chars.T
    is_solid = start < stop
    firsts = np.flatnonzero(is_solid & (start == begin))
    lasts = np.flatnonzero(is_solid & (stop == end))
    if len(firsts) and len(lasts) and firsts[0] <= lasts[-1]:
        return int(firsts[0]), int(lasts[-1])
    firsts, lasts = np.flatnonzero(stop > begin), np.flatnonzero(start < end)
    if not len(firsts) or not len(lasts):
        return None
    first, last = int(firsts[0]), int(lasts[-1])
    if start[first] > begin or stop[last] < end:
        return None
    return first, last


@dataclass(frozen=True, slots=True)
class Exactness:
    """How many of the first gold answers of `questions` a model could give exactly, blanks around them aside.

    `answers`: how many questions have one. Of those that cannot be given, each in one group: `other_text`
    (the tokens that hold it hold other letters, too, or no token holds it), `too_long` (more tokens than
    an answer may have) and `no_window` (no window holds all of it). `longest`: the most tokens of any
    answer. `first`: the id of the first question that cannot be given. `unknown_share`: of all tokens that
    are text, those that the vocabulary does not know.
    """

    answers: int
    other_text: int
    too_long: int
    no_window: int
    longest: int
    first: str | None
    unknown_share: float

    @property
    def count(self) -> int:
        """How many answers cannot be given exactly."""
        return self.other_text + self.too_long + self.no_window

    def sentences(self, split: str, max_answer_tokens: int) -> list[str]:
        """What is to be said about it; nothing if all is well. `split`: such as `training`."""
        found = []
        if self.count:
            reasons = (
                (self.other_text, "with other ends than their tokens have"),
                (
                    self.too_long,
                    f"with more than answer.max_answer_tokens={max_answer_tokens} tokens",
                ),
                (
                    self.no_window,
                    "whole in no window (data.max_tokens and data.stride_tokens set their size)",
                ),
            )
            why = ", ".join(f"{number:,} {reason}" for number, reason in reasons if number)
            found.append(
                f"{self.count:,} of {self.answers:,} {split} answers cannot be given exactly: {why}; the "
                f"longest has {self.longest:,} {'token' if self.longest == 1 else 'tokens'}, first: "
                f"{self.first}"
            )
        if self.unknown_share >= MANY_UNKNOWN:
            found.append(
                f"{100 * self.unknown_share:.0f} % of the {split} tokens are unknown ([UNK]): this "
                "vocabulary does not know the text; model.tokenizer= and model.weights= choose another"
            )
        return found

    def as_json(self) -> dict[str, Any]:
        """Plain values, for run.json and --json."""
        return {"not_exact": self.count, **asdict(self)}


def exactness(
    questions: Sequence[Question], windows: "Windows", tokenizer: Any, max_answer_tokens: int
) -> Exactness:
    """Which answers cannot be given; `windows` are those of `questions`, made with `tokenizer`."""
    counts = {"other_text": 0, "too_long": 0, "no_window": 0}
    answers, first, longest = 0, None, 0
    by_question = np.searchsorted(windows.question, np.arange(len(questions) + 1))
    for number, row in enumerate(questions):
        if not row.answers:
            continue
        answers += 1
        own = range(by_question[number], by_question[number + 1])
        fault, length = _fault(row, windows, own, max_answer_tokens)
        longest = max(longest, length)
        if fault:
            counts[fault] += 1
            first = first or row.id
    known = {tokenizer.cls_token_id, tokenizer.sep_token_id}
    is_text = ~np.isin(windows.input_ids, [i for i in known if i is not None])
    unknown = (windows.input_ids == tokenizer.unk_token_id) & is_text
    share = float(unknown.sum() / max(int(is_text.sum()), 1))
    return Exactness(answers, **counts, longest=longest, first=first, unknown_share=share)


def _fault(
    row: Question, windows: "Windows", own: range, max_answer_tokens: int
) -> tuple[str | None, int]:
    """Why the answer cannot be given from any of its windows, if so; and its length in tokens."""
    labelled = [index for index in own if windows.span_last[index]]
    if not labelled:
        return ("no_window" if _has_tokens(row, windows, own) else "other_text"), 0
    wanted = row.answers[0].text.strip()
    lengths = [int(windows.span_last[i] - windows.span_first[i]) + 1 for i in labelled]
    for index, length in zip(labelled, lengths, strict=True):
        at = int(windows.starts[index])
        begin = windows.char_start[at + windows.span_first[index]]
        end = windows.char_end[at + windows.span_last[index]]
        if row.context[begin:end] == wanted and length <= max_answer_tokens:
            return None, length
    return ("too_long" if min(lengths) > max_answer_tokens else "other_text"), min(lengths)


def _has_tokens(row: Question, windows: "Windows", own: range) -> bool:
    """Whether any token holds a part of the first gold answer."""
    begin = row.answers[0].start
    end = begin + len(row.answers[0].text)
    tokens = slice(int(windows.starts[own.start]), int(windows.starts[own.stop]))
    start, stop = windows.char_start[tokens], windows.char_end[tokens]
    return bool(((start < end) & (stop > begin) & (start < stop)).any())


@lru_cache(maxsize=8)
def _kinds(context: str) -> tuple[Bools, Bools]:
    """[character + 1]: which are blanks, and which are combining marks; the last entry is False."""
    # Questions about one context follow one another, so a few remembered texts spare most of the work.
    is_blank = np.array([*map(str.isspace, context), False])
    if context.isascii():
        return is_blank, np.zeros_like(is_blank)
    return is_blank, np.array([*(unicodedata.category(c)[0] == "M" for c in context), False])


def _covered(length: int, chars: Ints) -> Bools:
    """[character + 1]: whether a token covers it; the last entry is False."""
    # Tokens 0-2 and 1-3 of "abcd": +1 at 0 and 1, -1 at 2 and 3; the running sum is 1 2 1 0 0.
    steps = np.bincount(chars[:, 0], minlength=length + 1)
    steps = steps - np.bincount(chars[:, 1], minlength=length + 1)
    covered: Bools = np.cumsum(steps) > 0
    return covered


def _next(is_kept: Bools) -> NDArray[np.int64]:
    """[place]: the first place from here on that is kept. [F F T] gives [2 2 2]; the last one is kept."""
    places = np.where(is_kept, np.arange(len(is_kept)), len(is_kept) - 1)
    return np.minimum.accumulate(places[::-1])[::-1]


def _previous(is_kept: Bools) -> NDArray[np.int64]:
    """[place]: the end of the last kept one before it, or 0. [T F F] gives [0 1 1]: 0 ends at 1."""
    ends = np.where(is_kept, np.arange(len(is_kept)) + 1, 0)
    return np.concatenate([[0], np.maximum.accumulate(ends)[:-1]])
