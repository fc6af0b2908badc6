"""The verb that writes what runs have recorded as one page and one PDF: report."""

from pathlib import Path
from typing import Annotated

import typer

from qa_research.cli.options import DEFAULT_RUNS, OUT_HELP, AsJson, Runs, Threads
from qa_research.text import print_json, print_line

# Scripts and characters without a font that a sentence has room for.
MOST_NAMED = 8


def report(
    wanted: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN...", help="directories, unique parts of names, or the name of a study"
        ),
    ],
    verify: Annotated[
        bool,
        typer.Option("--verify", help="check a report's values against the runs' files again"),
    ] = False,
    font: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE", help="a font for characters that the PDF lacks; may be repeated"
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="DIR", help=OUT_HELP, show_default="the run, or the runs' study"
        ),
    ] = None,
    runs: Runs = DEFAULT_RUNS,
    threads: Threads = None,
    as_json: AsJson = False,
) -> None:
    """Report on one run, or several side by side, as HTML and PDF.

    What the run asked and how it went, scores, curves, watched questions, the network's architecture and
    weights, efficacy, cost, where the time went. The page works offline; each picture also goes to
    figures/.
    """
    from qa_research.console import start_logging
    from qa_research.launch.compose import default_config
    from qa_research.report.story import check_report, write_report
    from qa_research.threads import use_threads_of_recordings

    start_logging()
    use_threads_of_recordings(threads)
    place, default, fonts = runs.expanduser(), default_config(), font or []
    if verify:
        checked = check_report(wanted, place, out, default, fonts)
        if as_json:
            print_json(checked.as_json())
        else:
            print_line("\n".join(checked.lines()))
        raise typer.Exit(1 if checked.faults else 0)
    written = write_report(wanted, place, out, default, fonts)
    if as_json:
        print_json(written.as_json())
        return
    print_line(f"Page     {written.page}")
    print_line(f"PDF      {written.paper}")
    if written.pictures:
        print_line(f"Figures  {written.pictures}")
    if written.absent:
        more = f" and {len(written.absent) - MOST_NAMED} more" * (len(written.absent) > MOST_NAMED)
        named = ", ".join(written.absent[:MOST_NAMED]) + more
        print_line(f"The PDF has squares for {named}, which its fonts lack; --font FILE adds one.")
