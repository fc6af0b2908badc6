from pathlib import Path

import pytest


@pytest.fixture
def path(tmp_path) -> Path:
    """Where a ledger is created."""
    return tmp_path / "runs" / "ledger.sqlite"
