"""Python does not look for garbage while a program starts, and does so as usual afterwards."""

import subprocess
import sys


def in_new_process(code: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_nothing_is_searched_until_the_program_has_started():
    code = (
        "import gc; usual = gc.get_threshold()\n"
        "from qa_research.garbage import has_started, start_quickly\n"
        "start_quickly(); before = gc.get_stats()[0]['collections']\n"
        "kept = [[] for _ in range(200_000)]\n"
        "print(gc.get_stats()[0]['collections'] - before, gc.isenabled())\n"
        "has_started(); print(gc.get_threshold() == usual, gc.get_freeze_count() > 200_000)\n"
        "has_started(); print(gc.get_threshold() == usual)"
    )
    assert in_new_process(code) == ["0", "True", "True", "True", "True"]


def test_without_a_start_nothing_changes():
    code = (
        "import gc; usual = gc.get_threshold()\n"
        "from qa_research.garbage import has_started\n"
        "has_started(); print(gc.get_threshold() == usual, gc.get_freeze_count())"
    )
    assert in_new_process(code)[0] == "True"
