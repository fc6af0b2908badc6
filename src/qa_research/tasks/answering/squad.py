"""Any SQuAD source as questions: files of six formats, recognised by their content, and hub data sets.

Also the way back, questions as SQuAD JSON. Knows nothing of tokens.
"""

import ast
import csv
import io
import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from qa_research.model.weights import first_line
from qa_research.tasks.answering.question import Gold, Question, question_word

log = logging.getLogger(__name__)
COLUMNS = ("id", "context", "question", "answers")
EXPECTED = (
    "expected SQuAD JSON (an object with 'data'), an object of parallel lists, JSON lines, CSV or "
    "Parquet with the columns id, context, question, answers"
)


def read_questions(path: str | Path, key: str) -> list[Question]:
    """The questions of a SQuAD v1.1 or v2.0 JSON, JSON lines, CSV or Parquet file.

    Also the hub's rows as one JSON list, and one JSON object of parallel lists. `key` is what the user
    calls the file, such as `data.train_path`; errors start with it.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is empty or holds no SQuAD questions; the message says what was found.
    """
    path = Path(path).expanduser()
    name = f"{key}={path}"
    if not path.is_file():
        what = "is a directory, not a file" if path.is_dir() else "does not exist"
        raise FileNotFoundError(f"{name} {what}")
    content = path.read_bytes()
    if not content.strip():
        raise ValueError(f"{name} is empty; {EXPECTED}")
    is_parquet = content.startswith(b"PAR1")
    rows = _parquet_rows(content, name) if is_parquet else _text_rows(content, name)
    questions = questions_from_columns(rows, name)
    if not questions:
        raise ValueError(f"{name} holds no questions")
    return questions


def questions_from_columns(rows: Iterable[Mapping[str, Any]], name: str) -> list[Question]:
    """Questions from rows with the hub's columns: id, title, context, question, answers."""
    return [_question(row, i, name) for i, row in enumerate(rows)]


def squad_json(questions: Sequence[Question], version: str) -> dict[str, Any]:
    """The questions as a SQuAD JSON object; those of one title with the same context share a paragraph.

    `version` "v2.0" adds `is_impossible`; with "1.1" every question must have an answer.
    """
    articles: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for row in questions:
        entry: dict[str, Any] = {
            "id": row.id,
            "question": row.question,
            "answers": [{"text": gold.text, "answer_start": gold.start} for gold in row.answers],
        }
        if version == "v2.0":
            entry["is_impossible"] = not row.answers
        articles.setdefault(row.title, {}).setdefault(row.context, []).append(entry)
    data = [
        {
            "title": title,
            "paragraphs": [{"context": context, "qas": qas} for context, qas in paragraphs.items()],
        }
        for title, paragraphs in articles.items()
    ]
    return {"version": version, "data": data}


def _text_rows(content: bytes, name: str) -> list[dict[str, Any]]:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{name} is neither Parquet nor UTF-8 text; {EXPECTED}") from error
    if not text.strip():
        raise ValueError(f"{name} is empty; {EXPECTED}")
    return _json_rows(text, name) if text.lstrip()[0] in "{[" else _csv_rows(text, name)


def _json_rows(text: str, name: str) -> list[dict[str, Any]]:
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        # An object is followed by another: JSON lines.
        if text.lstrip()[0] == "{" and error.msg == "Extra data":
            return _json_lines(text, name)
        where = f"line {error.lineno}, column {error.colno}"
        raise ValueError(f"{name} is not valid JSON: {error.msg} at {where}") from error
    if isinstance(value, list):
        return [_as_object(row, f"row {i}", name) for i, row in enumerate(value)]
    if isinstance(value.get("data"), list):
        return _squad_rows(value["data"], name)
    if all(isinstance(value.get(key), list) for key in COLUMNS):
        return _rows_of_lists(value, name)
    if all(key in value for key in COLUMNS):
        return [value]
    found = ", ".join(repr(key) for key in list(value)[:6]) or "no keys"
    raise ValueError(
        f"{name} holds no SQuAD questions: found a JSON object with the keys {found}; "
        "expected 'data' (SQuAD), or columns id, context, question, answers"
    )


