"""The verb that shows what goes on inside a network: watch."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Self

import typer

from qa_research.cli.options import (
    DATA_HELP,
    DEFAULT_CHECKPOINT,
    DEFAULT_ENCODING,
    DEFAULT_FORMAT,
    DEFAULT_RUNS,
    AsJson,
    Checkpoint,
    Context,
    ContextFile,
    Encoding,
    Model,
    Out,
    PictureFormat,
    Runs,
    Split,
    Threads,
    check_options_of_file,
    checked_format,
    given_text,
    look_into,
    opened_model,
    opened_recording,
    split_or_file,
)
from qa_research.text import command_line, print_json, print_line
from qa_research.threads import use_threads_of_recordings

if TYPE_CHECKING:
    from qa_research.tasks.answering.trained import TrainedAnswerer

HOW_TO_LOOK = "--question TEXT with --context-file FILE, or --question ID with --data SOURCE"
# Candidates shown of an answer that is looked into.
N_BEST = 5


def watch(
    run: Model,
    question: Annotated[
        str | None,
        typer.Option(
            "--question",
            "--example",
            metavar="TEXT|ID",
            help="a watched question, or an example of another task: its id or its text, or a part of it",
            show_default="of those that became right, the one that took longest",
        ),
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="film all that are watched, not only one")
    ] = False,
    out: Out = None,
    picture_format: PictureFormat = DEFAULT_FORMAT,
    figures: Annotated[
        bool, typer.Option("--figures", help="also draw every recorded quantity")
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="read the whole recording and report damage")
    ] = False,
    context: Context = None,
    context_file: ContextFile = None,
    data: Annotated[
        Path | None,
        typer.Option(
            "--data", metavar="SOURCE", help=f"of --question ID, for a model: {DATA_HELP}"
        ),
    ] = None,
    split: Split = None,
    encoding: Encoding = DEFAULT_ENCODING,
    checkpoint: Checkpoint = DEFAULT_CHECKPOINT,
    runs: Runs = DEFAULT_RUNS,
    threads: Threads = None,
    as_json: AsJson = False,
) -> None:
    """Film one question, or another example, over a training.

    As one HTML file with a slider over the steps, and as a strip in a picture; also during the training.
    Beside it index.html lists all that are watched, with links to the films made so far. Of a Hugging Face
    model, which has no recording, the film of one look: at a text's question, or one of --data.
    """
    checked_format(picture_format)
    of_looks = {
        "--context": context,
        "--context-file": context_file,
        "--data": data,
        "--split": split,
        "--encoding": None if encoding == DEFAULT_ENCODING else encoding,
        "--checkpoint": None if checkpoint == DEFAULT_CHECKPOINT else checkpoint,
    }
    given = [name for name, value in of_looks.items() if value is not None]
    if not given:
        _film(run, question, every, out, picture_format, figures, check, runs, threads, as_json)
        return
    of_recordings = {"--all": every, "--figures": figures, "--check": check}
    for name, is_given in of_recordings.items():
        if is_given:
            raise ValueError(
                f"{name} is for the recording of a run, and {given[0]} for one look into a model"
            )
    asked = _Asked.checked(question, context, context_file, data, split, encoding)
    _look_once(run, given[0], asked, checkpoint, out, picture_format, runs, threads, as_json)


@dataclass(frozen=True)
class _Asked:
    """What is looked at: a question about `text`; or, if that is None, one of the questions of `source`."""

    question: str
    text: str | None
    source: str
    encoding: str

    @classmethod
    def checked(
        cls,
        question: str | None,
        context: str | None,
        context_file: Path | None,
        data: Path | None,
        split: str | None,
        encoding: str,
    ) -> Self:
        """What the options name.

        Raises:
            ValueError: they name no question, no text, or two.
            OSError: a file cannot be read.
        """
        if question is None:
            raise ValueError(f"what to look at is missing: {HOW_TO_LOOK}")
        if data is None:
            if split is not None:
                raise ValueError(f"--split={split} belongs to --data SOURCE")
            return cls(question, given_text(context, context_file, encoding), "", encoding)
        if context is not None or context_file is not None:
            raise ValueError("--data has the text of its question; remove --data, or the text")
        check_options_of_file(data, encoding, "error")
        return cls(question, None, split_or_file(split, data), encoding)

    def found(self, opened: "TrainedAnswerer") -> tuple[str, str]:
        """The question and its text.

        Raises:
            ValueError: the source has no question with this id or in these words.
        """
        if self.text is not None:
            return self.question, self.text
        from qa_research.tasks.answering.trained import FileReading, questions_of

        reading = FileReading(self.encoding, "drop", needs_labels=False, tokenizer=opened.tokenizer)
        rows = questions_of(opened.config, opened.record, self.source, reading)
        for row in rows:
            if self.question in (row.id, row.question):
                return row.question, row.context
        raise ValueError(
            f"--question {self.question} is neither the id nor the text of one of the {len(rows):,} "
            "questions of --data"
        )


def _look_once(
    run: str,
    option: str,
    asked: _Asked,
    checkpoint: str,
    out: Path | None,
    picture_format: str,
    runs: Path,
    threads: int | None,
    as_json: bool,
) -> None:
    """The film of one look into a model; `option`: one that says that a look is wanted."""
    from qa_research.runs.named import find_model

    if find_model(run, runs).is_run:
        raise ValueError(
            f"{option} is for a model that has no recording, and {run} is a run; qa-research ask {run} "
            "--look looks at any question"
        )
    opened = opened_model(run, checkpoint, runs, threads)
    question, text = asked.found(opened)
    seen = look_into(opened, (question, text), None, out, picture_format)
    if as_json:
        shown = asdict(seen.answer)
        shown["candidates"] = shown["candidates"][:N_BEST]
        print_json(shown | {"look": seen.as_json()})
        return
    from qa_research.tasks.answering.shown import show_answer
    from qa_research.watch.look import show_look

    show_answer(seen.answer, text, N_BEST)
    show_look(seen)


def _film(
    run: str,
    question: str | None,
    every: bool,
    out: Path | None,
    picture_format: str,
    figures: bool,
    check: bool,
    runs: Path,
    threads: int | None,
    as_json: bool,
) -> None:
    """The films of a run's recording."""
    from qa_research.console import start_logging
    from qa_research.runs.directory import check_writable, find_run, readable_run

    start_logging()
    _refuse_model(run)
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


def _refuse_model(run: str) -> None:
    """Raise ValueError if RUN is a Hugging Face directory, which has no recording."""
    from qa_research.model.folder import looks_like_a_model

    path = Path(run).expanduser()
    if path.is_dir() and not (path / "run.json").is_file() and looks_like_a_model(path):
        raise ValueError(
            f"{run} is a Hugging Face model, and nothing was recorded while it was trained; for the film "
            f"of one look add {HOW_TO_LOOK}"
        )
