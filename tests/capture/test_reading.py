import asyncio
import gc
import json
import os
from pathlib import Path

import numpy as np
import pytest
from zarr.core.buffer import default_buffer_prototype

from qa_research.capture.recording.files import StrictStore
from qa_research.capture.recording.reader import Recording
from qa_research.capture.recording.writer import RecordingWriter
from tests.capture.captures import ABOUT, attention, capture, coordinates, described, is_right


@pytest.fixture
def path(tmp_path) -> Path:
    """70 captures at the steps 0, 10, ... 690, each of both groups."""
    path = tmp_path / "recording.zarr"
    writer = RecordingWriter(path, ABOUT, coordinates())
    for step in range(0, 700, 10):
        writer.append(step, capture(step))
    writer.flush()
    return path


def flip(file: Path, place: int) -> None:
    content = bytearray(file.read_bytes())
    content[place] ^= 4
    file.write_bytes(content)


def test_an_intact_recording_has_no_damage(path):
    assert Recording(path).damage() == []


def test_missing_chunks_are_named_by_group_and_step(path):
    for number in (2, 3, 4, 9):
        (path / f"attention/weight/c.{number}.0.0.0").unlink()
    recording = Recording(path)
    assert recording.damage() == [
        "attention: weight cannot be read at steps 20 to 40, 90 (no file)",
        "attention: 66 of 70 captures are intact",
        "intact: logits",
    ]
    read = recording.read("attention").weight
    assert read.sel(step=50).min() == 50
    with pytest.raises(ValueError, match=r"c\.3\.0\.0\.0 is missing"):
        read.sel(step=30).load()


@pytest.mark.parametrize("place", [0, 30, -1])
def test_a_flipped_bit_is_an_error_and_not_another_number(path, place):
    flip(path / "logits/logit/c.1.0.0.0", place)
    recording = Recording(path)
    assert recording.damage() == [
        "logits: logit cannot be read at steps 640 to 690 (a wrong checksum)",
        "logits: 64 of 70 captures are intact",
        "intact: attention",
    ]
    logit = recording.read("logits").logit
    assert is_right("logits", recording.read("logits").isel(step=slice(64)))
    with pytest.raises(ValueError, match="checksum"):
        logit.sel(step=640).load()


def test_damage_names_everything_that_is_wrong(path):
    (path / "logits/rank/c.0.0").write_bytes(b"")
    (path / "logits/step/c.1").unlink()
    (path / "logits/part/c.0.0").unlink()
    (path / "attention/weight/zarr.json").write_text("{")
    *sentences, intact = Recording(path).damage()
    assert sentences[:3] == [
        "logits: step cannot be read at captures 64 to 69 (no file)",
        "logits: rank cannot be read at captures 0 to 63 (an empty file)",
        "logits: part cannot be read (no file)",
    ]
    assert sentences[3] == "logits: 0 of 70 captures are intact"
    assert sentences[4].startswith("attention: weight cannot be opened (")
    assert sentences[5] == "attention: 0 of 70 captures are intact"
    assert intact == "intact: no group"


def test_a_lost_group_is_damage_and_the_others_are_read(path):
    (path / "attention/zarr.json").unlink()
    recording = Recording(path)
    first, last = recording.damage()
    assert first.startswith("attention: cannot be opened (") and last == "intact: logits"
    assert is_right("logits", recording.read("logits"))
    with pytest.raises(ValueError, match=r"attention of .* cannot be opened"):
        recording.read("attention")


