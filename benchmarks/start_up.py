"""How long a person waits for an answer: python benchmarks/start_up.py --runs 3.

Trains the default run in this folder, if it has none. Every command then runs in a process of its own, one
after the other: the seconds on the clock, and those that it computed, which other work on the machine
lengthens less. Median of `--runs` calls, and the smallest and largest.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

TRAIN = ["train", "train.progress=none"]
QUESTION = ["--question", "Who teaches chess?", "--context", "Ms Lund teaches chess."]
VERBS = (
    "train resume runs evaluate predict ask efficacy squad watch report attribute explain score export "
    "ledger doctor"
)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    called(TRAIN)
    run = str(next(Path("runs/nopretrain").glob("bert_tiny-random-builtin-s1-*")))
    commands = {
        "the default run again, which is told, not repeated": TRAIN,
        "`ask`": ["ask", run, *QUESTION],
        "`watch`": ["watch", run],
        "`evaluate` of 1,000 built-in questions": ["evaluate", run],
    }
    print("| command | seconds | of them computing |\n|---|---|---|")
    for name, words in commands.items():
        print_row(name, [called(words) for _ in range(arguments.runs)])
    helps = {
        verb: [called([verb, "--help"]) for _ in range(arguments.runs)] for verb in VERBS.split()
    }
    slowest = max(helps, key=lambda verb: statistics.median(wall for wall, _ in helps[verb]))
    print_row(f"`--help` of the slowest verb, `{slowest}`", helps.pop(slowest))
    print_row("`--help` of the other verbs", [each for found in helps.values() for each in found])


def called(words: Sequence[str]) -> tuple[float, float]:
    """Seconds on the clock and seconds computed (user and system) of one call of `qa-research`."""
    command = [str(Path(sys.executable).with_name("qa-research")), *words]
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, "COLUMNS": "100"})
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def print_row(name: str, found: Sequence[tuple[float, float]]) -> None:
    """One command's row of the table."""
    shown = [
        f"{statistics.median(seconds):.2f} [{min(seconds):.2f}, {max(seconds):.2f}]"
        for seconds in zip(*found, strict=True)
    ]
    print(f"| {name} | {' | '.join(shown)} |", flush=True)


if __name__ == "__main__":
    main()
