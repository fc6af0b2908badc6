"""What verbs share: options, each with one name, one help text and one default; groups of verbs."""

import math
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, cast, get_args

import typer
from typer.core import TyperGroup

from qa_research.garbage import has_started
from qa_research.threads import use_threads

if TYPE_CHECKING:
    from qa_research.capture.recording.reader import Recording
    from qa_research.tasks.answering.question import OnBadRows as Bad
    from qa_research.tasks.answering.trained import TrainedAnswerer
    from qa_research.tasks.opened import Opened
    from qa_research.watch.look import Look


Run = Annotated[
    str, typer.Argument(metavar="RUN", help="a directory, or a unique part of its name")
]
Model = Annotated[
    str,
    typer.Argument(
        metavar="RUN",
        help="a run, a Hugging Face question-answering directory, or a hub id",
    ),
]
Runs = Annotated[Path, typer.Option("--runs", metavar="DIR", help="where the runs are")]
DEFAULT_RUNS = Path("runs")
Checkpoint = Annotated[
    str, typer.Option("--checkpoint", metavar="NAME", help="best, last, a step number, or a path")
]
DEFAULT_CHECKPOINT = "best"
DATA_HELP = "a SQuAD file; or builtin, squad, squad_v2, or a directory in the layout of the hub"
Data = Annotated[
    Path | None,
    typer.Option(
        "--data",
        metavar="SOURCE",
        help=DATA_HELP,
        show_default="the questions of the run",
    ),
]
SPLITS = ("validation", "train")
SPLIT_HELP = "validation or train"
Split = Annotated[
    str | None,
    typer.Option("--split", metavar="NAME", help=SPLIT_HELP, show_default="validation"),
]
SEED_HELP = "seed of all random choices"
# SQLite, which the ledger is, knows integers of 64 bits.
Seed = Annotated[int, typer.Option("--seed", metavar="N", min=0, max=2**63 - 1, help=SEED_HELP)]
DEFAULT_SEED = 1
Encoding = Annotated[
    str,
    typer.Option("--encoding", metavar="NAME", help="text encoding, such as utf-16 or latin-1"),
]
DEFAULT_ENCODING = "utf-8"
Context = Annotated[
    str | None,
    typer.Option("--context", metavar="TEXT", help="the text that contains the answer"),
]
ContextFile = Annotated[
    Path | None,
    typer.Option("--context-file", metavar="FILE", help="a file with that text; - is stdin"),
]
First = Annotated[
    str | None, typer.Option("--first", metavar="TEXT", help="of a pair: its first sentence")
]
Second = Annotated[
    str | None, typer.Option("--second", metavar="TEXT", help="of a pair: its second sentence")
]
OneSequence = Annotated[
    str | None, typer.Option("--sequence", metavar="LETTERS", help="a sequence, such as acgtn")
]
Inputs = Annotated[
    list[str] | None,
    typer.Option(
        "--input",
        metavar="NAME=TEXT",
        help="an input for a run of another task; may be repeated",
    ),
]
NBest = Annotated[
    int, typer.Option("--n-best", metavar="N", min=1, help="how many candidates to show")
]
DEFAULT_N_BEST = 5
OUT_HELP = "where the files go"
Out = Annotated[
    Path | None,
    typer.Option("--out", metavar="DIR", help=OUT_HELP, show_default="in the run"),
]
PICTURE_FORMATS = ("png", "svg", "pdf")
PictureFormat = Annotated[
    str, typer.Option("--format", metavar="png|svg|pdf", help="the format of pictures")
]
DEFAULT_FORMAT = "png"
OnBadRows = Annotated[
    str,
    typer.Option(
        "--on-bad-rows",
        metavar="NAME",
        help="unusable rows of --data: error, drop, move (answers to where they are), or move_or_drop",
    ),
]
Threads = Annotated[
    int | None,
    typer.Option(
        "--threads",
        metavar="N",
        min=1,
        help="threads to compute with",
        show_default="one per idle core",
    ),
]
# Of verbs that read the weights of several steps.
KeptSteps = Annotated[
    str | None,
    typer.Option(
        "--steps",
        metavar="NAME",
        help="best, last, or kept steps with commas",
        show_default="all kept steps, or best",
    ),
]
AllKeptSteps = Annotated[
    str | None,
    typer.Option(
        "--steps",
        metavar="NAME",
        help="kept steps with commas; also best, last",
        show_default="all kept steps",
    ),
]
MaxMinutes = Annotated[
    float, typer.Option("--max-minutes", metavar="N", help="refuse to run if it would take longer")
]
AsJson = Annotated[bool, typer.Option("--json", help="print JSON and nothing else on stdout")]


