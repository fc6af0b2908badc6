"""Files of predictions: written as SQuAD's official programs read them, read as many tools write them."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from json import JSONDecodeError
from pathlib import Path
from typing import Any

from qa_research.files import (
    UTF_8,
    decoded,
    json_kind,
    parse_json,
    parse_json_values,
    read_json,
    write_text,
    written_folder,
)
from qa_research.tasks.answering.decode import Answer
from qa_research.tasks.answering.question import Question
from qa_research.tasks.answering.reading import uncompressed

EXPECTED = (
    "expected one JSON object, question id -> answer text, or rows with id and prediction_text"
)


def write_answers(directory: Path, answers: Sequence[Answer]) -> None:
    """predictions.json and null_odds.json in SQuAD's format, and n_best.json; all or none."""
    contents: dict[str, Any] = {
        "predictions.json": {answer.question_id: answer.text for answer in answers},
        "n_best.json": {
            answer.question_id: [asdict(candidate) for candidate in answer.candidates]
            for answer in answers
        },
        "null_odds.json": {answer.question_id: answer.null_odds for answer in answers},
    }
    with written_folder(directory, replace=True) as new:
        for name, content in contents.items():
            write_json(new / name, content)


def write_json(path: Path, content: object) -> None:
    """A JSON file, written whole or not at all."""
    write_text(path, json.dumps(content, ensure_ascii=False, indent=1))


@dataclass(frozen=True)
class Predictions:
    """What a program predicted: answer texts by question id, and odds of "no answer" if it gave any."""

    texts: dict[str, str]
    null_odds: dict[str, float] | None


def read_predictions(path: Path, encoding: str = UTF_8) -> Predictions:
    """The answers of a predictions file, whichever tool wrote it.

    SQuAD's own format (one JSON object, question id -> answer text), the n best of Hugging Face's example
    (question id -> list, best first), or rows with `id` and `prediction_text`, as a list or as JSON lines.
    `encoding` is that of a file that is not UTF-8.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is none of these.
    """
    name = f"PREDICTIONS={path}"
    text = _text(path, name, encoding)
    try:
        value = parse_json(text, name)
    except ValueError as error:
        cause = error.__cause__
        if not (isinstance(cause, JSONDecodeError) and cause.msg == "Extra data"):
            raise
        value = [row for _, row in parse_json_values(text, name)]
    if value in ({}, []):
        raise ValueError(f"{name} holds no predictions; {EXPECTED}")
    if not isinstance(value, dict):
        return _of_rows(value, name)
    if {"id", "prediction_text"} <= set(value):
        return _of_rows([value], name)
    return Predictions({key: _text_of(key, entry, name) for key, entry in value.items()}, None)


def _text(path: Path, name: str, encoding: str) -> str:
    """The text of a file that is UTF-8, or else in `encoding`."""
    if not path.is_file():
        what = "is a directory, not a file" if path.is_dir() else "does not exist"
        raise FileNotFoundError(f"{name} {what}")
    content = uncompressed(path.read_bytes(), name)
    try:
        return decoded(content, name, UTF_8, "--encoding")
    except ValueError:
        if encoding == UTF_8:
            raise
        return decoded(content, name, encoding, "--encoding")


def _text_of(key: str, entry: object, name: str) -> str:
    """An answer's text, also that of an object with it, or of the best of several."""
    if isinstance(entry, list) and entry and isinstance(entry[0], dict):
        entry = entry[0].get("text")
    elif isinstance(entry, dict) and "text" in entry:
        entry = entry["text"]
    if not isinstance(entry, str):
        no_answer = '; no answer is ""' if entry is None else ""
        raise ValueError(
            f"{name}: the answer to {key!r} is {json_kind(entry)}; {EXPECTED}{no_answer}"
        )
    return entry


def _of_rows(rows: object, name: str) -> Predictions:
    if not isinstance(rows, list):
        raise ValueError(f"{name} holds {json_kind(rows)}; {EXPECTED}")
    texts: dict[str, str] = {}
    odds: dict[str, float] = {}
    for i, row in enumerate(rows):
        key = _key_of_text(row)
        if key is None or row.get("id") is None:
            found = ", ".join(map(repr, row)) if isinstance(row, dict) else json_kind(row)
            raise ValueError(f"{name}: row {i} is {found[:80]}; {EXPECTED}")
        identity = str(row["id"])
        if identity in texts:
            raise ValueError(f"{name} has two answers to {identity!r}")
        texts[identity] = _text_of(identity, row[key], name)
        if "no_answer_probability" in row:
            odds[identity] = _odds_of(identity, row["no_answer_probability"], name)
    if odds and len(odds) < len(texts):
        missing = next(key for key in texts if key not in odds)
        raise ValueError(f"{name}: the row of {missing!r} has no no_answer_probability, others do")
    return Predictions(texts, odds or None)


def _key_of_text(row: object) -> str | None:
    """What a row calls its answer; `prediction` in a run's own predictions/validation.json."""
    keys = row if isinstance(row, dict) else {}
    return next((key for key in ("prediction_text", "prediction") if key in keys), None)


def _odds_of(key: str, odds: object, name: str) -> float:
    is_number = isinstance(odds, (int, float)) and not isinstance(odds, bool)
    if not is_number or math.isnan(float(odds)):  # type: ignore[arg-type]
        raise ValueError(f"{name}: the odds of {key!r} are {json_kind(odds)}; expected a number")
    return float(odds)  # type: ignore[arg-type]


def read_null_odds(path: Path) -> dict[str, float]:
    """The odds of "no answer" by question id.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not a JSON object of numbers.
    """
    name = f"--null-odds={path}"
    value = read_json(path, name)
    if not isinstance(value, dict):
        raise ValueError(f"{name} holds {json_kind(value)}; expected one JSON object, id -> odds")
    return {key: _odds_of(key, odds, name) for key, odds in value.items()}


def check_fit(questions: Iterable[Question], predictions: Mapping[str, str]) -> None:
    """Reject predictions that are all for other questions.

    Raises:
        ValueError: they have no id in common.
    """
    ids = {row.id for row in questions}
    if not ids & set(predictions):
        example = next(iter(predictions), "none")
        raise ValueError(
            f"no prediction belongs to a question of DATA: PREDICTIONS has ids like {example!r}, "
            f"DATA like {next(iter(ids))!r}"
        )
