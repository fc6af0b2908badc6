"""What the tests kill: a process that appends captures, and says after each flush how many are committed.

`endless PATH STEP`: goes on from the step (-1: begins) until it is killed.
`each DIRECTORY`: makes the same small recording again and again, killed before the first file it puts in
its place, then before the second, and so on, until it is not killed.
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
        return RecordingWriter.go_on(path, ABOUT, coordinates(), step)
    return RecordingWriter(path, ABOUT, coordinates())


def append_endlessly(path: Path, step: int) -> None:
    writer, draw = open_writer(path, step), random.Random()
    step += 1
    writer.append(step, capture(step))
    writer.flush()
    # From here on something is committed; kills before that are those of `each`.
    print("begins", flush=True)
    while True:
        step += 1
        # A quiet machine would make thousands, all of which the test reads.
        time.sleep(0.005)
        writer.append(step, capture(step))
        if draw.random() < 0.3:
            writer.flush()
            print(step, flush=True)


def append_a_few(path: Path) -> None:
    """Four captures, cut back to two, and two more; says beside the recording what its last step can be."""
    said = path.with_suffix(".said")
    writer = open_writer(path, -1)
    for step in range(4):
        said.write_text(f"{step - 1} {step}")
        writer.append(step, capture(step))
        writer.flush()
        said.write_text(f"{step}")
    said.write_text("3 1")
    writer = open_writer(path, 1)
    for step in (2, 3):
        said.write_text(f"{step - 1} {step}")
        writer.append(step, capture(step))
        writer.flush()
        said.write_text(f"{step}")


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
    """Kill this process before it puts that file in its place; counted from 0."""
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
