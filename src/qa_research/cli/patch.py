"""The verb that patches activations."""

from functools import partial
from typing import Annotated

import typer

from qa_research.cli.findings import pass_on
from qa_research.cli.options import (
    DEFAULT_ENCODING,
    DEFAULT_FORMAT,
    DEFAULT_RUNS,
    DEFAULT_SEED,
    AsJson,
    Encoding,
    KeptSteps,
    Out,
    PictureFormat,
    Run,
    Runs,
    Seed,
    Threads,
    checked_format,
)
from qa_research.text import names_in

Questions = Annotated[
    list[str] | None,
    typer.Option(
        "--question",
        metavar="ID",
        help="id of an example to pair with its counterpart; may be repeated",
        show_default="--pairs of them, drawn",
    ),
]
# Pairs that are drawn if nothing is said.
PAIRS = 16
Pairs = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        min=1,
        help="minimal pairs to draw, about different texts",
        show_default=str(PAIRS),
    ),
]
PairsFile = Annotated[
    str | None,
    typer.Option(metavar="FILE", help="pairs of your own: examples 1 and 2, 3 and 4, and so on"),
]
What = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME",
        help="heads, feed_forward, layers, positions, or one of them such as heads.3.2; also with commas",
        show_default="heads,feed_forward",
    ),
]


def patch(
    run: Run,
    question: Questions = None,
    pairs: Pairs = None,
    pairs_file: PairsFile = None,
    steps: KeptSteps = None,
    what: What = None,
    seed: Seed = DEFAULT_SEED,
    encoding: Encoding = DEFAULT_ENCODING,
    out: Out = None,
    picture_format: PictureFormat = DEFAULT_FORMAT,
    runs: Runs = DEFAULT_RUNS,
    threads: Threads = None,
    as_json: AsJson = False,
) -> None:
    """Patch activations of one text into another, at the kept steps.

    The two texts differ in a word, and so in the right answer. What each head, feed-forward network, layer
    and position carries of that is shown beside patches from unrelated texts, and beside its ablation.
    """
    checked_format(picture_format)
    if pairs_file is not None and question:
        raise ValueError("--pairs-file has the pairs; leave out --question")
    if pairs is not None and (question or pairs_file is not None):
        chosen = "--question" if question else "--pairs-file"
        raise ValueError(
            f"--pairs {pairs} draws pairs, and {chosen} names them; leave out one of the two"
        )
    from qa_research.console import start_logging
    from qa_research.runs.checkpoints import find_checkpoint
    from qa_research.runs.directory import check_writable, find_run
    from qa_research.runs.store import checkpoints_of
    from qa_research.threads import use_threads

    start_logging()
    directory = find_run(run, runs)
    folder = (out or directory / "patching").expanduser()
    check_writable(folder, "--out DIR")
    use_threads(threads)
    kept = [name for name in checkpoints_of(directory) if name.isdecimal()]
    names = kept or ["best"] if steps is None else list(names_in([steps]))
    for name in names:
        find_checkpoint(directory / "checkpoints", name)
    from qa_research.interventions.patching.figure import patching_figure
    from qa_research.interventions.patching.patching import PatchRequest, patch_steps
    from qa_research.interventions.patching.show import show_patched

    request = PatchRequest(
        tuple(question or ()),
        pairs or PAIRS,
        pairs_file,
        encoding,
        tuple(names_in(what or [])),
        seed,
    )
    found = patch_steps(directory, names, request)
    table, picture = folder / "patching.json", folder / f"patching.{picture_format}"
    show = None if as_json else partial(show_patched, found)
    pass_on(found.as_json(), patching_figure(found), table, picture, show)
