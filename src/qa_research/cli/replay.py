"""The verbs that train steps of a run again: as they were, or with something changed."""

from typing import Annotated

import typer

from qa_research.cli.options import DEFAULT_RUNS, AsJson, Run, Runs
from qa_research.text import names_in, print_json, print_line

FromStart = Annotated[
    bool,
    typer.Option("--from-start", help="where no earlier state was kept, train from the beginning"),
]
Anyway = Annotated[
    bool,
    typer.Option("--anyway", help="run even if versions or the machine have changed since"),
]

Without = Annotated[
    list[str] | None,
    typer.Option(
        "--without",
        metavar="ID,...|FILE",
        help="leave out these training examples; a FILE has an id on each line",
    ),
]
SimilarTo = Annotated[
    str | None,
    typer.Option(
        "--similar-to",
        metavar="ID",
        help="leave out the training examples whose text is most like that of this one",
    ),
]
SimilarCount = Annotated[
    int | None,
    typer.Option(
        "--similar", metavar="N", min=1, help="how many --similar-to leaves out", show_default="20"
    ),
]
HolesName = Annotated[
    str | None,
    typer.Option(
        "--holes",
        metavar="empty|next",
        help="their places in the batches stay empty, or the next examples move up",
        show_default="empty",
    ),
]
SilenceNames = Annotated[
    list[str] | None,
    typer.Option(
        "--silence",
        metavar="NAME,...",
        help="silence these parts of the network: heads.3.5, feed_forward.3, layers.3",
    ),
]
SilenceWith = Annotated[
    str | None,
    typer.Option(
        "--with",
        metavar="zero|mean",
        help="what they put out instead; mean: over the tokens of a batch",
        show_default="zero",
    ),
]


def replay(
    run: Run,
    first: Annotated[
        int | None,
        typer.Option(
            "--from",
            metavar="STEP",
            min=0,
            help="the step to begin after",
            show_default="the earliest state that was kept",
        ),
    ] = None,
    until: Annotated[
        int | None,
        typer.Option(
            "--to", metavar="STEP", min=1, help="the last step", show_default="the run's last"
        ),
    ] = None,
    watch: Annotated[
        list[str] | None,
        typer.Option("--watch", metavar="ID,...", help="record these examples this time"),
    ] = None,
    record: Annotated[
        list[str] | None,
        typer.Option(
            "--record", metavar="NAME,...", help="by these recorders: attention, heads, ..."
        ),
    ] = None,
    every: Annotated[
        int | None,
        typer.Option(
            "--every",
            metavar="N",
            min=1,
            help="record each N-th step",
            show_default="about 25 times in all",
        ),
    ] = None,
    from_start: FromStart = False,
    anyway: Anyway = False,
    runs: Runs = DEFAULT_RUNS,
    as_json: AsJson = False,
) -> None:
    """Train steps of a run again, and prove that they repeat.

    From the nearest state that it kept. Weights and metrics are compared bit for bit with those of the first
    time. With --watch or --record, what nobody thought of watching is recorded now.
    """
    from qa_research.console import start_logging

    start_logging()
    from qa_research.interventions.replay.show import show_replayed
    from qa_research.launch.replay import replay as replayed

    found = replayed(
        run,
        first,
        until,
        watched=names_in(watch or []),
        recorders=names_in(record or []),
        every=every,
        runs=runs,
        from_start=from_start,
        anyway=anyway,
    )
    if as_json:
        print_json(found.as_json())
    else:
        show_replayed(found)
        if found.folder:
            print_line()
            print_line(f"Watch it   qa-research watch {found.folder}")
    if not found.is_exact:
        raise typer.Exit(1)


def fork(
    run: Run,
    step: Annotated[
        int, typer.Option("--at", metavar="STEP", min=1, help="go on from the end of this step")
    ],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar="KEY=VALUE", help="what is changed from then on"),
    ] = None,
    without: Without = None,
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="ID,...|FILE", help="keep only these training examples"),
    ] = None,
    similar: SimilarTo = None,
    similar_count: SimilarCount = None,
    holes: HolesName = None,
    relabel: Annotated[
        list[str] | None,
        typer.Option(
            "--relabel",
            metavar="ID=ANSWER",
            help="train an example with another answer; may be repeated",
        ),
    ] = None,
    silence: SilenceNames = None,
    until: Annotated[
        int | None,
        typer.Option(
            "--until",
            metavar="STEP",
            min=0,
            help="the last step of --silence",
            show_default="the end",
        ),
    ] = None,
    silence_with: SilenceWith = None,
    from_start: FromStart = False,
    anyway: Anyway = False,
    runs: Runs = DEFAULT_RUNS,
) -> None:
    """Continue from a step of a run with something changed.

    From its saved state: weights, optimizer, random generators, place in the data. A fork is a run of its
    own beside it; with nothing changed it is the same training, bit for bit.
    """
    from qa_research.console import start_logging
    from qa_research.signals import Signals

    start_logging()
    with Signals():
        from qa_research.launch.fork import ForkEdits, Silenced, similar_in
        from qa_research.launch.fork import fork as forked

        alike = similar_in(similar, similar_count)
        edits = ForkEdits(without or (), only or (), holes, relabel or (), alike)
        silenced = Silenced(silence or (), until, silence_with)
        forked(run, step, overrides or [], edits, silenced, runs, from_start, anyway)
