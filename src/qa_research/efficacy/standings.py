"""What each state of each model came to: the ledger's counts with their estimates.

Which questions were asked of one state more than once, beside what chance alone would do.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from qa_research.ledger.asked import Source, State
from qa_research.ledger.runs import Ledger
from qa_research.stats import (
    Needed,
    Ratio,
    exact_ratio,
    expected_repeats,
    observed_needed,
    questions_needed,
    unbiased_ratio,
)


@dataclass(frozen=True, slots=True)
class SearchCount:
    """What one search came to. `ending` None: it still runs, or was killed."""

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

    `ratio`: of all questions that count, each once (None: nothing was answered). `is_whole`: every question
    of the split was answered, so that `ratio` is exact, whatever counts. `unbiased`: over the searches for
    a right answer that found one, from two on. `first_gold`: what equals the first gold answer but for case
    (None: not known). `kinds`: the ratio by kind of question. `needed`: what `ratio` makes of it, between
    `needed_least` and `needed_most` by its interval; `observed`: by the searches themselves.
    `repeats` of the asked questions had been asked before, `expected_repeats` if chance alone chose
    (None: the size of the split is not known). `mean_f1` in [0, 1].
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
        """Whether another program asked: in rounds of three, counted whole."""
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


def standings(ledger: Ledger, run_id: str | None = None) -> list[Standing]:
    """Every state on every source, by run, step and source; of one run by its id.

    Raises:
        FileNotFoundError: nobody was ever asked.
    """
    with ledger.reading() as connection:
        known = connection.execute(
            "SELECT count(*) FROM sqlite_master WHERE name = 'state_counts'"
        ).fetchone()[0]
        rows = connection.execute(_COUNTS).fetchall() if known else []
        if not rows:
            raise FileNotFoundError(
                f"nobody was asked yet in {ledger.path}; qa-research efficacy RUN asks"
            )
        searches = _grouped(connection.execute("SELECT * FROM search_counts ORDER BY search_id"))
        kinds = _grouped(
            connection.execute("SELECT * FROM kind_counts ORDER BY counted DESC, kind")
        )
        distinct = _grouped(connection.execute(_DISTINCT))
    found = []
    for row in rows:
        key = (row["state_id"], row["source_id"])
        if run_id is None or row["run_id"] == run_id:
            found.append(_standing(row, searches[key], kinds.get(key, []), distinct.get(key, [])))
    return found


_COUNTS = """
SELECT state_counts.*, run_id, run, step, weights, pretrained,
       name, split, fingerprint, questions
