"""Which searches of the old lab count, and what each of its states comes to. Pure.

Its sums (correct_num, sample_num), its list of lengths (sample_seq) and its lists of indices
(sample_indices) were introduced at different times, and do not always agree:

Searches. Each length is a search, and so is each list of indices whose length is not in the list of lengths,
as far as the sums have room for it. What the sums know beyond that is older than the list of lengths, and is
kept as one sum. Where the sums say less than the searches, or more of only one kind (two right answers in
one round), the searches win.

Crashes. A crash in a round was counted as three wrong answers; they are subtracted.

Replays. A search whose whole list of indices occurs in the list of an earlier search of the same state, in
one piece, was not drawn at random: it is a replay and does not count. (The old lab asked the round that had
ended a search again, as searches of their own.) A whole round that occurs twice otherwise, even with another
state, is reported as a likely replay but counts, because the rest of its search was drawn. Both must be
unlikely by chance: see `_is_beyond_chance`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from qa_research.ledger.old_lab.read import ROUND, IndexRow, OldState

# The training set of SQuAD v1.1: Rajpurkar et al. 2016.
KNOWN_SIZES = {"squad": 87_599}
_ONE_IN = 1000


# Its length, including crashes, and its list of indices if there is one.
_Search = tuple[int, IndexRow | None]


@dataclass(frozen=True, slots=True)
class KeptSearch:
    """A search that counts, or (`is_sum`) what is known only as the sum of several.

    `asked` excludes crashes. `indices`: which questions, if that is known.
    """

    asked: int
    right: int
    is_sum: bool
    indices: IndexRow | None


@dataclass(frozen=True, slots=True)
class Correction:
    """Why other counts are kept than were stored, and how many more (negative: fewer)."""

    why: str
    right: int
    asked: int


@dataclass(frozen=True, slots=True)
class KeptState:
    """A state with all that counts: what was stored plus the corrections is what is kept."""

    state: OldState
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

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "run": self.state.name,
            "step": self.state.step,
            "pretrained": self.state.pretrained,
            "data": self.state.data,
            "stored": {"right": self.state.right, "asked": self.state.asked},
            "kept": {"right": self.right, "asked": self.asked},
            "searches": len([search for search in self.searches if not search.is_sum]),
            "between": self.bounds,
            "corrections": [asdict(correction) for correction in self.corrections],
        }

    @property
    def sentences(self) -> tuple[str, ...]:
        """What was corrected, and what else was odd."""
        corrected = (f"{c.why} ({c.right:+} right, {c.asked:+} asked)" for c in self.corrections)
        return (*corrected, *self.notes)

    @property
    def bounds(self) -> tuple[float, float] | None:
        """The least and the greatest share of right answers, had asking stopped at each right answer.

        Custom data was asked one question at a time, so there the share is exact.
        """
        # Each round of three was counted in full, so up to two questions came after each right answer.
        # 15 right of 1,584: at least 15/1,584 = 0.95 %, at most 15/(1,584 - 2 * 15) = 0.97 %.
        if not self.asked:
            return None
        if any(search.asked % ROUND for search in self.searches):
            return self.right / self.asked, self.right / self.asked
        most = self.asked - (ROUND - 1) * self.right
        return self.right / self.asked, min(1.0, self.right / most) if most > 0 else 1.0


def kept_states(states: Sequence[OldState]) -> tuple[list[KeptState], list[str]]:
    """What counts of each state, and notes on rounds that several searches share."""
    sizes = sizes_of(states)
    kept = [_keep_state(state, sizes[state.data]) for state in states]
    index_rows = [
        (state.state.data, search.indices)
        for state in kept
        for search in state.searches
        if search.indices
    ]
    return kept, shared_rounds(index_rows, sizes)


def _keep_state(state: OldState, questions: int) -> KeptState:
    notes: list[str] = []
    replays = find_replays(state.index_rows, questions, notes)
    searches, left = _pair_lengths(state, replays)
    _add_where_room(state, searches, left, replays, notes)
    sums, corrections = _known_as_sum(state, searches, notes)
    dropped = [(length, t) for length, t in searches if t is not None and t.row in replays]
    if dropped:
        lost = sum(length for length, _ in dropped)
        rows = ", ".join(f"row {t.row} as row {replays[t.row]}" for _, t in dropped)
        why = f"replays of earlier searches do not count (sample_indices: {rows})"
        corrections.append(Correction(why, -len(dropped), -lost))
    singles = [
        KeptSearch(length - ROUND * (t.crashes if t else 0), 1, False, t)
        for length, t in searches
        if t is None or t.row not in replays
    ]
    crashes = sum(search.indices.crashes for search in singles if search.indices)
    if crashes:
        why = f"crashed rounds had been counted as three wrong answers each: {crashes}"
        corrections.append(Correction(why, 0, -ROUND * crashes))
    return KeptState(state, (*sums, *singles), tuple(corrections), tuple(notes))


def _add_where_room(
    state: OldState,
    searches: list[_Search],
    left: Sequence[IndexRow],
    replays: Mapping[int, int],
    notes: list[str],
) -> None:
    """Add to `searches` the lists of indices that have no length, if the sums have room for them."""
    for indices in left:
        right, asked = _beyond(state, searches)
        if indices.row in replays:
            notes.append(
                f"row {indices.row} of sample_indices, which repeats row {replays[indices.row]}, was skipped"
            )
        elif right >= 1 and asked - indices.questions >= right - 1:
            # What then remains of the sums still has at least one question for each right answer.
            searches.append((indices.questions, indices))
        else:
            notes.append(
                f"row {indices.row} of sample_indices, a search of {indices.questions}, is in none of the "
                "sums and was skipped"
            )


def _known_as_sum(
    state: OldState, searches: Sequence[_Search], notes: list[str]
) -> tuple[list[KeptSearch], list[Correction]]:
    """What the sums know beyond the searches; or, if they contradict them, the correction."""
    # Sums of 3 right and 30 asked, searches of 6 and 12: 1 of 12 is left, an older search. 2 right and 20
    # asked would leave 0 of 2, and 3 and 18 would leave 1 of 0: neither is possible, so the searches win.
    right, asked = _beyond(state, searches)
    if 1 <= right <= asked or (right == 0 < asked and not searches):
        if right != 1:
            notes.append(f"{right} of {asked} are known only as a sum, not search by search")
        return [KeptSearch(asked, right, right != 1, None)], []
    if right == asked == 0:
        return [], []
    known = f"{len(searches)} of {state.asked - asked:,} questions" if searches else "none"
    why = (
        f"correct_num={state.right} and sample_num={state.asked} contradict the searches, "
        f"which count instead: {known}"
    )
    return [], [Correction(why, -right, -asked)]


def _beyond(state: OldState, searches: Sequence[_Search]) -> tuple[int, int]:
    """Right and asked of the sums, minus those of the searches."""
    return state.right - len(searches), state.asked - sum(length for length, _ in searches)


def _pair_lengths(
    state: OldState, replays: Mapping[int, int]
) -> tuple[list[_Search], list[IndexRow]]:
    """Each length with the list of indices that belongs to it, and the lists that belong to none.

    Lists of indices were introduced later, so the latest lengths have one. Replays come last: they get
    the lengths that the others leave.
    """
    # Lengths 3, 6, 3, 6 and lists of 3 and 6: the lists belong to the third and the fourth search.
    if not state.lengths:
        return [(indices.questions, indices) for indices in state.index_rows], []
    partners: list[IndexRow | None] = [None] * len(state.lengths)
    left = []
    latest_first = sorted(state.index_rows, key=lambda row: (row.row in replays, -row.row))
    for indices in latest_first:
        free = (
            place
            for place in reversed(range(len(partners)))
            if partners[place] is None and state.lengths[place] == indices.questions
        )
        place = next(free, None)
        if place is None:
            left.append(indices)
        else:
            partners[place] = indices
    return list(zip(state.lengths, partners, strict=True)), left[::-1]


def sizes_of(states: Sequence[OldState]) -> dict[str, int]:
    """How many questions each data set has; if that is not known, how many it has at least."""
    sizes: dict[str, int] = {}
    for state in states:
        largest = max((index for row in state.index_rows for index in row.known), default=0)
        sizes[state.data] = max(sizes.get(state.data, KNOWN_SIZES.get(state.data, 1)), largest + 1)
    return sizes


def find_replays(rows: Sequence[IndexRow], questions: int, notes: list[str]) -> dict[int, int]:
    """The rows of one state that replay an earlier one -> that one. What may be chance goes to `notes`."""
    found = {}
    asked = sum(len(row.known) for row in rows)
    for place, later in enumerate(rows):
        first = next((row for row in rows[:place] if _contains(row.known, later.known)), None)
        if first is None:
            continue
        if _is_beyond_chance(asked * len(rows), questions, len(later.known)):
            found[later.row] = first.row
        else:
            notes.append(
                f"row {later.row} of sample_indices repeats row {first.row}, which may be chance with so few "
                "questions, so it counts"
            )
    return found


def shared_rounds(
    index_rows: Sequence[tuple[str, IndexRow]], sizes: Mapping[str, int]
) -> list[str]:
    """A sentence for each set of rows that share rounds; `index_rows` with the name of their data."""
    places: dict[tuple[str, tuple[int | None, ...]], list[int]] = {}
    for data, row in index_rows:
        for start in range(0, len(row.slots) - ROUND + 1, ROUND):
            three = row.slots[start : start + ROUND]
            if None not in three:
                places.setdefault((data, three), []).append(row.row)
    shared: dict[tuple[int, ...], list[tuple[int | None, ...]]] = {}
    for (data, three), rows in places.items():
        if len(rows) > 1 and _is_beyond_chance(len(places) ** 2, sizes[data], ROUND):
            shared.setdefault(tuple(rows), []).append(three)
    return [
        f"{_rounds(threes)} are in sample_indices more than once (rows {', '.join(map(str, rows))}): "
        "probably a replay, but they count"
        for rows, threes in shared.items()
    ]


def _rounds(threes: Sequence[tuple[int | None, ...]]) -> str:
    first = ", ".join(map(str, threes[0]))
    return f"the indices {first}" + (f" and {len(threes) - 1} more rounds" if threes[1:] else "")


def _contains(earlier: tuple[int, ...], later: tuple[int, ...]) -> bool:
    """Whether `later` occurs in `earlier`, in one piece."""
    size = len(later)
    return (
        0 < size <= len(earlier)
        and later[0] in earlier
        and any(earlier[i : i + size] == later for i in range(len(earlier) - size + 1))
    )


def _is_beyond_chance(pairs: int, questions: int, size: int) -> bool:
    """Whether it is less likely than 1 in 1000 that any of so many pairs has the same indices by chance."""
    # Three of SQuAD's 87,599 questions: 6.7e14 possible lists, so even a million pairs will not agree by
    # chance. Three of ten questions: 1,000 lists, which a single pair matches once in a thousand times, so
    # that nothing can be concluded, and everything counts.
    lists: int = questions**size
    return pairs * _ONE_IN < lists
