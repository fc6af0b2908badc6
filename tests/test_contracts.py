"""The import contracts of pyproject.toml notice what they are there for."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def copy(tmp_path_factory) -> Path:
    """The package and its contracts, to be damaged."""
    folder = tmp_path_factory.mktemp("contracts")
    python_only = shutil.ignore_patterns("__pycache__", "*.js", "*.css", "*.jinja", "*.sql")
    shutil.copytree(ROOT / "src/qa_research", folder / "qa_research", ignore=python_only)
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def broken_contracts(folder: Path) -> list[str]:
    """The names of the contracts that a copy breaks."""
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    environment = os.environ | {"PYTHONPATH": str(folder), "COLUMNS": "200"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode in (0, 1) and "Contracts:" in done.stdout, done.stdout + done.stderr
    return [
        line.removesuffix(" BROKEN")
        for line in done.stdout.splitlines()
        if line.endswith(" BROKEN")
    ]


def test_the_package_keeps_its_contracts(copy):
    assert broken_contracts(copy) == []


@pytest.mark.parametrize(
    ("file", "line", "contract"),
    [
        ("tasks/answering/decode.py", "import hydra", "Only launch imports Hydra"),
        ("runs/directory.py", "import hydra.utils", "Only launch imports Hydra"),
        (
            "efficacy/search.py",
            "import lightning",
            "Only training, tasks and capture import Lightning",
        ),
        ("unlisted.py", "", "Imports go downwards"),
        ("model/bert.py", "import qa_research.tasks.task", "Imports go downwards"),
        ("watch/film.py", "import qa_research.efficacy.search", "Imports go downwards"),
        ("console.py", "import qa_research.ledger.runs", "Imports go downwards"),
    ],
)
def test_a_planted_fault_breaks_its_contract(copy, file, line, contract):
    path = copy / "qa_research" / file
    before = path.read_text() if path.exists() else None
    path.write_text(f"{before or ''}\n{line}\n")
    try:
        assert broken_contracts(copy) == [contract]
    finally:
        if before is None:
            path.unlink()
        else:
            path.write_text(before)
