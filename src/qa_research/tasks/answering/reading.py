"""The bytes of a file of questions as flat rows, one for each question, whatever its format and shape.

Formats: Parquet, JSON, JSON lines, CSV; each also compressed by gzip. They are recognised by their content.
What the values of a row mean is said in `squad.py`.
"""

import csv
import gzip
import io
import zlib
from collections.abc import Iterator, Mapping, Sequence
from json import JSONDecodeError
from pathlib import Path
from typing import Any

from qa_research.files import UTF_8, decoded, json_kind, parse_json, parse_json_values

Row = Mapping[str, Any]
NEEDED = ("context", "question")
EXPECTED = (
    "expected SQuAD JSON (an object with 'data'), an object of parallel lists, JSON lines, CSV or "
    "Parquet with the columns id, context, question, answers"
)
ACCEPTED = (
    "a table needs the columns context and question, and for training answers, or answer_text and "
    "answer_start; id, title and is_impossible are read where they are"
)
_OF_LABEL_STUDIO = {"annotations", "completions", "predictions"}
_COMPRESSED = {
    b"BZh": ("bzip2", "bunzip2 FILE"),
    b"\xfd7zXZ": ("xz", "unxz FILE"),
    b"\x28\xb5\x2f\xfd": ("zstd", "unzstd FILE"),
    b"PK\x03\x04": ("zip (as Excel's files are, too)", "unzip FILE, or save the table as CSV"),
}


def read_rows(path: Path, name: str, encoding: str = UTF_8, option: str | None = None) -> list[Row]:
    """The rows of a file; `name` begins every error, `option` is what sets `encoding`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is empty, or is none of these formats; the message says what it is.
    """
    if not path.is_file():
        what = "is a directory, not a file" if path.is_dir() else "does not exist"
        raise FileNotFoundError(f"{name} {what}")
    content = uncompressed(path.read_bytes(), name)
    if not content.strip():
        raise ValueError(f"{name} is empty; {EXPECTED}")
    if content.startswith(b"PAR1"):
        return _parquet_rows(content, name)
    if content.startswith((b"ARROW1", b"\xff\xff\xff\xff")):
        raise ValueError(f"{name} is an Arrow file; name the directory that save_to_disk made")
    text = decoded(content, name, encoding, option, "neither Parquet nor ")
    if not text.strip():
        raise ValueError(f"{name} is empty; {EXPECTED}")
    if text.startswith("version https://git-lfs"):
        raise ValueError(
            f"{name} is a pointer of Git LFS, not the file itself; git lfs pull fetches it"
        )
    return _json_rows(text, name) if text.lstrip()[0] in "{[" else _csv_rows(text, name)


def uncompressed(content: bytes, name: str) -> bytes:
    """The content, or what gzip compressed in it.

    Raises:
        ValueError: it is damaged, or compressed by another program.
    """
    for mark, (kind, remedy) in _COMPRESSED.items():
        if content.startswith(mark):
            raise ValueError(f"{name} is compressed by {kind}; {remedy}")
    if not content.startswith(b"\x1f\x8b"):
        return content
    try:
        return gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{name} is a damaged gzip file: {error}") from error


def _parquet_rows(content: bytes, name: str) -> list[Row]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(io.BytesIO(content))
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"{name} is not a readable Parquet file: {error}") from error
    _need_columns(table.column_names, name)
    rows: list[Row] = table.to_pylist()
    return rows


def _csv_rows(text: str, name: str) -> list[Row]:
    csv.field_size_limit(2**31 - 1)
    # Excel separates by semicolons where the comma is a decimal point.
    header = text.lstrip().split("\n", 1)[0]
    columns = [name.strip('" \r') for name in header.replace("\t", ";").split(";")]
    delimiter = "," if not set(NEEDED) <= set(columns) else ";" if ";" in header else "\t"
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        _need_columns(reader.fieldnames or [], name)
        # An empty cell is how pandas writes a missing value.
        return [
            {key: value for key, value in row.items() if value not in ("", None) or key in NEEDED}
            for row in reader
        ]
    except csv.Error as error:
        raise ValueError(f"{name}, line {reader.line_num} is not valid CSV: {error}") from error


