"""Which versions are installed, and which commit the code is of. Imports nothing heavy."""

import platform
import re
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = ("qa-research", "torch", "lightning", "transformers", "tokenizers", "datasets", "numpy")


def version_line() -> str:
    """What `qa-research --version` prints.

    Example: `qa_research 0.3.0 (commit 1a2b3c4d5e, modified), Python 3.11.2, torch 2.14.1`; of a checkout
    on the way to 0.4.0 `qa_research 0.3.0 (0.4.0 unreleased, commit 1a2b3c4d5e), ...`.
    """
    found, git = installed_versions(), git_state()
    commit = ""
    if git["commit"]:
        coming = unreleased(Path(__file__).resolve().parents[3] / "CHANGELOG.md")
        words = [f"{coming} unreleased"] if coming else []
        words += [f"commit {git['commit'][:10]}", *(["modified"] if git["modified"] else [])]
        commit = f" ({', '.join(words)})"
    return f"qa_research {found['qa-research']}{commit}, Python {found['python']}, torch {found['torch']}"


def unreleased(changelog: Path) -> str | None:
    """The version whose changes a checkout's changelog lists as `## 0.4.0 (unreleased)`, if it has one."""
    if not changelog.is_file():
        return None
    found = re.search(
        r"^## (\S+) \(unreleased\)$", changelog.read_text(encoding="utf-8"), re.MULTILINE
    )
    return found[1] if found else None


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


def installed_versions() -> dict[str, str]:
    """The versions of Python and of the packages that decide a result."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found
