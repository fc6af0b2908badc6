"""What each state of each model came to: the ledger's counts with their estimates, and repeated questions."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from qa_research.ledger.asked import Source, State, examples_column, state_of
from qa_research.ledger.runs import Ledger
from qa_research.stats import (
    Needed,
    Ratio,
    Stretch,
    exact_ratio,
    expected_repeats,
    observed_needed,
    questions_needed,
    unbiased_ratio,
)

# The old lab's.
IMPORTED_ROUND = 3


@dataclass(frozen=True, slots=True)
class SearchCount:
    """What one search came to. `ending` None: it is still running, or was killed."""

    goal: str
    ending: str | None
    seed: int | None
    draw: int
    first: int
    asked: int
    counted: int
    correct: int


@dataclass(frozen=True, slots=True)
class Standing:
    """One state on one source.

    `ratio`: of all questions that count, each once (None: no question was answered). `is_whole`: every
    question of the split was answered, so `ratio` is exact, and of all answers. `unbiased`: over the
    searches for a right answer, with all answers of their rounds; None if one of them found none, or a
    question failed, and where `ratio` is exact. `first_gold`: answers equal to the first
    gold answer, ignoring case (None: unknown). `kinds`: the ratio by kind of question. `needed`: questions
    a search needs at `ratio`; `needed_least` and `needed_most` at the ends of its interval; `observed`: what
    the searches themselves needed. `repeats`: asked questions that had been asked before;
    `expected_repeats`: how many by chance (None: the size of the split is unknown). `mean_f1` in [0, 1].
    """

    state: State
    source: Source
    searches: tuple[SearchCount, ...]
    asked: int
    failed: int
    seconds: float
    ratio: Ratio | None
    unbiased: float | None
    first_gold: Ratio | None
    mean_f1: float | None
    kinds: dict[str, Ratio]
    needed: Needed
    needed_least: Needed
    needed_most: Needed
    observed: Needed
    repeats: int
    expected_repeats: float | None
    is_whole: bool

    @property
    def is_imported(self) -> bool:
        """Whether another program asked, in rounds of three, with replacement."""
        return self.state.run_id is None

    def as_json(self) -> dict[str, Any]:
        """Plain values; ratios in percent."""
        plain = asdict(self)
        plain["ratio"], plain["first_gold"] = _in_percent(self.ratio), _in_percent(self.first_gold)
        plain["kinds"] = {kind: _in_percent(ratio) for kind, ratio in self.kinds.items()}
        for name in ("unbiased", "mean_f1"):
            value = plain.pop(name)
            plain[f"{name}_percent"] = None if value is None else 100 * value
        return plain | {"is_imported": self.is_imported}


@dataclass(frozen=True, slots=True)
class Repeat:
    """One question that was asked `times` times; `id` and `question` None: imported.

    `records`: the rows of the old lab's sample_indices that have it.
    """

    index: int
    id: str | None
    question: str | None
    times: int
    records: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Repeats:
    """One state on one source: its standing has the numbers; these are the questions, most often first."""

    standing: Standing
    questions: tuple[Repeat, ...]

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "state": asdict(self.standing.state),
            "source": asdict(self.standing.source),
            "asked": self.standing.asked,
            "repeats": self.standing.repeats,
            "expected_repeats": self.standing.expected_repeats,
            "questions": [asdict(question) for question in self.questions],
        }


def standings(ledger: Ledger, run_id: str | None = None) -> list[Standing]:
    """Every state on every source, by run, step and source; or those of one run by its id.

    Raises:
        FileNotFoundError: no questions have been asked yet.
    """
    with ledger.reading() as connection:
        groups = _read(connection, ledger.path)
    return [
        _standing(rows)
        for rows in groups.values()
        if run_id is None or rows.counts["run_id"] == run_id
    ]


def repeated(ledger: Ledger) -> list[Repeats]:
    """The repeats of every state that was asked, including those without any.

    Raises:
        FileNotFoundError: no questions have been asked yet.
    """
    questions: dict[_Key, list[Repeat]] = {}
    with ledger.reading() as connection:
        groups = _read(connection, ledger.path)
        records: dict[tuple[_Key, int], list[int]] = {}
        # A ledger of version 2 has no rows of imported searches.
        columns = {row["name"] for row in connection.execute("PRAGMA table_info(searches)")}
        for row in connection.execute(_REPEATED_RECORDS) if "told_row" in columns else ():
            records.setdefault((_key(row), row["number"]), []).append(row["told_row"])
        for row in connection.execute(_REPEATED_QUESTIONS):
            rows = tuple(records.get((_key(row), row["number"]), ()))
            repeat = Repeat(row["number"], row["id"], row["question"], row["times"], rows)
            questions.setdefault(_key(row), []).append(repeat)
    return [Repeats(_standing(rows), tuple(questions.get(key, ()))) for key, rows in groups.items()]


_COUNTS = """
SELECT state_counts.*, run_id, run, step, weights, pretrained,
       name, split, fingerprint, questions, {examples},
       EXISTS (
           SELECT 1 FROM searches JOIN asked ON asked.search_id = searches.id
           WHERE searches.state_id = state_counts.state_id
           AND searches.source_id = state_counts.source_id AND f1 IS NOT NULL
       ) AS scored
