"""A run read back from its directory, as whatever its task makes of it."""

from pathlib import Path
from typing import Any

from qa_research.config import class_of
from qa_research.runs.checkpoints import find_checkpoint, load_network_weights, step_of
from qa_research.runs.directory import find_run, read_config, read_record
from qa_research.tasks.task import StoredRun, Task


def open_run(run: str | Path, checkpoint: str = "best", runs: str | Path = "runs") -> Any:
    """The trained network of a run, given as its directory or a unique part of its name under `runs`.

    `checkpoint` is `best`, `last`, a step number or a path. The task decides the type of the result; for
    question answering it is a `tasks.answering.trained.TrainedAnswerer`.

    Raises:
        FileNotFoundError: there is no such run or checkpoint.
        ValueError: the name matches several runs, or the checkpoint does not fit this network.
    """
    directory = find_run(str(run), Path(runs))
    path = find_checkpoint(directory / "checkpoints", checkpoint)
    stored = StoredRun(
        directory=directory,
        checkpoint=path,
        step=step_of(path),
        config=read_config(directory),
        record=read_record(directory) or {},
    )
    task: type[Task] = class_of("task", stored.config["task"])
    return task.reopen(stored, load_network_weights(path))