class ShortForm(TyperGroup):
    """A verb with verbs of its own, of which one needs no name: `efficacy RUN` is `efficacy ask RUN`.

    `alone`: the verb that is run without any words; None shows the help. `renamed`: options of earlier
    versions that are verbs now.
    """

    default: ClassVar[str]
    alone: ClassVar[str | None] = None
    renamed: ClassVar[dict[str, str]]

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """The words of a command line, with the verb's name where it was not typed."""
        if not args and self.alone is not None:
            args = [self.alone]
        elif args and args[0] not in (*self.commands, "--help"):
            for word in args:
                option = word.partition("=")[0]
                if option in self.renamed:
                    raise ValueError(f"{option} is now: {self.renamed[option]}")
            args = [self.default, *args]
        return super().parse_args(ctx, args)


def verb_group(help_text: str, cls: type[TyperGroup] = TyperGroup) -> typer.Typer:
    """A verb that has verbs of its own."""
    return typer.Typer(cls=cls, help=help_text, no_args_is_help=True, rich_markup_mode=None)


def split_or_file(split: str | None, data: Path | None) -> str:
    """The questions that --split and --data name: a split of the run, of a source with splits, or a file.

    >>> split_or_file(None, None), split_or_file("train", Path("builtin")), split_or_file(None, Path("a"))
    ('validation', 'builtin:train', './a')
    """
    if split not in (None, *SPLITS):
        raise ValueError(f"--split must be validation or train, got {split!r}; --data names a file")
    if data is None:
        return split or "validation"
    from qa_research.tasks.answering.source import has_splits, joined

    if has_splits(str(data)):
        return joined(str(data), split or "validation")
    if split is not None:
        raise ValueError(
            f"--split {split} is for data with splits, and --data={data} is a file; use one of them"
        )
    if str(data) in SPLITS and not data.exists():
        raise ValueError(f"--data {data} is now: --split {data}")
    # Not a bare name: a file may be called as a split is.
    return os.path.join(".", data)


def checked_format(picture_format: str) -> str:
    """The format of --format, which must be one that pictures are written in."""
    if picture_format not in PICTURE_FORMATS:
        raise ValueError(f"--format must be png, svg or pdf, got {picture_format!r}")
    return picture_format


def is_id(question: str | None, context: str | None, context_file: Path | None) -> bool:
    """Whether --question is an id and not in words: it has no blank or ?, and no text comes with it.

    >>> is_id("19818", None, None), is_id("Who?", "Ms Lund.", None), is_id("Who is it?", None, None)
    (True, False, False)
    """
    no_text = context is None and context_file is None
    return no_text and bool(question) and not re.search(r"[\s?]", question or "")


def ids_in(typed: str, option: str) -> tuple[str, ...]:
    """The ids that an option names, each once: with commas, or one a line in a file.

    Raises:
        ValueError: there is none, or the file is no text.
    """
    from qa_research.files import ids_named

    ids = tuple(ids_named([typed], option))
    if not ids:
        raise ValueError(f"{option} {typed} names no id")
    return ids


def number_or_ids(typed: str, option: str) -> int | tuple[str, ...]:
    """What an option asks for that takes a number of examples, or ids as `ids_in` reads them.

    Raises:
        ValueError: it is neither.
    """
    if not typed.isdecimal():
        return ids_in(typed, option)
    if int(typed) < 1:
        raise ValueError(f"{option} must be at least 1, got {typed}")
    return int(typed)


def checked_minutes(max_minutes: float) -> None:
    """Refuse a --max-minutes that allows nothing.

    Raises:
        ValueError: it is not above 0.
    """
    if not max_minutes > 0:
        raise ValueError(f"--max-minutes must be above 0, got {max_minutes:g}")


def a_number(value: float | None) -> float | None:
    """A callback of options: refuses nan, which float() reads as a number."""
    if value is not None and math.isnan(value):
        raise typer.BadParameter("nan is not a number")
    return value


