"""Replays: steps of a run trained again, which proves that they repeat, and looks at what was not watched."""

import hashlib
import json
import logging
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from qa_research.config import conf_directory
from qa_research.interventions.replay.proof import (
    Replayed,
    Witness,
    compared_metrics,
    kept_weights,
)
from qa_research.launch.compose import default_config
from qa_research.launch.fork import (
    begins_at,
    check_from_start,
    check_step,
    parent_record,
    train_again,
)
from qa_research.runs.anchors import anchors_of, nearest_anchor
from qa_research.runs.directory import find_run, read_config, run_name
from qa_research.text import did_you_mean

log = logging.getLogger(__name__)
# How many captures a replay has if nobody says how often.
CAPTURES = 25


def replay(
    run: str,
    first: int | None,
    until: int | None,
    watched: Sequence[str],
    recorders: Sequence[str],
    every: int | None,
    runs: Path,
    from_start: bool,
    anyway: bool,
) -> Replayed:
    """Train steps of a run again from the nearest state that it kept, and compare; see the verb.

    `watched`: ids of examples, `recorders`: their names: what is recorded this time; without either, nothing.

    Raises:
        FileNotFoundError, ValueError: no such run, step or recorder, or no state to begin from.
    """
    directory = find_run(run, runs)
    record = parent_record(directory, anyway)
    last = record["steps"] if until is None else until
    check_step(record, last, "--to")
    begin = _begin(directory, record, first, last, from_start)
    capture = _capture(directory, watched, recorders, every, last - begin)
    witness = Witness(kept_weights(directory, begin, last))
    keeping = {"keep_every_n_steps": None, "keep_weights_mb": None, "anchors_mb": None}
    name = f"{begin:06d}-{last:06d}"
    if capture:
        name += f"-{hashlib.sha256(json.dumps(capture).encode()).hexdigest()[:8]}"
    started = time.monotonic()
    folder = train_again(
        directory,
        record,
        begin,
        last,
        checkpoint=keeping | {"anchors_every_n_steps": None},
        look=witness,
        capture=capture,
        name=name,
    )
    seconds = time.monotonic() - started
    metrics = compared_metrics(directory, folder, begin, last)
    if not capture:
        shutil.rmtree(folder)
    kept = str(folder) if capture else None
    return Replayed(run_name(directory), begin, last, seconds, witness.proofs, metrics, kept)


def _begin(
    directory: Path, record: dict[str, Any], first: int | None, last: int, from_start: bool
) -> int:
    """The step whose state a replay begins from: the latest kept one that is not after `first`."""
    if first is not None:
        check_step(record, first, "--from")
        if first >= last:
            raise ValueError(f"--from {first} must be before --to {last}")
    begun = begins_at(record)
    if from_start and first is None and not begun:
        return 0
    # Without --from as much as can be is repeated: from the earliest state.
    kept = [anchor.step for anchor in anchors_of(directory) if begun <= anchor.step < last]
    if first is None and kept:
        return kept[0]
    wanted = begun if first is None else first
    anchor = nearest_anchor(directory, wanted)
    if anchor is None:
        check_from_start(directory, record, wanted, from_start, until=last)
        return 0
    if anchor.step < wanted:
        log.info(
            "The nearest state that was kept is that of step %d, so the replay begins there",
            anchor.step,
        )
    return anchor.step


def _capture(
    directory: Path,
    watched: Sequence[str],
    recorders: Sequence[str],
    every: int | None,
    steps: int,
) -> dict[str, Any] | None:
    """The section `capture` of a replay: what is asked for, else as in the run; None: nothing is asked."""
    if not watched and not recorders:
        if every is not None:
            raise ValueError("--every says how often to record, and --watch or --record what")
        return None
    own: dict[str, Any] = read_config(directory)["capture"] or {}
    if recorders:
        _check_recorders(recorders)
        chosen = default_config(overrides=[f"capture/recorders=[{','.join(recorders)}]"])
        section: dict[str, Any] = chosen["capture"]
    else:
        section = own or default_config()["capture"]
    questions = list(watched) or own.get("questions", section["questions"])
    return section | {
        "questions": questions,
        "every_n_steps": every or max(1, -(-steps // CAPTURES)),
        "at_steps": None,
        "log_spaced": None,
        "max_step_fraction": None,
    }


def _check_recorders(names: Sequence[str]) -> None:
    known = sorted(file.stem for file in (conf_directory() / "capture/recorders").glob("*.yaml"))
    for name in names:
        if name not in known:
            raise ValueError(f"--record {name} is not a recorder{did_you_mean(name, known)}")
