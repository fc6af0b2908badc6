"""A run's directory: its place, which is a function of its config, its lock, and its two files.

config.yaml is written once; run.json has what became of the run.
"""

import errno
import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import yaml
from filelock import FileLock, Timeout

from qa_research.files import read_json, write_bytes, write_text, written_folder
from qa_research.model.folder import looks_like_a_model
from qa_research.plain import read_yaml
from qa_research.runs.missing import missing_path
from qa_research.runs.places import data_name, start_of, weights_name, with_one_spelling
from qa_research.runs.schema import REPAIR, check_config, check_record
from qa_research.tasks.earlier_configs import upgraded

# Config keys that cannot change a result, and so are not part of the hash in a run's name. `capture` is not
# among them: a finished run cannot provide what another recorder would have recorded.
WITHOUT_EFFECT = (
    "paths",
    "task.examples",
    "task.metrics",
    "train.resume",
    "train.progress",
    "trainer.profiler",
    "data.num_workers",
    "logger",
    "checkpoint.keep_every_n_steps",
    "checkpoint.keep_weights_mb",
    "checkpoint.every_n_minutes",
    "checkpoint.anchors_every_n_steps",
    "checkpoint.anchors_mb",
)

# Keys that count as if they did not exist where they are null, since runs of earlier versions have none.
WITHOUT_EFFECT_IF_NULL = (
    *(
        "train.until_step",
        "train.silence",
        "train.silence_since",
        "train.silence_until",
        "train.silence_with",
        "data.without",
        "data.only",
        "data.holes",
        "data.relabel",
        "data.validation_share",
        "data.curriculum",
        "data.curriculum_epochs",
        "finetuning",
    ),
    *("model.reinit_top", "model.pretraining", "model.pretraining_steps", "model.pretraining_lr"),
)

# In a run that was imported from a bundle: what the bundle said of itself.
MANIFEST = "bundle.json"
# Kept while a run is trained: on a full disk it makes room for how the run ended.
RESERVE, RESERVED_BYTES = ".reserve", 65_536


def config_hash(config: Mapping[str, Any]) -> str:
    """Eight hexadecimal digits of everything in a config that can change the result.

    Only the name of a class counts, not its module, which a newer version may have moved; and a path counts
    as the place that it names, however it is spelled.
    """
    return _hash(with_one_spelling(config))


def _hash(config: Mapping[str, Any]) -> str:
    hashed = {}
    for section, value in config.items():
        if section in WITHOUT_EFFECT:
            continue
        keys = value.items() if isinstance(value, Mapping) else [("", value)]
        for key, content in keys:
            name = f"{section}.{key}" if key else section
            if name in WITHOUT_EFFECT_IF_NULL and content is None:
                continue
            if name not in WITHOUT_EFFECT:
                hashed[name] = str(content).rpartition(".")[2] if key == "_target_" else content
    return hashlib.sha256(json.dumps(hashed, sort_keys=True).encode()).hexdigest()[:8]


def has_no_effect(key: str) -> bool:
    """Whether a config key, such as `train.progress`, cannot change a result."""
    return any(key == name or key.startswith(f"{name}.") for name in WITHOUT_EFFECT)


