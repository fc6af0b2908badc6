import json
import os
import random
import resource
import time
from pathlib import Path

import pytest
import xarray as xr

from qa_research.capture.recording.reader import Recording
from qa_research.capture.recording.writer import RecordingWriter
from tests.capture.captures import ABOUT, attention, capture, coordinates, is_right, logits


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "recording.zarr"


@pytest.fixture
def writer(path) -> RecordingWriter:
    return RecordingWriter(path, ABOUT, coordinates())


def resume(path: Path, step: int, about=ABOUT, labels=None) -> RecordingWriter:
    return RecordingWriter(path, about, labels or coordinates(), resume_at=step)


def steps(path: Path) -> dict[str, list[int]]:
    """The steps by group; checks every value."""
    recording = Recording(path)
    read = {group: recording.read(group) for group in recording.recorders}
    assert all(is_right(group, recorded) for group, recorded in read.items())
    return {group: recorded.step.values.tolist() for group, recorded in read.items()}


def append(writer: RecordingWriter, *at: int) -> None:
    for step in at:
        writer.append(step, capture(step))


def test_what_is_recorded_is_read_back_with_axes_types_and_words(path, writer):
    append(writer, 0, 5, 10)
    writer.flush()
    recording = Recording(path)
    assert recording.recorders == ["logits", "attention"]
    assert (recording.step, recording.questions) == (10, ABOUT["questions"])
    read = recording.read("logits")
    assert is_right("logits", read)
    assert read.logit.dims == ("step", "question", "row", "token")
    assert read.logit.sel(step=5, row="end")[0].values.tolist() == [5.25, 5.375]
    assert read.part.values.tolist() == [["cls", "question"], ["cls", "padding"]]
    assert set(read.coords) == {"step", "question", "id", "tokens", "row", "part"}
    assert read.logit.attrs == {"units": "logits", "long_name": "start and end logit"}
    assert recording.read("attention").layer.values.tolist() == [0, 11]
    with pytest.raises(ValueError, match=r"no group 'heads'; it has logits, attention"):
        recording.read("heads")


def test_plain_xarray_opens_it_without_a_warning(path, writer):
    append(writer, *range(70))
    writer.flush()
    opened = xr.open_zarr(path, group="attention", consolidated=False)
    assert is_right("attention", opened) and len(opened.step) == 35
    assert "tokens" in opened.coords
    tree = xr.open_datatree(path, engine="zarr", consolidated=False)
    assert is_right("logits", tree["logits"].to_dataset()) and len(tree["logits"].step) == 70
    assert tree.attrs["commit"] == {"step": 69, "captures": {"logits": 70, "attention": 35}}


def test_each_group_has_its_own_steps(path, writer):
    append(writer, 1, 2, 3, 4)
    writer.flush()
    assert steps(path) == {"logits": [1, 2, 3, 4], "attention": [2, 4]}


def test_first_capture_is_readable_at_once_and_the_rest_from_the_next_flush_on(path, writer):
    assert not path.exists()
    append(writer, 0)
    assert steps(path) == {"logits": [0], "attention": [0]}
    append(writer, 1, 2)
    assert Recording(path).step == 0
    writer.flush()
    assert Recording(path).step == 2


def test_a_due_flush_comes_with_the_next_capture(path, writer, monkeypatch):
    monkeypatch.setattr("qa_research.capture.recording.writer.FLUSH_EVERY_S", 0.3)
    monkeypatch.setattr("qa_research.capture.recording.writer.FLUSH_MAX_SHARE", 1.0)
    append(writer, 0, 1)
    assert Recording(path).step == 0
    time.sleep(0.3)
    append(writer, 2)
    assert Recording(path).step == 2


def test_an_open_recording_shows_what_existed_when_it_was_opened(path, writer):
    append(writer, 0, 1)
    writer.flush()
    recording = Recording(path)
    append(writer, *range(2, 80))
    writer.flush()
    read = recording.read("logits")
    assert read.step.values.tolist() == [0, 1] and is_right("logits", read)


