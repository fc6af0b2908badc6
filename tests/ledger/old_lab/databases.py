"""Databases as the old lab wrote them."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from qa_research.ledger.old_lab.database import quoted

PRETRAINED = "BertForQuestionAnswering-1026-squad"
RANDOM = "BertForQuestionAnswering-NoPretrain-1126-squad"
LATER = "BertForQuestionAnswering-NoPretrain-3188-squad"
CUSTOM = "BertForQuestionAnswering-20-data.json"
# 15 searches of 1,584 questions, and 17 of 51.
LONG = [216, 60, 27, 354, 69, 162, 33, 150, 156, 60, 51, 90, 81, 42, 33]
SHORT = [3] * 17


def index_list(count: int, first: int = 1000) -> list[int]:
    """Indices that no other list has, if `first` is far enough away."""
    return list(range(first, first + count))


def as_text(numbers: Sequence[int]) -> str:
    return ",".join(map(str, numbers))


def write_old_lab(path: Path, states: list[tuple], index_rows: Sequence[tuple] = ()) -> Path:
    """A stack_trace.db: `states` without id, `index_rows` as (id of the state, length, indices)."""
    connection = sqlite3.connect(path)
    connection.execute(
        "CREATE TABLE model_efficacy "
        "(id INTEGER PRIMARY KEY, model_type_state, correct_num, sample_num, sample_seq)"
    )
    connection.execute(
        "CREATE TABLE sample_indices (id INTEGER PRIMARY KEY, model_efficacy_id, seq_num, seq_ids)"
    )
    connection.execute("CREATE TABLE forward (id INTEGER PRIMARY KEY, file, line)")
    connection.executemany(
        "INSERT INTO model_efficacy (model_type_state, correct_num, sample_num, sample_seq) "
        "VALUES (?, ?, ?, ?)",
        states,
    )
    connection.executemany(
        "INSERT INTO sample_indices (model_efficacy_id, seq_num, seq_ids) VALUES (?, ?, ?)",
        index_rows,
    )
    connection.commit()
    connection.close()
    return path


TRAINER, MODULE = "transformers/trainer.py", "torch/nn/modules/module.py"
_OUTER = [
    ("/Users/Ada/Übung/run_qa.py", 675, "main"),
    (TRAINER, 1537, "train"),
    (TRAINER, 1854, "_inner_training_loop"),
]
_STEP = [*_OUTER, (TRAINER, 2735, "training_step")]
_CALLED = [(MODULE, 1518, "_wrapped_call_impl"), (MODULE, 1527, "_call_impl")]
_BACKWARD = [("accelerate/accelerator.py", 1853, "backward"), ("torch/_tensor.py", 492, "backward")]
_BERT = "transformers/models/bert/modeling_bert.py"
# Two modules call another one each, so their lines are twice in a stack.
_RECURSION = [
    *_CALLED,
    (_BERT, 1846, "forward"),
    *_CALLED,
    ("torch/nn/modules/linear.py", 114, "forward"),
]
_DATA = ("東京/数据.py", 7, "読む")
# Each traceback with how often it was taken: 40 in a training step, 2 of them in its backward.
TRACEBACKS = [
    ("compute_loss", [*_STEP, (TRAINER, 2767, "compute_loss"), *_RECURSION], 30),
    ("compute_loss", [*_STEP, (TRAINER, 2767, "compute_loss"), *_RECURSION[:2]], 1),
    ("training_step", [*_STEP[:-1], (TRAINER, 2744, "training_step"), *_BACKWARD], 2),
    ("training_step", _STEP, 7),
    ("_inner_training_loop", [*_OUTER, ("torch/optim/adamw.py", 184, "step")], 12),
    ("_inner_training_loop", [*_OUTER[:2], (TRAINER, 1821, "_inner_training_loop"), _DATA], 3),
]  # fmt: skip
Traceback = tuple[str, list[tuple[str, int, str]], int]


def write_stacks(path: Path, tracebacks: Sequence[Traceback] = tuple(TRACEBACKS)) -> Path:
    """The tables of stacks, filled one traceback after the other, as the old lab did."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(
            "CREATE TABLE call_sequence (id INTEGER PRIMARY KEY, training_function, seq_ids, tally)"
        )
        for function, lines, times in tracebacks:
            columns = "id INTEGER PRIMARY KEY, file, line, function, tally"
            connection.execute(f"CREATE TABLE IF NOT EXISTS {quoted(function)} ({columns})")
            for _ in range(times):
                _add_traceback(connection, function, lines)
        connection.commit()
    return path


def _add_traceback(
    connection: sqlite3.Connection, function: str, lines: Sequence[tuple[str, int, str]]
) -> None:
    ids = []
    for file, line, name in lines:
        # Line numbers were text, and so was the first tally of a sequence.
        found = {"file": file, "line": str(line)}
        columns = {**found, "function": name}
        ids.append(_count_one(connection, function, found, columns, 1))
    found = {"training_function": function, "seq_ids": str(ids)}
    _count_one(connection, "call_sequence", found, found, "1")


def _count_one(
    connection: sqlite3.Connection,
    table: str,
    found: dict[str, str],
    columns: dict[str, str],
    first: int | str,
) -> int:
    """Add one to the tally of the row with these values, or insert one; its id."""
    where = " AND ".join(f"{name} = :{name}" for name in found)
    table = quoted(table)
    row = connection.execute(f"SELECT id, tally FROM {table} WHERE {where}", found).fetchone()
    if row is not None:
        more = (int(row[1]) + 1, row[0])
        connection.execute(f"UPDATE {table} SET tally = ? WHERE id = ?", more)
        return int(row[0])
    marks = ", ".join("?" * (len(columns) + 1))
    inserted = connection.execute(
        f"INSERT INTO {table} ({', '.join(columns)}, tally) VALUES ({marks})",
        (*columns.values(), first),
    )
    assert inserted.lastrowid is not None
    return inserted.lastrowid


def rows(ledger_path: Path, query: str) -> list[tuple]:
    connection = sqlite3.connect(ledger_path)
    found = connection.execute(query).fetchall()
    connection.close()
    return found
