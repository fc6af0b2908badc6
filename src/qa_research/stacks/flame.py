"""Sampled stacks as one HTML file: a flame graph to search, filter and zoom, and the lines of each phase."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from qa_research.ledger.stacks import Frame, Recording, Sample, Stack
from qa_research.pages.html import one_file
from qa_research.stacks.choosing import Chosen
from qa_research.stacks.phases import PHASES
from qa_research.stacks.shares import Share, shares
from qa_research.stacks.show import place_of
from qa_research.stacks.tree import is_wrapper, named_stack
from qa_research.stats import Ratio, exact_ratio

NAME = "flame.html"
KIT = ("kit.css", "page.js")
SCRIPTS = ("flame_data.js", "flame_draw.js", "flame_controls.js")
# Lines told of a phase.
MOST_LINES = 5
# Colours of flame.css. What is done before the first step is of one colour, and its phases are told by name.
COLOURS = {
    **dict.fromkeys(PHASES[: PHASES.index("waiting for data")], "setup"),
    "waiting for data": "orange",
    "forward": "blue",
    "backward": "mint",
    "optimizer": "pear",
    "validation": "yellow",
    "capture": "pink",
    "checkpoint": "olive",
    "logging": "cyan",
}
OTHER_COLOUR = "grey"
# In turn, of the phases of other programs, such as the old lab.
FOREIGN = ("orange", "blue", "mint", "pear", "yellow", "pink", "olive", "cyan")


@dataclass(frozen=True, slots=True)
class PhaseLines:
    """A phase's share of all samples, and the lines in which its samples ended, with their shares of it."""

    share: Share
    colour: str
    lines: tuple[tuple[Frame, Ratio], ...]


def flame_page(chosen: Chosen, verdict: str = "") -> str:
    """The page of a run's samples; `verdict`: what is said first, in one sentence.

    All names and lines of code are escaped, and the browser is told to run only this page's own script.
    `#search=TEXT` after its address searches, `#phase=NAME` shows a phase.
    """
    tables = {"all": phase_lines(chosen.samples)}
    if len(chosen.recordings) > 1:
        tables |= {str(r.rank): phase_lines(r.samples) for r in chosen.recordings if r.samples}
    values = {
        "chosen": chosen,
        "verdict": verdict,
        "seconds": sum(r.to_s - r.from_s for r in chosen.recordings),
        "cut": sum(sample.is_cut for sample in chosen.samples),
        "tables": tables,
        "place_of": place_of,
        "data": flame_data(chosen.recordings),
    }
    return one_file("qa_research.stacks", "flame.html.jinja", "flame.css", SCRIPTS, values, kit=KIT)


def phase_lines(samples: Sequence[Sample]) -> list[PhaseLines]:
    """The phases, the most frequent first, with the lines in which most of their samples ended.

    Lines in which only one sample ended tell nothing, unless the phase has no other.
    """
    colours = phase_colours(sample.phase for sample in samples)
    ends: dict[str, Counter[Frame]] = {}
    for sample in samples:
        if sample.stack:
            ends.setdefault(sample.phase, Counter())[sample.stack[-1]] += 1
    found = []
    for share in sorted(shares(samples), key=lambda share: -share.count):
        most = ends.get(share.phase, Counter()).most_common(MOST_LINES)
        told = [(frame, count) for frame, count in most if count > 1] or most[:1]
        lines = tuple((frame, exact_ratio(count, share.count)) for frame, count in told)
        found.append(PhaseLines(share, colours[share.phase], lines))
    return found


def phase_colours(phases: Iterable[str]) -> dict[str, str]:
    """The colour of each phase; those that no training here has take turns."""
    seen = set(phases)
    foreign = sorted(seen - set(PHASES))
    colours = {phase: COLOURS.get(phase, OTHER_COLOUR) for phase in PHASES if phase in seen}
    return colours | {phase: FOREIGN[i % len(FOREIGN)] for i, phase in enumerate(foreign)}


def flame_data(recordings: Sequence[Recording]) -> dict[str, Any]:
    """What the page's script reads, as JSON's values. Every text is there once.

    `frames`: [file, line, function, text] with places in the lists of texts. `stacks`, in order: how many
    outer frames a stack has in common with the one before, and its other frames. `seen`: [stack, phase,
    rank, samples], all places. `wrappers`: the frames that only pass a call on.
    """
    counts: Counter[tuple[Stack, str, int]] = Counter()
    for place, recording in enumerate(recordings):
        for (_, phase, _), (sample, count) in _same(recording.samples).items():
            counts[named_stack(sample), phase, place] += count
    frames: dict[Frame, int] = {}
    stacks = sorted(
        tuple(frames.setdefault(frame, len(frames)) for frame in stack)
        for stack in dict.fromkeys(stack for stack, _, _ in counts)
    )
    places = {stack: place for place, stack in enumerate(stacks)}
    colours = phase_colours(phase for _, phase, _ in counts)
    phases = list(colours)
    lists = {name: _numbered(getattr(frame, name) for frame in frames) for name in _TEXTS}
    return {
        "files": list(lists["file"]),
        "functions": list(lists["function"]),
        "texts": list(lists["text"]),
        "frames": [
            [
                lists["file"][frame.file],
                frame.line,
                lists["function"][frame.function],
                lists["text"][frame.text],
            ]
            for frame in frames
        ],
        "wrappers": [place for frame, place in frames.items() if is_wrapper(frame)],
        "stacks": list(_front_coded(stacks)),
        "phases": [{"name": phase, "colour": colour} for phase, colour in colours.items()],
        "ranks": [recording.rank for recording in recordings],
        "seen": [
            [places[tuple(frames[frame] for frame in stack)], phases.index(phase), rank, count]
            for (stack, phase, rank), count in counts.items()
        ],
    }


_TEXTS = ("file", "function", "text")


def _same(samples: Sequence[Sample]) -> dict[tuple[int, str, bool], tuple[Sample, int]]:
    """One of each kind of samples, with their number: those of the same stack object and phase."""
    found: dict[tuple[int, str, bool], tuple[Sample, int]] = {}
    for sample in samples:
        key = (id(sample.stack), sample.phase, sample.is_cut)
        found[key] = (sample, found[key][1] + 1 if key in found else 1)
    return found


def _numbered(texts: Iterable[str]) -> dict[str, int]:
    return {text: place for place, text in enumerate(dict.fromkeys(texts))}


def _front_coded(stacks: Sequence[tuple[int, ...]]) -> Iterable[list[int]]:
    """(1, 2, 3), (1, 2, 5, 6) -> [0, 1, 2, 3], [2, 5, 6]."""
    before: tuple[int, ...] = ()
    for stack in stacks:
        common = 0
        while common < min(len(before), len(stack)) and before[common] == stack[common]:
            common += 1
        yield [common, *stack[common:]]
        before = stack
