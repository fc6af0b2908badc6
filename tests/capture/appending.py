"""A process for tests to kill: it appends captures, and prints after each flush the latest committed step.

`endless PATH STEP`: resumes from the step (-1: starts) and appends until it is killed.
`each DIRECTORY`: makes the same small recording again and again, killed before it replaces the first file,
then before the second, and so on, until one is completed.
"""

import os
import random
import signal
import sys
import time
from pathlib import Path

from qa_research.capture.recording.writer import RecordingWriter
from tests.capture.captures import ABOUT, capture, coordinates


def open_writer(path: Path, step: int) -> RecordingWriter:
    if path.exists():
        return RecordingWriter(path, ABOUT, coordinates(), resume_at=step)
    return RecordingWriter(path, ABOUT, coordinates())


def append_endlessly(path: Path, step: int) -> None:
    writer, draw = open_writer(path, step), random.Random()
    step += 1
    writer.append(step, capture(step))
    writer.flush()
    # From here on something is committed; `each` has the earlier kills.
    print("started", flush=True)
    while True:
        step += 1
        # An idle machine would append thousands, all of which the test reads.
        time.sleep(0.005)
        writer.append(step, capture(step))
        if draw.random() < 0.3:
            writer.flush()
            print(step, flush=True)


def append_a_few(path: Path) -> None:
    """Four captures, cut back to two, and two more; notes in a file what the last committed step can be."""
    possible = path.with_suffix(".possible")
    writer = open_writer(path, -1)
    for step in range(4):
        possible.write_text(f"{step - 1} {step}")
        writer.append(step, capture(step))
        writer.flush()
        possible.write_text(f"{step}")
    possible.write_text("3 1")
    writer = open_writer(path, 1)
    for step in (2, 3):
        possible.write_text(f"{step - 1} {step}")
        writer.append(step, capture(step))
        writer.flush()
        possible.write_text(f"{step}")


def kill_before_each(directory: Path) -> None:
    for number in range(10000):
        child = os.fork()
        if child == 0:
            die_before(number)
            append_a_few(directory / f"{number}.zarr")
            os._exit(0)
        if os.waitpid(child, 0)[1] == 0:
            return


def die_before(number: int) -> None:
    """Kill this process before it replaces that file, counted from 0."""
    left = number

    def hook(event: str, arguments: object) -> None:
        nonlocal left
        if event == "os.rename":
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            left -= 1

    sys.addaudithook(hook)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["endless", path, step]:
            append_endlessly(Path(path), int(step))
        case ["each", directory]:
            kill_before_each(Path(directory))
