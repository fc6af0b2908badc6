"""Resuming a run from its own config.yaml, wherever and by whichever version it was started."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from qa_research.config import check_section, conf_directory, unknown_key
from qa_research.launch.compose import default_config
from qa_research.plain import parse_yaml
from qa_research.runs.directory import (
    WITHOUT_EFFECT,
    check_unedited,
    find_run,
    read_config,
    read_record,
)
from qa_research.runs.open import check_sections
from qa_research.tasks.earlier_configs import new_spelling
from qa_research.tasks.task import sections_of_task
from qa_research.text import command_line, did_you_mean

# What a resumed training may change. The run stays in its directory.
FIXED = ("paths", "logger", "train.resume", "task.examples", "task.metrics")
LOGGER = "logger"
CHANGEABLE = (*(key for key in WITHOUT_EFFECT if key not in FIXED), "paths.cache")


def resume(run: str, overrides: Sequence[str], runs: Path) -> float:
    """Resume a run; its best monitored score. A finished run is reported.

    `overrides`: `key=value` of keys that cannot change the result.

    Raises:
        FileNotFoundError, ValueError: no such run, nothing to resume, or an override that would make it
            another run.
    """
    directory = find_run(run, runs)
    plain = read_config(directory)
    check_unedited(directory, plain, read_record(directory) or {})
    add_missing(plain, directory)
    check_whole(plain, directory / "config.yaml")
    for override in overrides:
        if override.startswith(f"{LOGGER}="):
            plain[LOGGER] = _logger(override.partition("=")[2])
            continue
        key, value = _parsed(override, plain)
        section, _, name = key.partition(".")
        plain[section][name] = value
    for name, section in plain.items():
        if isinstance(section, dict) and "_target_" in section:
            check_section(name, section)
    plain["train"]["resume"] = "must"
    # Slow to import, and not needed to refuse.
    from qa_research.training.story import train_in

    return train_in(directory, plain)


def _parsed(override: str, plain: dict[str, Any]) -> tuple[str, Any]:
    key, equals, value = override.partition("=")
    if sentence := new_spelling(override):
        raise ValueError(sentence)
    if not equals:
        raise ValueError(f"{override!r} is not of the form KEY=VALUE")
    if key.startswith("paths.") and key in CHANGEABLE:
        return key, value
    name = key.removeprefix(f"{LOGGER}.")
    is_of_logger = name != key and name != "_target_" and name in plain[LOGGER]
    if key in CHANGEABLE or is_of_logger:
        try:
            return key, parse_yaml(value, key)
        except ValueError as error:
            raise ValueError(f"{override:.200} cannot be read: {error}") from error
    section, _, name = key.partition(".")
    known = plain.get(section)
    if section not in plain:
        raise ValueError(unknown_key(section, "", plain))
    if name and (not isinstance(known, dict) or name not in known):
        raise ValueError(unknown_key(name, f"{section}.", known if isinstance(known, dict) else ()))
    if key in ("paths.runs", "train.resume"):
        raise ValueError(f"{key} cannot be set for a run that already exists")
    raise ValueError(
        f"{key} changes the result, so it would be another run: start it with "
        f"{command_line('qa-research', 'train', override)} ... (to go on from this run's weights: "
        "qa-research export RUN DIR, then model=as_weights model.weights=DIR); a resumed run takes "
        f"{', '.join((*CHANGEABLE, LOGGER))}"
    )


def _logger(name: str) -> dict[str, Any]:
    """The section of the logger called `name`, as conf/ has it."""
    known = sorted(file.stem for file in (conf_directory() / LOGGER).glob("*.yaml"))
    if name not in known:
        raise ValueError(f"there is no {LOGGER}={name}{did_you_mean(name, known)}")
    section: dict[str, Any] = default_config(overrides=[f"{LOGGER}={name}"])[LOGGER]
    return section


def add_missing(plain: dict[str, Any], directory: Path) -> None:
    """Add the defaults of keys that are newer than the run, where they cannot change the result."""
    for key in CHANGEABLE:
        section, _, name = key.partition(".")
        if not isinstance(plain.get(section), dict):
            raise ValueError(f"{directory / 'config.yaml'} has no section {section}")
        if name not in plain[section]:
            plain[section][name] = default_config()[section][name]


def check_whole(plain: dict[str, Any], path: Path) -> None:
    """Refuse a config that lacks what a training reads."""
    check_sections(path, plain, ["task", *sections_of_task(plain["task"])])
    defaults = default_config()
    for name in ("trainer", "checkpoint", "train", "paths"):
        section = plain.get(name)
        if not isinstance(section, dict):
            raise ValueError(f"{path} has no section {name}")
        if lacking := [key for key in defaults[name] if key not in section]:
            raise ValueError(f"{path} has no key {name}.{lacking[0]}")
