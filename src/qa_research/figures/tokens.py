"""A watched question's window as an axis of a figure: token texts if they fit, the true span marked."""

import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

import xarray as xr
from matplotlib.axis import Axis, XAxis
from matplotlib.figure import Figure

from qa_research.figures.panels import CORRECT, GREY, at, drawable

# Of the true span.
TRUE = CORRECT
# Inches that a token needs so that its text, written across the axis, does not touch the next one.
ROOM = 0.115
FONT_SIZE = 7
LONGEST_TEXT = 16
HEAD_SIZE = 11
# Average inches of a character of the title.
HEAD_ROOM = 0.088


@dataclass(frozen=True)
class Window:
    """The tokens of one watched question, or of an example of another task, and what each belongs to.

    Not tasks.answering's TokenText, which figures must not import: they know recordings only, and need no
    characters. `parts` are "cls", "question", "sep" and "context". The true span is inclusive; 0, 0 is no
    answer. `asked` is the question's text. `span`: what captions call it. `marked`: of another task, which
    has no span, the first and last of tokens side by side that carry the truth; there may be none.
    """

    question: int
    tokens: tuple[str, ...]
    parts: tuple[str, ...]
    true_first: int
    true_last: int
    asked: str
    span: str = "the true span"
    marked: tuple[tuple[int, int], ...] | None = None

    @property
    def true_runs(self) -> tuple[tuple[int, int], ...]:
        """First and last token of all that is marked as true."""
        return ((self.true_first, self.true_last),) if self.marked is None else self.marked

    def is_true(self, token: int) -> bool:
        """Whether a token is marked as true."""
        return any(first <= token <= last for first, last in self.true_runs)

    def __len__(self) -> int:
        return len(self.tokens)


def window_of(dataset: xr.Dataset, question: int, tokens: Sequence[str], asked: str = "") -> Window:
    """The window of `question`, whose token texts are `tokens`.

    `asked`: the question as it was asked; without it, it is joined from its word pieces.

    Raises:
        ValueError: the question is not watched, or has a different number of tokens.
    """
    n = int(at(dataset["tokens"], question=question))
    if len(tokens) != n:
        raise ValueError(f"question {question} has {n} tokens in the recording, got {len(tokens)}")
    parts = at(dataset["part"], question=question).values[:n]
    pieces = [token for token, part in zip(tokens, parts, strict=True) if part == "question"]
    if "true_first" not in dataset.coords:
        return Window(
            question=question,
            tokens=tuple(tokens),
            parts=tuple(str(part) for part in parts),
            true_first=0,
            true_last=0,
            asked=" ".join(asked.split()),
            span="what carries the truth",
            marked=_marked(dataset, question, n),
        )
    return Window(
        question=question,
        tokens=tuple(tokens),
        parts=tuple(str(part) for part in parts),
        true_first=int(at(dataset["true_first"], question=question)),
        true_last=int(at(dataset["true_last"], question=question)),
        asked=" ".join(asked.split()) or joined(pieces),
        # A look at one asked question marks the answer that was given.
        span=dataset.attrs.get("span", Window.span),
    )


def _marked(dataset: xr.Dataset, question: int, count: int) -> tuple[tuple[int, int], ...]:
    """First and last token of each run of marked tokens.

    >>> data = xr.Dataset(coords={"marked": (("question", "token"), [[0, 1, 1, 0, 1]])})
    >>> _marked(data, 0, 5)
    ((1, 2), (4, 4))
    """
    if "marked" not in dataset.coords:
        return ()
    flags = dataset["marked"].isel(question=question).values[:count].astype(bool).tolist()
    starts = [i for i, flag in enumerate(flags) if flag and not (i and flags[i - 1])]
    ends = [i for i, flag in enumerate(flags) if flag and not (i + 1 < count and flags[i + 1])]
    return tuple(zip(starts, ends, strict=True))