FROM state_counts
JOIN states ON states.id = state_id
JOIN sources ON sources.id = source_id
ORDER BY run_id IS NULL, run, run_id, step, states.id, name, split, sources.id
"""

_DISTINCT = """
SELECT state_id, searches.source_id, count(number) - count(DISTINCT number) AS repeats
FROM asked JOIN searches ON searches.id = search_id
GROUP BY state_id, searches.source_id
"""


def _ratio(right: int, asked: int, is_whole: bool) -> Ratio:
    """With its interval, or where it is of a whole split without."""
    if is_whole:
        return Ratio(right, asked, right / asked, right / asked)
    return exact_ratio(right, asked)


def _in_percent(ratio: Ratio | None) -> dict[str, Any] | None:
    if ratio is None:
        return None
    return {
        "right": ratio.right,
        "asked": ratio.asked,
        "percent": 100 * ratio.value,
        "percent_95": [100 * ratio.low, 100 * ratio.high],
    }


def _grouped(rows: Any) -> dict[tuple[int, int], list[Mapping[str, Any]]]:
    groups: dict[tuple[int, int], list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault((row["state_id"], row["source_id"]), []).append(row)
    return groups


def _standing(
    row: Mapping[str, Any],
    searches: list[Mapping[str, Any]],
    kinds: list[Mapping[str, Any]],
    distinct: list[Mapping[str, Any]],
) -> Standing:
    is_imported = row["run_id"] is None
    total = row["questions"]
    is_whole = total is not None and row["all_counted"] == total
    which = "all_" if is_whole else ""
    wanted = [search for search in searches if search["goal"] == "right"]
    lengths = [search["counted"] for search in wanted if search["ending"] == "right"]
    bounded = [search["counted"] for search in wanted if search["ending"] != "right"]
    right, counted = row[f"{which}correct"], row[f"{which}counted"]
    ratio = _ratio(right, counted, is_whole) if counted else None
    first_gold = row[f"{which}first_gold"]
    orders: dict[tuple[int, int], int] = {}
    for search in searches:
        order = (search["seed"], search["draw"])
        orders[order] = orders.get(order, 0) + search["asked"]
    # The reference drew each question from all of them; an order of ours has each once.
    sizes = [1] * row["asked"] if is_imported else list(orders.values())
    pretrained = row["pretrained"]
    return Standing(
        state=State(
            row["run_id"],
            row["run"],
            row["step"],
            row["weights"],
            None if pretrained is None else bool(pretrained),
        ),
        source=Source(row["name"], row["split"], row["fingerprint"], total),
        searches=tuple(
            SearchCount(**{name: search[name] for name in SearchCount.__slots__})
            for search in searches
        ),
        asked=row["asked"],
        failed=row["failed"],
        seconds=row["seconds"],
        ratio=ratio,
        unbiased=unbiased_ratio(lengths),
        first_gold=_ratio(first_gold, counted, is_whole) if ratio and not is_imported else None,
        mean_f1=row[f"{which}f1"] / counted if ratio and not is_imported else None,
        kinds={
            kind["kind"]: _ratio(kind[f"{which}correct"], kind[f"{which}counted"], is_whole)
            for kind in kinds
            if kind[f"{which}counted"]
        },
        needed=questions_needed(ratio.value if ratio else 0.0, total),
        needed_least=questions_needed(ratio.high if ratio else 1.0, total),
        needed_most=questions_needed(ratio.low if ratio else 0.0, total),
        observed=observed_needed(lengths, bounded),
        repeats=sum(line["repeats"] for line in distinct),
        is_whole=is_whole,
        expected_repeats=expected_repeats(sizes, total) if total else None,
    )


@dataclass(frozen=True, slots=True)
class Repeat:
    """One question that was asked `times` times; `id` and `question` None: imported."""

    index: int
    id: str | None
    question: str | None
    times: int


@dataclass(frozen=True, slots=True)
class Repeats:
    """One state on one source: its standing says how many; here are the questions, most often first."""

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


_REPEATS = """
SELECT run_id, run, step, weights, sources.fingerprint, sources.name, split,
       repeats.number, questions.id, question, times
FROM repeats
JOIN states ON states.id = state_id
JOIN sources ON sources.id = repeats.source_id
JOIN questions ON questions.source_id = repeats.source_id AND questions.number = repeats.number
ORDER BY times DESC, repeats.number
"""


def repeated(ledger: Ledger) -> list[Repeats]:
    """The repeats of every state that was asked, also of those without any.

    Raises:
        FileNotFoundError: nobody was ever asked.
    """
    found = standings(ledger)
    groups: dict[tuple[object, ...], list[Repeat]] = {}
    with ledger.reading() as connection:
        for row in connection.execute(_REPEATS):
            key = tuple(row[name] for name in ("run_id", "run", "step", "weights"))
            key += tuple(row[name] for name in ("fingerprint", "name", "split"))
            repeat = Repeat(row["number"], row["id"], row["question"], row["times"])
            groups.setdefault(key, []).append(repeat)
    return [Repeats(standing, tuple(groups.get(_key(standing), ()))) for standing in found]


def _key(standing: Standing) -> tuple[object, ...]:
    state, source = standing.state, standing.source
    return (
        *(state.run_id, state.run, state.step, state.weights),
        *(source.fingerprint, source.name, source.split),
    )
