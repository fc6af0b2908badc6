"""The file for speedscope, against the rules of its format."""

import json
from dataclasses import replace

import pytest

from qa_research.stacks.speedscope import SCHEMA, speedscope_file
from tests.stacks.recordings import make_recording

# What speedscope's src/lib/file-format-spec.ts says: of each object its keys with their types.
FILE = {"$schema": str, "exporter": str, "name": str, "activeProfileIndex": int}
PROFILE = {"type": str, "name": str, "unit": str, "startValue": float, "endValue": float}
LISTS = {"samples", "weights"}
FRAME = {"name": str, "file": str, "line": int}
RECORDINGS = [make_recording(rank=rank, seed=rank + 1) for rank in (0, 1)]


def test_the_file_keeps_the_rules_of_the_format():
    made = json.loads(json.dumps(speedscope_file("demo/one", RECORDINGS), allow_nan=False))
    assert made["$schema"] == SCHEMA
    assert made.keys() == FILE.keys() | {"shared", "profiles"}
    assert all(isinstance(made[key], kind) for key, kind in FILE.items())
    assert 0 <= made["activeProfileIndex"] < len(made["profiles"])
    frames = made["shared"]["frames"]
    assert len(frames) == len({json.dumps(frame) for frame in frames})
    for frame in frames:
        assert "name" in frame and frame.keys() <= FRAME.keys()
        assert all(isinstance(value, FRAME[key]) for key, value in frame.items())
    for profile in made["profiles"]:
        assert profile.keys() == PROFILE.keys() | LISTS
        assert all(isinstance(profile[key], kind) for key, kind in PROFILE.items())
        assert (profile["type"], profile["unit"]) == ("sampled", "seconds")
        assert len(profile["samples"]) == len(profile["weights"])
        assert all(0 <= index < len(frames) for stack in profile["samples"] for index in stack)
        assert all(weight > 0 for weight in profile["weights"])
        assert profile["endValue"] - profile["startValue"] == pytest.approx(sum(profile["weights"]))


def test_a_profile_is_a_rank_and_its_shares_are_those_of_the_samples():
    made = speedscope_file("demo/one", RECORDINGS)
    assert [profile["name"] for profile in made["profiles"]] == [
        "train.py, rank 0",
        "train.py, rank 1",
    ]
    names = [frame["name"] for frame in made["shared"]["frames"]]
    backward = names.index("_engine_run_backward")
    first, samples = made["profiles"][0], RECORDINGS[0].samples
    time = sum(
        weight
        for stack, weight in zip(first["samples"], first["weights"], strict=True)
        if backward in stack
    )
    share = sum(sample.phase == "backward" for sample in samples) / len(samples)
    assert time / (first["endValue"] - first["startValue"]) == pytest.approx(share)


def test_stacks_without_frames_and_cut_ones_say_so():
    recording = make_recording(steps=2)
    cut = replace(recording.samples[-1], is_cut=True, stack=recording.samples[-1].stack[2:])
    made = speedscope_file("one", [replace(recording, samples=(recording.samples[0], cut))])
    names = [frame["name"] for frame in made["shared"]["frames"]]
    assert names[:2] == ["(starting Python)", "(outermost frames are missing)"]
    assert made["profiles"][0]["samples"][1][0] == 1


def test_imported_samples_have_no_times_and_weigh_one_each():
    recording = make_recording(steps=2, from_s=0.0, to_s=0.0)
    (profile,) = speedscope_file("old", [recording])["profiles"]
    assert profile["unit"] == "none" and set(profile["weights"]) == {1.0}
