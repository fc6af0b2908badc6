"""Which searches of the reference system asked again what was asked before. Pure.

A search whose whole list of indices stands in the list of an earlier search of the same state, in one
piece, is no random draw: it is a replay. (The reference asked the round that had ended a search again,
as searches of their own.) A whole round that stands twice otherwise, also with another state, is told as
a likely replay and counts: the rest of its search was drawn. Both are held against chance: that any list
of so many, from so many questions, repeats another so must be less likely than 1 in 1000. Of ten
questions nothing can be told, and all counts.

Which searches of the reference system count, and what they come to. Pure.

Its sums (correct_num, sample_num), its list of lengths (sample_seq) and its lists of indices
(sample_indices) were begun at different times, and do not always agree:

Searches. Each length is a search, and so is each list of indices whose length the list of lengths lacks,
as far as the sums have room for it. What the sums know beyond that is older than the list of lengths,
and is kept as one sum. Where the sums say less than the searches, or more of one kind alone (two right
answers in one round), the searches win.

Crashes. A crash in a round was counted as three wrong answers; they are taken off.

Replays. A search that asked what an earlier one had asked is left out: reference_replays.py says how it
is known.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from qa_research.ledger.old_lab.read import ROUND, ReferenceState, Tried

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


# Its length, with crashes, and its list of indices.
_Search = tuple[int, Tried | None]


@dataclass(frozen=True, slots=True)
class KeptSearch:
    """A search that counts, or (`is_sum`) what is known only as the sum of several.

    `asked` is without crashes. `tried`: which questions, where that is known.
    """

    asked: int
    right: int
    is_sum: bool
    tried: Tried | None


@dataclass(frozen=True, slots=True)
class Correction:
    """Why other counts are kept than the reference stored, and how much more (or less, negative)."""

    why: str
    right: int
    asked: int


@dataclass(frozen=True, slots=True)
class KeptState:
    """A state with all that counts: what was stored and its corrections add up to what is kept."""

    state: ReferenceState
    searches: tuple[KeptSearch, ...]
    corrections: tuple[Correction, ...]
    notes: tuple[str, ...]

    @property
    def right(self) -> int:
        """Right answers that are kept."""
        return sum(search.right for search in self.searches)

    @property
    def asked(self) -> int:
        """Asked questions that are kept."""
        return sum(search.asked for search in self.searches)

    @property
    def sentences(self) -> tuple[str, ...]:
        """What was corrected, and what else was odd."""
        corrected = (f"{c.why} ({c.right:+} right, {c.asked:+} asked)" for c in self.corrections)
        return (*corrected, *self.notes)

    @property
    def bounds(self) -> tuple[float, float] | None:
        """Between what the share of right answers lies, had asking stopped at each first right answer.

        A round of three was counted whole: up to two questions a right answer came after it. Custom data was
        asked one question at a time, so there the share is exact.
        """
        if not self.asked:
            return None
        if any(search.asked % ROUND for search in self.searches):
            return self.right / self.asked, self.right / self.asked
        most = self.asked - (ROUND - 1) * self.right
        return self.right / self.asked, min(1.0, self.right / most) if most > 0 else 1.0


def kept_states(states: Sequence[ReferenceState]) -> tuple[list[KeptState], list[str]]:
    """What counts of each state, and notes about rounds that several searches share."""
    sizes = sizes_of(states)
    kept = [_kept(state, sizes[state.data]) for state in states]
    tried = [(k.state.data, search.tried) for k in kept for search in k.searches if search.tried]
    return kept, shared_rounds(tried, sizes)


def _kept(state: ReferenceState, questions: int) -> KeptState:
    notes: list[str] = []
    replays = find_replays(state.tried, questions, notes)
    searches, left = _paired(state, replays)
    _add_where_room(state, searches, left, replays, notes)
    sums, corrections = _known_as_sum(state, searches, notes)
    dropped = [(length, t) for length, t in searches if t is not None and t.row in replays]
    if dropped:
        lost = sum(length for length, _ in dropped)
        rows = ", ".join(f"row {t.row} as row {replays[t.row]}" for _, t in dropped)
        why = f"replays of earlier searches were left out (sample_indices: {rows})"
        corrections.append(Correction(why, -len(dropped), -lost))
    singles = [
        KeptSearch(length - ROUND * (t.crashes if t else 0), 1, False, t)
        for length, t in searches
        if t is None or t.row not in replays
    ]
    crashes = sum(search.tried.crashes for search in singles if search.tried)
    if crashes:
        why = f"rounds that crashed were counted as three wrong answers each: {crashes}"
        corrections.append(Correction(why, 0, -ROUND * crashes))
    return KeptState(state, (*sums, *singles), tuple(corrections), tuple(notes))


def _add_where_room(
    state: ReferenceState,
    searches: list[_Search],
    left: Sequence[Tried],
    replays: Mapping[int, int],
    notes: list[str],
) -> None:
    """Add to `searches` those lists of indices that no length belongs to, if the sums know of them."""
    for tried in left:
        right, asked = _beyond(state, searches)
        if tried.row in replays:
            notes.append(
                f"row {tried.row} of sample_indices, which repeats row {replays[tried.row]}, was left out"
            )
        elif right >= 1 and asked - tried.questions >= right - 1:
            # What remains has at least one question for each right answer.
            searches.append((tried.questions, tried))
        else:
            notes.append(
                f"row {tried.row} of sample_indices, a search of {tried.questions}, stands in no sum "
                "and was left out"
            )


def _known_as_sum(
    state: ReferenceState, searches: Sequence[_Search], notes: list[str]
) -> tuple[list[KeptSearch], list[Correction]]:
    """What the sums know beyond the searches; or, where they contradict them, the correction."""
    right, asked = _beyond(state, searches)
    if 1 <= right <= asked or (right == 0 < asked and not searches):
        if right != 1:
            notes.append(f"{right} of {asked} are known only as a sum, not search by search")
        return [KeptSearch(asked, right, right != 1, None)], []
    if right == asked == 0:
        return [], []
    told = f"{len(searches)} of {state.asked - asked:,} questions" if searches else "none"
    why = (
        f"correct_num={state.right} and sample_num={state.asked} contradict its searches, "
        f"which count: {told}"
    )
    return [], [Correction(why, -right, -asked)]


def _beyond(state: ReferenceState, searches: Sequence[_Search]) -> tuple[int, int]:
    """Right and asked of the sums, less those of the searches."""
    return state.right - len(searches), state.asked - sum(length for length, _ in searches)


def _paired(state: ReferenceState, replays: Mapping[int, int]) -> tuple[list[_Search], list[Tried]]:
    """Each length with the list of indices that belongs to it, and the lists that belong to none.

    The lists were begun later, so the latest belong together; a replay takes what the others leave.
    """
    if not state.lengths:
        return [(tried.questions, tried) for tried in state.tried], []
    partners: list[Tried | None] = [None] * len(state.lengths)
    left = []
    latest = sorted(state.tried, key=lambda tried: (tried.row in replays, -tried.row))
    for tried in latest:
        free = (
            place
            for place in reversed(range(len(partners)))
            if partners[place] is None and state.lengths[place] == tried.questions
        )
        place = next(free, None)
        if place is None:
            left.append(tried)
        else:
            partners[place] = tried
    return list(zip(state.lengths, partners, strict=True)), left[::-1]
