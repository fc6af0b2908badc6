"""How long a training takes at its end to keep two telling answers for its report (answers.zarr).

    python benchmarks/answers_cost.py RUN...

Of copies of finished runs that answer questions; seconds of one thread, median of five.
"""

import argparse
import shutil
import tempfile
import time
from pathlib import Path
from statistics import median

import torch

from qa_research.capture.answers import keep_at_end
from qa_research.runs.directory import read_config
from qa_research.text import print_line
from qa_research.training.setup import set_up

TIMES = 5


def seconds(run: Path, folder: Path) -> float:
    """The median of keeping the answers of a run again."""
    copy = folder / run.name
    shutil.copytree(run, copy, ignore=shutil.ignore_patterns("anchors", "step-*", "recording.zarr"))
    task = set_up({**read_config(run), "capture": None}).task
    taken = []
    for _ in range(TIMES):
        started = time.perf_counter()
        keep_at_end(copy, task)
        taken.append(time.perf_counter() - started)
    return median(taken)


def main() -> None:
    """Measure each run, and print a line of it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("runs", type=Path, nargs="+")
    torch.set_num_threads(1)
    for run in parser.parse_args().runs:
        with tempfile.TemporaryDirectory() as folder:
            print_line(f"{seconds(run, Path(folder)):.1f} s  {run}")


if __name__ == "__main__":
    main()
