"""Which runs are forks of which: as a tree, and at which step two of them part."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from qa_research.ledger.runs import RunEntry
from qa_research.runs.directory import find_run, read_config, read_record
from qa_research.runs.forks import FORK

Listed = TypeVar("Listed")


def origin_in(config: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The run, its id and the step that a fork's config names; None: it is no fork."""
    found = config.get(FORK)
    # The ledger may hold a config that somebody wrote; one that is read from its file was checked.
    is_one = isinstance(found, Mapping) and {"run", "id", "step"} <= found.keys()
    return found if is_one else None


def as_tree(runs: Sequence[tuple[Listed, RunEntry]]) -> list[tuple[Listed, int]]:
    """Runs with their depth: each fork behind the run that it is of, if that is listed; else the order stays.

    Example: [b, fork of a, a] becomes [(b, 0), (a, 0), (fork of a, 1)].
    """
    listed = {entry.id for _, entry in runs}
    forks: dict[str | None, list[tuple[Listed, RunEntry]]] = {}
    for run, entry in runs:
        origin = origin_in(entry.config)
        parent = origin["id"] if origin and origin["id"] in listed else None
        forks.setdefault(parent, []).append((run, entry))
    found: list[tuple[Listed, int]] = []

    def add(parent: str | None, depth: int) -> None:
        for run, entry in forks.get(parent, []):
            found.append((run, depth))
            add(entry.id, depth + 1)

    add(None, 0)
    return found


def parting_step(first: RunEntry, second: RunEntry) -> int | None:
    """The step until which two runs are one training; None: they have no run in common.

    Example: B is a fork of A at step 60, and C one of B at step 80. A and B part at 60, B and C at 80, and A
    and C at 60.
    """
    steps = [_history(entry) for entry in (first, second)]
    common = [min(own[run] for own in steps) for run in steps[0] if run in steps[1]]
    return int(max(common)) if common and math.isfinite(max(common)) else None


def _history(entry: RunEntry) -> dict[str, float]:
    """The id of each run that a run goes back to, itself included, and until which step it is that one."""
    until = math.inf
    found = {entry.id: until}
    origin, runs = origin_in(entry.config), Path(entry.directory).parent.parent
    while origin is not None and origin["id"] not in found:
        until = min(until, origin["step"])
        found[origin["id"]] = until
        try:
            parent = find_run(origin["run"], runs, is_part_enough=False)
        except FileNotFoundError:
            # It was removed or moved: where that one came from is not known any more.
            break
        if (read_record(parent) or {}).get("id") != origin["id"]:
            break
        origin = origin_in(read_config(parent))
    return found
