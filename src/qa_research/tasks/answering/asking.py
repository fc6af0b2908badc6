"""answering.json, which an export has beside its weights: windows, how answers are chosen, and the step."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from annotated_types import Ge
from pydantic import ConfigDict, ValidationError
from pydantic.dataclasses import dataclass

from qa_research.config import first_fault
from qa_research.files import read_json, write_text
from qa_research.tasks.answering.decode import AnswerSettings

ANSWERING = "answering.json"


@dataclass(frozen=True, config=ConfigDict(strict=True, extra="ignore"))
class Asking:
    """How a model is asked: the windows of its data, and `AnswerSettings`. `step`: its weights', if known."""

    max_tokens: Annotated[int, Ge(8)]
    stride_tokens: Annotated[int, Ge(0)]
    max_answer_tokens: Annotated[int, Ge(1)]
    n_best: Annotated[int, Ge(1)]
    abstain: bool | None
    null_threshold: float
    step: int | None

    @property
    def settings(self) -> AnswerSettings:
        """How spans become answers."""
        return AnswerSettings(
            self.max_answer_tokens, self.n_best, self.abstain, self.null_threshold
        )


def read_asking(path: Path) -> Asking:
    """What an answering.json says.

    Raises:
        ValueError: it is damaged, or its windows would not move on.
    """
    values = read_json(path)
    if not isinstance(values, dict):
        raise ValueError(f"{path} does not hold keys with values; restore it, or remove it")
    try:
        found = Asking(**values)
    except ValidationError as error:
        raise ValueError(f"{path} {first_fault(error)}; restore it, or remove it") from error
    if found.stride_tokens >= found.max_tokens:
        raise ValueError(
            f"{path}: stride_tokens={found.stride_tokens} must be less than "
            f"max_tokens={found.max_tokens}; restore it, or remove it"
        )
    return found


def write_asking(directory: Path, asking: Asking) -> None:
    """Write the answering.json of an export."""
    write_text(directory / ANSWERING, json.dumps(asdict(asking), indent=1))
