"""Where a text occurs in sampled stacks: in which share of the samples, in which phases, who calls it."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

from qa_research.ledger.stacks import Frame, Sample, Stack
from qa_research.stacks.shares import Share, shares
from qa_research.stacks.tree import is_wrapper
from qa_research.stats import Ratio, exact_ratio

# Callers told of a line.
MOST_CALLERS = 3


@dataclass(frozen=True, slots=True)
class FoundLine:
    """A line that has the text. `share`: of all samples, each counted once however often the line is in it.

    `callers`: the frames outside of it that do more than pass a call on, with the samples of each, the most
    frequent first; without those in which it is outermost.
    """

    frame: Frame
    share: Ratio
    callers: tuple[tuple[Frame, int], ...]


@dataclass(frozen=True, slots=True)
class Found:
    """What a search found. `share`: of the samples with the text in any frame of the main thread.

    `phases`: of these samples, each phase's share. `lines`: the most frequent first. `in_others`: samples
    in which only another thread has the text.
    """

    text: str
    share: Ratio
    phases: tuple[Share, ...]
    lines: tuple[FoundLine, ...]
    in_others: int


def search_stacks(samples: Sequence[Sample], text: str) -> Found:
    """The samples that have the text in a function's name, a file's path or a source line; case is ignored.

    Raises:
        ValueError: the text is empty, or there are no samples.
    """
    if not text.strip():
        raise ValueError("the text to look for is empty")
    has_text = _matching(text)
    found = [sample for sample in samples if any(map(has_text, sample.stack))]
    counts: Counter[Frame] = Counter()
    callers: dict[Frame, Counter[Frame]] = {}
    for stack, count in Counter(sample.stack for sample in found).items():
        for frame, caller in _lines(stack, has_text).items():
            counts[frame] += count
            if caller is not None:
                callers.setdefault(frame, Counter())[caller] += count
    return Found(
        text=text,
        share=exact_ratio(len(found), len(samples)),
        phases=tuple(sorted(shares(found), key=lambda share: -share.count)),
        lines=tuple(
            FoundLine(
                frame,
                exact_ratio(count, len(samples)),
                tuple(callers.get(frame, Counter()).most_common(MOST_CALLERS)),
            )
            for frame, count in counts.most_common()
        ),
        in_others=sum(
            not any(map(has_text, s.stack)) and any(has_text(f) for o in s.others for f in o)
            for s in samples
        ),
    )


def _matching(text: str) -> Callable[[Frame], bool]:
    folded = text.casefold()

    # A recording has a few thousand frames, each in many samples.
    @cache
    def has_text(frame: Frame) -> bool:
        return any(folded in part.casefold() for part in (frame.function, frame.file, frame.text))

    return has_text


def _lines(stack: Stack, has_text: Callable[[Frame], bool]) -> dict[Frame, Frame | None]:
    """Each line of a stack that has the text, with the innermost of its callers that is no wrapper."""
    lines: dict[Frame, Frame | None] = {}
    caller: Frame | None = None
    for frame in stack:
        if has_text(frame):
            lines.setdefault(frame, caller)
        if not is_wrapper(frame):
            caller = frame
    return lines
