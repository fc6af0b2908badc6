"""An explanation on the terminal: first whether to believe it, then what it says; and its progress."""

import logging
import math
import time
from collections.abc import Iterable, Sequence

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from qa_research.console import SECONDS_BEFORE_A_LINE, SECONDS_BETWEEN_LINES, Screen, screen, styled
from qa_research.explain.images.result import (
    ClassScore,
    Counterfactual,
    Explanation,
    highlighted,
)
from qa_research.explain.images.sentences import (
    command_of_more,
    control_sentence,
    flip_sentence,
    listed,
    meaning,
    percent,
    second_sentences,
    untried,
)
from qa_research.explain.images.shared_area import shared_area, why_not_shared
from qa_research.explain.ranking import tie_mark, tie_of
from qa_research.text import plural

COLOURS = {"stable": "green", "doubtful": "yellow", "unstable": "red"}
log = logging.getLogger(__name__)


def show_explanation(found: Explanation, *, of_sweep: bool = False) -> None:
    """The classes, the verdict, the top segments, the controls, and what blanking did.

    `of_sweep`: others of the picture are shown with it, so that none need be proposed.
    """
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
    for line in [meaning(found), *found.verdict.doubts, *_controls(found)]:
        console.print(f"  {line}")
    if not of_sweep:
        console.print(f"  {untried(found)}:")
        console.print(f"  {command_of_more(found)}", soft_wrap=True)
    _show_top(console, found)
    if found.counterfactual:
        _show_counterfactual(console, found.counterfactual, found.top)


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
            f"sign agreement {stable.sign_agreement:.0%}; R² {_number(found.surrogate.r2)}"
        )
    if (precise := found.surrogate.r2_in_float32) is not None:
        rounded = found.surrogate.r2_repeated or 0.0
        lines.append(
            f"Rounding: on {found.surrogate.repeated} masks R² is {_number(rounded)}, and "
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
    """The stable top and the one that was asked for; a mark names the ranks that each is tied with."""
    rows = [
        [
            str(segment.rank),
            str(segment.number),
            f"{segment.coefficient:+.3f}",
            f"{segment.low:+.3f} to {segment.high:+.3f}",
            f"{segment.area:.1%}",
            tie_mark(tie_of(segment.rank, found.tied_ranks)),
        ]
        for segment in found.segments[: max(found.top, found.highlighted)]
    ]
    header = ["rank", "segment", "coefficient", found.interval, "area", ""]
    console.table(header, rows, right=range(5))


def _show_counterfactual(console: Screen, found: Counterfactual, top: int) -> None:
    console.print()
    if found.flip is not None:
        console.print(flip_sentence(found.flip))
    console.print(f"Without {listed(found.segments)} ({percent(found.area)} of the picture)")
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
        for sentence in second_sentences(second.label, again):
            console.print(sentence)
        best = again.segments[: highlighted(again.stable_top, top)]
        named = ", ".join(f"{one.number} ({one.coefficient:+.3f})" for one in best)
        console.print(
            f"Its top {len(best)}: {'segment' if len(best) == 1 else 'segments'} {named}."
        )


def show_sweep(done: Sequence[tuple[Sequence[str], Explanation]]) -> None:
    """A line for each explanation of a sweep, with what was varied, and the area shared with the first."""
    found = [one for _, one in done]
    varied = _varied([words for words, _ in done])
    classes = [_class(one.explained) for one in found]
    same_class = len(set(classes)) == 1
    top = min(one.top for one in found)
    rows: list[list[str | Text]] = [
        [
            *(column[row] for column in varied.values()),
            *([] if same_class else [classes[row]]),
            styled((one.verdict.word, COLOURS[one.verdict.word])),
            str(one.stable_top.k) if one.stable_top else "-",
            str(one.sampling.masks),
            _number(one.surrogate.r2),
            f"{one.stability.jaccard:.2f}" if one.stability else "-",
            *(_shared(found[0], one, top) if row else ("first", "")),
        ]
        for row, one in enumerate(found)
    ]
    shared_words = set.intersection(*(set(words) for words, _ in done))
    words = readable(word for word in done[0][0] if word in shared_words)
    console = Screen()
    console.print()
    if said := ": ".join(filter(None, [words, classes[0] if same_class else ""])):
        console.print(said)
    names = [*varied, *([] if same_class else ["class"])]
    header = [*names, "verdict", "stable", "masks", "R²", "Jaccard", "shared", "chance"]
    numbers = range(len(names) + 1, len(header))
    console.table(header, rows, right=numbers, whole=range(len(names), len(header)))
    console.print(
        "stable: the largest top on which all seeds agree; Jaccard: of the seeds' tops; shared: the area in "
        f"this top {top} and in that of the first row, as a share of the area in either; chance: of random "
        "segments."
    )


def _varied(jobs: Sequence[Sequence[str]]) -> dict[str, list[str]]:
    """What each job has of every key that is not the same in all, by a short name of the key."""
    settings = [
        dict(readable([word]).split("=", 1) for word in words if "=" in word) for words in jobs
    ]
    keys = dict.fromkeys(key for one in settings for key in one)
    columns = {key: [one.get(key, "-") for one in settings] for key in keys}
    differing = {key: values for key, values in columns.items() if len(set(values)) > 1}
    short = [key.rsplit(".", 1)[-1] for key in differing]
    return {
        name if short.count(name) == 1 else key: values
        for name, (key, values) in zip(short, differing.items(), strict=True)
    }


def _shared(first: Explanation, other: Explanation, top: int) -> tuple[str, str]:
    """The area that both tops share and its chance level; of different pictures there is none."""
    if why_not_shared(first, other, top):
        return "-", "-"
    area = shared_area(first, other, top)
    return f"{area.jaccard:.2f}", f"{area.chance:.2f}"


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
