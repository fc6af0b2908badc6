"""Run directories: the place of a run is a function of its config, and run.json tells its story."""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from filelock import FileLock, Timeout

from qa_research.files import written_whole
from qa_research.model.weights import short_name
from qa_research.tasks.earlier import upgraded

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# What cannot change a result, and so does not decide where a run lies. What `capture` records is a result:
# a finished run could not give what other recorders would have seen.
WITHOUT_EFFECT = (
    "paths",
    "task.examples",
    "task.metrics",
    "train.resume",
    "train.progress",
    "data.num_workers",
    "checkpoint.keep_every_n_steps",
    "checkpoint.every_n_minutes",
)


def config_hash(config: Mapping[str, Any]) -> str:
    """Eight hexadecimal digits of all that can change the result.

    Of a class only its name counts, not the module it is in, which a newer version may have moved.
    """
    kept = {}
    for section, value in config.items():
        keys = value.items() if isinstance(value, Mapping) else [("", value)]
        for key, content in keys:
            name = f"{section}.{key}" if key else section
            if section in WITHOUT_EFFECT or name in WITHOUT_EFFECT:
                continue
            kept[name] = str(content).rpartition(".")[2] if key == "_target_" else content
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()[:8]


def run_directory(config: Mapping[str, Any]) -> Path:
    """`<paths.runs>/<study>/<model>-<weights>-s<seed>-<hash8>`."""
    model = config["model"]
    name = f"{model['name']}-{short_name(model['weights'])}-s{config['seed']}-{config_hash(config)}"
    runs: str = config["paths"]["runs"]
    return Path(runs).expanduser() / str(config["study"]) / name


def check_writable(directory: Path, key: str = "paths.runs") -> None:
    """Raise PermissionError where `directory` could not be made, before any slow work.

    `key`: of the config, which names another place.
    """
    place = directory
    while not place.exists():
        place = place.parent
    if not place.is_dir():
        raise NotADirectoryError(f"{directory} cannot be made: {place} is a file")
    if not os.access(place, os.W_OK | os.X_OK):
        raise PermissionError(f"{place} is not writable; choose another place with {key}=DIR")


def set_aside(directory: Path) -> Path:
    """Rename `directory` to the first free of `<name>.1`, `<name>.2`, ..., which is given back."""
    number = 1
    while (kept := directory.with_name(f"{directory.name}.{number}")).exists():
        number += 1
    directory.rename(kept)
    return kept


@contextmanager
def lock(directory: Path) -> Iterator[None]:
    """Hold a run's place for this process, as long as it lives.

    Raises:
        ValueError: another process holds it.
    """
    path = _lock_path(directory)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        # `is_held` in another process takes it for an instant.
        held = FileLock(path).acquire(timeout=1.0)
    except Timeout as error:
        raise ValueError(f"another process is training {directory} at this moment") from error
    with held:
        yield


def check_free(directory: Path) -> None:
    """Raise ValueError where another process is training this run, before any slow work."""
    if is_held(directory):
        raise ValueError(f"another process is training {directory} at this moment")


def is_held(directory: Path) -> bool:
    """Whether a process is training this run at this moment."""
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
    directory = Path(os.path.abspath(directory))
    return directory.parent.parent / ".locks" / f"{directory.parent.name}-{directory.name}.lock"


def create(directory: Path, config: Mapping[str, Any]) -> None:
    """Make the directory with config.yaml."""
    directory.mkdir(parents=True)
    text = yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True)
    (directory / "config.yaml").write_text(text, encoding="utf-8")


def write_record(directory: Path, record: Mapping[str, Any]) -> None:
    """Write run.json, whole or not at all."""
    with written_whole(directory / "run.json", durable=True) as file:
        json.dump(record, file, indent=2, ensure_ascii=False)


def read_record(directory: Path) -> dict[str, Any] | None:
    """What run.json says, or None where there is no run."""
    path = directory / "run.json"
    if not path.is_file():
        return None
    try:
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} is no valid JSON: {error}; move its directory away") from error
    return record


def read_config(directory: Path) -> dict[str, Any]:
    """The run's config.yaml, of whatever version, with today's keys.

    Raises:
        FileNotFoundError: it is missing.
        ValueError: it is not the YAML of a config.
    """
    path = directory / "config.yaml"
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing")
    try:
        config = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(config, dict):
        raise ValueError(f"{path} does not hold a config")
    return upgraded(config)


def is_finished(directory: Path) -> bool:
    """Whether there is a run that was trained to its end."""
    record = read_record(directory)
    return record is not None and record["status"] == "finished"


def find_run(run: str, runs: Path) -> Path:
    """The directory of a run, given as a path or as a part of its name that only it has.

    Raises:
        FileNotFoundError: no run fits.
        ValueError: several do; the message lists them.
    """
    path = Path(run).expanduser()
    if (path / "run.json").is_file():
        return path
    known = sorted(p.parent for p in runs.expanduser().glob("*/*/run.json"))
    exact = [p for p in known if run in (p.name, f"{p.parent.name}/{p.name}")]
    fitting = exact or [p for p in known if run in f"{p.parent.name}/{p.name}"]
    # An earlier run kept as <name>.1 is meant only by its whole name.
    fitting = [
        p for p in fitting if not (p.suffix[1:].isdecimal() and p.with_suffix("") in fitting)
    ]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        names = ", ".join(f"{p.parent.name}/{p.name}" for p in fitting[:8])
        more = f" and {len(fitting) - 8} more" if len(fitting) > 8 else ""
        raise ValueError(f"{run!r} fits {len(fitting)} runs: {names}{more}; give more of the name")
    names = ", ".join(f"{p.parent.name}/{p.name}" for p in known[-8:]) or "none yet"
    raise FileNotFoundError(
        f"no run {run!r} under {runs} (there: {names}); --runs DIR looks elsewhere"
    )
