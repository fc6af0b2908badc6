"""Which searches of the old lab count, and what each of its states comes to. Pure.

Its sums (correct_num, sample_num), its list of lengths (sample_seq) and its lists of indices
(sample_indices) were introduced at different times, and do not always agree:

Searches. Each length is a search, and so is each list of indices whose length is not in the list of lengths,
as far as the sums have room for it. What the sums know beyond that is kept as one sum: searches older than
the list of lengths, and right answers beyond one a search, because correct_num counts every right answer of
the round that ended a search. Where the sums cannot be true, the searches win.

Crashes. A round that a crash cut short was counted as three wrong answers, whatever had been answered until
then; it does not count.

Replays. A search whose whole list of indices occurs in the list of an earlier search of the same state, in
one piece, was not drawn at random: it is a replay and does not count. (The old lab asked the round that had
ended a search again, as searches of their own.) A whole round that occurs twice otherwise, even with another
state, is reported as a likely replay but counts, because the rest of its search was drawn. Both must be
unlikely by chance: see `_is_beyond_chance`.

What it comes to. All right of all asked answers is the ratio to read: rounds were asked until one had a right
answer, so by Wald's identity the expected number of right answers is the true ratio times the expected number
of questions, whatever the size of rounds. It is consistent over many searches and reads too high over few;
benchmarks/estimators.py has by how much, and what the exact interval covers.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from qa_research.ledger.old_lab.read import KNOWN_SIZES, ROUND, IndexRow, OldState
from qa_research.stats import Ratio, exact_ratio

_ONE_IN = 1000


# Its length, including crashes, and its list of indices if there is one.
_Search = tuple[int, IndexRow | None]


@dataclass(frozen=True, slots=True)
class KeptSearch:
    """A search that counts, or (`is_sum`) what is known only as a sum over several.

    `asked` excludes rounds that crashed; a sum may have right answers alone. `indices`: which questions, if
    that is known.
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
        ratio = self.ratio
        return {
            "run": self.state.name,
            "step": self.state.step,
            "pretrained": self.state.pretrained,
            "data": self.state.data,
            "stored": {"right": self.state.right, "asked": self.state.asked},
            "kept": {"right": self.right, "asked": self.asked},
            "searches": len([search for search in self.searches if not search.is_sum]),
            "percent": None if ratio is None else 100 * ratio.value,
            "percent_95": None if ratio is None else [100 * ratio.low, 100 * ratio.high],
            "corrections": [asdict(correction) for correction in self.corrections],
        }

    @property
    def sentences(self) -> tuple[str, ...]:
        """What was corrected, and what else was odd."""
        corrected = (f"{c.why} ({c.right:+} right, {c.asked:+} asked)" for c in self.corrections)
        return (*corrected, *self.notes, *self._one_question())

    def _one_question(self) -> list[str]:
        known = {i for search in self.searches if search.indices for i in search.indices.known}
        if not self.state.data.endswith(".json") or len(known) > 1:
            return []
        return [
            f"{self.state.data} is custom data, of which the old lab asked the first question every time, so "
            "this says nothing about others"
        ]

    @property
    def ratio(self) -> Ratio | None:
        """All right of all asked answers, which is consistent; None if nothing was asked."""
        return exact_ratio(self.right, self.asked) if self.asked else None


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
    sums, corrections = _known_as_sum(state, searches, replays, notes)
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
        why = (
            f"rounds that a crash cut short had been counted as three wrong answers each: {crashes}"
        )
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
        elif right >= 1 and asked >= indices.questions:
            searches.append((indices.questions, indices))
        else:
            notes.append(
                f"row {indices.row} of sample_indices, a search of {indices.questions}, is in none of the "
                "sums and was skipped"
            )


def _known_as_sum(
    state: OldState,
    searches: Sequence[_Search],
    replays: Mapping[int, int],
    notes: list[str],
) -> tuple[list[KeptSearch], list[Correction]]:
    """What the sums know beyond the searches; or, if they contradict them, the correction."""
    # Searches of 6 and 12. Sums of 3 right and 30 asked: 1 of 12 is left, an older search. 3 of 18: a round
    # that ended a search had a second right answer. 2 of 20 would leave 2 questions without a right answer,
    # and 7 of 18 five more in two rounds of three: neither is possible, so the searches win.
    right, asked = _beyond(state, searches)
    more = sum(ROUND - 1 for length, _ in searches if length % ROUND == 0)
    if right == asked == 0:
        return [], []
    is_possible = right <= more + asked and asked >= 0 and right >= min(asked, 1)
    if is_possible or (right == 0 < asked and not searches):
        if asked and right != 1:
            notes.append(f"{right} of {asked} are known only as a sum, not search by search")
        elif not asked:
            notes.append(_more_than_one(right, len(searches), replays))
        return [KeptSearch(asked, right, right != 1 or not asked, None)], []
    known = f"{len(searches)} of {state.asked - asked:,} questions" if searches else "none"
    why = (
        f"correct_num={state.right} and sample_num={state.asked} contradict the searches, "
        f"which count instead: {known}"
    )
    return [], [Correction(why, -right, -asked)]


def _more_than_one(right: int, searches: int, replays: Mapping[int, int]) -> str:
    """That so many right answers came beyond one a search."""
    # 19 right in 18 searches, two of them replays of a third: had its last round had two right answers, the
    # replays would have had them, too, so 21. With 21 it cannot be told.
    note = (
        f"{searches + right} right answers in {searches} searches: all right answers of a search's last "
        "round count"
    )
    if any(right > times for times in Counter(replays.values()).values()):
        note += "; some of those beyond one a search may be of replays, so the kept number may be too high"
    return note


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
    places: dict[tuple[str, tuple[int, ...]], list[int]] = {}
    for data, row in index_rows:
        for three in row.rounds:
            if len(three) == ROUND:
                places.setdefault((data, three), []).append(row.row)
    shared: dict[tuple[int, ...], list[tuple[int, ...]]] = {}
    for (data, three), rows in places.items():
        if len(rows) > 1 and _is_beyond_chance(len(places) ** 2, sizes[data], ROUND):
            shared.setdefault(tuple(rows), []).append(three)
    return [
        f"{_rounds(threes)} are in sample_indices more than once (rows {', '.join(map(str, rows))}): "
        "probably a replay, but they count"
        for rows, threes in shared.items()
    ]


def _rounds(threes: Sequence[tuple[int, ...]]) -> str:
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
