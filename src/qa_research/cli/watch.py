"""The verb that shows what was recorded inside a run: watch."""

from typing import Annotated

import typer

from qa_research.cli.options import (
    DEFAULT_FORMAT,
    DEFAULT_RUNS,
    AsJson,
    Out,
    PictureFormat,
    Run,
    Runs,
    Threads,
    checked_format,
    opened_recording,
)
from qa_research.text import command_line, print_json, print_line
from qa_research.threads import use_threads_of_recordings


def watch(
    run: Run,
    question: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT|ID",
            help="a watched question: its id or its text, or a part of it",
            show_default="of those that became right, the one that took longest",
        ),
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="film every watched question, not only one")
    ] = False,
    out: Out = None,
    picture_format: PictureFormat = DEFAULT_FORMAT,
    figures: Annotated[
        bool, typer.Option("--figures", help="also draw every recorded quantity")
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="read the whole recording and report damage")
    ] = False,
    runs: Runs = DEFAULT_RUNS,
    threads: Threads = None,
    as_json: AsJson = False,
) -> None:
    """Film one question over a training.

    As one HTML file with a slider over the steps, and as a strip in a picture; also during the training.
    Beside it index.html lists all watched questions, with links to the films made so far.
    """
    from qa_research.console import start_logging
    from qa_research.runs.directory import check_writable, find_run, readable_run

    start_logging()
    checked_format(picture_format)
    directory = find_run(run, runs)
    from qa_research.runs.metrics import METRICS
    from qa_research.watch.story import show_result, watch_question

    use_threads_of_recordings(threads)
    recording = opened_recording(directory)
    if check and (damage := recording.damage()):
        # Films are only made of intact recordings.
        if as_json:
            print_json({"damage": damage})
        else:
            print_line("\n".join(damage))
        raise typer.Exit(1)
    index = None if question is None else recording.find_question(question)
    folder = (out or directory / "films").expanduser()
    check_writable(folder, "--out DIR")
    metrics = directory / METRICS if figures else None
    try:
        title = readable_run(directory)
        result = watch_question(recording, index, title, folder, metrics, picture_format, every)
    except (ValueError, RuntimeError) as error:
        if check or not recording.damage():
            raise
        raise ValueError(
            f"{recording.path} is damaged ({error}); "
            f"{command_line('qa-research', 'watch', directory, '--check')} says what is intact"
        ) from error
    if as_json:
        print_json(result.as_json() | ({"damage": []} if check else {}))
        return
    show_result(result)
    if check:
        print_line("Every array was read, and all are intact.")
    print_line(f"\nPage     {result.page}\nStrip    {result.strip}\nAll      {result.index}")
    if result.figures:
        print_line(f"Figures  {len(result.figures)} in {result.page.with_suffix('')}")
