"""The curves of an attribution as points of an SVG, for a page that draws without a script."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from qa_research.report.attribution_names import NAMES

WIDTH, HEIGHT = 420, 220
LEFT, RIGHT, TOP, BOTTOM = 44, 12, 10, 40


@dataclass(frozen=True)
class Line:
    """A polyline, what it shows, and the class that gives it its colour; `marks` are its points."""

    name: str
    style: str
    points: str
    marks: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Tick:
    """A label at a place along an axis."""

    at: float
    text: str


@dataclass(frozen=True)
class Chart:
    """A chart in a box of WIDTH x HEIGHT; `band`: the outline of an area, "" for none."""

    title: str
    about: str
    lines: tuple[Line, ...]
    band: str
    x: tuple[Tick, ...]
    y: tuple[Tick, ...]
    x_title: str
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    bottom: int = HEIGHT - BOTTOM


def charts_of(faithful: Mapping[str, Any]) -> list[Chart]:
    """Comprehensiveness and sufficiency of all methods, over the band of random orders."""
    ends = []
    for kind in ("comprehensiveness", "sufficiency"):
        ends += [found[kind]["curve"] for found in faithful["methods"].values()]
        ends += [faithful["random"][kind][name] for name in ("low", "high")]
    low = min(0.0, *(min(curve) for curve in ends))
    high = max(0.1, *(max(curve) for curve in ends))
    counts = faithful["counts"]
    told = (
        ("comprehensiveness", "Comprehensiveness: high is good", "first words switched off"),
        ("sufficiency", "Sufficiency: low is good", "first words kept, all others off"),
    )
    charts = []
    for kind, title, x_title in told:
        random = faithful["random"][kind]
        lines = [_line("random, mean", "random", random["mean"], low, high)]
        lines += [
            _line(NAMES[name], name, found[kind]["curve"], low, high)
            for name, found in faithful["methods"].items()
        ]
        band = [*_points(random["high"], low, high), *reversed(_points(random["low"], low, high))]
        charts.append(
            Chart(
                title=title,
                about=f"Probability lost, by {x_title}",
                lines=tuple(lines),
                band=_joined(band),
                x=_x_ticks([str(count) for count in counts]),
                y=_y_ticks(low, high),
                x_title=x_title,
            )
        )
    return charts


def chart_of_curve(steps: Sequence[int], probability: Sequence[float]) -> Chart:
    """The true span's probability, a place a step in equal distances."""
    return Chart(
        title="Probability of the true span",
        about="Probability of the true span over the training",
        lines=(_line("probability", "probability", probability, 0.0, 1.0),),
        band="",
        x=_x_ticks([str(step) for step in steps]),
        y=_y_ticks(0.0, 1.0),
        x_title="optimizer step",
    )


def _line(name: str, style: str, curve: Sequence[float], low: float, high: float) -> Line:
    points = _points(curve, low, high)
    return Line(name, style, _joined(points), tuple(points))


def _points(curve: Sequence[float], low: float, high: float) -> list[tuple[float, float]]:
    return [
        (round(_x(place, len(curve)), 1), round(_y(value, low, high), 1))
        for place, value in enumerate(curve)
    ]


def _joined(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x},{y}" for x, y in points)


def _x(place: int, n: int) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * (place / (n - 1) if n > 1 else 0.5)


def _y(value: float, low: float, high: float) -> float:
    return TOP + (HEIGHT - TOP - BOTTOM) * (high - value) / (high - low)


def _x_ticks(texts: Sequence[str]) -> tuple[Tick, ...]:
    every = -(-len(texts) // 14)
    return tuple(
        Tick(round(_x(place, len(texts)), 1), text)
        for place, text in enumerate(texts)
        if place % every == 0
    )


def _y_ticks(low: float, high: float) -> tuple[Tick, ...]:
    every = 0.25 if high - low > 0.5 else 0.1 if high - low > 0.2 else 0.05
    values = [
        round(tick * every, 2)
        for tick in range(-20, 21)
        if low - 0.02 <= tick * every <= high + 0.02
    ]
    return tuple(Tick(round(_y(value, low, high), 1), f"{value:g}") for value in values)
