"""An explanation on the terminal: first whether to believe it, then what it says.

Progress of an explanation: a bar on a terminal, a line now and then elsewhere, on stderr.
"""

import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from qa_research.console import SECONDS_BEFORE_A_LINE, SECONDS_BETWEEN_LINES, screen

Plain = Mapping[str, Any]
COLOURS = {"stable": "green", "doubtful": "yellow", "unstable": "red"}


def show_explanation(found: Plain, top: int) -> None:
    """The classes, the verdict, the top segments, the controls, and what blanking did."""
    console = Console(highlight=False, markup=False)
    picture, explained, model = found["picture"], found["explained"], found["classifier"]
    console.print(
        f"{picture['name']} ({picture['width']} x {picture['height']}), {model['name']}: "
        + ", ".join(_class(one) for one in found["classes"][:3])
    )
    for note in picture["notes"]:
        console.print(f"  {note}")
    word = found["verdict"]["word"]
    place = f" (the class is in place {explained['place']})" if explained["place"] > 1 else ""
    console.print(
        Text(f"\nWhy {explained['label']}: the explanation is ")
        + Text(word, style=f"bold {COLOURS[word]}")
        + Text(place)
    )
    for doubt in found["verdict"]["doubts"]:
        console.print(f"  {doubt}")
    console.print(f"  {_sampling(found)}")
    if stable := found["stability"]:
        console.print(
            f"  Seeds: Jaccard index of the top {len(stable['tops'][0])} {stable['jaccard']:.2f} (by chance "
            f"{stable['chance_jaccard']:.2f}), rank correlation {_number(stable['rank_correlation'])}, "
            f"sign agreement {stable['sign_agreement']:.0%}; R2 {_number(found['surrogate']['r2'])}"
        )
    for name, curve in (found["curves"] or {}).items():
        random = curve["random_areas"]
        console.print(
            f"  {name.capitalize()}: area {curve['area']:.3f}, random orders "
            f"{sum(random) / len(random):.3f}; beats {curve['beaten']:.0%} of {len(random)}"
        )
    console.print(_top(found, top))
    if found["counterfactual"]:
        _show_counterfactual(console, found["counterfactual"])


def show_sweep(done: Sequence[tuple[Sequence[str], Plain]]) -> None:
    """A line for each explanation of a sweep, named by what is not the same in all."""
    shared = set.intersection(*(set(overrides) for overrides, _ in done))
    table = Table(box=None, pad_edge=False)
    names = [readable(word for word in words if word not in shared) for words, _ in done]
    table.add_column("overrides", overflow="fold", min_width=min(36, max(map(len, names))))
    table.add_column("class", overflow="fold")
    table.add_column("verdict")
    for name in ("masks", "R2", "Jaccard", "top segments"):
        table.add_column(name, justify="right")
    for name, (_, found) in zip(names, done, strict=True):
        word = found["verdict"]["word"]
        stable = found["stability"]
        numbers = [str(s["number"]) for s in found["segments"][: found["config"]["trust"]["top"]]]
        table.add_row(
            Text(name or "all the same"),
            Text(_class(found["explained"])),
            Text(word, style=COLOURS[word]),
            str(found["sampling"]["masks"]),
            _number(found["surrogate"]["r2"]),
            _number(stable and stable["jaccard"]),
            " ".join(numbers),
        )
    console = Console(highlight=False, markup=False)
    console.print()
    if words := readable(word for word in done[0][0] if word in shared):
        console.print(words)
    console.print(table)


def readable(overrides: Iterable[str]) -> str:
    """Overrides without what Hydra's grammar alone needs, as in `sample\\:cat`."""
    return " ".join(overrides).replace("\\", "")


def _top(found: Plain, top: int) -> Table:
    table = Table(box=None, pad_edge=False, title_justify="left")
    for name in ("rank", "segment", "coefficient", "95 % interval", "area"):
        heading = name.replace("95", f"{found['config']['trust']['confidence'] * 100:g}")
        table.add_column(heading, justify="right")
    table.add_column("")
    tied = [s for s in found["segments"] if s["tied"]]
    for segment in [s for s in found["segments"] if s["rank"] <= top or s in tied]:
        table.add_row(
            str(segment["rank"]),
            str(segment["number"]),
            f"{segment['coefficient']:+.3f}",
            f"{segment['low']:+.3f} to {segment['high']:+.3f}",
            f"{segment['area']:.1%}",
            "tied" if segment["tied"] else "",
        )
    return table


