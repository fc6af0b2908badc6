"""Data sets in the hub's layout, fetched or read from a directory. Knows no Lightning."""

import logging
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)


def fetch(dataset: str, revision: str | None, name: str, otherwise: str) -> Any:
    """All splits of a hub id or a directory, by name.

    `name` is what the user calls it, such as `--data=squad`; `otherwise` says what works without a
    network.

    Raises:
        FileNotFoundError: the hub cannot be reached, or has no such data set.
        ValueError: the directory is in no layout that the hub knows.
    """
    import datasets

    datasets.disable_progress_bars()
    is_directory = Path(dataset).is_dir()
    if not is_directory:
        log.info(
            "Asking the hub for %s (without a network this takes half a minute to fail)", dataset
        )
    try:
        return datasets.load_dataset(dataset, revision=revision)
    except (OSError, datasets.exceptions.DatasetsError) as error:
        if is_directory:
            raise ValueError(
                f"{name} is no directory in the hub's layout ({_first_line(error)}); expected "
                "files such as train.parquet and validation.parquet with the columns id, context, "
                "question, answers; a single file of questions can be named itself"
            ) from error
        raise FileNotFoundError(
            f"{name} could not be fetched ({_first_line(error)}). {otherwise}"
        ) from error


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")[:160]
