"""What was sampled, as lines of text: the verdict first, then the phases, then how far to trust them."""

import logging
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from scipy.stats import kstest

from qa_research.ledger.stacks import Recording
from qa_research.signals import one_sentence
from qa_research.stacks.collecting import keep
from qa_research.stacks.shares import shares
from qa_research.stacks.verdict import judge
from qa_research.text import aligned, command_line

log = logging.getLogger(__name__)
# A p-value below it is worth a word.
ODD = 0.01
HEADER = ("phase", "samples", "share, %", "95 % interval", "seconds")


def tell(found: Sequence[tuple[Recording, Path]]) -> None:
    """Keep recordings in their ledgers and log what they show; a full disk is said, and they are shown."""
    if not any(recording.samples for recording, _ in found):
        log.info("No stacks were sampled")
        return
    for recording, ledger in found:
        if not recording.samples:
            continue
        try:
            keep([(recording, ledger)])
        except (ValueError, OSError) as error:
            log.warning("These samples could not be kept: %s", one_sentence(error))
    for recordings in of_runs([recording for recording, _ in found if recording.samples]):
        for line in lines_of(recordings):
            log.info("%s", line)
    names = dict.fromkeys(r.run for r, _ in found if r.samples and r.run_id)
    for name in names:
        log.info("See more  %s", command_line("qa-research", "stacks", "flame", name))


def of_runs(recordings: Sequence[Recording]) -> list[list[Recording]]:
    """The recordings of each run together, those of all its processes."""
    found: dict[tuple[str | None, str], list[Recording]] = {}
    for recording in recordings:
        found.setdefault((recording.run_id, recording.run), []).append(recording)
    return list(found.values())


def lines_of(recordings: Sequence[Recording]) -> list[str]:
    """The verdict on a run, then the phases of each of its processes and what the samples are worth."""
    lines = ["", recordings[0].run, *judge(recordings).lines()]
    for recording in recordings:
        rows = [HEADER, *_rows(recording)]
        lines += ["", *aligned(rows, range(1, 5)), *notes(recording)]
    return lines


def told_as_json(name: str, recordings: Sequence[Recording]) -> dict[str, Any]:
    """The verdict and the phases as plain values; shares in [0, 1], times in seconds."""
    return {
        "run": name,
        "verdict": asdict(judge(recordings)),
        "processes": [
            {
                "rank": recording.rank,
                "samples": len(recording.samples),
                "seconds": recording.to_s - recording.from_s,
                "mean_interval_s": recording.mean_s,
                "ending": recording.ending,
                "uniformity_p_value": uniformity(recording),
                "phases": [asdict(share) for share in shares(recording.samples)],
                "facts": dict(recording.facts),
            }
            for recording in recordings
        ],
    }


def uniformity(recording: Recording) -> float | None:
    """The p-value of the times being spread evenly over the recording; None with too few samples.

    Whatever a process does, it must not decide when it is seen. Source: Kolmogorov-Smirnov test.
    """
    length = recording.to_s - recording.from_s
    times = [sample.at_s for sample in recording.samples]
    if len(times) < 2 or length <= 0:
        return None
    return float(kstest([(time - recording.from_s) / length for time in times], "uniform").pvalue)


def notes(recording: Recording) -> list[str]:
    """How many samples there are, when they were taken, and what is not known."""
    count, length = len(recording.samples), recording.to_s - recording.from_s
    if recording.caveat:
        return [f"{count:,} samples, whose times were not kept", recording.caveat]
    found = [
        f"{count:,} samples in {length:.1f} s, on average every {1000 * recording.mean_s:.0f} ms, of rank "
        f"{recording.rank}"
    ]
    p_value = uniformity(recording)
    if p_value is not None:
        verdict = "evenly spread" if p_value >= ODD else "NOT evenly spread, so shares may be wrong"
        found.append(f"sampling times: {verdict} (Kolmogorov-Smirnov p {p_value:.2f})")
    if recording.from_s > 0.5:
        found.append(f"not sampled: the first {recording.from_s:.1f} s of the process")
    cut = sum(sample.is_cut for sample in recording.samples)
    if cut:
        found.append(f"{cut} stacks have more than 100 frames, so their outermost ones are missing")
    if recording.ending == "died":
        found.append("the process died while it was sampled")
    return found


def _rows(recording: Recording) -> list[tuple[str, ...]]:
    length = recording.to_s - recording.from_s
    return [
        (
            share.phase,
            f"{share.count:,}",
            f"{100 * share.value:.1f}",
            f"[{100 * share.low:.1f}, {100 * share.high:.1f}]",
            f"{share.value * length:.1f}" if length else "-",
        )
        for share in shares(recording.samples)
    ]
