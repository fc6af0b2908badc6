"""A program that spends known shares of its time in four ways: `python known_shares.py FILE SECONDS`.

It writes them to FILE. With a third argument two more processes compute beside it, as workers of a loader do.
"""

import hashlib
import json
import os
import sys
import time
from pathlib import Path

from qa_research.sampled import answer_if_asked

answer_if_asked()
LARGE = b"x" * 400_000
DIGITS = 3**60_000


def python_loop():
    total = 0
    for number in range(60_000):
        total += number * number
    return total


def call_that_holds_the_lock():
    return DIGITS * DIGITS % 7, sum(range(200_000))


def call_that_releases_the_lock():
    for _ in range(6):
        hashlib.sha256(LARGE).digest()


def sleep():
    time.sleep(0.004)


WAYS = {python_loop: 4, call_that_holds_the_lock: 2, call_that_releases_the_lock: 3, sleep: 1}


def work(seconds):
    spent = dict.fromkeys((way.__name__ for way in WAYS), 0.0)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for way, times in WAYS.items():
            started = time.monotonic()
            for _ in range(times):
                way()
            spent[way.__name__] += time.monotonic() - started
    return spent


def main():
    seconds = float(sys.argv[2])
    children = []
    for _ in range(2 if len(sys.argv) > 3 else 0):
        child = os.fork()
        if not child:
            work(seconds)
            os._exit(0)
        children.append(child)
    spent = work(seconds)
    for child in children:
        os.waitpid(child, 0)
    Path(sys.argv[1]).write_text(json.dumps(spent))


if __name__ == "__main__":
    main()
