"""An opened forward pass on the screen."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from qa_research.console import Screen, styled
from qa_research.forward.opened import Pass
from qa_research.tasks.stages import Table

# Of a long text the beginning is shown; --json has all of it.
MOST_CHARACTERS = 60


def show_pass(found: Pass) -> None:
    """Each stage with its sentences and tables; long tables are cut down to their telling rows."""
    console = Screen()
    console.print(found.run)
    for number, stage in enumerate(found.stages, start=1):
        console.print(styled("\n", (f"{number} {stage.name}", "bold"), f"   {stage.turns}"))
        for table in stage.tables:
            shown = _shown(table)
            console.table(shown.columns, list(_lines(shown)), right=_numeric(shown))
        for sentence in stage.sentences:
            console.print(sentence)


def _shown(table: Table) -> Table:
    """The table without the columns that are not for a screen."""
    kept = [place for place, name in enumerate(table.columns) if name not in table.unshown]
    rows = tuple(tuple(row[place] for place in kept) for row in table.rows)
    return replace(table, columns=tuple(table.columns[place] for place in kept), rows=rows)


def _lines(table: Table) -> Sequence[Sequence[str]]:
    """The rows as texts, with a line of dots where some are left out."""
    lines: list[list[str]] = []
    was_shown = True
    for place, row in enumerate(table.rows):
        is_shown = not table.telling or place in table.telling
        if is_shown:
            lines.append([_text(value) for value in row])
        elif was_shown:
            lines.append(["...", *[""] * (len(row) - 1)])
        was_shown = is_shown
    return lines


def _numeric(table: Table) -> set[int]:
    """The columns that hold numbers only."""
    columns = enumerate(zip(*table.rows, strict=True))
    return {place for place, values in columns if all(_is_number(value) for value in values)}


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float))


def _text(value: Any) -> str:
    """A value as it is shown: four decimals, shapes in brackets, several numbers with blanks between."""
    if isinstance(value, float):
        return f"{value:.4f}"
    if isinstance(value, tuple):
        return " ".join(f"{number:+.3f}" for number in value)
    text = str(value)
    return text if len(text) <= MOST_CHARACTERS else f"{text[:MOST_CHARACTERS]}..."
