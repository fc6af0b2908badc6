"""Workers of a loader end with the process that they serve, also if it fails and forgets them."""

import subprocess
import sys

FAILING = """
from torch.utils.data import TensorDataset
import torch
from qa_research.tasks.loader import Loader

loader = Loader(TensorDataset(torch.zeros(8)), num_workers=2, persistent_workers=True)
kept = iter(loader)
next(kept)
# As a traceback keeps what a failed training was using.
import builtins
builtins.kept = kept
raise SystemExit(3)
"""


def test_a_process_that_still_has_workers_exits():
    found = subprocess.run([sys.executable, "-c", FAILING], timeout=120, check=False)
    assert found.returncode == 3
