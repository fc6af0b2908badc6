"""A training on a full disk: what is said names the file, and only what cannot be spared ends it."""

import logging
from pathlib import Path

import pytest

from qa_research.console import close_log_file, log_to_file, start_logging
from qa_research.trackers.tracker import CsvTracker, TrackedRun
from qa_research.training.metrics import Curves
from tests.toy.line import LineTask

FULL = Path("/dev/full")
pytestmark = pytest.mark.skipif(not FULL.exists(), reason="needs the device that is always full")


def test_curves_that_cannot_be_written_are_named(tmp_path):
    path = tmp_path / "metrics.csv"
    path.symlink_to(FULL)
    config = {"trainer": {"log_every_n_steps": 1}}
    run = TrackedRun("id", "study/run", tmp_path, config, 0, [])
    curves = Curves(run, CsvTracker(), LineTask("points", [], None, None))
    with pytest.raises(OSError, match=r"No space left on device: '.*metrics\.csv'"):
        curves._write({"epoch": 0, "step": 1})


def test_a_log_that_cannot_be_written_ends_with_a_warning(capsys, tmp_path):
    path = tmp_path / "train.log"
    path.symlink_to(FULL)
    start_logging()
    log_to_file(path)
    log = logging.getLogger("qa_research")
    for number in range(3):
        log.info("line %d", number)
    close_log_file()
    err = capsys.readouterr().err
    assert err.count("train.log could not be written: [Errno 28] No space left on device") == 1
    assert "Traceback" not in err and "line 2" in err


def test_the_message_that_a_log_cannot_take_still_reaches_who_comes_after_it(tmp_path):
    seen = []

    class After(logging.Handler):
        def emit(self, record):
            seen.append(record.getMessage())

    path = tmp_path / "train.log"
    path.symlink_to(FULL)
    start_logging()
    log_to_file(path)
    log, after = logging.getLogger("qa_research"), After()
    log.addHandler(after)
    try:
        log.info("line 1")
        log.info("line 2")
    finally:
        log.removeHandler(after)
        close_log_file()
    assert [line for line in seen if line.startswith("line")] == ["line 1", "line 2"]


def test_a_process_logs_to_one_file_at_a_time(tmp_path):
    first, second = tmp_path / "first.log", tmp_path / "second.log"
    start_logging()
    log = logging.getLogger("qa_research")
    for path in (first, second):
        log_to_file(path)
        log.info("of %s", path.stem)
    close_log_file()
    assert "of first" in first.read_text() and "of second" not in first.read_text()
    assert "of second" in second.read_text() and "of first" not in second.read_text()
