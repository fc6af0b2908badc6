"""Which training examples are put on a map, and whether there is time for all of them."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from qa_research.interventions.allowed import check_allowed
from qa_research.interventions.choosing import check_known, places_of
from qa_research.streams import stream
from qa_research.tasks.opened import Opened

SPLIT = "train"
# So many examples are measured to tell what all of them will take.
TIMED = 32


@dataclass(frozen=True)
class MapRequest:
    """`questions`: how many examples are drawn with `seed`, or their ids; None: all. `marked`: ids of those
    that are known to be odd, such as those with a wrong answer. `max_minutes`: what it may take.
    """

    questions: int | tuple[str, ...] | None
    marked: tuple[str, ...]
    max_minutes: float
    seed: int


def chosen(opened: Opened[Any], request: MapRequest) -> tuple[list[Any], int]:
    """The training examples that are asked for, in the order of the data, and how many there are in all.

    Raises:
        FileNotFoundError: their file is gone.
        ValueError: they have changed, an id is none of theirs, there are fewer, or there is nothing to find.
    """
    rows = list(opened.own(SPLIT).rows)
    ids = [opened.told(row).id for row in rows]
    what = f"training {opened.examples} of {opened.name}"
    check_known(request.marked, ids, "--marked", what)
    if isinstance(request.questions, int) and request.questions > len(ids):
        raise ValueError(
            f"--questions {request.questions} is more than the {len(ids):,} {what}; without it all are "
            "measured"
        )
    rng = stream(request.seed, "data-map")
    places = places_of(request.questions, ids, rng, "--questions", what)
    marked = set(request.marked)
    count = sum(ids[place] in marked for place in places)
    if marked and count in (0, len(places)):
        raise ValueError(
            f"--marked: {'none' if not count else 'all'} of the {len(places):,} {opened.examples} on the map "
            "are marked, so there is nothing to tell apart; leave out --questions, or mark others"
        )
    return [rows[place] for place in places], len(rows)


def check_time(opened: Opened[Any], rows: Sequence[Any], passes: int, request: MapRequest) -> bool:
    """Tell what so many passes over the examples will take, judged by a few; whether that is long.

    Raises:
        ValueError: it is more than it may take.
    """
    drawn = stream(request.seed, "data-map-time").permutation(len(rows))[:TIMED]
    some = [rows[place] for place in drawn.tolist()]
    measure = opened.truth_of(some)
    # The first pass is slower than those that follow.
    measure(opened.network)
    start = time.perf_counter()
    measure(opened.network)
    seconds = (time.perf_counter() - start) * len(rows) / len(some) * passes
    count = math.floor(len(rows) * 60 * request.max_minutes / seconds)
    return check_allowed(
        f"asking {len(rows):,} {opened.examples} {passes} times",
        seconds,
        request.max_minutes,
        f"--questions {count}" if count else None,
    )
