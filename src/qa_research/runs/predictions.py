"""predictions/validation.json: what each validation example contributed to the best checkpoint's scores.

And whether it helped to choose that checkpoint.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, NotRequired

from annotated_types import MinLen
from pydantic import ConfigDict, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from qa_research.config import first_fault
from qa_research.files import read_json
from qa_research.plain import check_plain
from qa_research.runs.directory import run_name
from qa_research.runs.schema import Name
from qa_research.tasks.task import PARAGRAPH

PREDICTIONS = Path("predictions", "validation.json")
# Other verbs read the run itself, and none writes this file again.
REPAIR = (
    "restore it from a copy; only runs compare and evaluate --data need it, and everything else of the run "
    "still works"
)


def read_run_predictions(directory: Path, names: Sequence[str]) -> list[dict[str, Any]]:
    """The rows of a run's predictions in order, with a text `id` and a finite number for each of `names`.

    `names`: the keys of metrics, such as `exact_match`; a task may add others.

    Raises:
        FileNotFoundError: the run has not validated yet.
        ValueError: the file is not that; it, the row and what still works are said.
    """
    path = directory / PREDICTIONS
    if not path.is_file():
        raise FileNotFoundError(
            f"{run_name(directory)} has no predictions yet; its first validation writes them"
        )
    try:
        rows: list[dict[str, Any]] = read_json(path)
        check_plain(rows, str(path))
    except ValueError as error:
        raise ValueError(f"{error}; {REPAIR}") from error
    try:
        _of(names).validate_python(rows)
    except ValidationError as error:
        raise ValueError(f"{path} {first_fault(error)}; {REPAIR}") from error
    return rows


@dataclass(frozen=True)
class Chose:
    """What chose a run's best checkpoint: ids of examples, and the digests of their contexts, if known."""

    ids: frozenset[str]
    contexts: frozenset[str]


def who_chose(directory: Path) -> Chose:
    """What chose a run's best checkpoint; until version 0.2 all validation examples did.

    Raises:
        FileNotFoundError: the run has not validated yet.
        ValueError: the file is damaged.
    """
    return chose_of(read_run_predictions(directory, ()))


def chose_of(rows: Sequence[Mapping[str, Any]]) -> Chose:
    """What chose, of the rows of a run's predictions. A task whose rows do not say lets all choose."""
    chose = [row for row in rows if row.get("chose", True)]
    digests = [row["context_sha256"] for row in chose if "context_sha256" in row]
    return Chose(frozenset(row["id"] for row in chose), frozenset(digests))


def _of(names: Sequence[str]) -> TypeAdapter[Any]:
    # Metrics are a task's, so their names are only known now, which mypy does not allow.
    make: Any = TypedDict
    known = {"id": Name, PARAGRAPH: NotRequired[int]}
    known |= {"chose": NotRequired[bool], "context_sha256": NotRequired[str]}
    row = make("row", dict.fromkeys(names, float) | known)
    row.__pydantic_config__ = ConfigDict(extra="allow", strict=True, allow_inf_nan=False)
    rows: Any = Annotated[list[row], MinLen(1)]  # type: ignore[valid-type]
    return TypeAdapter(rows)
