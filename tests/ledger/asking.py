"""Rows as an asking model would write them, and processes that ask at once."""

from pathlib import Path
from typing import Any

from qa_research.ledger.asked import AskedQuestion, Search, Source, State, start_search, write_round
from qa_research.ledger.runs import Ledger

SOURCE = Source("builtin", "validation", "f1", 1000)


def state_of(step: int = 50, run: str = "r1", pretrained: bool | None = False) -> State:
    return State(run, f"study/{run}", step, f"weights of {run} at {step}", pretrained)


def row_of(place: int, right: bool, counted: bool = True, **changes: Any) -> AskedQuestion:
    values: dict[str, Any] = {
        "place": place,
        "round": place // 8,
        "number": place,
        "id": f"q{place}",
        "kind": "match" if place % 2 else "lookup",
        "question": "Who?",
        "golds": ("Ms Lund",),
        "status": "answered",
        "counted": counted,
        "answer": "Ms Lund" if right else "Mr No",
        "exact_match": right,
        "f1": float(right),
        "first_gold": right,
        "char_start": 0,
        "char_end": 7,
        "score": 1.5,
        "probability": 0.25,
        "seconds": 0.01,
    }
    return AskedQuestion(**(values | changes))


def failed_row(place: int, **changes: Any) -> AskedQuestion:
    lost = ("answer", "exact_match", "f1", "first_gold", "char_start", "char_end", "score")
    missing = dict.fromkeys((*lost, "probability"))
    return row_of(
        place, False, False, **missing, status="failed", reason="RuntimeError: crashed", **changes
    )


def write_search(
    ledger: Ledger, right: list[bool], state: State, source: Source = SOURCE, **changes: Any
) -> Search:
    """A finished search; of one for a right answer what follows it does not count."""
    goal, seed = changes.get("goal", "right"), changes.get("seed", 1)
    search = start_search(ledger, state, source, seed, goal)
    first = right.index(True) if True in right and goal == "right" else len(right)
    first_number = changes.get("first_number", search.first)
    size = changes.get("round_size", 8)
    rows = [
        row_of(
            i,
            value,
            i <= first,
            number=first_number + i,
            id=f"q{first_number + i}",
            round=i // size,
        )
        for i, value in enumerate(right)
    ]
    ending = changes.get("ending", "right" if True in right and goal == "right" else "bound")
    write_round(ledger, search, rows, ending)
    return search


def ask_many(path: Path, worker: int, searches: int, start: Any, errors: Any) -> None:
    """Write searches of three rounds, as a process among others; puts what went wrong, or nothing."""
    start.wait()
    try:
        for number in range(searches):
            with Ledger(path) as ledger:
                search = start_search(ledger, state_of(worker % 2), SOURCE, 1, "right")
                for i in range(3):
                    rows = [row_of(8 * i + j, i + j == 9) for j in range(8)]
                    ending = ("right" if number % 2 else "bound") if i == 2 else None
                    write_round(ledger, search, rows, ending)
    except Exception as error:
        errors.put(repr(error))
        raise
    errors.put("")
