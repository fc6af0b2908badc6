from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from qa_research.capture.recording.arrays import Array, Coordinate
from qa_research.capture.recording.reader import Recording
from qa_research.capture.recording.writer import RecordingWriter
from tests.capture.captures import ABOUT, capture, coordinates, logits

WAY_OUT = "; move it away to start a new one"


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "recording.zarr"


@pytest.fixture
def writer(path) -> RecordingWriter:
    writer = RecordingWriter(path, ABOUT, coordinates())
    writer.append(4, capture(4))
    writer.sync()
    return writer


@pytest.mark.parametrize("step", [3, 4])
def test_a_step_that_does_not_increase_is_refused(path, writer, step):
    with pytest.raises(ValueError, match=f"logits: step {step} cannot follow step 4"):
        writer.append(step, capture(step))
    again = RecordingWriter(path, ABOUT, coordinates(), resume_at=4)
    with pytest.raises(ValueError, match=f"logits: step {step} cannot follow step 4"):
        again.append(step, capture(step))
    again.append(5, capture(5))


def with_array(name: str, array: Array) -> dict[str, dict[str, Array]]:
    return {"logits": logits(6) | {name: array}}


RANK = Array(("question",), np.array([1, 2], np.int32), "1", "rank")


@pytest.mark.parametrize(
    ("array", "sentence"),
    [
        (
            replace(RANK, values=np.array([1, 2, 3], np.int32)),
            r"rank of logits is int32 \[question=2\] in .* capture has int32 \[question=3\]",
        ),
        (
            replace(RANK, values=np.array([1.0, 2.0])),
            r"rank of logits is int32 \[question=2\] in .* capture has float64 \[question=2\]",
        ),
        (
            replace(RANK, axes=("row",)),
            r"rank of logits is int32 \[question=2\] in .* capture has int32 \[row=2\]",
        ),
    ],
)
def test_an_array_unlike_that_of_earlier_captures_is_refused(path, writer, array, sentence):
    for one in (writer, RecordingWriter(path, ABOUT, coordinates(), resume_at=4)):
        with pytest.raises(ValueError, match=sentence + WAY_OUT):
            one.append(6, with_array("rank", array))
        one.flush()
        assert Recording(path).step == 4


def test_missing_and_new_arrays_are_refused(writer):
    with pytest.raises(
        ValueError, match="loss of logits is missing in the recording, but this capture has int32"
    ):
        writer.append(6, with_array("loss", RANK))
    fewer = logits(6)
    del fewer["rank"]
    with pytest.raises(
        ValueError, match=r"rank of logits is int32 .* but this capture has no such array"
    ):
        writer.append(6, {"logits": fewer})


def test_nothing_of_a_refused_capture_is_added(path, writer):
    with pytest.raises(ValueError):
        writer.append(6, {"logits": logits(6), "attention": {"weight": RANK}})
    writer.append(6, capture(6))
    writer.flush()
    assert Recording(path).read("logits").step.values.tolist() == [4, 6]


def changed(group: str, name: str, coordinate: Coordinate | None) -> dict:
    found = coordinates()
    if coordinate is None:
        del found[group][name]
    else:
        found[group][name] = coordinate
    return found


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        (
            changed("attention", "layer", Coordinate(("layer",), np.array([0, 3], np.int32))),
            r"attention: layer was layer=2: \[0, 11\], and is now layer=2: \[0, 3\]",
        ),
        (
            changed("attention", "layer", Coordinate(("layer",), np.array([0], np.int32))),
            r"attention: layer was layer=2: \[0, 11\], and is now layer=1: \[0\]",
        ),
        (
            changed("logits", "row", Coordinate(("row",), ("first", "last"))),
            r"logits: row was row=2: \['start', 'end'\], and is now row=2: \['first', 'last'\]",
        ),
        (
            changed("logits", "tokens", None),
            r"logits: its coordinates were part, question, row, tokens, and are now part, question, row",
        ),
    ],
)
def test_a_recording_with_other_coordinates_is_not_resumed(path, writer, labels, sentence):
    before = (path / "zarr.json").read_bytes()
    with pytest.raises(ValueError, match=sentence + WAY_OUT):
        RecordingWriter(path, ABOUT, labels, resume_at=0)
    assert (path / "zarr.json").read_bytes() == before


def test_a_recording_of_other_questions_is_not_resumed(path, writer):
    first = ABOUT["questions"][0]
    for about, what in [
        ({"questions": [first]}, "questions differ from those recorded"),
        ({"questions": [first, first]}, "number 1 of questions differs from the one recorded"),
    ]:
        with pytest.raises(ValueError, match=what + WAY_OUT):
            RecordingWriter(path, about, coordinates(), resume_at=0)


def test_an_existing_recording_is_not_overwritten(path, writer):
    with pytest.raises(FileExistsError, match="there is already a recording"):
        RecordingWriter(path, ABOUT, coordinates())
    with pytest.raises(FileNotFoundError, match="there is no recording"):
        RecordingWriter(path.with_name("other.zarr"), ABOUT, coordinates(), resume_at=0)


@pytest.mark.parametrize(
    ("array", "sentence"),
    [
        (replace(RANK, values=np.array([True, False])), "loss is bool"),
        (replace(RANK, values=np.array([1, 2], np.uint8)), "loss is uint8"),
        (replace(RANK, values=np.zeros((0,), np.float32)), r"loss is float32 \[0\]"),
        (replace(RANK, axes=("question", "row")), "loss has 1 dimensions"),
        (replace(RANK, axes=("step",)), "none may be 'step'"),
        (replace(RANK, values=np.zeros(3)), "loss has 3 along question, and question has 2"),
    ],
)
def test_an_array_that_cannot_be_stored_is_refused(path, array, sentence):
    writer = RecordingWriter(path, ABOUT, coordinates())
    with pytest.raises(ValueError, match=sentence):
        writer.append(0, {"logits": {"loss": array}})
    assert not path.exists()


@pytest.mark.parametrize(
    ("name", "coordinate", "sentence"),
    [
        ("part", Coordinate(("question",), np.array([0, 2]), ("a", "b")), "integers from 0 to 1"),
        ("part", Coordinate(("question",), np.array([-1, 0]), ("a", "b")), "integers from 0 to 1"),
        ("part", Coordinate(("question",), ("a", "b"), ("a", "b")), "words, which need no labels"),
        ("loss", Coordinate(("question",), np.array([0, 2])), "an array and of a coordinate"),
        (
            "part",
            Coordinate(("question",), np.array([0, 2, 3])),
            "2 along question, and part has 3",
        ),
    ],
)
def test_a_coordinate_that_does_not_fit_is_refused(path, name, coordinate, sentence):
    writer = RecordingWriter(path, ABOUT, {"logits": {name: coordinate}})
    with pytest.raises(ValueError, match=sentence):
        writer.append(0, {"logits": {"loss": RANK}})


def test_words_may_repeat_and_span_several_axes(path):
    words = Coordinate(("question", "place"), [["b", "a"], ["a", "ß c"]])
    writer = RecordingWriter(path, ABOUT, {"logits": {"word": words}})
    writer.append(0, {"logits": {"rank": RANK}})
    assert Recording(path).read("logits").word.values.tolist() == [["b", "a"], ["a", "ß c"]]
    RecordingWriter(path, ABOUT, {"logits": {"word": words}}, resume_at=0)