def test_small_captures_share_files_and_large_ones_have_their_own(path, writer):
    append(writer, *range(0, 140, 2))
    writer.flush()
    assert len(list((path / "logits" / "logit").glob("c.*"))) == 2
    assert len(list((path / "attention" / "weight").glob("c.*"))) == 70


def test_values_may_change_after_they_were_appended(path, writer):
    append(writer, 0)
    captured = capture(2)
    writer.append(2, captured)
    for arrays in captured.values():
        for array in arrays.values():
            array.values[...] = 7
    writer.flush()
    assert steps(path) == {"logits": [0, 2], "attention": [0, 2]}


def test_notes_are_kept_once_and_survive_a_resume(path, writer):
    writer.note("every other step")
    append(writer, 0)
    writer.note("every other step")
    writer.note("3 captures were skipped")
    writer.sync()
    assert Recording(path).skipped == ["every other step", "3 captures were skipped"]
    again = resume(path, 0)
    again.note("every other step")
    append(again, 1)
    assert Recording(path).skipped == ["every other step", "3 captures were skipped"]


@pytest.mark.parametrize("last", [-1, 0, 63, 64, 130, 500])
def test_resuming_cuts_back_to_the_step_and_appends(path, writer, last):
    append(writer, *range(131))
    writer.sync()
    again = resume(path, last)
    assert xr.open_zarr(path, group="logits", consolidated=False).sizes["step"] == min(
        last + 1, 131
    )
    append(again, *range(max(last, 0) + 1, 200))
    again.sync()
    done = [*range(min(last + 1, 131)), *range(max(last, 0) + 1, 200)]
    assert steps(path) == {"logits": done, "attention": [step for step in done if step % 2 == 0]}
    assert not Recording(path).damage()


def test_any_order_of_appending_flushing_and_cutting_keeps_what_was_appended(path):
    draw = random.Random(5)
    writer, kept, step = RecordingWriter(path, ABOUT, coordinates()), [], -1
    for _ in range(8):
        for _ in range(draw.randrange(60)):
            step += draw.randrange(1, 4)
            append(writer, step)
            kept.append(step)
            if draw.random() < 0.2:
                writer.flush()
        writer.sync()
        step = draw.randrange(step - 40, step + 1)
        kept = [one for one in kept if one <= step]
        writer = resume(path, step)
        found = {"logits": kept, "attention": [one for one in kept if one % 2 == 0]}
        assert steps(path) == {group: made for group, made in found.items() if made}


def test_what_was_never_committed_is_not_read(path, writer):
    append(writer, 0, 1)
    writer.flush()
    before = (path / "zarr.json").read_bytes()
    append(writer, 2, 3, 4)
    writer.flush()
    # As a kill leaves it: some arrays are longer already, and the commit is the one before.
    (path / "zarr.json").write_bytes(before)
    shorter = path / "logits" / "rank" / "zarr.json"
    metadata = json.loads(shorter.read_bytes())
    metadata["shape"][0] = 3
    shorter.write_text(json.dumps(metadata))
    assert steps(path) == {"logits": [0, 1], "attention": [0]}
    assert not Recording(path).damage()
    append(resume(path, 1), 2)
    assert steps(path) == {"logits": [0, 1, 2], "attention": [0, 2]}


def test_a_failed_write_loses_no_capture(path, writer):
    append(writer, 0)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20, limits[1]))
    try:
        with pytest.raises(OSError):
            writer.append(2, {"attention": attention(2)})
        writer.append(1, {"logits": logits(1)})
        with pytest.raises(OSError):
            writer.flush()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert steps(path) == {"logits": [0], "attention": [0]}
    append(writer, 2)
    writer.flush()
    assert steps(path) == {"logits": [0, 1, 2], "attention": [0, 2]}
    assert os.listdir(path.parent) == [path.name]
