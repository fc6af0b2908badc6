"""The hardware and the time a run was made with, and what of it has changed. No host or user names."""

import platform
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from qa_research.runs.versions import git_state, installed_versions


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


def peak_memory_mb() -> float | None:
    """The most memory that this process has had so far, in MB; None where the system does not say."""
    if sys.platform == "win32":
        return None
    import resource

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Linux counts in KiB, macOS in bytes.
    return float(round(most / (1e6 if platform.system() == "Darwin" else 1e6 / 1024), 1))


def changed_versions(record: Mapping[str, Any], threads: int | None = None) -> str:
    """Which packages, hardware and commit differ from those of a run's record; empty if none do.

    `threads`: how many a training sets for itself; None: it computes with those that there are.

    Example: `torch 2.13.0 -> 2.14.1, threads 4 -> 2`.
    """
    then, today = record["versions"], installed_versions()
    changed = [f"{n} {then.get(n)} -> {today[n]}" for n in today if then.get(n) != today[n]]
    own = machine() if threads is None else {**machine(), "threads": threads}
    for key, value in own.items():
        # Runs of earlier versions name fewer things.
        if record["machine"].get(key, value) != value:
            changed.append(f"{key} {record['machine'][key]} -> {value}")
    commit = git_state()["commit"]
    before = record["git"].get("commit")
    if before != commit:
        changed.append(f"commit {before} -> {commit}")
    return ", ".join(changed)
