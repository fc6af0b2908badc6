"""Forks: runs that go on from another run's state of a step, with something changed.

A fork's config has a section `fork`, which names that run and step; its run.json says what was changed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qa_research.runs.anchors import Anchor, anchors_of
from qa_research.runs.directory import find_run, flattened, has_no_effect, read_config, read_record
from qa_research.runs.directory import run_name as name_of

# The section of a fork's config. No other run has it.
FORK = "fork"
# What a fork does not inherit: where it is, and how it is called.
_OWN = ("study", FORK)


@dataclass(frozen=True)
class Origin:
    """Where a fork begins: the run that it is a fork of, and that run's state of a step."""

    directory: Path
    record: dict[str, Any]
    config: dict[str, Any]
    anchor: Anchor

    def facts(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """What the run.json of a fork with this config says: the run, the step, and what was changed."""
        return {
            "run": name_of(self.directory),
            "id": self.record["id"],
            "step": self.anchor.step,
            "changes": changes(self.config, config),
        }


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, list[Any]]:
    """The keys of a config that differ from those of another one, and can change a result: both values.

    A section that only one of them has is one change, of its class: `finetuning`, from None to `Frozen`.
    """
    found: dict[str, list[Any]] = {}
    single = [
        key for key in before.keys() | after.keys() if _class(before, key) != _class(after, key)
    ]
    single = [key for key in single if not (before.get(key) and after.get(key))]
    for key in sorted(single):
        found[key] = [_class(before, key), _class(after, key)]
    then, now = (
        flattened({key: value for key, value in config.items() if key not in found})
        for config in (before, after)
    )
    for key in sorted(then.keys() | now.keys()):
        is_own = key.partition(".")[0] in _OWN
        if then.get(key) != now.get(key) and not is_own and not has_no_effect(key):
            found[key] = [then.get(key), now.get(key)]
    return found


def _class(config: Mapping[str, Any], key: str) -> str | None:
    """The name of the class that a section describes; None: there is no such section, or it is empty."""
    section = config.get(key)
    if not isinstance(section, Mapping) or "_target_" not in section:
        return None
    return str(section["_target_"]).rpartition(".")[2]


def told_fork(fork: Mapping[str, Any]) -> str:
    """What a fork is of, and what was changed, in a line; `fork`: that part of its run.json."""
    changed = ", ".join(f"{key} {was} -> {now}" for key, (was, now) in fork["changes"].items())
    return f"{fork['run']} at step {fork['step']}: {changed or 'nothing changed'}"


def section_of(directory: Path, record: Mapping[str, Any], step: int) -> dict[str, Any]:
    """The section `fork` of the config of a fork of a run."""
    return {"run": name_of(directory), "id": record["id"], "step": step}


def origin_of(config: Mapping[str, Any]) -> Origin:
    """Where the fork with this config begins.

    Raises:
        FileNotFoundError: the run that it is a fork of is gone, or has no state of that step any more.
        ValueError: another run is in its place.
    """
    section = config[FORK]
    runs = Path(config["paths"]["runs"]).expanduser()
    try:
        directory = find_run(section["run"], runs, is_part_enough=False)
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"this is a fork of {section['run']} at step {section['step']}, and that run is not under {runs} "
            "any more, so it cannot begin; put it back there"
        ) from error
    record = read_record(directory) or {}
    if record.get("id") != section["id"]:
        raise ValueError(
            f"this is a fork of {section['run']} at step {section['step']}, and {directory} is another run "
            "now, so it cannot begin; fork that one anew"
        )
    for anchor in anchors_of(directory):
        if anchor.step == section["step"]:
            return Origin(directory, record, read_config(directory), anchor)
    raise FileNotFoundError(
        f"this is a fork of {section['run']} at step {section['step']}, whose state is not there any more; "
        f"make it again with qa-research fork {section['run']} --at {section['step']}"
    )
