"""The verb that measures weight matrices."""

from functools import partial

from qa_research.cli.findings import pass_on
from qa_research.cli.options import (
    DEFAULT_FORMAT,
    DEFAULT_RUNS,
    AsJson,
    KeptSteps,
    Out,
    PictureFormat,
    Run,
    Runs,
    Threads,
    checked_format,
)
from qa_research.text import names_in


def weights(
    run: Run,
    steps: KeptSteps = None,
    out: Out = None,
    picture_format: PictureFormat = DEFAULT_FORMAT,
    runs: Runs = DEFAULT_RUNS,
    threads: Threads = None,
    as_json: AsJson = False,
) -> None:
    """Measure the weight matrices: rank, redundancy, rate of change.

    Each beside random matrices of the same shape, at the kept steps; and for each head what it attends by and
    what it carries over.
    """
    checked_format(picture_format)
    from qa_research.console import start_logging
    from qa_research.runs.checkpoints import find_checkpoint, step_of
    from qa_research.runs.directory import check_writable, find_run
    from qa_research.runs.store import checkpoints_of
    from qa_research.threads import use_threads

    start_logging()
    directory = find_run(run, runs)
    folder = (out or directory / "weights").expanduser()
    check_writable(folder, "--out DIR")
    use_threads(threads)
    kept = [name for name in checkpoints_of(directory) if name.isdecimal()]
    names = kept or ["best"] if steps is None else list(names_in([steps]))
    from qa_research.runs.open import open_run
    from qa_research.weights.measuring import measure

    opened = open_run(directory, names[-1])
    files = [(name, find_checkpoint(directory / "checkpoints", name)) for name in names]
    found = measure(opened, [(name, step_of(path), path) for name, path in files])
    from qa_research.weights.figure import weights_figure
    from qa_research.weights.show import show_measured

    table, picture = folder / "weights.json", folder / f"weights.{picture_format}"
    show = None if as_json else partial(show_measured, found)
    pass_on(found.as_json(), weights_figure(found), table, picture, show)
