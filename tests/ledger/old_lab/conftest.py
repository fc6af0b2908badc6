from pathlib import Path

import pytest


@pytest.fixture
def place(tmp_path) -> Path:
    return tmp_path / "stack_trace.db"


@pytest.fixture
def ledger_path(tmp_path) -> Path:
    return tmp_path / "runs" / "ledger.sqlite"
