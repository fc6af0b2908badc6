"""Runs, recordings and the ledger of version 0.1 open in today's version.

`earlier/version-0.1.tar.xz` was written by commit eaca5e6: a finished run, one stopped by SIGTERM after 7
steps, both with recordings, and a ledger with an asked question.
"""

import json
import tarfile
from pathlib import Path

import numpy as np
import pytest

from qa_research.capture.recording.reader import Recording
from qa_research.ledger.query import select
from qa_research.ledger.runs import Ledger
from qa_research.runs.directory import read_record
from qa_research.runs.listing import list_runs
from qa_research.runs.open import open_run
from qa_research.tasks.answering.trained import questions_of

ARCHIVE = Path(__file__).parent / "earlier" / "version-0.1.tar.xz"


@pytest.fixture
def runs(tmp_path) -> Path:
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(tmp_path, filter="data")
    return tmp_path / "runs"


def test_a_finished_run_gives_the_answers_that_it_gave(runs):
    run = open_run("old", runs=runs)
    questions = questions_of(run.config, run.record, "validation")
    stored = json.loads((run.directory / "predictions" / "validation.json").read_text())
    answers = run.answer(questions)
    assert [answer.question_id for answer in answers] == [row["id"] for row in stored]
    close = [
        abs(answer.probability - row["probability"]) < 1e-3
        for answer, row in zip(answers, stored, strict=True)
    ]
    assert np.mean(close) > 0.9


def test_recordings_are_read(runs):
    for study, last in (("old", 7), ("stopped", 0)):
        (path,) = runs.glob(f"{study}/*/recording.zarr")
        recording = Recording(path)
        assert recording.damage() == []
        logits = recording.read("logits")
        assert int(logits.step[-1]) == last
        assert np.isfinite(logits["loss"]).all()


def test_the_ledger_keeps_its_runs_and_what_was_asked(runs):
    listing = list_runs(runs)
    assert sorted(run.entry.study for run in listing.runs) == ["old", "stopped"]
    assert listing.notes == []
    with (
        Ledger(runs / "ledger.sqlite", read_only=True) as ledger,
        select(ledger, "SELECT count(*) FROM asked_questions") as found,
    ):
        assert next(iter(found.rows))[0] > 0


def test_an_interrupted_run_is_resumed_to_its_end(runs, verb, tmp_path):
    code, _, err = verb("resume", "stopped", "--runs", str(runs), f"paths.cache={tmp_path}/cache")
    assert code == 0, err
    (directory,) = runs.glob("stopped/*")
    record = read_record(directory)
    assert record["status"] == "finished" and record["steps"] == 28
    assert record["resumed"][0]["step"] == 7


def test_the_verbs_show_it(runs, verb):
    code, out, err = verb("runs", "show", "old", "--runs", str(runs))
    assert code == 0 and "val/f1" in out, err
    code, out, _ = verb("runs", "compare", "old", "stopped", "--runs", str(runs))
    assert code == 0 and "stopped" in out