FROM state_counts
JOIN states ON states.id = state_id
JOIN sources ON sources.id = source_id
ORDER BY run_id IS NULL, run, run_id, step, states.id, name, split, sources.id
"""
_ROUNDS = """
SELECT state_id, searches.source_id, search_id, count(*) AS asked,
       coalesce(sum(exact_match), 0) AS correct
FROM asked JOIN searches ON searches.id = search_id
WHERE goal = 'right'
GROUP BY search_id, round
"""
_REPEATS = """
SELECT state_id, searches.source_id, count(number) - count(DISTINCT number) AS repeats
FROM asked JOIN searches ON searches.id = search_id
GROUP BY state_id, searches.source_id
"""
_REPEATED_QUESTIONS = """
SELECT state_id, repeats.source_id, repeats.number, questions.id, question, times
FROM repeats
JOIN questions ON questions.source_id = repeats.source_id AND questions.number = repeats.number
ORDER BY times DESC, repeats.number
"""
_REPEATED_RECORDS = """
SELECT DISTINCT repeats.state_id, repeats.source_id, repeats.number, told_row
FROM repeats
JOIN searches ON searches.state_id = repeats.state_id AND searches.source_id = repeats.source_id
JOIN asked ON asked.search_id = searches.id AND asked.number = repeats.number
WHERE told_row IS NOT NULL
ORDER BY told_row
"""
_Row = Mapping[str, Any]
_Key = tuple[int, int]


@dataclass(slots=True)
class _Rows:
    """What the ledger has of one state on one source.

    `rounds`: of each search, by its id: how many questions each round had, and how many right answers.
    """

    counts: _Row
    searches: list[_Row] = field(default_factory=list)
    kinds: list[_Row] = field(default_factory=list)
    rounds: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    repeats: int = 0


def _key(row: _Row) -> _Key:
    return row["state_id"], row["source_id"]


def _read(connection: Any, path: Path) -> dict[_Key, _Rows]:
    """The rows of every state and source, in the order in which they are shown."""
    execute = connection.execute
    # A ledger of version 1 knew runs only.
    has_counts = execute("SELECT 1 FROM sqlite_master WHERE name = 'state_counts'").fetchone()
    query = _COUNTS.format(examples=examples_column(connection)) if has_counts else ""
    groups = {_key(row): _Rows(row) for row in execute(query)}
    if not groups:
        raise FileNotFoundError(
            f"no questions have been asked yet in {path}; qa-research efficacy RUN asks some"
        )
    for row in execute("SELECT * FROM search_counts ORDER BY search_id"):
        groups[_key(row)].searches.append(row)
    for row in execute(_ROUNDS):
        of_search = groups[_key(row)].rounds.setdefault(row["search_id"], [])
        of_search.append((row["asked"], row["correct"]))
    for row in execute("SELECT * FROM kind_counts ORDER BY counted DESC, kind"):
        groups[_key(row)].kinds.append(row)
    for row in execute(_REPEATS):
        groups[_key(row)].repeats = row["repeats"]
    return groups


def _standing(rows: _Rows) -> Standing:
    counts = rows.counts
    total = counts["questions"]
    is_imported = counts["run_id"] is None
    # Once every question of the split was answered, also those count that came after a right one.
    is_whole = total is not None and counts["all_counted"] == total
    which = "all_" if is_whole else ""
    right, counted = counts[f"{which}correct"], counts[f"{which}counted"]
    ratio = _ratio(right, counted, is_whole) if counted else None
    # Where an answer is right or wrong and nothing between, there is no F1 and no other gold answer.
    has_scores = counted and not is_imported and counts["scored"]
    names = [column.name for column in fields(SearchCount)]
    searches = tuple(SearchCount(**{name: row[name] for name in names}) for row in rows.searches)
    wanted = [search for search in searches if search.goal == "right"]
    lengths = [search.counted for search in wanted if search.ending == "right"]
    censored = [search.counted for search in wanted if search.ending != "right"]
    unbiased = None
    if not is_whole:
        unbiased = _unbiased_of_imported(rows) if is_imported else _unbiased(rows)
    # The old lab drew each question from all of them; an order of ours has each once.
    draws = [1] * counts["asked"] if is_imported else _draws(searches)
    return Standing(
        state=state_of(counts),
        source=Source(
            counts["name"], counts["split"], counts["fingerprint"], total, counts["examples"]
        ),
        searches=searches,
        asked=counts["asked"],
        failed=counts["failed"],
        seconds=counts["seconds"],
        ratio=ratio,
        unbiased=unbiased,
        first_gold=_ratio(counts[f"{which}first_gold"], counted, is_whole) if has_scores else None,
        mean_f1=counts[f"{which}f1"] / counted if has_scores else None,
        kinds={
            row["kind"]: _ratio(row[f"{which}correct"], row[f"{which}counted"], is_whole)
            for row in rows.kinds
            if row[f"{which}counted"]
        },
        needed=questions_needed(ratio.value if ratio else 0.0, total),
        needed_least=questions_needed(ratio.high if ratio else 1.0, total),
        needed_most=questions_needed(ratio.low if ratio else 0.0, total),
        observed=observed_needed(lengths, censored),
        repeats=rows.repeats,
        expected_repeats=expected_repeats(draws, total) if total else None,
        is_whole=is_whole,
    )


def _ratio(right: int, asked: int, is_whole: bool) -> Ratio:
    """With its interval; that of a whole split has no width."""
    if is_whole:
        return Ratio(right, asked, right / asked, right / asked)
    return exact_ratio(right, asked)


def _unbiased(rows: _Rows) -> float | None:
    """The unbiased ratio over searches for a right answer.

    None if one of them did not find it, if a question failed, or if a limit cut a round short.
    """
    wanted = [row for row in rows.searches if row["goal"] == "right" and row["asked"]]
    if any(row["ending"] not in ("right", "stopped") or row["failed"] for row in wanted):
        return None
    # A search that was stopped is continued by the next one. One that ended at a bound is not, because that
    # it got so far depends on its answers.
    stretches: list[Stretch] = []
    end, ending = None, "right"
    for row in sorted(wanted, key=lambda row: (row["seed"], row["draw"], row["first"])):
        (size, *others), right = zip(*rows.rounds[row["search_id"]], strict=True)
        if any(other != size for other in others):
            return None
        own = Stretch(int(row["ending"] == "right"), len(right), sum(right), size)
        if end == (row["seed"], row["draw"], row["first"], size):
            own = _joined(stretches.pop(), own)
        elif ending == "stopped":
            return None
        stretches.append(own)
        end = row["seed"], row["draw"], row["first"] + row["asked"], size
        ending = row["ending"]
    return None if ending == "stopped" else unbiased_ratio(*stretches)


def _joined(one: Stretch, other: Stretch) -> Stretch:
    searches, rounds = one.searches + other.searches, one.rounds + other.rounds
    return Stretch(searches, rounds, one.right + other.right, one.size)


def _unbiased_of_imported(rows: _Rows) -> float | None:
    """The same of imported searches, in rounds of three with replacement.

    None if some of them are known as a sum only.
    """
    searches = [row["counted"] for row in rows.searches if row["goal"] == "right"]
    asked = sum(row["counted"] for row in rows.searches)
    if asked != sum(searches) or any(counted % IMPORTED_ROUND for counted in searches):
        return None
    right = sum(row["correct"] for row in rows.searches)
    rounds = asked // IMPORTED_ROUND
    return unbiased_ratio(Stretch(len(searches), rounds, right, IMPORTED_ROUND))


def _draws(searches: Iterable[SearchCount]) -> Sequence[int]:
    """How many questions were asked in each order: searches of one order share a draw."""
    sizes = Counter[tuple[int | None, int]]()
    for search in searches:
        sizes[search.seed, search.draw] += search.asked
    return list(sizes.values())


def _in_percent(ratio: Ratio | None) -> dict[str, Any] | None:
    if ratio is None:
        return None
    return {
        "right": ratio.right,
        "asked": ratio.asked,
        "percent": 100 * ratio.value,
        "percent_95": [100 * ratio.low, 100 * ratio.high],
    }
