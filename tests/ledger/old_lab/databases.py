"""Databases as the old lab wrote them."""

import sqlite3
from collections.abc import Sequence
from pathlib import Path

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


def rows(ledger_path: Path, query: str) -> list[tuple]:
    connection = sqlite3.connect(ledger_path)
    found = connection.execute(query).fetchall()
    connection.close()
    return found
