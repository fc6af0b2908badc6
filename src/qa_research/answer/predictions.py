"""Prediction files in SQuAD's format: one JSON object, question id -> answer text."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from qa_research.data.question import Question


def read_predictions(path: Path) -> dict[str, str]:
    """The answers of a predictions file.

    Raises:
        FileNotFoundError, ValueError: it is missing, or no object of texts.
    """
    value = _read_object(path, "PREDICTIONS")
    odd = [key for key, text in value.items() if not isinstance(text, str)]
    if odd:
        raise ValueError(
            f"PREDICTIONS={path}: the answer to {odd[0]!r} is a {type(value[odd[0]]).__name__}; "
            "expected one JSON object, question id -> answer text"
        )
    return value


def read_numbers(path: Path) -> dict[str, float]:
    """The odds of "no answer" by question id."""
    value = _read_object(path, "--null-odds")
    odd = [key for key, number in value.items() if not isinstance(number, (int, float))]
    if odd:
        raise ValueError(f"--null-odds={path}: {odd[0]!r} has no number")
    return {key: float(number) for key, number in value.items()}


def check_fit(questions: Iterable[Question], predictions: Mapping[str, str]) -> None:
    """Refuse predictions none of which belongs to a question.

    Raises:
        ValueError: no id is common to both.
    """
    ids = {row.id for row in questions}
    if not ids & set(predictions):
        example = next(iter(predictions), "none")
        raise ValueError(
            f"no prediction belongs to a question of DATA: PREDICTIONS has ids like {example!r}, "
            f"DATA like {next(iter(ids))!r}"
        )


def _read_object(path: Path, name: str) -> dict[str, Any]:
    if not path.is_file():
        raise FileNotFoundError(f"{name}={path} does not exist")
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{name}={path} is no valid JSON: {error}") from error
    if not isinstance(value, dict):
        raise ValueError(
            f"{name}={path} holds a {type(value).__name__}; expected one JSON object with question ids"
        )
    return value
