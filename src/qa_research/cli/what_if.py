"""The verb that trains steps again without some examples or parts: what-if."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from qa_research.cli.findings import pass_on, write_findings
from qa_research.cli.options import (
    DEFAULT_FORMAT,
    DEFAULT_RUNS,
    DEFAULT_SEED,
    AsJson,
    Out,
    PictureFormat,
    Runs,
    Seed,
    checked_format,
)
from qa_research.cli.replay import (
    Anyway,
    FromStart,
    HolesName,
    SilenceNames,
    SilenceWith,
    SimilarCount,
    SimilarTo,
    Without,
)
from qa_research.text import names_in

if TYPE_CHECKING:
    from qa_research.interventions.what_if.effects import WhatIf
    from qa_research.launch.stretch import Stretch


def what_if(
    given: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN...",
            help="a directory, or a unique part of its name; several: what the change does in all of them",
        ),
    ],
    first: Annotated[
        int,
        typer.Option("--at", metavar="STEP", min=1, help="the step after which it differs"),
    ],
    until: Annotated[int, typer.Option("--to", metavar="STEP", min=1, help="the last step")],
    without: Without = None,
    similar: SimilarTo = None,
    similar_count: SimilarCount = None,
    holes: HolesName = None,
    silence: SilenceNames = None,
    silence_until: Annotated[
        int | None,
        typer.Option(
            "--until",
            metavar="STEP",
            min=0,
            help="the last step of --silence",
            show_default="the last step",
        ),
    ] = None,
    silence_with: SilenceWith = None,
    draws: Annotated[
        int,
        typer.Option("--random", metavar="N", min=1, help="random changes of the same size"),
    ] = 20,
    every: Annotated[
        int | None,
        typer.Option(
            "--every",
            metavar="N",
            min=1,
            help="score each N-th step",
            show_default="about ten times",
        ),
    ] = None,
    questions: Annotated[
        int,
        typer.Option(
            "--questions",
            metavar="N",
            min=2,
            help="held-out validation examples to score",
        ),
    ] = 200,
    kind: Annotated[
        list[str] | None,
        typer.Option("--kind", metavar="NAME,...", help="only examples of this kind"),
    ] = None,
    level: Annotated[
        float | None,
        typer.Option(
            "--reach",
            metavar="SCORE",
            help="say when this score is reached",
            show_default="halfway from the first to the last",
        ),
    ] = None,
    from_start: FromStart = False,
    anyway: Anyway = False,
    out: Out = None,
    picture_format: PictureFormat = DEFAULT_FORMAT,
    seed: Seed = DEFAULT_SEED,
    runs: Runs = DEFAULT_RUNS,
    as_json: AsJson = False,
) -> None:
    """Train again without some examples or parts, beside random ones.

    The same steps are trained again from the same state: as they were, changed, and with random changes of
    the same size, which show what any change of that size does.
    """
    checked_format(picture_format)
    from qa_research.console import start_logging
    from qa_research.runs.directory import check_writable, find_run

    start_logging()
    folders = [_folder(find_run(run, runs), out, len(given)) for run in given]
    if len({folder.resolve() for folder in folders}) < len(given):
        raise ValueError("one run is named twice; name each run once")
    together = (out or find_run(given[0], runs).parent).expanduser()
    for folder in [*folders, *([together] if len(given) > 1 else [])]:
        check_writable(folder, "--out DIR")
    from qa_research.interventions.what_if.figure import what_if_figure
    from qa_research.interventions.what_if.show import show_what_if
    from qa_research.launch.fork import similar_in
    from qa_research.launch.stretch import stretch_of
    from qa_research.launch.what_if import Question
    from qa_research.launch.what_if import what_if as found_if

    asked = Question(
        without=without or (),
        similar=similar_in(similar, similar_count),
        holes=holes,
        silence=silence or (),
        silence_until=silence_until,
        silence_with=silence_with,
        draws=draws,
        every=every,
        questions=questions,
        kinds=names_in(kind or []),
        level=level,
        seed=seed,
    )
    # Steps that one of the runs does not have are refused before another one is trained.
    stretches = [stretch_of(run, first, until, runs, anyway) for run in given]
    ask = partial(found_if, asked=asked, from_start=from_start)
    if len(given) > 1:
        _of_several(stretches, ask, [*folders, together], picture_format, as_json)
        return
    one, folder = ask(stretches[0]), folders[0]
    table, picture = folder / "what_if.json", folder / f"what_if.{picture_format}"
    show = None if as_json else partial(show_what_if, one)
    pass_on(one.as_json(), what_if_figure(one), table, picture, show)


def _of_several(
    stretches: "Sequence[Stretch]",
    ask: "Callable[[Stretch], WhatIf]",
    folders: Sequence[Path],
    picture_format: str,
    as_json: bool,
) -> None:
    """Ask the same of each run. `folders`: one for each, and one for what is found of all of them."""
    from qa_research.interventions.what_if.figure import over_runs_figure, what_if_figure
    from qa_research.interventions.what_if.over_runs import check_comparable, over_runs
    from qa_research.interventions.what_if.show import show_over_runs, show_what_if

    found: list[WhatIf] = []
    *own, together = folders
    for stretch, folder in zip(stretches, own, strict=True):
        found.append(ask(stretch))
        # Before the next one is trained for a long time.
        check_comparable(found)
        table, picture = folder / "what_if.json", folder / f"what_if.{picture_format}"
        write_findings(found[-1].as_json(), what_if_figure(found[-1]), table, picture)
        if not as_json:
            show_what_if(found[-1])
    joint = over_runs(found)
    table, picture = together / "what_if.json", together / f"what_if.{picture_format}"
    show = None if as_json else partial(show_over_runs, joint, found[0].metric)
    pass_on(joint.as_json(), over_runs_figure(found), table, picture, show)


def _folder(directory: Path, out: Path | None, count: int) -> Path:
    """Where the findings about one of some runs go."""
    if out is None:
        return directory / "what_if"
    return out.expanduser() if count == 1 else out.expanduser() / directory.name
