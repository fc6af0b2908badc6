"""The verb that probes layers."""

from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from qa_research.cli.findings import pass_on
from qa_research.cli.options import (
    DEFAULT_FORMAT,
    DEFAULT_RUNS,
    DEFAULT_SEED,
    AsJson,
    Out,
    PictureFormat,
    Run,
    Runs,
    Seed,
    Threads,
    checked_format,
    opened_recording,
)
from qa_research.text import names_in

if TYPE_CHECKING:
    from pathlib import Path

    from qa_research.probe.probing import Probed, ProbeRequest

Read = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME",
        help="answer, kind, position or group; also several, with commas",
        show_default="all that the data have",
    ),
]
Steps = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="best, last, kept steps with commas, or all: a curve over training",
        show_default="best",
    ),
]
Questions = Annotated[
    int, typer.Option(metavar="N", min=1, help="examples at most; half of the texts train probes")
]
Random = Annotated[
    int, typer.Option("--random", metavar="N", min=1, help="draws of random directions to erase")
]
Recorded = Annotated[
    bool, typer.Option("--recorded", help="read the run's recording, and compute nothing anew")
]


def probe(
    run: Run,
    read: Read = None,
    steps: Steps = None,
    questions: Questions = 400,
    random: Random = 20,
    recorded: Recorded = False,
    seed: Seed = DEFAULT_SEED,
    out: Out = None,
    picture_format: PictureFormat = DEFAULT_FORMAT,
    runs: Runs = DEFAULT_RUNS,
    threads: Threads = None,
    as_json: AsJson = False,
) -> None:
    """Show what linear probes read from each layer, with controls.

    Is this token in the answer, what kind of question is it, where is the token, what is asked for; beside a
    network of random weights, and what the task loses without the directions found.
    """
    names = _names(read or [])
    checked_format(picture_format)
    if recorded and steps is not None:
        raise ValueError("--recorded reads every capture of the recording; leave out --steps")
    from qa_research.console import start_logging
    from qa_research.probe.probing import ProbeRequest
    from qa_research.runs.directory import check_writable, find_run
    from qa_research.threads import use_threads

    start_logging()
    directory = find_run(run, runs)
    folder = (out or directory / "probes").expanduser()
    check_writable(folder, "--out DIR")
    use_threads(threads)
    request = ProbeRequest(names, questions, random, seed)
    found = _recorded(directory, request) if recorded else _probed(directory, steps, request)
    from qa_research.probe.figure import probe_figure
    from qa_research.probe.show import show_probed

    table, picture = folder / "probes.json", folder / f"probes.{picture_format}"
    show = None if as_json else partial(show_probed, found)
    pass_on(found.as_json(), probe_figure(found), table, picture, show)


def _names(typed: list[str]) -> tuple[str, ...]:
    """The labels of --read, each once.

    Raises:
        ValueError: there is none of that name.
    """
    from qa_research.probe.labels import NAMES

    names = tuple(names_in(typed))
    if unknown := [name for name in names if name not in NAMES]:
        *most, last = NAMES
        raise ValueError(f"--read must be {', '.join(most)} or {last}, got {unknown[0]!r}")
    return names


def _probed(directory: "Path", steps: str | None, request: "ProbeRequest") -> "Probed":
    from qa_research.probe.probing import probe_steps
    from qa_research.runs.checkpoints import kept_steps
    from qa_research.runs.open import open_run

    names = kept_steps(directory) if steps == "all" else names_in([steps or "best"])
    return probe_steps([open_run(directory, name) for name in names], request)


def _recorded(directory: "Path", request: "ProbeRequest") -> "Probed":
    from qa_research.probe.probing import probe_recording
    from qa_research.runs.open import open_run

    recording = opened_recording(directory)
    return probe_recording(open_run(directory), recording, request)
