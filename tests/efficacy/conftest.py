import pytest

from qa_research.ledger.runs import Ledger


@pytest.fixture
def ledger(tmp_path):
    """An open ledger in a folder of runs."""
    with Ledger(tmp_path / "runs" / "ledger.sqlite") as opened:
        yield opened
