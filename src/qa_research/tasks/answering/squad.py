"""Rows of any SQuAD source as questions: what ids, answers and is_impossible mean in all their spellings.

Also the way back, questions as SQuAD JSON. Files are read in `reading.py`, data sets in `hub.py`.
"""

import ast
import logging
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from qa_research.files import UTF_8, json_kind, parse_json
from qa_research.tasks.answering.question import (
    NOT_SAID,
    Gold,
    Question,
    question_word,
    readable,
)
from qa_research.tasks.answering.reading import EXPECTED, NEEDED, Row, read_rows, shown

log = logging.getLogger(__name__)
ANSWERS = '[{"text": ..., "answer_start": ...}] or {"text": [...], "answer_start": [...]}'
# What a table with one answer a row calls its text; the start stands beside it.
ANSWER_TEXTS = ("answer_text", "answer")


def read_questions(
    path: str | Path, key: str, encoding: str = UTF_8, option: str | None = None
) -> list[Question]:
    """The questions of a file of any format and shape that `reading.read_rows` knows.

    `key` is what the user calls the file, such as `data.train_path`; errors start with it. `option` is
    what sets `encoding`, such as `--encoding`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is empty or holds no SQuAD questions; the message says what was found.
    """
    path = Path(path).expanduser()
    name = f"{key}={path}"
    questions = questions_from_columns(read_rows(path, name, encoding, option), name)
    if not questions:
        raise ValueError(f"{name} holds no questions")
    return questions


def questions_from_columns(rows: Iterable[Row], name: str) -> list[Question]:
    """Questions from rows with the hub's columns: id, title, context, question, answers.

    Rows without an id are numbered by position, from 0, which is logged. A row with a value that cannot be
    read is a question with a fault, if others can be.

    Raises:
        ValueError: no row can be read.
    """
    rows = list(rows)
    given = [None if _is_missing(row.get("id")) else str(row["id"]) for row in rows]
    taken = set(given)
    numbers = [str(i) if str(i) not in taken else f"row {i}" for i in range(len(rows))]
    ids = [n if known is None else known for known, n in zip(given, numbers, strict=True)]
    if missing := given.count(None):
        log.info(
            "%s: %d of %d questions have no id; theirs is their position, from 0",
            name, missing, len(rows),
        )  # fmt: skip
    unplaced: list[str] = []
    questions, errors = [], []
    for row, identity in zip(rows, ids, strict=True):
        try:
            questions.append(_question(row, identity, unplaced))
        except _RowError as error:
            errors.append(error)
            questions.append(_unreadable_question(row, identity, str(error)))
    if errors and len(errors) == len(rows):
        raise ValueError(errors[0].of_all(name, readable(ids[0]))) from errors[0]
    if unplaced:
        log.info(
            "%s: %d of %d questions have an answer that starts at -1, which means no answer (first: %s)",
            name, len(unplaced), len(rows), unplaced[0],
        )  # fmt: skip
    return questions


def squad_json(questions: Sequence[Question], version: str) -> dict[str, Any]:
    """The questions as a SQuAD JSON object; those of one title with the same context share a paragraph.

    `version` "v2.0" adds `is_impossible`; with "1.1" every question must have an answer.
    """
    articles: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for row in questions:
        entry: dict[str, Any] = {
            "id": row.id,
            "question": row.question,
            "answers": [_squad_answer(gold) for gold in row.answers],
        }
        if not row.is_labelled:
            del entry["answers"]
        elif version == "v2.0":
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


class _RowError(ValueError):
    """What cannot be read of a row: without the file and the row, which the caller knows."""

    def of_all(self, name: str, identity: str) -> str:
        """The sentence for a file of which no row can be read; `identity`: that of its first row."""
        return f"{name}, row 0 (id {identity}): {self}"


class _NoTextError(_RowError):
    def of_all(self, name: str, identity: str) -> str:
        return f"{name} holds no SQuAD questions: row 0 {self}; {EXPECTED}"


def _squad_answer(gold: Gold) -> dict[str, Any]:
    start = {} if gold.start == NOT_SAID else {"answer_start": gold.start}
    return {"text": gold.text, **start}


def _unreadable_question(row: Row, identity: str, fault: str) -> Question:
    texts = {key: row[key] if isinstance(row.get(key), str) else "" for key in NEEDED}
    kind = question_word(texts["question"])
    return Question(identity, "", **texts, answers=(), kind=kind, is_labelled=False, fault=fault)


def _question(row: Row, identity: str, unplaced: list[str]) -> Question:
    missing = [key for key in NEEDED if not isinstance(row.get(key), str)]
    if missing:
        found = ", ".join(map(repr, list(row)[:6]))
        what = f" but {json_kind(row[missing[0]])}" if missing[0] in row else ""
        raise _NoTextError(f"has no text {missing[0]!r}{what} (its keys: {found})")
    text = row["question"]
    said = _golds(_answers_of(row))
    if any(gold.start == -1 and gold.text.strip() for gold in said or ()):
        unplaced.append(readable(identity))
    # An empty text and the start -1 are how some data say that there is no answer.
    answers = None if said is None else tuple(g for g in said if g.text.strip() and g.start != -1)
    is_impossible = _flag(row.get("is_impossible"))
    if answers is None and is_impossible:
        answers = ()
    return Question(
        id=identity,
        title="" if _is_missing(row.get("title")) else str(row["title"]),
        context=row["context"],
        question=text,
        answers=answers or (),
        kind=str(row.get("kind") or question_word(text)),
        is_labelled=answers is not None,
        fault=_contradiction(answers, is_impossible),
    )


