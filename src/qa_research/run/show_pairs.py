"""Runs side by side, as a person reads them on stdout."""

import json
from collections.abc import Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from qa_research.run.paired import ABSENT, Differences, SideBySide
from qa_research.run.show_runs import DIGITS, aligned, console_out, number


def show_pairs(found: SideBySide) -> None:
    """Who is who, what differs, the scores, and a verdict for each run beside the first."""
    console = console_out()
    for label, entry, status in zip(found.labels, found.entries, found.statuses, strict=True):
        console.print(f"{label}  {entry.name}   ({status})", markup=False)
    if found.config:
        _show_table("what differs in the config", found.labels, _cells(found.config))
    else:
        console.print("\nnothing that can change a result differs in the config")
    if found.making:
        making = {
            key: [
                value[:DIGITS] if _is_digest(key) and isinstance(value, str) else value
                for value in values
            ]
            for key, values in found.making.items()
        }
        _show_table("what else differs", found.labels, _cells(making))
    if found.without_effect:
        console.print(f"\nwithout effect on a result: {', '.join(found.without_effect)}")
    scores = [
        [name, *(number(None if value is ABSENT else value) for value in values)]
        for name, values in found.scores.items()
    ]
    _show_table("scores of the best checkpoints", found.labels, scores, flush_right=True)
    console.print(Text("\nwhich is better", "bold"))
    for pair in found.pairs:
        console.print(f"{pair.verdict}\n", markup=False)
    if any(pair.comparison for pair in found.pairs):
        console.print(
            "[..]: 95 % interval over questions; p: how often chance makes two equal runs differ so much. "
            "Both are of these trainings: another seed may differ more.",
            markup=False,
            style="dim",
        )


def plain(value: Any) -> str:
    """A config's value as one would write it."""
    if isinstance(value, str) or value is ABSENT:
        return str(value)
    return json.dumps(value, ensure_ascii=False, default=str)


def _cells(differences: Differences) -> list[list[str]]:
    return [[key, *map(plain, values)] for key, values in differences.items()]


def _is_digest(key: str) -> bool:
    return key == "git.commit" or key.startswith("fingerprints.")


def _show_table(
    title: str, labels: Sequence[str], rows: Sequence[Sequence[str]], flush_right: bool = False
) -> None:
    """A table whose first column names what a row is about; a terminal folds what is too long."""
    console = console_out()
    console.print(Text(f"\n{title}", "bold"))
    if not console.is_terminal:
        right = set(range(1, len(labels) + 1)) if flush_right else set()
        print("\n".join(aligned([["", *labels], *rows], right)))
        return
    table = Table("", *labels, box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for column in table.columns:
        column.overflow = "fold"
    for column in table.columns[1:]:
        column.justify = "right" if flush_right else "left"
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    console.print(table)
