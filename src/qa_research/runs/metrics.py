"""The rows of a run's metrics.csv, which training/metrics.py writes and people open in other programs."""

import csv
from pathlib import Path


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
                raise ValueError(
                    f"{path} has no header with a column step; move it away, and everything else of the "
                    "run still works"
                )
            rows = [row for row in reader if None not in row.values() and None not in row]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path} is not a table of UTF-8 text: {error}; move it away") from error
    for row in rows:
        if not row["step"].isdecimal():
            raise ValueError(
                f"{path} has the step {row['step']!r}, which is not a number; move it away"
            )
    return rows
