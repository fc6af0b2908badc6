"""An explanation on the terminal: first whether to believe it, then what it says; and its progress."""

import logging
import math
import time
from collections.abc import Iterable, Sequence

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from qa_research.console import SECONDS_BEFORE_A_LINE, SECONDS_BETWEEN_LINES, Screen, screen, styled
from qa_research.explain.images.result import ClassScore, Counterfactual, Explanation
from qa_research.explain.images.sentences import (
    control_sentence,
    flip_sentence,
    second_sentences,
)
from qa_research.text import plural

COLOURS = {"stable": "green", "doubtful": "yellow", "unstable": "red"}
log = logging.getLogger(__name__)


def show_explanation(found: Explanation) -> None:
    """The classes, the verdict, the top segments, the controls, and what blanking did."""
    console = Screen()
    picture, explained = found.picture, found.explained
    console.print(
        f"{picture.name} ({picture.width} x {picture.height}), {found.classifier.name}: "
        + ", ".join(_class(one) for one in found.classes[:3])
    )
    for note in picture.notes:
        console.print(f"  {note}")
    word = found.verdict.word
    place = f" (the class is in place {explained.place})" if explained.place > 1 else ""
    console.print(
        styled(
            f"\nWhy {explained.label}: the explanation is ", (word, f"bold {COLOURS[word]}"), place
        )
    )
    for line in [*filter(None, [found.verdict.ranks]), *found.verdict.doubts, *_controls(found)]:
        console.print(f"  {line}")
    _show_top(console, found)
    if found.counterfactual:
        _show_counterfactual(console, found.counterfactual)


def _controls(found: Explanation) -> list[str]:
    sampling, segments = found.sampling, f"{found.n_segments} segments, off = {found.baseline}"
    if sampling.exact:
        lines = [f"All {sampling.masks} masks of {segments}: chance plays no part."]
    else:
        lines = [
            f"{plural(sampling.seeds, 'seed')} with {sampling.samples} masks each of {segments}"
        ]
    if stable := found.stability:
        lines.append(
            f"Seeds: Jaccard index of the top {len(stable.tops[0])} {stable.jaccard:.2f} (by chance "
            f"{stable.chance_jaccard:.2f}), rank correlation {_number(stable.rank_correlation)}, "
            f"sign agreement {stable.sign_agreement:.0%}; R2 {_number(found.surrogate.r2)}"
        )
    if (precise := found.surrogate.r2_in_float32) is not None:
        rounded = found.surrogate.r2_repeated or 0.0
        lines.append(
            f"Rounding: on {found.surrogate.repeated} masks R2 is {_number(rounded)}, and "
            f"{_number(precise)} in float32"
        )
    if curves := found.curves:
        for name, curve in (("Deletion", curves.deletion), ("Insertion", curves.insertion)):
            random = curve.random_areas
            lines.append(
                f"{name}: area {curve.area:.3f}, random orders {random.mean():.3f}; "
                f"beats {curve.n_beaten} of {curve.n_orders} (p {curve.p_value:.3f})"
            )
    return lines


def _show_top(console: Screen, found: Explanation) -> None:
    """The top segments, and those tied with the last of them."""
    rows = [
        [
            str(segment.rank),
            str(segment.number),
            f"{segment.coefficient:+.3f}",
            f"{segment.low:+.3f} to {segment.high:+.3f}",
            f"{segment.area:.1%}",
            "tied" if segment.tied else "",
        ]
        for segment in found.segments
        if segment.rank <= found.top or segment.tied
    ]
    header = ["rank", "segment", "coefficient", found.interval, "area", ""]
    console.table(header, rows, right=range(5))