def test_anything_but_a_recording_of_this_format_is_refused_by_name(path, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no recording .*nowhere"):
        Recording(tmp_path / "nowhere")
    root = json.loads((path / "zarr.json").read_text())
    root["attributes"]["format"] = 7
    (path / "zarr.json").write_text(json.dumps(root))
    with pytest.raises(
        ValueError, match=r"is a recording of format 7; this version reads the formats 1 and 2"
    ):
        Recording(path)
    with pytest.raises(
        ValueError, match=r"is a recording of format 7; this version reads the formats 1 and 2"
    ):
        RecordingWriter(path, ABOUT, coordinates(), resume_at=0)
    del root["attributes"]["format"]
    (path / "zarr.json").write_text(json.dumps(root))
    with pytest.raises(ValueError, match="is not a recording of qa_research"):
        Recording(path)
    for content in ("", "{", "[]", '{"attributes": []}'):
        (path / "zarr.json").write_text(content)
        with pytest.raises(ValueError, match="is damaged: its zarr.json cannot be read"):
            Recording(path)


def test_a_recording_without_a_commit_is_not_readable_and_starts_over(path):
    (path / "zarr.json").unlink()
    with pytest.raises(ValueError, match=r"nothing is readable yet in .*recording\.zarr"):
        Recording(path)
    writer = RecordingWriter(path, ABOUT, coordinates(), resume_at=900)
    assert not path.exists()
    writer.append(900, capture(900))
    assert Recording(path).read("logits").step.values.tolist() == [900]


def test_a_recording_cut_back_to_nothing_is_not_readable(path):
    writer = RecordingWriter(path, ABOUT, coordinates(), resume_at=-1)
    with pytest.raises(ValueError, match="nothing is readable yet"):
        Recording(path)
    writer.append(3, {"attention": attention(3)})
    assert Recording(path).recorders == ["attention"]


def test_a_damaged_recording_is_not_resumed(path):
    def refused(step: int = 690) -> str:
        with pytest.raises(ValueError, match="is damaged and cannot be resumed") as error:
            RecordingWriter(path, ABOUT, coordinates(), resume_at=step)
        assert "move it away to start a new one" in str(error.value)
        return str(error.value)

    before = (path / "zarr.json").read_bytes()
    flip(path / "logits/logit/c.1.0.0.0", 30)
    assert "checksum" in refused()
    (path / "logits/logit/c.1.0.0.0").unlink()
    assert "c.1.0.0.0 is missing" in refused()
    (path / "attention/step/c.0").unlink()
    assert "c.0 is missing" in refused(step=0)
    (path / "logits/logit/zarr.json").unlink()
    assert "logits has no array logit" in refused()
    assert (path / "zarr.json").read_bytes() == before


def test_values_are_read_only_when_they_are_used(path):
    recording = Recording(path)
    lazy = recording.read("attention").weight
    for file in (path / "attention/weight").glob("c.[1-9]*"):
        file.unlink()
    assert np.array_equal(lazy[0], np.zeros_like(lazy[0]))


def test_no_flipped_bit_is_silent(path):
    """Each is refused, named by --check, or in a byte that nothing reads: the values are the same."""
    import random

    def loaded() -> dict:
        recording = Recording(path)
        about = recording.step, recording.questions, recording.skipped
        return {"": about} | {name: recording.read(name).load() for name in recording.recorders}

    def is_named() -> bool:
        """By --check."""
        try:
            return bool(Recording(path).damage())
        except ValueError:
            return True

    whole = loaded()
    files = sorted(file for file in path.rglob("*") if file.is_file())
    draw, named = random.Random(1), 0
    for _ in range(200):
        file = draw.choice(files)
        content = file.read_bytes()
        changed = bytearray(content)
        changed[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
        file.write_bytes(changed)
        try:
            found = loaded()
        except ValueError:
            assert is_named()
            named += 1
        else:
            assert found[""] == whole[""]
            assert all(found[name].identical(whole[name]) for name in whole if name)
        file.write_bytes(content)
    assert named > 190


def test_questions_of_both_splits_with_one_id_are_told_apart(tmp_path):
    # Files without ids have their questions numbered from 0, each of them.
    asked = [described("0", ["[CLS]"], split) for split in ("train", "validation")]
    writer = RecordingWriter(tmp_path / "r.zarr", {"questions": asked}, coordinates())
    writer.append(0, capture(0))
    writer.flush()
    recording = Recording(tmp_path / "r.zarr")
    assert [row["id"] for row in recording.questions] == ["train/0", "validation/0"]
    assert recording.find_question("validation/0") == 1
    with pytest.raises(ValueError, match="matches 2 watched questions: train/0, validation/0"):
        recording.find_question("0")


def test_several_damaged_arrays_are_one_error_and_nothing_is_logged_beside_it(path, caplog):
    for name in ("weight", "step", "layer"):
        (path / "attention" / name / "zarr.json").write_text("{}")
    with pytest.raises(ValueError, match="attention of .* cannot be opened"):
        Recording(path).read("attention")
    gc.collect()
    assert not caplog.records


def test_arrays_of_another_format_of_zarr_are_not_there(path, tmp_path):
    """They may name codecs that unpickle what they read; some versions of numcodecs then run it."""
    group = path / "attention"
    attributes = json.loads((group / "zarr.json").read_text())["attributes"]
    for folder in [group, *(part for part in group.iterdir() if part.is_dir())]:
        (folder / "zarr.json").unlink()
    (group / ".zgroup").write_text('{"zarr_format": 2}')
    (group / ".zattrs").write_text(json.dumps(attributes))
    described = {"zarr_format": 2, "shape": [2], "chunks": [2], "dtype": "|O", "order": "C"}
    described |= {"filters": [{"id": "vlen-utf8"}, {"id": "pickle"}], "fill_value": ""}
    (group / "step/.zarray").write_text(json.dumps(described | {"compressor": None}))
    with pytest.raises(ValueError, match="attention of .* cannot be opened"):
        Recording(path).read("attention")
    store = StrictStore(path)
    for name in (".zgroup", ".zattrs", "step/.zarray"):
        assert asyncio.run(store.get(f"attention/{name}", default_buffer_prototype())) is None


def edit_root(path: Path, **attributes: object) -> None:
    """Change the root as format 1 has it, without checksums."""
    root = json.loads((path / "zarr.json").read_text())
    for key in ("sums", "checksum"):
        root["attributes"].pop(key, None)
    root["attributes"] |= {"format": 1} | attributes
    (path / "zarr.json").write_text(json.dumps(root))


def test_labels_that_are_no_labels_are_an_error_of_their_group(path):
    content = json.loads((path / "logits/part/zarr.json").read_text())
    content["attributes"]["labels"] = "x"
    (path / "logits/part/zarr.json").write_text(json.dumps(content))
    edit_root(path)
    with pytest.raises(ValueError, match="logits of .* cannot be opened"):
        Recording(path).read("logits")


@pytest.mark.parametrize(
    "attributes",
    [
        {"commit": None},
        {"commit": {}},
        {"commit": {"step": 1, "captures": []}},
        {"commit": {"step": 1, "captures": {"../../x": 2}}},
        {"commit": {"step": 1, "captures": {"logits": -1}}},
        {"commit": {"step": "1", "captures": {"logits": 1}}},
        {"questions": 5},
        {"questions": [{"id": "q0"}]},
        {"questions": [described("q0", [3])]},
        {"thinned": None},
        {"sums": []},
    ],
    ids=str,
)
def test_a_root_that_does_not_hold_what_it_must_is_one_sentence(path, attributes):
    edit_root(path, **attributes)
    (key,) = attributes
    with pytest.raises(ValueError, match=f"is damaged: its zarr.json has .*{key}"):
        Recording(path)


@pytest.mark.parametrize(
    "name", ["zarr.json", "attention/weight/zarr.json", "attention/weight/c.3.0.0.0"]
)
@pytest.mark.parametrize("kind", ["device", "pipe"])
def test_what_has_no_end_is_not_read(path, name, kind):
    (path / name).unlink()
    if kind == "device":
        (path / name).symlink_to("/dev/zero")
    else:
        os.mkfifo(path / name)
    with pytest.raises(ValueError, match=f"{name} is not a file"):
        Recording(path).read("attention").weight.load()
    if name != "zarr.json":
        assert "not a file" in Recording(path).damage()[0]
