"""`qa-research ledger ...`: what is in the ledger, by SQL, as files, and the import of the old lab."""

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from qa_research.cli.options import DEFAULT_RUNS, AsJson, Runs, verb_group
from qa_research.text import print_json, print_line, print_note

if TYPE_CHECKING:
    from qa_research.ledger.old_lab.importing import Imported
    from qa_research.ledger.query import Table


ledger_app = verb_group("Query, export and fill the ledger of runs and questions.")


@ledger_app.command()
def sql(
    query: Annotated[
        str | None, typer.Argument(metavar="QUERY", help="a SELECT", show_default="show all tables")
    ] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="print CSV")] = False,
    runs: Runs = DEFAULT_RUNS,
    as_json: AsJson = False,
) -> None:
    """Query the ledger in SQL, read-only.

    Without a query: all tables and views with their columns, and what they mean.
    """
    from qa_research.ledger.query import schema_docs, select
    from qa_research.ledger.runs import LEDGER, Ledger
    from qa_research.text import csv_line, json_lines, print_data, table_lines

    if as_csv and as_json:
        raise ValueError("--csv and --json exclude each other; use one of them")
    with Ledger(runs.expanduser() / LEDGER, read_only=True) as ledger:
        if query is None:
            if as_csv:
                raise ValueError("--csv needs a query; without one the tables are shown, or --json")
            _show_tables(schema_docs(ledger), as_json)
            return
        with select(ledger, query) as result:
            if as_json:
                print_data(json_lines(result.columns, result))
            elif as_csv:
                print_data([csv_line(result.columns)])
                print_data(map(csv_line, result))
            else:
                width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
                for line in table_lines(result.columns, result, width):
                    print_line(line)
    print_note(f"{result.count:,} row{'' if result.count == 1 else 's'}")


@ledger_app.command()
def export(
    target: Annotated[
        Path,
        typer.Argument(metavar="FILE|DIR", help="FILE.csv or FILE.parquet; with --all a directory"),
    ],
    table: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="a table or view", show_default="asked_questions"),
    ] = None,
    wanted: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="csv|parquet",
            help="the format, if the suffix of FILE does not name it",
        ),
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="every table and view, each to a file (csv) in DIR")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="overwrite existing files")] = False,
    runs: Runs = DEFAULT_RUNS,
    as_json: AsJson = False,
) -> None:
    """Export asked questions to a file.

    Every asked question with everything known about it, or any table, as CSV or typed Parquet.
    """
    from dataclasses import asdict

    from qa_research.console import start_logging
    from qa_research.ledger.exporting import EVERYTHING, export_all, export_table, format_of
    from qa_research.ledger.runs import LEDGER, Ledger

    start_logging()
    target = target.expanduser()
    if everything and table is not None:
        raise ValueError(f"--all writes every table, so --table {table} cannot be chosen")
    found = format_of(Path() if everything else target, wanted or "csv" if everything else wanted)
    with Ledger(runs.expanduser() / LEDGER, read_only=True) as ledger:
        if everything:
            files = export_all(ledger, target, found, force)
        else:
            files = [export_table(ledger, table or EVERYTHING, target, found, force)]
    if as_json:
        shown = [asdict(file) | {"file": str(file.file)} for file in files]
        print_json(shown if everything else shown[0])
        return
    for file in files:
        print_line(
            f"{file.rows:,} row{'' if file.rows == 1 else 's'} of {file.table} in {file.file}"
        )


@ledger_app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="the old lab's stack_trace.db")],
    runs: Runs = DEFAULT_RUNS,
    as_json: AsJson = False,
) -> None:
    """Import the old lab's records.

    Its file is only read. What it stored, what is kept of it and why is shown state by state; then
    how many samples of stacks it has in which functions of the trainer, and what they could not see.
    """
    from qa_research.ledger.old_lab.importing import import_old_lab
    from qa_research.ledger.runs import LEDGER

    imported = import_old_lab(file.expanduser(), runs.expanduser() / LEDGER)
    if as_json:
        print_json(imported.as_json())
    else:
        _show_import(imported)


def _show_tables(tables: "list[Table]", as_json: bool) -> None:
    from dataclasses import asdict

    if as_json:
        print_json([asdict(table) for table in tables])
        return
    for table in tables:
        print_line(f"{table.name} ({table.kind}){': ' if table.comment else ''}{table.comment}")
        name = max(len(column.name) for column in table.columns)
        for column in table.columns:
            print_line(f"  {column.name:<{name}}  {column.type:<7}  {column.comment}".rstrip())
        print_line()
    print_line(
        'Try: qa-research ledger sql "SELECT run, step, count(*) FROM asked_questions GROUP BY 1, 2"'
    )


def _show_import(imported: "Imported") -> None:
    if imported.states:
        _show_imported_states(imported)
    if stacks := imported.stacks.sequences:
        blank = "\n" if imported.states else ""
        print_line(
            f"{blank}{imported.file}: {imported.stacks.samples:,} samples of {len(stacks):,} stacks"
        )
        for function, samples in imported.stacks.by_function.items():
            print_line(f"  {samples:>7,}  {function}")
        print_line(f"  {imported.caveat}")
    if imported.general:
        print_line("\nof the file")
    for sentence in imported.general:
        print_line(f"  {sentence}")


def _show_imported_states(imported: "Imported") -> None:
    searches = sum(len(state.searches) for state in imported.states)
    known = sum(
        len(s.indices.known) for state in imported.states for s in state.searches if s.indices
    )
    print_line(
        f"{imported.file}: {len(imported.states)} states, {searches} searches, {known:,} asked "
        "questions known by their index"
    )
    for kept in imported.states:
        stored = kept.state
        print_line(f"\n{stored.name}")
        print_line(
            f"  stored {stored.right:,} of {stored.asked:,}, kept {kept.right:,} of {kept.asked:,}"
        )
        if ratio := kept.ratio:
            low, high = 100 * ratio.low, 100 * ratio.high
            print_line(f"  {100 * ratio.value:.2f} [{low:.2f}, {high:.2f}] % right")
        for sentence in kept.sentences:
            print_line(f"  {sentence}")
    print_line(
        "\nright: the right answers of all asked, with the exact 95 % interval; consistent, but too high on "
        "average after few searches"
    )
