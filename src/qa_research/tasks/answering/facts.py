"""What run.json says of a run's questions: written by the task, read back when the run is opened or shown."""

from collections.abc import Mapping
from typing import Any, NotRequired

from pydantic import ConfigDict, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from qa_research.config import first_fault


class Facts(TypedDict):
    """`unanswerable`: whether some have no answer. `too_long`: ids of those that no window has room for.

    `guessing`: percent of each kind that a guess among the right candidates gets right. Older runs lack some.
    `on_training`: scores of training questions that were asked again with the best weights.
    `questions`: how many each split has, and, as `choosing`, how many of validation chose the best weights.
    """

    __pydantic_config__ = ConfigDict(extra="allow", strict=True)  # type: ignore[misc]
    unanswerable: NotRequired[bool | int]
    too_long: NotRequired[list[str]]
    guessing: NotRequired[dict[str, float]]
    questions: NotRequired[dict[str, int]]
    on_training: NotRequired[dict[str, float | int]]


_FACTS = TypeAdapter(Facts)


def facts_of(record: Mapping[str, Any]) -> Facts:
    """The facts in a run's record.

    Raises:
        ValueError: one of them is not what it should be.
    """
    try:
        return _FACTS.validate_python(dict(record))
    except ValidationError as error:
        raise ValueError(f"run.json {first_fault(error)}; restore it from a copy") from error
