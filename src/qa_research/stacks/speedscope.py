"""Recordings as a file of speedscope (https://www.speedscope.app), a viewer of profiles in the browser.

Source: speedscope's src/lib/file-format-spec.ts.
"""

from collections.abc import Sequence
from typing import Any

from qa_research.ledger.stacks import Frame, Recording
from qa_research.stacks.tree import named_stack

NAME = "stacks.speedscope.json"
SCHEMA = "https://www.speedscope.app/file-format-schema.json"


def speedscope_file(name: str, recordings: Sequence[Recording]) -> dict[str, Any]:
    """One sampled profile for each recording, with shared frames, as JSON's values.

    Every sample weighs the mean distance of two, the sampled seconds divided by the samples: then a
    frame's share in speedscope is its share of the samples, the one that our intervals are of. The time
    from a sample to the next would be as true on average, and only noisier. So a sample's place on
    speedscope's axis of time is its rank in order, not its moment.
    """
    frames: dict[Frame, int] = {}
    profiles = [_profile(recording, frames) for recording in recordings]
    return {
        "$schema": SCHEMA,
        "exporter": "qa-research",
        "name": name,
        "activeProfileIndex": 0,
        "shared": {"frames": [_frame(frame) for frame in frames]},
        "profiles": profiles,
    }


def _profile(recording: Recording, frames: dict[Frame, int]) -> dict[str, Any]:
    samples = recording.samples
    start = recording.from_s
    # Those imported from the old lab have no times: each weighs 1.
    has_times = recording.to_s > start
    end = recording.to_s if has_times else start + len(samples)
    weight = (end - start) / len(samples) if samples else 0.0
    stacks = []
    for sample in samples:
        stack = named_stack(sample)
        stacks.append([frames.setdefault(frame, len(frames)) for frame in stack])
    return {
        "type": "sampled",
        "name": f"{recording.run}, rank {recording.rank}",
        "unit": "seconds" if has_times else "none",
        "startValue": start,
        "endValue": end,
        "samples": stacks,
        "weights": [weight] * len(samples),
    }


def _frame(frame: Frame) -> dict[str, Any]:
    known: dict[str, Any] = {"name": frame.function}
    if frame.file:
        known["file"] = frame.file
    if frame.line:
        known["line"] = frame.line
    return known
