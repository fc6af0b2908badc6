"""The verb that puts what runs have recorded onto one page: report."""

from pathlib import Path
from typing import Annotated

import typer

from qa_research.cli.options import DEFAULT_RUNS, OUT_HELP, AsJson, Runs, Threads
from qa_research.text import print_json, print_line


def report(
    wanted: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN RUN...", help="directories, unique parts of names, or the name of a study"
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help=OUT_HELP, show_default="the runs' study"),
    ] = None,
    runs: Runs = DEFAULT_RUNS,
    threads: Threads = None,
    as_json: AsJson = False,
) -> None:
    """Put runs side by side on one page.

    Scores, curves, the same watched question in each with one slider, and the attention head that turned: one
    HTML file that needs no network.
    """
    from qa_research.console import start_logging
    from qa_research.report.story import write_report
    from qa_research.threads import use_threads_of_recordings

    start_logging()
    use_threads_of_recordings(threads)
    page = write_report(wanted, runs.expanduser(), out)
    if as_json:
        print_json({"page": str(page)})
    else:
        print_line(f"Page     {page}")
