"""A data map as one self-contained HTML file: each point leads to its example."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from qa_research.interventions.data_map.dynamics import AMBIGUOUS, EASY, HARD, REGIONS
from qa_research.interventions.data_map.measuring import DataMap, Placed
from qa_research.interventions.data_map.show import RULE, RULE_OF_ONE, listed
from qa_research.pages.curve import HEIGHT, WIDTH, curve_path
from qa_research.pages.html import one_file
from qa_research.streams import stream

# With more examples the page would be slow to scroll; the table has all of them.
MOST_POINTS = 600
# Of each corner, where there are more than can be shown.
CORNER = 100
# Of the map, in the units of its drawing; EDGE is the room for numbers.
ACROSS, DOWN, EDGE = 640, 420, 60
TICKS = 5
# Classes of points: how often they were right, in fifths.
SHADES = 5


@dataclass(frozen=True)
class Point:
    """An example as the page has it: `x` and `y` on the drawing, its shade, and what to run next."""

    number: int
    example: Placed
    x: float
    y: float
    shade: int
    curve: str
    commands: Sequence[str]


def map_page(found: DataMap, following: Callable[[str], Sequence[str]]) -> str:
    """The page: the map, whose points lead to the examples below it, hardest first.

    Of more than MOST_POINTS examples it shows the hardest, the most ambiguous, the easiest and the marked,
    and some of the others, drawn at random. All text is escaped, and the page has no script.
    """
    shown = sorted(_shown(found), key=lambda one: one.confidence)
    widest = max((one.variability or 0.0 for one in found.placed), default=0.0) or 1.0
    points = [_point(i, one, found, widest, following(one.id)) for i, one in enumerate(shown)]
    values = {
        "found": found,
        "points": points,
        "counts": {region: sum(one.region == region for one in found.placed) for region in REGIONS},
        "rule": RULE if found.varies else RULE_OF_ONE,
        "across": ACROSS,
        "down": DOWN,
        "edge": EDGE,
        "x_ticks": _ticks(widest, EDGE, ACROSS - EDGE / 3) if found.varies else [],
        "y_ticks": _ticks(1.0, DOWN - EDGE, EDGE / 3),
        "size": (WIDTH, HEIGHT),
        "shades": range(SHADES),
    }
    return one_file(
        "qa_research.interventions.data_map",
        "data_map.html.jinja",
        "data_map.css",
        (),
        values,
        kit=("kit.css", "charts.css"),
    )


def _shown(found: DataMap) -> list[Placed]:
    """The examples of the page, each once."""
    if len(found.placed) <= MOST_POINTS:
        return list(found.placed)
    corners = listed(found, {HARD: CORNER, AMBIGUOUS: CORNER * found.varies, EASY: CORNER})
    marked = [one for one in found.placed if one.is_marked][:CORNER]
    chosen = {one.id: one for own in (*corners.values(), marked) for one in own}
    order = stream(0, "data-map-page").permutation(len(found.placed)).tolist()
    for place in order:
        if len(chosen) >= MOST_POINTS:
            break
        one = found.placed[place]
        chosen.setdefault(one.id, one)
    return list(chosen.values())


def _point(
    number: int, one: Placed, found: DataMap, widest: float, commands: Sequence[str]
) -> Point:
    # Of a single step there is no variability: points are spread by their order.
    across = (one.variability or 0.0) / widest if found.varies else (number % 100) / 100
    steps = np.array(found.steps, dtype=np.int64)
    return Point(
        number=number,
        example=one,
        x=round(EDGE + across * (ACROSS - EDGE / 3 - EDGE), 1),
        y=round(DOWN - EDGE - one.confidence * (DOWN - EDGE - EDGE / 3), 1),
        shade=min(int(one.correctness * SHADES), SHADES - 1),
        curve=curve_path(steps, np.array(one.probabilities)),
        commands=commands,
    )


def _ticks(most: float, start: float, end: float) -> list[tuple[float, str]]:
    """Places and labels of an axis from 0 to `most`, drawn from `start` to `end`."""
    shares = [place / TICKS for place in range(TICKS + 1)]
    return [(round(start + share * (end - start), 1), f"{share * most:.2f}") for share in shares]
