"""A run's run.json together with its row in the ledger, which is the index of all run.json files."""

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qa_research.ledger.runs import LEDGER, Ledger
from qa_research.runs.directory import read_config, read_record, write_record

log = logging.getLogger(__name__)


def save_record(directory: Path, record: Mapping[str, Any], config: Mapping[str, Any]) -> None:
    """Write run.json, and the ledger's row; a ledger that cannot be written is only a warning."""
    write_record(directory, record)
    try:
        with Ledger(ledger_path(directory)) as ledger:
            ledger.write_run(directory, record, config)
    except (OSError, ValueError) as error:
        log.warning(
            "Could not update the ledger (%s); rebuild it with `qa-research runs scan`", error
        )


def reindex(directory: Path) -> None:
    """Update the ledger's row of a run that was moved to `directory`."""
    record = read_record(directory)
    if record and (directory / "config.yaml").is_file():
        save_record(directory, record, read_config(directory))


def unindex(directory: Path, record: Mapping[str, Any]) -> None:
    """Remove a run that never took a step from the ledger."""
    try:
        with Ledger(ledger_path(directory)) as ledger:
            ledger.remove(record["id"])
    except (OSError, ValueError) as error:
        log.warning(
            "Could not remove a run from the ledger (%s); rebuild it with `qa-research runs scan`",
            error,
        )


def ledger_path(directory: Path) -> Path:
    """`<paths.runs>/ledger.sqlite`, given a run's directory."""
    return Path(os.path.abspath(directory)).parent.parent / LEDGER