def given_text(context: str | None, context_file: Path | None, encoding: str) -> str:
    """The text of --context, or of the file of --context-file; - is stdin.

    Line ends are the file's own, so that characters are counted as in the file; a byte order mark is not.
    """
    if (context is None) == (context_file is None):
        raise ValueError("give the text with either --context or --context-file")
    check_encoding_has_a_file(encoding, context_file is not None, "--context-file FILE")
    if context_file is None:
        return context or ""
    from qa_research.files import decoded, read_text

    name = f"--context-file={context_file}"
    if str(context_file) == "-":
        return decoded(sys.stdin.buffer.read(), name, encoding, "--encoding")
    return read_text(context_file.expanduser(), name, encoding, "--encoding")


def check_encoding_has_a_file(encoding: str, has_file: bool, owner: str) -> None:
    """Reject --encoding where no file is read; `owner` is the option that names one."""
    if encoding != DEFAULT_ENCODING and not has_file:
        raise ValueError(f"--encoding={encoding} is that of a file; it belongs to {owner}")


def check_options_of_file(data: Path | None, encoding: str, on_bad_rows: str) -> "Bad":
    """`on_bad_rows`, which like `encoding` is that of the file that --data names.

    Raises:
        ValueError: it is none that there is, or there is no file.
    """
    from qa_research.tasks.answering.question import OnBadRows as Bad

    if on_bad_rows not in get_args(Bad):
        *most, last = get_args(Bad)
        raise ValueError(f"--on-bad-rows must be {', '.join(most)} or {last}, got {on_bad_rows!r}")
    check_encoding_has_a_file(encoding, data is not None, "--data FILE")
    if data is None and on_bad_rows != "error":
        raise ValueError(f"--on-bad-rows={on_bad_rows} belongs to --data FILE")
    return cast("Bad", on_bad_rows)


NO_DATA = Path()


def opened_model(
    run: str,
    checkpoint: str,
    runs: Path,
    threads: int | None,
    data: Path | None = NO_DATA,
    is_quick: bool = False,
) -> "TrainedAnswerer":
    """The run or model that answers questions; see `opened_of_any_task`.

    Raises:
        FileNotFoundError, ValueError: it cannot be asked, or its task is another one.
    """
    opened = opened_of_any_task(run, checkpoint, runs, threads, data, is_quick)
    from qa_research.tasks.answering.trained import answerer_of

    return answerer_of(opened)


def as_answerer(opened: "Opened[Any]") -> "TrainedAnswerer | None":
    """What was opened, if it answers questions."""
    from qa_research.tasks.answering.trained import TrainedAnswerer

    return opened if isinstance(opened, TrainedAnswerer) else None


def opened_of_any_task(
    run: str,
    checkpoint: str,
    runs: Path,
    threads: int | None,
    data: Path | None = NO_DATA,
    is_quick: bool = False,
) -> "Opened[Any]":
    """The run or model that RUN names, opened to compute with so many threads; `is_quick`: one answer.

    `data`: what --data names, where a verb asks the questions of the run unless others are named.

    Raises:
        FileNotFoundError, ValueError: it cannot be asked; raised before anything slow if possible.
    """
    from qa_research.console import start_logging
    from qa_research.runs.named import find_model

    start_logging()
    named = find_model(run, runs)
    named.check_has_questions(are_named=data is not None)
    if not named.is_run:
        named.chosen_weights(checkpoint)
    use_threads(threads, is_quick)
    from qa_research.runs.open import open_model

    opened = open_model(named, checkpoint)
    has_started()
    return opened


def look_into(
    opened: "TrainedAnswerer",
    asked: tuple[str, str],
    unit: int | None,
    out: Path | None,
    picture_format: str,
) -> "Look":
    """One look at how a network answers a question about a text, in --out or in a folder of its own."""
    from qa_research.runs.directory import check_writable
    from qa_research.watch.look import look_at, looks_folder

    folder = (out or looks_folder(opened, *asked)).expanduser()
    check_writable(folder, "--out DIR")
    return look_at(opened, *asked, unit, folder, picture_format)


def opened_recording(directory: Path) -> "Recording":
    """What was recorded inside a run.

    Raises:
        FileNotFoundError: nothing was recorded.
    """
    from qa_research.capture.recording.files import RECORDING
    from qa_research.capture.recording.reader import Recording

    try:
        return Recording(directory / RECORDING)
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"{directory.name} has no {RECORDING}: it was trained without recording (capture=none), or "
            "has not started"
        ) from error
