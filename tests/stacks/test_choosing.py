"""Which recordings RUN means."""

import sqlite3

import pytest

from qa_research.ledger.runs import LEDGER, Ledger
from qa_research.ledger.stacks import write_recording
from qa_research.stacks.choosing import choose
from tests.fake_runs import write_run
from tests.stacks.recordings import make_recording, write_sampled_run

LATER = "2026-11-26T23:00:00+00:00"


def test_a_run_has_all_ranks_of_its_latest_recording_in_order(tmp_path):
    earlier = [make_recording(steps=3, rank=rank, seed=rank) for rank in (0, 1, 2)]
    later = [make_recording(steps=4, rank=rank, started=LATER) for rank in (1, 0)]
    directory = write_sampled_run(tmp_path, 1, *earlier, *later)
    found = choose("s1-", tmp_path)
    assert found.ranks == (0, 1) and found.numbers == (5, 4)
    assert found.directory == directory and found.name == f"nopretrain/{directory.name}"
    assert len(found.samples) == sum(len(recording.samples) for recording in later)


def test_one_of_several_recordings_is_called_by_its_number(tmp_path):
    write_sampled_run(tmp_path, 1, make_recording(steps=3), make_recording(steps=4, started=LATER))
    assert choose("s1-", tmp_path, 1).recordings[0].to_s == 7.0
    with pytest.raises(ValueError, match="--recording 9 is none of nopretrain/.*; it has 1, 2"):
        choose("s1-", tmp_path, 9)


def test_a_program_that_was_no_run_is_called_by_its_number(tmp_path):
    write_run(tmp_path, 1)
    with Ledger(tmp_path / LEDGER) as ledger:
        write_recording(ledger, make_recording(steps=3, run="work.py"))
    found = choose("1", tmp_path)
    assert found.name == "work.py (recording 1)" and found.directory is None
    with pytest.raises(ValueError, match="--recording 2 is another"):
        choose("1", tmp_path, 2)
    with pytest.raises(FileNotFoundError, match=r"called by their numbers: 1 \(work.py\)"):
        choose("nothing", tmp_path)


def test_a_run_without_samples_names_the_command_that_makes_some(tmp_path):
    write_run(tmp_path, 1)
    with pytest.raises(
        FileNotFoundError, match="has no recording of stacks; qa-research stacks --"
    ):
        choose("s1-", tmp_path)
    write_sampled_run(tmp_path, 2, make_recording(samples=()))
    with pytest.raises(FileNotFoundError, match="has no samples: it ended too soon"):
        choose("s2-", tmp_path)
    with pytest.raises(FileNotFoundError, match="has no recording of stacks"):
        choose("s1-", tmp_path)


@pytest.mark.parametrize(
    ("frames", "told"),
    [
        ("[99999]", "frames that are not in it"),
        ("[[1]]", "frames that"),
        ("{", "frames of a stack"),
    ],
)
def test_a_damaged_ledger_is_said(tmp_path, frames, told):
    write_sampled_run(tmp_path, 1, make_recording(steps=3))
    with sqlite3.connect(tmp_path / LEDGER) as connection:
        connection.execute(
            "UPDATE stacks SET frames = ? WHERE id = (SELECT max(id) FROM stacks)", (frames,)
        )
    with pytest.raises(ValueError, match=told):
        choose("s1-", tmp_path)


def test_a_damaged_config_does_not_matter(tmp_path):
    directory = write_sampled_run(tmp_path, 1, make_recording(steps=3))
    (directory / "config.yaml").write_text("data: [")
    assert choose("s1-", tmp_path).directory == directory