def flattened(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested keys as dotted ones: {"model": {"lr": 1}} becomes {"model.lr": 1}."""
    flat: dict[str, Any] = {}
    for key, content in value.items():
        if isinstance(content, Mapping) and content:
            flat |= flattened(content, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = content
    return flat


def run_directory(config: Mapping[str, Any]) -> Path:
    """`<paths.runs>/<study>/<model>-<weights>-<data>-s<seed>-<hash8>`, or that of an earlier version.

    Raises:
        ValueError: the study or the model's name is not a plain name, so it would be another place.
    """
    model, study = config["model"], config["study"]
    check_plain_name("study", study)
    check_plain_name("model.name", model["name"])
    runs: str = config["paths"]["runs"]
    folder = Path(runs).expanduser() / str(study)
    weights, seed = weights_name(config), f"s{config['seed']}"
    digest = config_hash(config)
    # Until version 0.2 a name had no data, and the spelling of a path counted.
    for earlier in (digest, _hash(config)):
        if (found := folder / f"{model['name']}-{weights}-{seed}-{earlier}").exists():
            return found
    parts = (model["name"], weights, data_name(config), seed, digest)
    return folder / "-".join(part for part in parts if part)


def check_plain_name(key: str, name: Any) -> None:
    """Raise ValueError unless `name` is the name of one folder that is not hidden: no path, not empty."""
    if not isinstance(name, str) or not re.fullmatch(r"[^\s./\\\x00-\x1f][^/\\\x00-\x1f]*", name):
        raise ValueError(
            f"{key}={name!r} must be one plain name: not empty, without / and \\, and not starting with a "
            "dot or a blank"
        )


def check_writable(directory: Path, other_place: str = "paths.runs=DIR") -> None:
    """Raise an OSError if `directory` cannot be created or written to, before any slow work.

    `other_place`: the words of a command that set this place.
    """
    place = directory
    while not place.exists():
        place = place.parent
    if not place.is_dir():
        raise NotADirectoryError(
            f"{directory} cannot be created: {place} is a file; choose another place with {other_place}"
        )
    if not os.access(place, os.W_OK | os.X_OK):
        raise PermissionError(f"{place} is not writable; choose another place with {other_place}")


def set_aside(directory: Path) -> Path:
    """Rename `directory` to the first free of `<name>.1`, `<name>.2`, ...; its new path."""
    number = 1
    while (renamed := directory.with_name(f"{directory.name}.{number}")).exists():
        number += 1
    directory.rename(renamed)
    return renamed


@contextmanager
def lock(directory: Path) -> Iterator[None]:
    """Lock a run for this process. The lock ends with the process, even if it is killed.

    A request that is refused, so that there is no run afterwards, leaves no lock and no folder for it either.

    Raises:
        ValueError: another process holds the lock.
    """
    path = _lock_path(directory)
    missing = [folder for folder in (path.parent, *path.parent.parents) if not folder.exists()]
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        # `is_held` in another process acquires the lock for an instant, so wait a little.
        held = FileLock(path).acquire(timeout=1.0)
    except Timeout as error:
        raise ValueError(f"another process is training {directory}") from error
    except OSError:
        # Such as a name that is too long for a file.
        _remove_empty(missing)
        raise
    with held:
        try:
            yield
        finally:
            if not directory.exists():
                # Whoever waits for it notices that the file is another one, and tries again.
                with suppress(OSError):
                    path.unlink()
                _remove_empty(missing)


def _remove_empty(folders: Sequence[Path]) -> None:
    """Remove folders, the innermost first, until one is not empty."""
    with suppress(OSError):
        for folder in folders:
            folder.rmdir()


def check_free(directory: Path) -> None:
    """Raise ValueError if another process is training this run, before any slow work."""
    if is_held(directory):
        raise ValueError(f"another process is training {directory}")


def is_held(directory: Path) -> bool:
    """Whether a process is training this run."""
    path = _lock_path(directory)
    if not path.is_file():
        return False
    held = FileLock(path)
    try:
        held.acquire(blocking=False)
    except Timeout:
        return True
    held.release()
    return False


def _lock_path(directory: Path) -> Path:
    # Resolved: where the folder of a study is a link, a run has one lock by whatever path it is named.
    directory = directory.resolve()
    return directory.parent.parent / ".locks" / f"{directory.parent.name}-{directory.name}.lock"


def create(directory: Path, config: Mapping[str, Any]) -> None:
    """Create the directory, with config.yaml."""
    text = yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True)
    with written_folder(directory) as folder:
        write_text(folder / "config.yaml", text)


def write_record(directory: Path, record: Mapping[str, Any]) -> None:
    """Write run.json atomically; if the training has filled the disk, with the room that was kept for it."""
    text = json.dumps(record, indent=2, ensure_ascii=False)
    reserve = directory / RESERVE
    try:
        write_text(directory / "run.json", text, durable=True)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT) or not reserve.is_file():
            raise
        reserve.unlink()
        write_text(directory / "run.json", text, durable=True)
    if record.get("status") != "running":
        reserve.unlink(missing_ok=True)
    elif not reserve.is_file():
        # Random, because a file system may compress.
        write_bytes(reserve, os.urandom(RESERVED_BYTES))


def read_record(directory: Path) -> dict[str, Any] | None:
    """The contents of run.json, or None if there is no run.

    Raises:
        ValueError: it is damaged, or lacks what every run.json has.
    """
    path = directory / "run.json"
    if not path.is_file():
        return None
    try:
        record: dict[str, Any] = read_json(path)
    except ValueError as error:
        raise ValueError(f"{error}; {REPAIR}") from error
    check_record(path, record)
    return record


def read_config(directory: Path) -> dict[str, Any]:
    """The run's config.yaml, whichever version wrote it, with today's keys.

    Raises:
        FileNotFoundError: it is missing.
        ValueError: it is damaged, or lacks what every config has.
    """
    path = directory / "config.yaml"
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing")
    try:
        config = read_yaml(path)
    except ValueError as error:
        raise ValueError(f"{error}; {REPAIR}") from error
    if not isinstance(config, dict):
        raise ValueError(f"{path} does not hold a config; {REPAIR}")
    config = upgraded(config)
    check_config(path, config)
    return config


def check_unedited(directory: Path, config: Mapping[str, Any], record: Mapping[str, Any]) -> None:
    """Raise ValueError if a run's `config` is not the one that it was started with; see `edit_of`."""
    if edit := edit_of(directory, config, record):
        raise ValueError(f"{edit}; put that back, or start another run with qa-research train")


def edit_of(directory: Path, config: Mapping[str, Any], record: Mapping[str, Any]) -> str | None:
    """How a run's `config` differs from the one it was started with, as run.json has it; None: not at all.

    Keys that cannot change a result may differ. Records of version 0.2 and before have no config to compare.
    """
    if "config" not in record:
        return None
    started, now = flattened(upgraded(record["config"])), flattened(upgraded(config))
    for key in sorted(started.keys() | now.keys()):
        absent = object()
        was, found = started.get(key, absent), now.get(key, absent)
        if was != found and not has_no_effect(key):
            said = [
                f"{key}={value!r}" if value is not absent else f"no {key}" for value in (was, found)
            ]
            return (
                f"{directory / 'config.yaml'} was edited: the run was started with {said[0]}, and the file "
                f"has {said[1]}"
            )
    return None


def is_finished(directory: Path) -> bool:
    """Whether there is a run that was trained to its end."""
    record = read_record(directory)
    return record is not None and record["status"] == "finished"


def no_weights(directory: Path) -> str | None:
    """Why a run has no checkpoints although it was trained, if it was imported; else None."""
    if not (directory / MANIFEST).is_file():
        return None
    return (
        f"{run_name(directory)} was imported from a bundle, which holds no weights; a run that is copied "
        "whole, with its checkpoints, has them"
    )


def find_run(run: str, runs: Path, is_part_enough: bool = True) -> Path:
    """The directory of a run, given as a path, its name, or (`is_part_enough`) a unique part of its name.

    Raises:
        FileNotFoundError: no run matches.
        ValueError: the name is empty, or several match; the message lists them.
    """
    if not run.strip():
        raise ValueError("RUN is empty; give the directory of a run, or a part of its name")
    path = Path(run).expanduser()
    if (path / "run.json").is_file():
        return path
    if path.is_dir() and looks_like_a_model(path):
        raise ValueError(
            f"{run} is a Hugging Face model, not a run; python train.py model=as_weights model.weights={run} "
            f"trainer.max_steps=0 makes a run of it that only looks; qa-research ask {run} --look looks at "
            "one question"
        )
    # Not those of hidden folders: a run that is being removed or replaced.
    known = sorted(p.parent for p in runs.expanduser().glob("[!.]*/[!.]*/run.json"))
    exact = [p for p in known if run in (p.name, run_name(p))]
    parts = [p for p in known if run in run_name(p)]
    if parts and not exact and not is_part_enough:
        raise ValueError(
            f"{run!r} is only a part of a name; give the whole name or path: {first_names(parts)}"
        )
    matches = exact or parts
    # An earlier run kept as <name>.1 is found only by its full name.
    matches = [
        p for p in matches if not (p.suffix[1:].isdecimal() and p.with_suffix("") in matches)
    ]
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise ValueError(
            f"{run!r} matches {len(matches)} runs: {first_names(matches)}; give more of the name"
        )
    if sentence := missing_path(run, runs):
        raise FileNotFoundError(sentence)
    names = ", ".join(map(run_name, known[-8:])) or "none"
    raise FileNotFoundError(
        f"no run {run!r} under {runs} (the runs there: {names}); --runs DIR names another folder"
    )


def run_name(directory: Path) -> str:
    """`<study>/<run>`, as runs are called in messages."""
    return f"{directory.parent.name}/{directory.name}"


def readable_run(directory: Path) -> str:
    """What a run is, for titles: `minilm from random weights, seed 1 (study/minilm-random-s1-0c4d489e)`."""
    config = read_config(directory)
    model, seed = config["model"], config["seed"]
    return f"{trained_model(model, seed)} ({run_name(directory)})"


def short_run(name: str) -> str:
    """A run's name for figures, without its hash.

    >>> short_run("minilm-random-s1-0c4d489e"), short_run("mine")
    ('minilm-random, seed 1', 'mine')
    """
    return re.sub(r"-s(\d+)-[0-9a-f]{8}$", r", seed \1", name)


def trained_model(model: Mapping[str, Any], seed: int) -> str:
    """A training in a few words, where its run's name is too long; `model`: that section of its config.

    >>> trained_model({"name": "bert_tiny", "weights": "random"}, 1)
    'bert_tiny from random weights, seed 1'
    """
    return f"{model['name']} from {start_of(model)}, seed {seed}"


def first_names(directories: Sequence[Path]) -> str:
    """The names of up to eight runs, and how many more there are."""
    more = f" and {len(directories) - 8} more" if len(directories) > 8 else ""
    return ", ".join(map(run_name, directories[:8])) + more