def _need_columns(found: Sequence[str], name: str) -> None:
    missing = [column for column in NEEDED if column not in found]
    if not missing:
        return
    if known := foreign_format(dict.fromkeys(found)):
        raise ValueError(f"{name} is {known}")
    shown = ", ".join(repr(column[:40]) for column in found[:6])
    if len(missing) < len(NEEDED):
        raise ValueError(
            f"{name} has no column {missing[0]!r}: found the columns {shown}; {ACCEPTED}"
        )
    raise ValueError(f"{name} holds no SQuAD questions: found the columns {shown}; {EXPECTED}")


def _json_rows(text: str, name: str) -> list[Row]:
    try:
        value = parse_json(text, name)
    except ValueError as error:
        # An object is followed by another: JSON lines.
        cause = error.__cause__
        is_extra = isinstance(cause, JSONDecodeError) and cause.msg == "Extra data"
        if text.lstrip()[0] == "{" and is_extra:
            return list(_rows_of_lines(text, name))
        raise
    if isinstance(value, list):
        return list(_rows_of_list(value, name, ""))
    return list(_rows_of(value, name, "the file", ""))


def _rows_of_lines(text: str, name: str) -> Iterator[Row]:
    for number, value in parse_json_values(text, name):
        # MRQA's first line.
        if not (isinstance(value, dict) and list(value) == ["header"]):
            yield from _rows_of(value, name, f"line {number}", "")


def _rows_of_list(values: Sequence[Any], name: str, title: object) -> Iterator[Row]:
    for i, value in enumerate(values):
        yield from _rows_of(value, name, f"row {i}", title)


def _rows_of(value: Any, name: str, where: str, title: object) -> Iterator[Row]:
    """The rows of one JSON object: a row, a paragraph, an article, a file of SQuAD, or a table of columns."""
    if not isinstance(value, dict):
        raise ValueError(
            f"{name} holds no SQuAD questions: {where} is {json_kind(value)}; {EXPECTED}"
        )
    if isinstance(value.get("columns"), list) and isinstance(value.get("data"), list):
        yield from _rows_of_split(value["columns"], value["data"], name)
    elif isinstance(value.get("data"), list):
        yield from _articles(value["data"], name)
    elif isinstance(value.get("paragraphs"), list):
        for paragraph in value["paragraphs"]:
            yield from _paragraph(paragraph, name, value.get("title", title))
    elif "qas" in value and "context" in value:
        yield from _paragraph(value, name, value.get("title", title))
    elif all(isinstance(value.get(key), list) for key in NEEDED):
        yield from _rows_of_columns(value, name)
    elif all(isinstance(value.get(key), dict) for key in NEEDED):
        # What pandas' to_json writes by default: {"id": {"0": "a", "1": "b"}, "context": {"0": ...
        yield from _rows_of_numbered(value, name)
    elif value and all(isinstance(v, dict) and set(NEEDED) <= set(v) for v in value.values()):
        # pandas' orient="index": {"0": {"id": "a", ...}, "1": ..., or rows by their ids.
        yield from ({"id": key} | row for key, row in value.items())
    elif any(key in value for key in (*NEEDED, "answers")) and not foreign_format(value):
        yield value
    else:
        raise ValueError(_unknown(value, name))


def _unknown(value: Row, name: str) -> str:
    if known := foreign_format(value):
        return f"{name} is {known}"
    found = ", ".join(repr(key) for key in list(value)[:6]) or "no keys"
    return (
        f"{name} holds no SQuAD questions: found a JSON object with the keys {found}; "
        "expected 'data' (SQuAD), or columns id, context, question, answers"
    )


def foreign_format(value: Row) -> str | None:
    """What an object of another program's export is, and what to do with it; None if it is not known.

    >>> foreign_format({"id": 1, "text": "A text.", "label": [[0, 1, "ORG"]]}).split(",")[0]
    'an export of Doccano'
    """
    wanted = "not SQuAD; make rows with id, context, question and answers of it"
    is_task = isinstance(value.get("data"), dict) and _OF_LABEL_STUDIO & set(value)
    if is_task or {"annotation_id", "lead_time"} <= set(value):
        return f"an export of Label Studio, {wanted}"
    if "_input_hash" in value:
        return f"an export of Prodigy, {wanted}"
    if {"text", "data"} & set(value) and {"label", "labels", "entities"} & set(value):
        return f"an export of Doccano, {wanted}"
    if {"document_text", "annotations"} <= set(value) or "question_text" in value:
        return f"a file of Natural Questions, {wanted}"
    if list(value) == ["header"]:
        return "a file of MRQA without any question"
    return None


