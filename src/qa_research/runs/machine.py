"""What a run was made with: versions, machine, commit, time."""

import platform
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

PACKAGES = ("qa-research", "torch", "lightning", "transformers", "tokenizers", "datasets", "numpy")


def now() -> str:
    """The time in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def machine() -> dict[str, Any]:
    """What of this machine decides how numbers are rounded. No names of it."""
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {
        "system": platform.system(),
        "processor": platform.machine(),
        "gpu": gpu,
        "threads": torch.get_num_threads(),
    }


def git_state() -> dict[str, Any]:
    """The commit of the checkout this code runs from, and whether it was modified; None outside one."""
    state: dict[str, Any] = {"commit": None, "modified": None}
    place = Path(__file__).resolve().parent
    try:
        found = [
            subprocess.run(
                ["git", "-C", str(place), *words], capture_output=True, text=True, timeout=10
            )
            for words in (["rev-parse", "HEAD"], ["status", "--porcelain", "."])
        ]
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return state
    if all(done.returncode == 0 for done in found):
        state = {"commit": found[0].stdout.strip(), "modified": bool(found[1].stdout.strip())}
    return state


def changed_versions(record: Mapping[str, Any]) -> str:
    """Which packages and settings of this machine are others than at a run's beginning."""
    then, today = record["versions"], installed_versions()
    changed = [f"{n} {then.get(n)} -> {today[n]}" for n in today if then.get(n) != today[n]]
    for key, value in machine().items():
        if record["machine"].get(key) != value:
            changed.append(f"{key} {record['machine'].get(key)} -> {value}")
    commit = git_state()["commit"]
    if record["git"]["commit"] != commit:
        changed.append(f"commit {record['git']['commit']} -> {commit}")
    return ", ".join(changed)


def installed_versions() -> dict[str, str]:
    """Python and the packages that decide a result."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found
