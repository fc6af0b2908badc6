"""What `patch` found of one watched question, read from a run's patching.json by whoever shows it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from qa_research.config import first_fault
from qa_research.files import read_json

FOLDER, TABLE = "patching", "patching.json"
# So many components are shown, of those that were patched.
MOST_SHOWN = 8
_PLAIN = ConfigDict(strict=True, extra="allow")


class _Pair(TypedDict):
    __pydantic_config__ = _PLAIN  # type: ignore[misc]
    id: str
    other_asked: str
    other_answer: str


class _Patch(TypedDict):
    __pydantic_config__ = _PLAIN  # type: ignore[misc]
    name: str
    by_pair: list[float]


class _Step(TypedDict):
    __pydantic_config__ = _PLAIN  # type: ignore[misc]
    step: int | None
    clean_by_pair: list[float]
    corrupted_by_pair: list[float]
    patches: list[_Patch]


class _Table(TypedDict):
    __pydantic_config__ = _PLAIN  # type: ignore[misc]
    pairs: list[_Pair]
    steps: list[_Step]


_TABLE: TypeAdapter[Any] = TypeAdapter(_Table)


@dataclass(frozen=True)
class PatchedQuestion:
    """The lead of a question's right answer over that of the other one, in logits, at each patched step.

    `clean`: when the question itself is asked, `corrupted`: when the other one is. `leads` [step, name]: when
    the other one is asked, with a component's output put in. `names`: those that move most at the last step.
    """

    other_asked: str
    other_answer: str
    steps: tuple[int, ...]
    clean: tuple[float, ...]
    corrupted: tuple[float, ...]
    names: tuple[str, ...]
    leads: tuple[tuple[float, ...], ...]


def patched_question(directory: Path, question_id: str) -> PatchedQuestion | None:
    """What the run's patching.json says of a question; None: there is none, or it is about others.

    Raises:
        ValueError: the file is damaged.
    """
    path = directory / FOLDER / TABLE
    if not path.is_file():
        return None
    found = _read(path)
    pairs, steps = found["pairs"], [step for step in found["steps"] if step["step"] is not None]
    places = [place for place, pair in enumerate(pairs) if pair["id"] == question_id]
    if not places or not steps:
        return None
    (place, *_), last = places, steps[-1]
    start = last["corrupted_by_pair"][place]
    moved = {one["name"]: abs(one["by_pair"][place] - start) for one in last["patches"]}
    names = sorted(moved, key=lambda name: -moved[name])[:MOST_SHOWN]
    by_name = [{one["name"]: one["by_pair"][place] for one in step["patches"]} for step in steps]
    return PatchedQuestion(
        other_asked=pairs[place]["other_asked"],
        other_answer=pairs[place]["other_answer"],
        steps=tuple(step["step"] for step in steps),
        clean=tuple(step["clean_by_pair"][place] for step in steps),
        corrupted=tuple(step["corrupted_by_pair"][place] for step in steps),
        names=tuple(names),
        leads=tuple(tuple(own[name] for name in names) for own in by_name),
    )


def _read(path: Path) -> dict[str, Any]:
    """The table, with a number for each pair and the same components at each step."""
    remedy = "qa-research patch makes it again, or remove it"
    try:
        found: dict[str, Any] = _TABLE.validate_python(read_json(path))
    except ValidationError as error:
        raise ValueError(f"{path} {first_fault(error)}; {remedy}") from error
    pairs = len(found["pairs"])
    names = [[one["name"] for one in step["patches"]] for step in found["steps"]]
    numbers = [
        row
        for step in found["steps"]
        for row in (
            *(step["clean_by_pair"], step["corrupted_by_pair"]),
            *(one["by_pair"] for one in step["patches"]),
        )
    ]
    if any(len(row) != pairs for row in numbers) or any(own != names[0] for own in names):
        raise ValueError(f"{path} does not say the same of all pairs and steps; {remedy}")
    return found