def head_line(figure: Figure, window: Window, more: str = "") -> None:
    """The figure's title: the watched question, in at most two lines, and below it `more`."""
    width = int(figure.get_figwidth() / HEAD_ROOM)
    lines = textwrap.wrap(window.asked, width, max_lines=2, placeholder=" …")
    if more:
        lines += textwrap.wrap(more, width, max_lines=2, placeholder=" …")
    figure.suptitle("\n".join(lines), fontsize=HEAD_SIZE, parse_math=False)


def joined(pieces: Sequence[str]) -> str:
    """Word pieces as one line of text, with spaces between words and none before punctuation.

    >>> joined(["who", "teach", "##es", "?"])
    'who teaches?'
    """
    return drawable(re.sub(r" ([?!.,;:])", r"\1", " ".join(pieces).replace(" ##", "")))


def shortened(text: str, longest: int) -> str:
    """`text`, or its beginning and an ellipsis: at most `longest` characters."""
    return text if len(text) <= longest else text[: longest - 1].rstrip() + "…"


def token_inches(n_tokens: int, narrowest: float, widest: float) -> float:
    """How long to make a token axis so that up to about 60 texts can be read."""
    return min(max(n_tokens * (ROOM + 0.02), narrowest), widest)


def label_tokens(axis: Axis, window: Window, inches: float, size: float = FONT_SIZE) -> None:
    """Ticks with token texts along `axis`, which is `inches` long; the true span is bold and green.

    If the texts of all tokens do not fit, only these are shown, as far as they fit: the true span, [CLS]
    and the [SEP]s, and, in grey, token numbers.
    """
    room = _room(window, inches, size)
    marks = _all_marks(window) if room <= 1 else _some_marks(window, room)
    axis.set_ticks(
        [mark.position for mark in marks],
        [mark.text for mark in marks],
        fontsize=size,
        rotation=90 if isinstance(axis, XAxis) else 0,
        parse_math=False,
    )
    axis.set_tick_params(length=2, pad=2)
    for label, mark in zip(axis.get_ticklabels(), marks, strict=True):
        if mark.is_true:
            label.set(color=TRUE, fontweight="bold")
        if mark.is_number:
            label.set(color=GREY)


def token_axis(window: Window, inches: float, mark: str, size: float = FONT_SIZE) -> str:
    """What an axis labelled by `label_tokens` shows; `mark`: how the true span is marked."""
    if _room(window, inches, size) <= 1:
        what = "token of the window"
    else:
        what = f"token of the window, some of {len(window)} named …"
    return f"{what} ({mark}: {window.span})" if window.true_runs else what


def _room(window: Window, inches: float, size: float) -> float:
    """How many tokens a text of this size takes the room of.

    384 tokens on 8 inches are 48 to an inch, so a text takes the room of 48 * 0.115 = 5.5.
    """
    # Rounding must not cost the labels of an axis that is as long as its texts need.
    return round(ROOM * size / FONT_SIZE * len(window) / inches, 9)


@dataclass(frozen=True)
class _Mark:
    position: float
    text: str
    is_true: bool = False
    is_number: bool = False


def _all_marks(window: Window) -> list[_Mark]:
    return [
        _Mark(
            i,
            shortened(drawable(token), LONGEST_TEXT),
            is_true=window.is_true(i),
        )
        for i, token in enumerate(window.tokens)
    ]


def _some_marks(window: Window, room: float) -> list[_Mark]:
    # The most important first: a mark is dropped if it would touch an earlier one.
    wanted = [
        _Mark(
            (first + last) / 2,
            shortened(joined(window.tokens[first : last + 1]), LONGEST_TEXT),
            is_true=True,
        )
        for first, last in window.true_runs
    ]
    wanted += [
        _Mark(i, shortened(drawable(window.tokens[i]), LONGEST_TEXT))
        for i, part in enumerate(window.parts)
        if part in ("cls", "sep")
    ]
    every = next(every for every in (10, 20, 50, 100, 200, 500) if every >= 5 * room)
    wanted += [_Mark(i, str(i), is_number=True) for i in range(every, len(window), every)]
    kept: list[_Mark] = []
    for mark in wanted:
        if all(abs(mark.position - other.position) >= room for other in kept):
            kept.append(mark)
    return sorted(kept, key=lambda mark: mark.position)
