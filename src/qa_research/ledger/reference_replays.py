"""Which searches of the reference system asked again what was asked before. Pure.

A search whose whole list of indices stands in the list of an earlier search of the same state, in one
piece, is no random draw: it is a replay. (The reference asked the round that had ended a search again,
as searches of their own.) A whole round that stands twice otherwise, also with another state, is told as
a likely replay and counts: the rest of its search was drawn. Both are held against chance: that any list
of so many, from so many questions, repeats another so must be less likely than 1 in 1000. Of ten
questions nothing can be told, and all counts.
"""

from collections.abc import Mapping, Sequence

from qa_research.ledger.reference_rows import ROUND, ReferenceState, Tried

# The training set of SQuAD v1.1: Rajpurkar et al. 2016.
KNOWN_SIZES = {"squad": 87_599}
_ONE_IN = 1000


def sizes_of(states: Sequence[ReferenceState]) -> dict[str, int]:
    """How many questions each data has; where that is not known, as many as it has at least."""
    sizes: dict[str, int] = {}
    for state in states:
        largest = max((index for tried in state.tried for index in tried.known), default=0)
        sizes[state.data] = max(sizes.get(state.data, KNOWN_SIZES.get(state.data, 1)), largest + 1)
    return sizes


def find_replays(tried: Sequence[Tried], questions: int, notes: list[str]) -> dict[int, int]:
    """The rows of one state that replay an earlier one, with that one; what chance may do goes to notes."""
    found = {}
    asked = sum(len(row.known) for row in tried)
    for place, later in enumerate(tried):
        first = next((row for row in tried[:place] if _holds(row.known, later.known)), None)
        if first is None:
            continue
        if _is_no_chance(asked * len(tried), questions, len(later.known)):
            found[later.row] = first.row
        else:
            notes.append(
                f"row {later.row} of sample_indices repeats row {first.row}, as chance may with so few "
                "questions, and counts"
            )
    return found


def shared_rounds(tried: Sequence[tuple[str, Tried]], sizes: Mapping[str, int]) -> list[str]:
    """A sentence for each set of rows that share rounds; `tried` with the name of its data."""
    places: dict[tuple[str, tuple[int | None, ...]], list[int]] = {}
    for data, row in tried:
        for start in range(0, len(row.slots) - ROUND + 1, ROUND):
            three = row.slots[start : start + ROUND]
            if None not in three:
                places.setdefault((data, three), []).append(row.row)
    shared: dict[tuple[int, ...], list[tuple[int | None, ...]]] = {}
    for (data, three), rows in places.items():
        if len(rows) > 1 and _is_no_chance(len(places) ** 2, sizes[data], ROUND):
            shared.setdefault(tuple(rows), []).append(three)
    return [
        f"{_rounds(threes)} stand in sample_indices more than once (rows {', '.join(map(str, rows))}): "
        "likely a replay, and counted"
        for rows, threes in shared.items()
    ]


def _rounds(threes: Sequence[tuple[int | None, ...]]) -> str:
    first = ", ".join(map(str, threes[0]))
    return f"the indices {first}" + (f" and {len(threes) - 1} rounds more" if threes[1:] else "")


def _holds(earlier: tuple[int, ...], later: tuple[int, ...]) -> bool:
    """Whether `later` stands in `earlier`, in one piece."""
    size = len(later)
    return (
        0 < size <= len(earlier)
        and later[0] in earlier
        and any(earlier[i : i + size] == later for i in range(len(earlier) - size + 1))
    )


def _is_no_chance(pairs: int, questions: int, size: int) -> bool:
    """Whether it is less likely than 1 in 1000 that any of so many pairs has the same indices."""
    lists: int = questions**size
    return pairs * _ONE_IN < lists
