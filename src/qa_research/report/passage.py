"""A context with the answers marked in it, and of a long one the part around them."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

from qa_research.pages.document import Passage

# Characters of a context that are shown; of a longer one those around the answers.
LONGEST = 3000
Mark = Literal["", "given", "true", "both"]
# First character and the one after the last; equal: none.
Span = tuple[int, int]


def passage_of(context: str, true: Span, given: Span = (0, 0)) -> Passage:
    """The context with the true answer and the one that was given marked; a long one around them."""
    first, last = shown_part(len(context), [given, true])
    pieces: list[tuple[str, Mark]] = [("\u2026 ", "")] if first else []
    ends = sorted({first, last, *(min(max(end, first), last) for end in (*given, *true))})
    for begin, end in pairwise(ends):
        is_given = given[0] <= begin < given[1]
        is_true = true[0] <= begin < true[1]
        mark: Mark = (
            "both" if is_given and is_true else "given" if is_given else "true" if is_true else ""
        )
        pieces.append((context[begin:end], mark))
    if last < len(context):
        pieces.append((" \u2026", ""))
    return Passage(tuple(pieces))


def shown_part(length: int, spans: Sequence[Span]) -> Span:
    """The first and last character of a text of that length that are shown: around the spans, if it is long.

    If the spans are further apart than that, around the first.

    >>> shown_part(100, [(5, 9)]), shown_part(9000, [(5000, 5010), (0, 0)])
    ((0, 100), (3505, 6505))
    """
    if length <= LONGEST:
        return 0, length
    real = [span for span in spans if span[0] < span[1]] or [(0, 0)]
    low, high = min(a for a, _ in real), max(b for _, b in real)
    if high - low > LONGEST:
        low, high = real[0]
    first = min(max((low + high) // 2 - LONGEST // 2, 0), length - LONGEST)
    return first, first + LONGEST