def _show_counterfactual(console: Screen, found: Counterfactual) -> None:
    console.print()
    if found.flip is not None:
        console.print(flip_sentence(found.flip))
    numbers = " ".join(str(i) for i in found.segments)
    console.print(f"Without segments {numbers} ({found.area:.0%} of the picture)")
    pairs = zip(found.classes_before, found.classes_after, strict=True)
    rows = [
        [str(place), _class(before), _class(after)]
        for place, (before, after) in enumerate(pairs, start=1)
    ]
    console.table(["place", "before", "after"], rows, right={0})
    first, second = found.first, found.second
    if found.flipped:
        console.print(
            f"{second.label} wins now; at first it was in place {second.place} with "
            f"{_probability(second.probability)}."
        )
    else:
        console.print(f"{second.label} still wins.")
    lost = f"{first.label} lost {first.probability - first.probability_after:.3f}"
    if found.control.sets:
        drops = first.probability - found.control.probabilities
        lost += f"; without as much area elsewhere {drops.mean():.3f} on average, {drops.max():.3f} at most"
    console.print(f"{lost}.")
    console.print(control_sentence(found))
    if again := found.explained_again:
        tops = ", ".join(f"{one.number} ({one.coefficient:+.3f})" for one in again.segments[:4])
        console.print(
            f"Explained again, why {second.label}: segments {tops}; R2 {_number(again.r2)}"
        )
        for sentence in second_sentences(second.label, again):
            console.print(sentence)


def show_sweep(done: Sequence[tuple[Sequence[str], Explanation]]) -> None:
    """A line for each explanation of a sweep, named by the overrides that differ."""
    shared = set.intersection(*(set(overrides) for overrides, _ in done))
    names = [readable(word for word in words if word not in shared) for words, _ in done]
    rows: list[list[str | Text]] = [
        [
            name or "all the same",
            _class(found.explained),
            styled((found.verdict.word, COLOURS[found.verdict.word])),
            str(found.stable_top.k) if found.stable_top else "-",
            str(found.sampling.masks),
            _number(found.surrogate.r2),
            f"{found.stability.jaccard:.2f}" if found.stability else "-",
            " ".join(str(i) for i in found.order[: found.top]),
        ]
        for name, (_, found) in zip(names, done, strict=True)
    ]
    console = Screen()
    console.print()
    if words := readable(word for word in done[0][0] if word in shared):
        console.print(words)
    header = ["overrides", "class", "verdict", "stable top", "masks", "R2", "Jaccard", "segments"]
    console.table(header, rows, right=range(3, 8))


def readable(overrides: Iterable[str]) -> str:
    """Overrides without the escapes that only Hydra's grammar needs, as in `sample\\:cat`."""
    return " ".join(overrides).replace("\\", "")


def _class(one: ClassScore) -> str:
    return f"{one.label} {_probability(one.probability)}"


def _probability(value: float) -> str:
    return f"{value:.3f}" if value >= 0.001 else f"{value:.1g}"


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.2f}"


class ExplainingScreen(Progress):
    """Progress on stderr: a bar on a terminal, a line now and then elsewhere."""

    def __init__(self) -> None:
        super().__init__(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("masks at most"),
            TimeRemainingColumn(),
            console=screen,
            transient=True,
            disable=not screen.is_terminal,
        )
        self._what, self._most, self._done = "", 0, 0
        self._part_started = self._next_line = 0.0

    def part(self, what: str, most: int) -> None:
        """A part starts that predicts at most `most` masks."""
        self._what, self._most, self._done = what, most, 0
        self._part_started = time.monotonic()
        self._next_line = self._part_started + SECONDS_BEFORE_A_LINE
        self._replace_task(what, most)

    def tick(self, n: int) -> None:
        """`n` more masks were predicted."""
        self._done += n
        for task in self.task_ids:
            self.advance(task, n)
        now = time.monotonic()
        if screen.is_terminal or now < self._next_line:
            return
        self._next_line = now + SECONDS_BETWEEN_LINES
        speed = self._done / (now - self._part_started)
        log.info(
            "%s: %d of at most %d masks, %.0f a second, at most %.0f s left",
            self._what,
            self._done,
            self._most,
            speed,
            (self._most - self._done) / speed,
        )

    def drawing(self) -> None:
        """The predictions are over."""
        self._replace_task("Drawing", None)

    def _replace_task(self, what: str, most: int | None) -> None:
        for task in self.task_ids:
            self.remove_task(task)
        self.add_task(what, total=most)
