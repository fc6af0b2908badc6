"""A film as one picture: a few captures, one below the other, with start and end probability by token."""

import itertools
import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, PowerNorm
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from qa_research.figures.panels import (
    CORRECT,
    OPPOSES,
    SUPPORTS,
    WRONG,
    PlainFigure,
    evenly_spaced,
)
from qa_research.figures.tokens import LONGEST_TEXT, shortened
from qa_research.watch.film import Film

MOST_CAPTURES = 6
MOST_TOKENS = 64
# In inches: what two colour scales and a note need side by side, and a character of the note.
LEAST_WIDTH, NOTE_INCHES = 11.0, 0.062
# The square root makes small probabilities, spread over many tokens, visible too.
_NORM = PowerNorm(0.5, vmin=0, vmax=1)
_COLOUR = {"start": SUPPORTS, "end": OPPOSES}
_MAPS = {
    name: LinearSegmentedColormap.from_list(name, ["#f6f6f6", colour])
    for name, colour in _COLOUR.items()
}
# The height of one capture, in strips: one for the start, one for the end, then room for the answer.
_ROW = 2.75


def chosen_captures(film: Film) -> list[int]:
    """The captures of a strip, as indices of `steps`: the first, the last, the one where the answer becomes
    right and the one before it, then the middles of the widest gaps.

    Example: 21 captures, right from 14 on. 0, 13, 14, 20; the widest gap, 0 to 13, gets 6, the next, 6 to 13,
    gets 9: so 0, 6, 9, 13, 14, 20.
    """
    last = len(film.steps) - 1
    moment = film.settled or film.first_right
    if not moment:
        return [int(capture) for capture in evenly_spaced(last + 1, MOST_CAPTURES)]
    chosen = {0, moment - 1, moment, last}
    while len(chosen) < min(MOST_CAPTURES, last + 1):
        gap, before = max((b - a, -a) for a, b in itertools.pairwise(sorted(chosen)))
        chosen.add(-before + gap // 2)
    return sorted(chosen)


def shown_tokens(film: Film, captures: Sequence[int]) -> range:
    """The context's tokens that a strip shows: all, or MOST_TOKENS of them around the true span and those
    answers, the latest first, that are near enough.

    Example with 64 tokens: the true span is 100 to 102. An answer at 150 fits next to it (100 to 150), one at
    80 does not fit then. The 13 tokens that are left go on both sides: 94 to 157.
    """
    context = film.text.context_tokens
    if len(context) <= MOST_TOKENS:
        return range(context[0], context[-1] + 1)
    spans = [film.truth, *[film.answer_span(capture) for capture in reversed(captures)]]
    inside = [(a, b) for a, b in spans if a >= context[0]]
    first, last = inside[0] if inside else (context[0], context[0])
    last = min(last, first + MOST_TOKENS - 1)
    for a, b in inside[1:]:
        if max(b, last) - min(a, first) < MOST_TOKENS:
            first, last = min(a, first), max(b, last)
    begin = first - (MOST_TOKENS - (last - first + 1)) // 2
    begin = min(max(begin, context[0]), context[-1] + 1 - MOST_TOKENS)
    return range(begin, begin + MOST_TOKENS)


def film_strip(film: Film) -> Figure:
    """Up to six captures: the context's tokens shaded by the probability that the answer starts (upper strip)
    and ends (lower strip) there, the true span framed, the answer underlined.

    Of a long context only a part is shown, and the figure says so.

    Raises:
        ValueError: the window contains no token of the context.
    """
    if not film.text.context_tokens:
        raise ValueError(
            f"the window of question {film.question_id} contains nothing of its context"
        )
    captures = chosen_captures(film)
    tokens = shown_tokens(film, captures)
    height = 1.9 + 0.62 * len(captures)
    width = max(LEAST_WIDTH, 4.6 + 0.14 * len(tokens))
    figure = PlainFigure(figsize=(width, height + 1.0), layout="constrained")
    parts = figure.subplot_mosaic(
        [["strip"] * 3, ["start", "end", "note"]],
        height_ratios=[height, 0.09],
        width_ratios=[1, 1, 3],
    )
    strip = parts["strip"]
    for row, capture in enumerate(captures):
        _draw_capture(strip, film, capture, tokens, _ROW * row)
    _label(strip, film, tokens, len(captures))
    for name in ("start", "end"):
        bar = figure.colorbar(
            ScalarMappable(_NORM, _MAPS[name]), cax=parts[name], orientation="horizontal"
        )
        bar.set_ticks([0.01, 0.1, 0.5, 1], labels=["1", "10", "50", "100 %"], fontsize=8)
        bar.outline.set_visible(False)
        parts[name].set_title(f"the answer {name}s here", fontsize=8, loc="left")
    parts["note"].axis("off")
    # What is right of the strip, the answers, leaves so much for the scales and the note.
    note = _note(film, captures, tokens, int((width - 3.4) * 0.6 / NOTE_INCHES))
    parts["note"].text(0.02, 0.5, note, fontsize=8, va="center", color="#444444", parse_math=False)
    return figure


def _draw_capture(axes: Axes, film: Film, capture: int, tokens: range, top: float) -> None:
    left, right = tokens.start - 0.5, tokens.stop - 0.5
    for offset, name, values in ((0, "start", film.start), (1, "end", film.end)):
        axes.imshow(
            values[capture : capture + 1, tokens.start : tokens.stop],
            cmap=_MAPS[name],
            norm=_NORM,
            extent=(left, right, top + offset + 1, top + offset),
            aspect="auto",
            interpolation="nearest",
        )
    if film.truth[0] in tokens or film.truth[1] in tokens:
        begin, end = max(film.truth[0] - 0.5, left), min(film.truth[1] + 0.5, right)
        axes.add_patch(
            Rectangle(
                (begin, top), end - begin, 2, fill=False, edgecolor=CORRECT, linewidth=1.8, zorder=3
            )
        )
    is_right = bool(film.right[capture])
    colour = CORRECT if is_right else WRONG
    first, last = film.answer_span(capture)
    begin, end = max(first - 0.4, left), min(last + 0.4, right)
    if begin < end:
        axes.plot([begin, end], [top + 2.25] * 2, color=colour, linewidth=2.5, clip_on=False)
    answer = _short(film.answer_text(capture), 34) or "no answer"
    style: dict[str, Any] = {"color": colour, "va": "center", "clip_on": False, "parse_math": False}
    verdict = "right" if is_right else "wrong"
    head = "the answer" if film.is_asked else f"step {film.steps[capture]}: {verdict}"
    axes.text(right + 0.8, top + 0.5, head, fontsize=9.5, weight="bold", **style)
    probability = f"“{answer}”  {_percent(film.answer_probability[capture])}"
    axes.text(right + 0.8, top + 1.5, probability, fontsize=9.5, **style)


def _label(axes: Axes, film: Film, tokens: range, n_captures: int) -> None:
    axes.set_xlim(tokens.start - 0.5, tokens.stop - 0.5)
    axes.set_ylim(_ROW * n_captures - 0.4, -0.15)
    axes.set_xticks(list(tokens))
    labels = axes.set_xticklabels(
        [_short(film.text.text(token, token), LONGEST_TEXT) for token in tokens],
        rotation=90,
        fontsize=8,
        parse_math=False,
    )
    for token, label in zip(tokens, labels, strict=True):
        if film.truth[0] <= token <= film.truth[1]:
            label.set(color=CORRECT, weight="bold")
    rows = range(n_captures)
    axes.set_yticks(
        [_ROW * row + half for row in rows for half in (0.5, 1.5)],
        labels=["start", "end"] * n_captures,
        fontsize=8,
    )
    for number, label in enumerate(axes.get_yticklabels()):
        label.set_color(_COLOUR["end" if number % 2 else "start"])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    question = textwrap.fill(" ".join(film.question.split()), 96, max_lines=3, placeholder=" …")
    axes.set_title(question, fontsize=12, weight="bold", loc="left", parse_math=False)


def _note(film: Film, captures: Sequence[int], tokens: range, width: int) -> str:
    """What the marks mean, in lines of at most `width` characters."""
    if film.is_asked:
        lines = ["framed: the answer"]
    elif film.truth[0] in tokens or film.truth[1] in tokens:
        lines = [f"framed: the true answer “{_short(film.text.text(*film.truth), 60)}”"]
    elif film.true_texts:
        lines = [f"the true answer “{_short(film.true_texts[0], 60)}” is not in this window"]
    else:
        lines = ["the question has no answer in this context"]
    if not film.is_asked:
        lines.append(f"underlined: the answer at that step; {film.outcome}")
    if len(tokens) < len(film.text.context_tokens):
        spans = [film.answer_span(capture) for capture in captures]
        outside = sum(1 for first, last in spans if first not in tokens or last not in tokens)
        line = f"{len(tokens)} of the context's {len(film.text.context_tokens)} tokens are shown"
        if outside:
            line += f"; {outside} of {len(captures)} answers are outside, at least in part"
        lines.append(line)
    return "\n".join(textwrap.fill(line, width) for line in lines)


def _percent(probability: float) -> str:
    if not np.isfinite(probability):
        return "probability not a number"
    return f"{100 * probability:.0f} %" if probability >= 0.01 else f"{100 * probability:.2g} %"


def _short(text: str, longest: int) -> str:
    return shortened(" ".join(text.split()), longest)
