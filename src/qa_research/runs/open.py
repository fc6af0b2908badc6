"""A run or a model that was trained elsewhere, read back from its directory to be asked."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qa_research.config import check_complete, check_section, class_of, is_shipped
from qa_research.runs.checkpoints import (
    find_checkpoint,
    network_weights,
    read_checkpoint,
    stated_step,
)
from qa_research.runs.directory import edit_of, read_config, read_record
from qa_research.runs.named import NamedModel, find_model
from qa_research.tasks.elsewhere import open_elsewhere
from qa_research.tasks.opened import Opened
from qa_research.tasks.task import StoredRun, Task, sections_of_task

log = logging.getLogger(__name__)


def open_run(run: str | Path, checkpoint: str = "best", runs: str | Path = "runs") -> Opened[Any]:
    """The trained network of a run, given as its directory or a unique part of its name under `runs`.

    Also of a model that was trained elsewhere, given as its directory or its hub id. `checkpoint` is `best`,
    `last`, a step number or a path. The task decides the type of the result; a model that was trained
    elsewhere answers questions.

    Raises:
        FileNotFoundError: there is no such run, model or checkpoint.
        ValueError: the name matches several runs, one of its files is damaged, its config names code from
            elsewhere, the checkpoint does not fit this network, or the model answers no questions.
    """
    return open_model(find_model(str(run), Path(runs)), checkpoint)


def open_model(named: NamedModel, checkpoint: str = "best") -> Opened[Any]:
    """`open_run` for what has been found already."""
    if not named.is_run:
        weights = named.chosen_weights(checkpoint)
        return open_elsewhere(weights, named.name, named.identity, named.results)
    directory = named.directory
    path = find_checkpoint(directory / "checkpoints", checkpoint)
    config = read_config(directory)
    task: type[Task] = class_of("task", config["task"])
    used = sections_of_task(config["task"]) if task.reopened is None else list(task.reopened)
    check_sections(directory / "config.yaml", config, used)
    try:
        content = read_checkpoint(path)
    except ValueError as error:
        raise ValueError(f"{error}; --checkpoint NAME takes another one") from error
    record = read_record(directory) or {}
    if edit := edit_of(directory, config, record):
        log.warning("%s", edit)
    stored = StoredRun(
        directory=directory,
        checkpoint=path,
        step=stated_step(content),
        config=config,
        record=record,
        name=named.name,
        results=named.results,
        is_run=True,
    )
    return task.reopen(stored, network_weights(content))


def check_sections(path: Path, config: Mapping[str, Any], names: list[str]) -> None:
    """Refuse sections of a config, read from `path`, that are missing or that their classes would refuse.

    Those with a class from elsewhere are not looked into: it is imported only if it is used.

    Raises:
        ValueError: the section, and what is wrong with it.
    """
    for name in names:
        section = config.get(name)
        if not isinstance(section, Mapping) or "_target_" not in section:
            raise ValueError(f"{path} has no section {name}")
        if not is_shipped(name, section["_target_"]):
            continue
        try:
            check_section(name, section)
            # A task is given the objects of the other sections.
            check_complete(name, section, given=config if name == "task" else ())
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
