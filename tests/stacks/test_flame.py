"""The flame graph's page and what its script reads."""

import json
import random
import time
from collections import Counter
from dataclasses import replace

import pytest

from qa_research.ledger.stacks import Frame, Sample
from qa_research.stacks.flame import COLOURS, flame_data, flame_page, phase_colours, phase_lines
from qa_research.stacks.phases import PHASES
from qa_research.stacks.tree import CUT, named_stack
from tests.html_pages import ParsedPage
from tests.stacks.recordings import BACKWARD, CALL, HOOK, LINEAR, chosen, make_recording

HOSTILE = '</script><b>bold</b><!-- <script> "quoted" & \u2028'
RECORDINGS = [make_recording(rank=rank, seed=rank + 1) for rank in (0, 1)]


def unpacked(data):
    """The samples of a page's data: (stack, phase, rank) with their numbers."""
    frames = [
        Frame(data["files"][file], line, data["functions"][function], data["texts"][text])
        for file, line, function, text in data["frames"]
    ]
    stacks, before = [], []
    for common, *rest in data["stacks"]:
        before = before[:common] + rest
        stacks.append(tuple(frames[frame] for frame in before))
    return Counter(
        {
            (stacks[stack], data["phases"][phase]["name"], data["ranks"][rank]): count
            for stack, phase, rank, count in data["seen"]
        }
    )


def test_the_pages_data_are_the_samples_and_every_text_is_there_once():
    data = flame_data(RECORDINGS)
    expected = Counter(
        (named_stack(s), s.phase, recording.rank)
        for recording in RECORDINGS
        for s in recording.samples
    )
    assert unpacked(data) == expected
    for texts in (data["files"], data["functions"], data["texts"]):
        assert len(texts) == len(set(texts))
    wrappers = {data["functions"][data["frames"][place][2]] for place in data["wrappers"]}
    assert wrappers == {HOOK.function, CALL.function}


def test_a_stack_without_its_outermost_frames_begins_with_a_frame_that_says_so():
    recording = make_recording(steps=3)
    cut = replace(recording.samples[-1], is_cut=True)
    stacks = unpacked(flame_data([replace(recording, samples=(recording.samples[0], cut))]))
    assert {stack[0] for stack, _, _ in stacks} == {CUT, Frame("", 0, "(starting Python)")}


def test_every_phase_has_a_colour_and_foreign_ones_take_turns():
    assert COLOURS.keys() <= set(PHASES)
    assert phase_colours(["forward", "unknown"]) == {"forward": "blue", "unknown": "grey"}
    foreign = phase_colours([f"train_{i}" for i in range(10)])
    assert len(set(foreign.values())) == 8


def test_the_table_has_the_lines_in_which_a_phases_samples_ended():
    phases = phase_lines(RECORDINGS[0].samples)
    assert [phase.share.count for phase in phases] == sorted(
        (phase.share.count for phase in phases), reverse=True
    )
    found = {phase.share.phase: phase for phase in phases}
    ((frame, share),) = found["backward"].lines
    assert frame == BACKWARD and share.value == 1.0 and share.asked == found["backward"].share.count
    assert found["forward"].lines[0][0] == LINEAR
    assert found["starting Python"].lines == ()


def test_the_page_says_how_many_samples_of_which_ranks_and_asks_no_network():
    page = flame_page(chosen(*RECORDINGS), "Bound by the network's backward pass.")
    samples = sum(len(recording.samples) for recording in RECORDINGS)
    parsed = ParsedPage(page)
    assert f"{samples:,} samples" in parsed.text and "2 ranks together" in parsed.text
    assert "Bound by the network's backward pass." in parsed.text
    tables = [tag for tag in parsed.tags if tag[0] == "table"]
    assert [tag[1]["data-rank"] for tag in tables] == ["all", "0", "1"]
    assert not {"src", "href"} & {name for _, attributes in parsed.tags for name in attributes}


def test_hostile_names_and_lines_of_code_stay_text():
    frame = Frame(f"{HOSTILE}.py", 7, HOSTILE, HOSTILE)
    sample = Sample(1.0, HOSTILE, (frame, frame))
    page = flame_page(chosen(make_recording(samples=(sample,) * 3), name=HOSTILE), HOSTILE)
    parsed = ParsedPage(page)
    assert not [tag for tag in parsed.tags if tag[0] == "b"]
    assert "\u2028" not in page
    data = json.loads(next(text for tag, text in parsed.inline if tag.get("id") == "samples"))
    assert data["texts"] == [HOSTILE.replace("\u2028", "\\u2028")]


@pytest.fixture(scope="module")
def long_recording():
    """40,000 samples of a large program: 3,000 lines, and 4,000 ways through them, most of them 60 deep."""
    rng = random.Random(1)
    lines = [
        Frame(
            f"package_{i % 90}/module_{i % 400}.py",
            i,
            f"function_{i % 1200}",
            f"x = call({i}) " * 4,
        )
        for i in range(3000)
    ]
    known = {place: rng.sample(lines, rng.choice((2, 2, 2, 3))) for place in range(60)}
    stacks = [
        tuple(known[place][0] if place < 40 else rng.choice(known[place]) for place in range(60))
        if rng.random() < 0.5
        else tuple([known[i][0] for i in range(30)] + rng.sample(lines, 10))
        for _ in range(4000)
    ]
    samples = tuple(
        Sample(i / 10, rng.choice(PHASES), rng.choice(stacks), i) for i in range(40_000)
    )
    return make_recording(samples=samples, to_s=4000.0)


def test_forty_thousand_samples_are_below_two_megabytes_and_fast(long_recording):
    started = time.process_time()
    page = flame_page(chosen(long_recording))
    assert len(page.encode()) < 2_000_000
    # Of processor time it takes 1 to 2 s; five times that is a loop that should not be.
    assert time.process_time() - started < 10