def _sampling(found: Plain) -> str:
    sampling = found["sampling"]
    segments = f"{len(found['segments'])} segments, off = {found['config']['lime']['baseline']}"
    if sampling["exact"]:
        return f"All {sampling['masks']} masks of {segments}: no chance in it."
    return f"{sampling['seeds']} seeds with {sampling['samples']} masks each of {segments}"


def _show_counterfactual(console: Console, found: Plain) -> None:
    numbers = " ".join(str(i) for i in found["segments"])
    flip = found["flip"]
    console.print()
    if flip is not None:
        console.print(_flip_sentence(flip))
    console.print(f"Without segments {numbers} ({found['area']:.0%} of the picture)")
    table = Table(box=None, pad_edge=False)
    for name in ("place", "before", "after"):
        table.add_column(name, justify="right" if name == "place" else "left")
    pairs = zip(found["classes_before"], found["classes_after"], strict=True)
    for place, (before, after) in enumerate(pairs, start=1):
        table.add_row(str(place), Text(_class(before)), Text(_class(after)))
    console.print(table)
    first, second, control = found["first"], found["second"], found["control"]
    if found["flipped"]:
        console.print(
            f"{second['label']} wins now; at first it was in place {second['place']} with "
            f"{_probability(second['probability'])}."
        )
    else:
        console.print(f"{second['label']} still wins.")
    drops = [first["probability"] - p for p in control["probabilities"]]
    console.print(
        f"{first['label']} lost {first['probability'] - first['probability_after']:.3f}; without as much "
        f"area of random segments, {len(drops)} times: {sum(drops) / len(drops):.3f} on average, "
        f"{max(drops):.3f} at most (p = {control['p_value']:.3f})."
    )
    if again := found["explained_again"]:
        tops = ", ".join(f"{s['number']} ({s['coefficient']:+.3f})" for s in again["segments"][:4])
        stable = again["stability"]
        console.print(
            f"Explained again, why {second['label']}: segments {tops}; R2 {_number(again['r2'])}"
            + (f", Jaccard index {stable['jaccard']:.2f}" if stable else "")
        )


def _flip_sentence(flip: Plain) -> str:
    if flip["segments"] is None:
        return f"No set of segments that was tried changes the class ({flip['tried']} tried)."
    how = (
        "no smaller set does"
        if flip["proven_smallest"]
        else "not all smaller sets were tried; counterfactual.max_predictions=... allows more"
    )
    n = len(flip["segments"])
    return (
        f"The class changes without {n} segment{'s' * (n > 1)}; {how} ({flip['tried']} sets tried)."
    )


def _class(one: Plain) -> str:
    return f"{one['label']} {_probability(one['probability'])}"


def _probability(value: float) -> str:
    return f"{value:.3f}" if value >= 0.001 else f"{value:.1g}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


log = logging.getLogger(__name__)


class ExplainingScreen:
    """Told of every part of an explanation and of every masked picture that was predicted in it."""

    def __init__(self) -> None:
        self._bar = (
            Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("masks at most"),
                TimeRemainingColumn(),
                console=screen,
                transient=True,
            )
            if screen.is_terminal
            else None
        )
        self._what, self._most, self._done = "", 0, 0
        self._begun = self._next_line = 0.0

    def __enter__(self) -> Self:
        if self._bar:
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar:
            self._bar.stop()

    def part(self, what: str, most: int) -> None:
        """A part begins that predicts `most` masks at most."""
        self._what, self._most, self._done = what, most, 0
        self._begun = time.monotonic()
        self._next_line = self._begun + SECONDS_BEFORE_A_LINE
        if self._bar:
            for task in self._bar.task_ids:
                self._bar.remove_task(task)
            self._bar.add_task(what, total=most)

    def tick(self, n: int) -> None:
        """So many masked pictures were predicted just now."""
        self._done += n
        if self._bar:
            for task in self._bar.task_ids:
                self._bar.advance(task, n)
            return
        now = time.monotonic()
        if now < self._next_line:
            return
        self._next_line = now + SECONDS_BETWEEN_LINES
        speed = self._done / (now - self._begun)
        log.info(
            "%s: %d of at most %d masks, %.0f a second, %.0f s left at most",
            self._what,
            self._done,
            self._most,
            speed,
            (self._most - self._done) / speed,
        )

    def drawing(self) -> None:
        """The predictions are over."""
        if self._bar:
            for task in self._bar.task_ids:
                self._bar.remove_task(task)
            self._bar.add_task("Drawing", total=None)
