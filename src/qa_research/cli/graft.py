"""The verb that puts one part of some weights into others."""

from functools import partial
from typing import Annotated

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
)
from qa_research.text import names_in

From = Annotated[
    str,
    typer.Option("--from", metavar="NAME", help="source: best, last, a kept step, or a path"),
]
Into = Annotated[
    str, typer.Option("--into", metavar="NAME", help="target: best, last, a kept step, or a path")
]
Parts = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME",
        help="layers, modules, heads, or all; or parts, such as 'attention.3,heads.3.5'",
        show_default="modules",
    ),
]
Kind = Annotated[
    list[str] | None,
    typer.Option("--kind", metavar="NAME", help="only examples of this kind", show_default="all"),
]
MetricName = Annotated[
    str | None,
    typer.Option(
        "--metric", metavar="NAME", help="a metric of the task", show_default="its most telling one"
    ),
]
Questions = Annotated[
    int, typer.Option(metavar="N", min=2, help="how many held-out examples to score, at most")
]
Random = Annotated[
    int,
    typer.Option("--random", metavar="N", min=1, help="draws of random sets of as many weights"),
]
Shapley = Annotated[
    bool, typer.Option("--shapley", help="share the whole difference among layers, or modules")
]
# Orders of --shapley if nothing is said.
ORDERS = 20
Orders = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        min=10,
        help="of --shapley: random orders where all are too many to try, an even number",
        show_default=str(ORDERS),
    ),
]


def graft(
    run: Run,
    source: From,
    into: Into,
    parts: Parts = None,
    kind: Kind = None,
    metric: MetricName = None,
    questions: Questions = 260,
    random: Random = 20,
    shapley: Shapley = False,
    orders: Orders = None,
    seed: Seed = DEFAULT_SEED,
    out: Out = None,
    picture_format: PictureFormat = DEFAULT_FORMAT,
    runs: Runs = DEFAULT_RUNS,
    threads: Threads = None,
    as_json: AsJson = False,
) -> None:
    """Put one part of the weights of one step into another step.

    Each layer, attention, feed-forward network or head, both ways round: what the task scores then, beside
    random sets of as many weights, on held-out examples.
    """
    checked_format(picture_format)
    if orders is not None:
        _check_orders(orders, shapley)
    from qa_research.console import start_logging
    from qa_research.runs.checkpoints import find_checkpoint
    from qa_research.runs.directory import check_writable, find_run
    from qa_research.threads import use_threads

    start_logging()
    directory = find_run(run, runs)
    folder = (out or directory / "graft").expanduser()
    check_writable(folder, "--out DIR")
    files = [find_checkpoint(directory / "checkpoints", name) for name in (into, source)]
    if files[0].resolve() == files[1].resolve():
        raise ValueError(f"--from {source} and --into {into} are the same weights; name two steps")
    use_threads(threads)
    from qa_research.interventions.graft.grafting import GraftRequest
    from qa_research.interventions.graft.grafting import graft as put_in
    from qa_research.runs.open import open_run

    request = GraftRequest(
        parts=tuple(names_in(parts or ["modules"])),
        kinds=tuple(names_in(kind or [])),
        metric=metric,
        examples=questions,
        random=random,
        orders=(orders or ORDERS) if shapley else None,
        seed=seed,
    )
    found = put_in(open_run(directory, into), open_run(directory, source), request)
    from qa_research.interventions.graft.figure import graft_figure
    from qa_research.interventions.graft.show import show_grafted

    table, picture = folder / "graft.json", folder / f"graft.{picture_format}"
    show = None if as_json else partial(show_grafted, found)
    pass_on(found.as_json(), graft_figure(found), table, picture, show)


def _check_orders(orders: int, shapley: bool) -> None:
    if not shapley:
        raise ValueError(
            f"--orders {orders} is the number of orders of --shapley; add --shapley, or leave out --orders"
        )
    if orders % 2:
        raise ValueError(
            f"--orders must be an even number, as each order is followed by its reverse, got {orders}"
        )
