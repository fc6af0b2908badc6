"""A report's section on where the time went."""

import json
import sqlite3

from qa_research.ledger.runs import LEDGER
from qa_research.pages.document import Command, Paragraph, Picture, Table, Value
from qa_research.pages.markup import plain_text
from qa_research.report.sources import Source
from qa_research.report.time_spent import STRETCHES, time_section
from qa_research.stacks.verdict import judge
from tests.fake_runs import write_run
from tests.stacks.recordings import make_recording, write_sampled_run


def blocks_of(section, kind):
    return [block for block in section.blocks if isinstance(block, kind)]


def test_the_phases_have_their_shares_with_intervals_taken_from_the_ledger(tmp_path):
    recording = make_recording(steps=60)
    source = Source(write_sampled_run(tmp_path, 1, recording))
    section = time_section(source)
    (verdict,) = blocks_of(section, Paragraph)
    assert plain_text(verdict.text) == judge([recording]).sentence
    (table,) = blocks_of(section, Table)
    assert [plain_text(row[0]) for row in table.rows] == [
        *("starting Python", "imports", "waiting for data", "forward", "backward")
    ]
    backward = [sample for sample in recording.samples if sample.phase == "backward"]
    samples, share = (plain_text(cell) for cell in table.rows[-1][1:])
    assert samples == str(len(backward))
    assert share.startswith(f"{100 * len(backward) / len(recording.samples):.1f} [")
    values = [
        piece for row in table.rows for cell in row for piece in cell if isinstance(piece, Value)
    ]
    assert len(values) == 4 * len(table.rows)
    assert all(value.origin["file"] == LEDGER for value in values)
    assert all(source.again(value.origin) == value.text for value in values)


def test_the_picture_has_the_shares_of_each_tenth_of_the_time(tmp_path):
    section = time_section(Source(write_sampled_run(tmp_path, 1, make_recording(steps=60))))
    (drawn,) = blocks_of(section, Picture)
    assert len(drawn.data["from_s"]) == STRETCHES and drawn.data["to_s"][-1] == 64.0
    phases = [name for name in drawn.data if name not in ("from_s", "to_s")]
    for place in range(STRETCHES):
        assert abs(sum(drawn.data[name][place] for name in phases) - 1) < 1e-9
    # Of one colour are the phases before the first step, so they are one bar.
    assert phases == ["setting up", "waiting for data", "forward", "backward"]
    assert drawn.data["setting up"][0] > 0.4 and drawn.data["setting up"][-1] == 0.0


def test_several_ranks_are_said(tmp_path):
    ranks = [make_recording(rank=rank, seed=rank + 1) for rank in (0, 1)]
    section = time_section(Source(write_sampled_run(tmp_path, 1, *ranks)))
    (table,) = blocks_of(section, Table)
    assert ", of 2 ranks together." in plain_text(table.caption)


def test_a_run_without_samples_names_the_command_that_makes_them(tmp_path):
    for number, recordings in ((1, ()), (2, (make_recording(samples=()),))):
        section = time_section(Source(write_sampled_run(tmp_path, number, *recordings)))
        (command,) = blocks_of(section, Command)
        assert (
            command.line
            == f"qa-research stacks -- qa-research train seed={number} train.resume=never"
        )
    section = time_section(Source(write_run(tmp_path / "without a ledger", 3)))
    assert "No stacks were sampled" in plain_text(section.blocks[0].text)


def test_a_sample_that_was_changed_since_is_found_by_the_check(tmp_path, verb):
    run = write_sampled_run(
        tmp_path, 1, make_recording(steps=30), right=[1.0, 0.0] * 4, validations=2
    )
    assert verb("report", str(run), "--runs", str(tmp_path))[0] == 0
    code, out, _ = verb("report", str(run), "--runs", str(tmp_path), "--verify", "--json")
    assert code == 0, out
    with sqlite3.connect(tmp_path / LEDGER) as connection:
        connection.execute(
            "UPDATE stack_samples SET phase = 'checkpoint' WHERE phase = 'backward' AND place % 2"
        )
    code, out, _ = verb("report", str(run), "--runs", str(tmp_path), "--verify", "--json")
    assert code == 1
    assert any("phase" in fault["place"] or fault["printed"] for fault in json.loads(out)["faults"])
