"""Were the windows of a run that version 0.2 began other ones? Only asked where such a run is resumed.

That version labelled answers as Hugging Face's example does, and took text that spells a special token for
one. For almost all questions both make no difference; a run with others cannot go on with today's windows.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from qa_research.model.tokenizer import forget_settings
from qa_research.tasks.answering.question import Question
from qa_research.tasks.answering.windows import QUESTIONS_AT_ONCE, Windows


def made_otherwise(
    questions: Sequence[Question],
    windows: Windows,
    tokenizer: Any,
    max_tokens: int,
    stride_tokens: int,
) -> list[str]:
    """The ids of the questions with other tokens or another label in version 0.2; `windows` are today's."""
    found: dict[str, None] = {}
    number = 0
    for begin in range(0, len(questions), QUESTIONS_AT_ONCE):
        batch = questions[begin : begin + QUESTIONS_AT_ONCE]
        encoded = tokenizer(
            [row.question.lstrip() for row in batch],
            [row.context for row in batch],
            truncation="only_second",
            max_length=max_tokens,
            stride=stride_tokens,
            return_overflowing_tokens=True,
            return_offsets_mapping=True,
        )
        positions = encoded["overflow_to_sample_mapping"]
        for position, encoding in zip(positions, encoded.encodings, strict=True):
            row = batch[position]
            if number >= len(windows) or windows.question[number] != begin + position:
                # Another number of windows: the rest cannot be told apart by number.
                return [*found, row.id]
            tokens = windows.tokens(number)
            span = (int(windows.span_first[number]), int(windows.span_last[number]))
            if windows.input_ids[tokens].tolist() != encoding.ids or span != _span(encoding, row):
                found[row.id] = None
            number += 1
    forget_settings(tokenizer)
    return list(found)


def _span(encoding: Any, row: Question) -> tuple[int, int]:
    """The label of version 0.2: the last token that starts no later, and the first that ends no earlier."""
    inside = np.flatnonzero([sequence == 1 for sequence in encoding.sequence_ids])
    if not row.answers or not len(inside):
        return 0, 0
    begin = row.answers[0].start
    end = begin + len(row.answers[0].text)
    starts, ends = np.array(encoding.offsets)[inside].T
    if starts[0] > begin or ends[-1] < end:
        return 0, 0
    first = np.searchsorted(starts, begin, side="right") - 1
    return int(inside[first]), int(inside[np.searchsorted(ends, end, side="left")])
