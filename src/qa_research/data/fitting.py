"""How long texts are in tokens, and how one question fits into windows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from qa_research.console import tracked
from qa_research.data.question import Question

TEXTS_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class WindowPart:
    """One window: its tokens, the characters of the context in it, whether it holds the answer.

    Held is the first gold answer, and wholly.
    """

    tokens: int
    char_start: int
    char_end: int
    holds_answer: bool


@dataclass(frozen=True, slots=True)
class Fit:
    """A question's length in tokens, and its windows of up to `max_tokens`.

    `question_tokens`, `context_tokens` and `answer_tokens` (the first gold answer's; None: it has
    none) are without special tokens, `total_tokens` is what one window for all would take. There are
    no windows where the question has more tokens than the `room` that is left for it.
    """

    question_tokens: int
    context_tokens: int
    answer_tokens: int | None
    total_tokens: int
    max_tokens: int
    stride_tokens: int
    room: int
    windows: tuple[WindowPart, ...]


def fit(row: Question, tokenizer: Any, max_tokens: int, stride_tokens: int) -> Fit:
    """How a question fits into windows of this size; `tokenizer` is what `make_windows` takes."""
    answer = [gold.text for gold in row.answers[:1]]
    lengths = count_tokens([row.question.lstrip(), row.context, *answer], tokenizer)
    special = tokenizer.num_special_tokens_to_add(pair=True)
    # What make_windows asks for: the context must move on by a token a window.
    room = max_tokens - special - stride_tokens - 1
    parts: tuple[WindowPart, ...] = ()
    if lengths[0] <= room:
        parts = _parts(row, tokenizer, max_tokens, stride_tokens)
    return Fit(
        question_tokens=lengths[0],
        context_tokens=lengths[1],
        answer_tokens=lengths[2] if answer else None,
        total_tokens=lengths[0] + lengths[1] + special,
        max_tokens=max_tokens,
        stride_tokens=stride_tokens,
        room=room,
        windows=parts,
    )


def count_tokens(texts: Sequence[str], tokenizer: Any) -> list[int]:
    """The length of each text in tokens, without special ones; shows progress when it takes long."""
    lengths: list[int] = []
    for begin in tracked(range(0, len(texts), TEXTS_AT_ONCE), "Counting tokens"):
        batch = list(texts[begin : begin + TEXTS_AT_ONCE])
        lengths += [len(ids) for ids in tokenizer(batch, add_special_tokens=False)["input_ids"]]
    return lengths


def _parts(
    row: Question, tokenizer: Any, max_tokens: int, stride_tokens: int
) -> tuple[WindowPart, ...]:
    # Here, because who looks at hits need not wait for numpy and pyarrow.
    from qa_research.data.windows import make_windows

    windows = make_windows([row], tokenizer, max_tokens, stride_tokens)
    return tuple(
        WindowPart(
            tokens=int(windows.lengths[i]),
            char_start=int(windows.char_start[begin + windows.context_first[i]]),
            char_end=int(windows.char_end[begin + windows.context_last[i]]),
            holds_answer=bool(windows.span_last[i] > 0),
        )
        for i, begin in enumerate(windows.starts[:-1])
    )