def _rows_of_lists(value: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    """`{"id": ["1", "2"], "context": ["a", "b"], ...}` as one dictionary per row."""
    lists = {key: column for key, column in value.items() if isinstance(column, list)}
    if len({len(column) for column in lists.values()}) > 1:
        lengths = ", ".join(f"{key} {len(column)}" for key, column in lists.items())
        raise ValueError(f"{name} has parallel lists of different lengths: {lengths}")
    return [dict(zip(lists, row, strict=True)) for row in zip(*lists.values(), strict=True)]


def _json_lines(text: str, name: str) -> list[dict[str, Any]]:
    rows = []
    # Not splitlines: strings may contain other line separators, which JSON allows unescaped.
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            rows.append(_as_object(json.loads(line), f"line {number}", name))
        except json.JSONDecodeError as error:
            raise ValueError(f"{name}, line {number} is not valid JSON: {error.msg}") from error
    return rows


def _as_object(value: object, where: str, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(
            f"{name} holds no SQuAD questions: {where} is a {type(value).__name__}; {EXPECTED}"
        )
    return value


def _squad_rows(articles: list[Any], name: str) -> list[dict[str, Any]]:
    rows = []
    for article in articles:
        if isinstance(article, dict) and all(key in article for key in COLUMNS):
            # The format that Hugging Face's example reads: the hub's rows under 'data'.
            rows.append(article)
            continue
        if not isinstance(article, dict) or not isinstance(article.get("paragraphs"), list):
            found = ", ".join(map(repr, article)) if isinstance(article, dict) else repr(article)
            raise ValueError(
                f"{name} holds no SQuAD questions: an entry of 'data' has no 'paragraphs' "
                f"(found {found[:80]})"
            )
        for paragraph in article["paragraphs"]:
            if not isinstance(paragraph, dict) or not isinstance(paragraph.get("qas"), list):
                raise ValueError(
                    f"{name} holds no SQuAD questions: a paragraph has no list 'qas' "
                    f"(found {str(paragraph)[:80]})"
                )
            for entry in paragraph["qas"]:
                row = _as_object(entry, "an entry of 'qas'", name)
                context, title = paragraph.get("context"), article.get("title", "")
                rows.append({**row, "context": context, "title": title})
    return rows


def _parquet_rows(content: bytes, name: str) -> list[dict[str, Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(io.BytesIO(content))
    except pa.ArrowInvalid as error:
        raise ValueError(f"{name} is not a readable Parquet file: {error}") from error
    _need_columns(table.column_names, name)
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows


def _csv_rows(text: str, name: str) -> list[dict[str, Any]]:
    csv.field_size_limit(2**31 - 1)
    reader = csv.DictReader(io.StringIO(text, newline=""))
    try:
        _need_columns(reader.fieldnames or [], name)
        return [
            {**row, "answers": _cell(row["answers"], f"{name}, line {reader.line_num}")}
            for row in reader
        ]
    except csv.Error as error:
        raise ValueError(f"{name}, line {reader.line_num} is not valid CSV: {error}") from error


def _need_columns(found: Sequence[str], name: str) -> None:
    if not set(COLUMNS) <= set(found):
        shown = ", ".join(repr(column[:40]) for column in found[:6])
        raise ValueError(f"{name} holds no SQuAD questions: found the columns {shown}; {EXPECTED}")


def _cell(text: str | None, where: str) -> object:
    """The answers of a CSV cell: JSON, or what Python and pandas print for a dict of arrays."""
    with suppress(json.JSONDecodeError):
        return json.loads(text or "")
    try:
        tree = _ArraysAsLists().visit(ast.parse((text or "").strip(), mode="eval"))
        return ast.literal_eval(tree)
    except (SyntaxError, ValueError) as error:
        raise ValueError(f"{where}: the column 'answers' is unreadable: {text!r:.80}") from error


class _ArraysAsLists(ast.NodeTransformer):
    """`array([...], dtype=...)` becomes `[...]`."""

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if isinstance(node.func, ast.Name) and node.func.id == "array" and node.args:
            inner: ast.AST = self.visit(node.args[0])
            return inner
        return node


def _question(row: Mapping[str, Any], position: int, name: str) -> Question:
    missing = [key for key in ("context", "question") if not isinstance(row.get(key), str)]
    if missing:
        found = ", ".join(map(repr, list(row)[:6]))
        raise ValueError(
            f"{name} holds no SQuAD questions: row {position} has no text {missing[0]!r} "
            f"(its keys: {found}); {EXPECTED}"
        )
    text = row["question"]
    return Question(
        id=str(row.get("id", position)),
        title=str(row.get("title") or ""),
        context=row["context"],
        question=text,
        answers=_golds(row.get("answers"), f"{name}, row {position} (id {row.get('id')})"),
        kind=str(row.get("kind") or question_word(text)),
    )


def _golds(answers: object, where: str) -> tuple[Gold, ...]:
    """The answers in either format: SQuAD's list of objects, or the hub's object of two lists."""
    try:
        if isinstance(answers, Mapping):
            pairs = list(zip(answers["text"], answers["answer_start"], strict=True))
        elif isinstance(answers, list):
            pairs = [(entry["text"], entry["answer_start"]) for entry in answers]
        else:
            raise TypeError(answers)
        if not all(isinstance(text, str) and isinstance(start, int) for text, start in pairs):
            raise TypeError(pairs)
        return tuple(Gold(text, start) for text, start in pairs)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{where}: answers {str(answers)[:80]!r} are unreadable; expected "
            '[{"text": ..., "answer_start": ...}] or {"text": [...], "answer_start": [...]}'
        ) from error


def fetch(dataset: str, revision: str | None, name: str, otherwise: str) -> Any:
    """All splits of a hub id or of a directory in the hub's layout, by name.

    `name` is what the user calls it, such as `--data=squad`; `otherwise` says what works without a
    network.

    Raises:
        FileNotFoundError: the hub cannot be reached, or has no such data set.
        ValueError: the directory is not in the hub's layout.
    """
    import datasets

    datasets.disable_progress_bars()
    is_directory = Path(dataset).is_dir()
    if not is_directory:
        log.info(
            "Asking the hub for %s (without a network this takes half a minute to fail)", dataset
        )
    try:
        return datasets.load_dataset(dataset, revision=revision)
    except (OSError, datasets.exceptions.DatasetsError) as error:
        if is_directory:
            raise ValueError(
                f"{name} is not a directory in the hub's layout ({first_line(error)}); expected files "
                "such as train.parquet and validation.parquet with the columns id, context, question, "
                "answers. A single file of questions can be given by its own path"
            ) from error
        raise FileNotFoundError(
            f"{name} could not be fetched ({first_line(error)}). {otherwise}"
        ) from error