def _contradiction(answers: Sequence[Gold] | None, is_impossible: bool | None) -> str:
    if answers is None or is_impossible is None or is_impossible == (not answers):
        return ""
    if is_impossible:
        return f"is_impossible is true, but it has the answer {answers[0].text!r}"
    return "is_impossible is false, but it has no answer"


def _is_missing(value: object) -> bool:
    """Whether there is no value: null, NaN (which pandas writes for it), or an empty text."""
    return value is None or value == "" or (isinstance(value, float) and math.isnan(value))


def _flag(value: object) -> bool | None:
    """True or false as JSON, CSV or pandas spell it; None if it is not said."""
    if _is_missing(value):
        return None
    known = {"true": True, "false": False, "1": True, "0": False, "1.0": True, "0.0": False}
    found = known.get(str(value).lower())
    if found is None:
        raise _RowError(f"is_impossible is {json_kind(value)}; expected true or false")
    return found


def _answers_of(row: Row) -> object:
    """The answers of a row, also of a table that has their texts and starts in columns of their own."""
    if "answers" in row:
        return row["answers"]
    # As pandas' json_normalize names them, each cell a list.
    if "answers.text" in row:
        cells = row["answers.text"], row.get("answers.answer_start")
        texts, starts = (_value_of(c) if isinstance(c, str) else c for c in cells)
        return {"text": texts, "answer_start": starts}
    keys = (*ANSWER_TEXTS, "text") if "answer_start" in row else ANSWER_TEXTS
    text = next((row[key] for key in keys if not _is_missing(row.get(key))), None)
    return None if text is None else {"text": text, "answer_start": row.get("answer_start")}


def _golds(answers: object) -> tuple[Gold, ...] | None:
    """The answers in any spelling; None where they are missing: nobody said whether there is one."""
    if isinstance(answers, str) and answers.strip().lower() in ("null", "none", "nan"):
        # What JSON, Python and pandas write for a missing value.
        return None
    if _is_missing(answers):
        return None
    if isinstance(answers, str):
        answers = _value_of(answers)
        if isinstance(answers, str):
            raise _unreadable(f"answers is {json_kind(answers)}")
    if isinstance(answers, Mapping):
        pairs = _pairs(answers)
    elif isinstance(answers, (list, tuple)):
        pairs = [pair for answer in answers for pair in _pairs(answer)]
    else:
        raise _unreadable(f"answers is {json_kind(answers)}")
    return tuple(_gold(text, start) for text, start in pairs)


def _pairs(answers: object) -> list[tuple[object, object]]:
    """Texts and starts of one object: two lists of equal length, or a single text and start.

    Where only texts are given, as in a list of them, no start is said.
    """
    if isinstance(answers, str):
        return [(answers, None)]
    if not isinstance(answers, Mapping):
        raise _unreadable(f"an answer is {json_kind(answers)}")
    if "text" not in answers:
        found = ", ".join(map(repr, list(answers)[:6])) or "none"
        raise _unreadable(f"answers have no 'text' (their keys: {found})")
    texts, starts = _listed(answers["text"]), _listed(answers.get("answer_start"))
    if starts == [None]:
        starts = [None] * len(texts)
    if len(texts) != len(starts):
        raise _unreadable(f"answers have {len(texts)} texts and {len(starts)} starts")
    return list(zip(texts, starts, strict=True))


def _listed(value: object) -> list[object]:
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _gold(text: object, start: object) -> Gold:
    if _is_missing(text):
        return Gold("", -1)
    if isinstance(text, int) and not isinstance(text, bool):
        # A spreadsheet's 1988.
        text = str(text)
    if not isinstance(text, str):
        raise _unreadable(f"the text of an answer is {json_kind(text)}")
    return Gold(text, NOT_SAID if _is_missing(start) else _whole(start))


def _whole(start: object) -> int:
    """A start as a whole number; also from texts and floats that are one, as tables have them."""
    if isinstance(start, int) and not isinstance(start, bool):
        return start
    if isinstance(start, float) and start.is_integer():
        return int(start)
    if isinstance(start, str):
        digits = start.strip().removesuffix(".0")
        if digits.removeprefix("-").isascii() and digits.removeprefix("-").isdecimal():
            return int(digits[:12])
    raise _RowError(f"answer_start is {json_kind(start)}; expected a whole number")


def _unreadable(what: str) -> _RowError:
    return _RowError(f"{what}; expected {ANSWERS}")


def _value_of(text: str) -> object:
    """Answers that are a text: JSON, or what Python, numpy and pandas print for lists and dictionaries."""
    if text.strip()[:1] not in ("{", "[", "("):
        raise _unreadable(f"answers is {json_kind(text)}")
    try:
        return parse_json(text, "answers")
    except ValueError:
        # Not JSON; Python's notation has other quotes.
        pass
    try:
        tree = _PlainValues().visit(ast.parse(text.strip(), mode="eval"))
        found: object = ast.literal_eval(tree)
        return found
    except (SyntaxError, ValueError, TypeError) as error:
        raise _RowError(f"the column 'answers' is unreadable: {shown(text)}") from error
    except (RecursionError, MemoryError) as error:
        raise _RowError("the column 'answers' is nested too deeply to be read") from error


class _PlainValues(ast.NodeTransformer):
    """`array([...], dtype=...)` becomes `[...]`, `np.int64(28)` becomes `28`, `nan` becomes `None`."""

    def visit_Call(self, node: ast.Call) -> ast.AST:
        name = ast.unparse(node.func).rpartition(".")[2]
        is_number = name.startswith(("int", "uint", "float", "str_"))
        if (name == "array" or is_number) and node.args:
            inner: ast.AST = self.visit(node.args[0])
            return inner
        return node

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return ast.Constant(None) if node.id == "nan" else node
