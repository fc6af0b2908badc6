"""What a run was made with: package versions, hardware, commit, time. No host or user names."""

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
    """What of this machine decides how numbers are rounded."""
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {
        "system": platform.system(),
        "processor": platform.machine(),
        "cpu": cpu_name(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "gpu": gpu,
        "threads": torch.get_num_threads(),
    }


def cpu_name() -> str | None:
    """The processor's name as its maker gives it, such as `AMD EPYC`; None where the system does not say."""
    if platform.system() == "Darwin":
        asked = ["sysctl", "-n", "machdep.cpu.brand_string"]
        return (
            subprocess.run(asked, capture_output=True, text=True, timeout=10).stdout.strip() or None
        )
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, None)


def git_state() -> dict[str, Any]:
    """The commit of the checkout this code runs from, and whether it was modified; None outside one.

    A repository that does not track this code, such as one that the package is installed in, is not it.
    """
    return git_state_of(Path(__file__).resolve())


def git_state_of(file: Path) -> dict[str, Any]:
    """The commit of the repository that tracks `file`, and whether the file's folder was modified."""
    state: dict[str, Any] = {"commit": None, "modified": None}
    git = ["git", "-C", str(file.parent)]
    questions = (
        ["ls-files", "--error-unmatch", file.name],
        ["rev-parse", "HEAD"],
        ["status", "--porcelain", "."],
    )
    try:
        tracked, head, status = (
            subprocess.run([*git, *words], capture_output=True, text=True, timeout=10)
            for words in questions
        )
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return state
    if tracked.returncode == head.returncode == status.returncode == 0:
        state = {"commit": head.stdout.strip(), "modified": bool(status.stdout.strip())}
    return state


def changed_versions(record: Mapping[str, Any]) -> str:
    """Which packages, hardware and commit differ from those of a run's record; empty if none do.

    Example: `torch 2.13.0 -> 2.14.1, threads 4 -> 2`.
    """
    then, today = record["versions"], installed_versions()
    changed = [f"{n} {then.get(n)} -> {today[n]}" for n in today if then.get(n) != today[n]]
    for key, value in machine().items():
        # Runs of earlier versions name fewer things.
        if record["machine"].get(key, value) != value:
            changed.append(f"{key} {record['machine'][key]} -> {value}")
    commit = git_state()["commit"]
    before = record["git"].get("commit")
    if before != commit:
        changed.append(f"commit {before} -> {commit}")
    return ", ".join(changed)


def installed_versions() -> dict[str, str]:
    """The versions of Python and of the packages that decide a result."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found
