"""A run in the ledger, which is the index of all run.json files."""

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qa_research.ledger.runs import LEDGER, Ledger
from qa_research.runs.directory import read_config, read_record, write_record

log = logging.getLogger(__name__)


def keep_record(directory: Path, record: Mapping[str, Any], config: Mapping[str, Any]) -> None:
    """Write run.json, which is the truth, and the ledger's row, which is its index."""
    write_record(directory, record)
    try:
        with Ledger(ledger_path(directory)) as ledger:
            ledger.write_run(directory, record, config)
    except (OSError, ValueError) as error:
        log.warning(
            "The ledger does not know of this (%s); qa-research runs scan tells it later", error
        )


def reindex(directory: Path) -> None:
    """Tell the ledger where a run lies that was moved."""
    record = read_record(directory)
    if record and (directory / "config.yaml").is_file():
        keep_record(directory, record, read_config(directory))


def unindex(directory: Path, record: Mapping[str, Any]) -> None:
    """Take a run that never began out of the ledger."""
    try:
        with Ledger(ledger_path(directory)) as ledger:
            ledger.remove(record["id"])
    except (OSError, ValueError) as error:
        log.warning("The ledger still knows a run that is gone (%s); qa-research runs scan", error)


def ledger_path(directory: Path) -> Path:
    """`<paths.runs>/ledger.sqlite` of a run's directory."""
    return Path(os.path.abspath(directory)).parent.parent / LEDGER
