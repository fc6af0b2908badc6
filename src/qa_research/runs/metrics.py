"""The rows of a run's metrics.csv, which training/metrics.py writes and people open in other programs."""

import csv
from collections.abc import Mapping
from pathlib import Path

from qa_research.tasks.task import VALIDATED

METRICS = "metrics.csv"
REPAIR = "move it away, and everything else of the run still works"
# Of a step: SQLite, numpy and TensorBoard know integers of 64 bits.
MOST_DIGITS = 18


def read_metrics(path: Path) -> list[dict[str, str]]:
    """The rows in order, by column, without a line that a crash left incomplete.

    Raises:
        FileNotFoundError: there is none.
        ValueError: its header is missing, or a step is not a number.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            if "step" not in (reader.fieldnames or ()):
                raise ValueError(f"{path} has no header with a column step; {REPAIR}")
            rows = [row for row in reader if None not in row.values() and None not in row]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path} is not a table of UTF-8 text: {error}; {REPAIR}") from error
    for row in rows:
        if not (row["step"].isdecimal() and len(row["step"]) <= MOST_DIGITS):
            raise ValueError(
                f"{path} has the step {row['step']!r:.60}, which is not a number; {REPAIR}"
            )
    return rows


def count_validations(path: Path) -> int:
    """How many validations a table has.

    Raises:
        FileNotFoundError, ValueError: as `read_metrics`.
    """
    rows = read_metrics(path)
    return sum(any(row[name] for name in row if name.startswith(VALIDATED)) for row in rows)


def number_in(row: Mapping[str, str], column: str, path: Path) -> float:
    """A number of a row that was read from `path`; also NaN and infinity, which a diverged loss is.

    Raises:
        ValueError: it is not a number.
    """
    try:
        return float(row[column])
    except ValueError as error:
        raise ValueError(
            f"{path} has {column}={row[column]!r:.60} at step {row['step']}, which is not a number; {REPAIR}"
        ) from error
