"""The verb that estimates which training examples led to an answer: influence."""

from functools import partial
from typing import Annotated

import typer

from qa_research.cli.findings import pass_on
from qa_research.cli.options import (
    DEFAULT_FORMAT,
    DEFAULT_RUNS,
    DEFAULT_SEED,
    AllKeptSteps,
    AsJson,
    MaxMinutes,
    Out,
    PictureFormat,
    Run,
    Runs,
    Seed,
    Threads,
    checked_format,
    checked_minutes,
    number_or_ids,
)
from qa_research.cli.replay import Anyway, FromStart
from qa_research.text import names_in

Asked = Annotated[
    str,
    typer.Option(
        "--questions",
        metavar="N|ID|FILE",
        help="how many held-out ones to draw at random; or ids, with commas, or a file with one id a line",
    ),
]
Examples = Annotated[
    str,
    typer.Option(
        "--examples",
        metavar="N|ID|FILE|all",
        help="training examples that are scored, in the same way",
    ),
]
Judge = Annotated[
    int | None,
    typer.Option(
        "--judge",
        metavar="N",
        help="judge the methods by training the steps from --at to --to N times without random halves",
    ),
]


def influence(
    run: Run,
    questions: Asked = "5",
    examples: Examples = "300",
    steps: AllKeptSteps = None,
    judge: Judge = None,
    first: Annotated[
        int | None,
        typer.Option("--at", metavar="STEP", min=1, help="with --judge: begin after this step"),
    ] = None,
    until: Annotated[
        int | None, typer.Option("--to", metavar="STEP", min=1, help="with --judge: the last step")
    ] = None,
    top: Annotated[
        int, typer.Option("--top", metavar="N", min=1, help="list so many of each question")
    ] = 3,
    max_minutes: MaxMinutes = 30,
    from_start: FromStart = False,
    anyway: Anyway = False,
    seed: Seed = DEFAULT_SEED,
    out: Out = None,
    picture_format: PictureFormat = DEFAULT_FORMAT,
    runs: Runs = DEFAULT_RUNS,
    threads: Threads = None,
    as_json: AsJson = False,
) -> None:
    """Estimate which training examples led to an answer.

    By their gradients, what the output layer reads of them, and their texts. With --judge the same steps
    are trained again without random halves of the examples, and the methods are judged by what that changes.
    """
    checked_format(picture_format)
    checked_minutes(max_minutes)
    from qa_research.console import start_logging
    from qa_research.runs.directory import check_writable, find_run
    from qa_research.threads import use_threads

    start_logging()
    directory = find_run(run, runs)
    folder = (out or directory / "influence").expanduser()
    check_writable(folder, "--out DIR")
    from qa_research.interventions.influence.found import Request

    request = Request(
        number_or_ids(questions, "--questions"),
        None if examples == "all" else number_or_ids(examples, "--examples"),
        max_minutes,
        top,
        seed,
    )
    from qa_research.interventions.influence.figure import influence_figure
    from qa_research.interventions.influence.show import show_influence

    if judge is not None:
        if first is None or until is None:
            raise ValueError("--judge needs the steps to be trained again: --at STEP --to STEP")
        if steps is not None or threads is not None:
            given = "--steps" if steps is not None else "--threads"
            raise ValueError(
                f"{given} and --judge exclude each other: the trainings have those of the run"
            )
        from qa_research.launch.influence import judged_influence

        found = judged_influence(run, first, until, judge, request, runs, from_start, anyway)
    else:
        if first is not None or until is not None:
            raise ValueError(
                "--at and --to are the steps that --judge N trains again; --steps NAME,... chooses kept ones"
            )
        if from_start or anyway:
            given = "--from-start" if from_start else "--anyway"
            raise ValueError(
                f"{given} applies to the steps that --judge N trains again; add --judge N, or leave it out"
            )
        from qa_research.interventions.influence.kept import influence_at
        from qa_research.runs.checkpoints import kept_steps, steps_in
        from qa_research.runs.open import open_run

        names = kept_steps(directory) if steps is None else names_in([steps])
        at = steps_in(directory, names)
        use_threads(threads)
        found = influence_at(open_run(directory, next(iter(at.values()))), at, request)
    table, picture = folder / "influence.json", folder / f"influence.{picture_format}"
    show = None if as_json else partial(show_influence, found)
    pass_on(found.as_json(), influence_figure(found), table, picture, show)