def _articles(articles: Sequence[Any], name: str) -> Iterator[Row]:
    """What is under 'data': SQuAD's articles, or the hub's rows, which Hugging Face's example reads."""
    for article in articles:
        is_known = isinstance(article, dict) and (
            isinstance(article.get("paragraphs"), list)
            or isinstance(article.get("qas"), list)
            or set(NEEDED) <= set(article)
        )
        if not is_known:
            found = ", ".join(map(repr, article)) if isinstance(article, dict) else shown(article)
            raise ValueError(
                f"{name} holds no SQuAD questions: an entry of 'data' has no 'paragraphs' "
                f"(found {found[:80]})"
            )
        yield from _rows_of(article, name, "an entry of 'data'", "")


def _paragraph(paragraph: Any, name: str, title: object) -> Iterator[Row]:
    if not isinstance(paragraph, dict) or not isinstance(paragraph.get("qas"), list):
        raise ValueError(
            f"{name} holds no SQuAD questions: a paragraph has no list 'qas' "
            f"(found {shown(paragraph)})"
        )
    for entry in paragraph["qas"]:
        if not isinstance(entry, dict):
            raise ValueError(
                f"{name} holds no SQuAD questions: an entry of 'qas' is {json_kind(entry)}; {EXPECTED}"
            )
        row = {**entry, "context": paragraph.get("context"), "title": title}
        yield _row_of_mrqa(row) if "qid" in row else row


def _row_of_mrqa(row: dict[str, Any]) -> Row:
    """MRQA's `"detected_answers": [{"text": "x", "char_spans": [[3, 3], [9, 9]]}]` as SQuAD's answers."""
    row = row | {"id": row["qid"]}
    if "detected_answers" not in row:
        return row
    detected = row["detected_answers"]
    try:
        answers = [
            {"text": answer["text"], "answer_start": first}
            for answer in detected
            for first, _ in answer["char_spans"]
        ]
    except (KeyError, TypeError, ValueError):
        # Said as unreadable answers, with their id.
        answers = detected
    return row | {"answers": answers}


def _rows_of_columns(value: Row, name: str) -> list[Row]:
    """`{"id": ["1", "2"], "context": ["a", "b"], ...}` as one dictionary per row."""
    lists = {key: column for key, column in value.items() if isinstance(column, list)}
    if len({len(column) for column in lists.values()}) > 1:
        lengths = ", ".join(f"{key} {len(column)}" for key, column in lists.items())
        raise ValueError(f"{name} has parallel lists of different lengths: {lengths}")
    return [dict(zip(lists, row, strict=True)) for row in zip(*lists.values(), strict=True)]


def _rows_of_numbered(value: Row, name: str) -> list[Row]:
    columns = {key: column for key, column in value.items() if isinstance(column, dict)}
    numbers = list(columns[NEEDED[0]])
    for key, column in columns.items():
        if list(column) != numbers:
            raise ValueError(
                f"{name} has columns of differently numbered values: {key} and context"
            )
    return [{key: column[number] for key, column in columns.items()} for number in numbers]


def _rows_of_split(columns: Sequence[Any], rows: Sequence[Any], name: str) -> list[Row]:
    """pandas' orient="split": `{"columns": ["id", ...], "index": [0, ...], "data": [["1", ...], ...]}`."""
    _need_columns([str(column) for column in columns], name)
    if not all(isinstance(row, list) and len(row) == len(columns) for row in rows):
        raise ValueError(
            f"{name} has rows under 'data' that do not fit its {len(columns)} 'columns'"
        )
    return [dict(zip(columns, row, strict=True)) for row in rows]


def shown(value: object) -> str:
    """The beginning of any value of JSON, for an error."""
    try:
        return f"{str(value)[:80]!r}"
    except RecursionError:
        return "something that is nested too deeply to be shown"
