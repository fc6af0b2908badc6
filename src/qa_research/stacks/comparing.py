"""Two sampled trainings compared: which phases and which lines of code take more of the second one's time."""

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

from qa_research.ledger.stacks import Frame, Recording, Sample, Stack
from qa_research.stacks.choosing import Chosen
from qa_research.stacks.phases import PHASES
from qa_research.stats import (
    Difference,
    Ratio,
    exact_ratio,
    holm,
    share_difference,
    shares_differ,
)

# Before the first batch is waited for.
SETTING_UP = PHASES[: PHASES.index("waiting for data")]
# A process that is older when it is first sampled does not show how it was set up.
LATE_S = 5.0
SIGNIFICANT = 0.05
# Of all samples, with a stack that was cut, from which on it is said.
MANY_CUT = 0.02


@dataclass(frozen=True, slots=True)
class Change:
    """A phase's or a line's share in both, and the second share minus the first.

    `p`: that the shares are equal, corrected by Holm for all phases, or all lines, that were tested.
    `seconds`: of an optimizer step, in both, and `seconds_change`: how many more in the second; None where
    one of them took no steps, or it is no part of the steps of either.
    """

    first: Ratio
    second: Ratio
    change: Difference
    p: float
    seconds: tuple[float, float] | None
    seconds_change: Difference | None

    @property
    def is_significant(self) -> bool:
        """Whether the shares differ at the 5 % level, after the correction."""
        return self.p < SIGNIFICANT


@dataclass(frozen=True, slots=True)
class LineChange:
    """A line of code and its change. `around`: its callers that were on exactly the same stacks."""

    frame: Frame
    around: int
    change: Change


@dataclass(frozen=True, slots=True)
class Stepping:
    """Samples from the first optimizer step that was seen to the last one; `seconds` of each step."""

    samples: tuple[Sample, ...]
    seconds: float
    steps: int


@dataclass(frozen=True, slots=True)
class StacksCompared:
    """`names` of both. `phases`: in the order of a training. `lines`: by how much their shares changed.

    `stepping`: of each, while it took steps. `notes`: what could not be compared, or was left out, and why.
    """

    names: tuple[str, str]
    samples: tuple[int, int]
    phases: tuple[tuple[str, Change], ...]
    lines: tuple[LineChange, ...]
    stepping: tuple[Stepping | None, Stepping | None]
    notes: tuple[str, ...]

    @property
    def verdict(self) -> str:
        """What changed most, in one sentence."""
        if not self.phases:
            return "Their phases are not the same, so only lines of code are compared."
        changed = [(name, c) for name, c in self.phases if c.is_significant]
        if not changed:
            return "No phase's share differs by more than the samples leave open."
        name, most = max(changed, key=lambda named: abs(named[1].change.value))
        return (
            f"{name.capitalize()} went from {most.first.value:.1%} to {most.second.value:.1%} of the time: "
            f"{points(most.change)} points."
        )


def points(change: Difference) -> str:
    """A difference of shares in percentage points, with its interval: `+3.1 [+0.9, +5.3]`."""
    value, low, high = (f"{100 * end:+.1f}" for end in (change.value, change.low, change.high))
    return f"{value} [{low}, {high}]"


def compare_stacks(first: Chosen, second: Chosen, smallest: float) -> StacksCompared:
    """The second training's phases and lines against the first one's.

    Two lines are the same if file, function and text are, wherever they stand; of a program in another
    folder, too. `smallest`: lines are tested whose share of the samples of both together is at least
    this, in [0, 1]; the choice knows nothing of a difference (Bourgon et al. 2010, PNAS 107:9546).

    Raises:
        ValueError: nothing is left to be compared.
    """
    notes = list(dict.fromkeys((*first.caveats, *second.caveats)))
    pairs = _same_ranks(first, second, notes)
    samples = _from_same_start(pairs, (first.name, second.name), notes)
    stepping = stepping_of(pairs[0]), stepping_of(pairs[1])
    for name, found in zip((first.name, second.name), stepping, strict=True):
        if found is None:
            notes.append(f"{name} shows fewer than two steps, so there are no seconds of a step.")
    for name, kept in zip((first.name, second.name), samples, strict=True):
        cut = sum(sample.is_cut for sample in kept) / len(kept)
        if cut > MANY_CUT:
            notes.append(
                f"{cut:.0%} of the stacks of {name} were cut: the outermost lines have too small a share."
            )
    return StacksCompared(
        names=(first.name, second.name),
        samples=(len(samples[0]), len(samples[1])),
        phases=tuple(_phase_changes(samples, stepping, notes)),
        lines=tuple(_line_changes(samples, stepping, smallest)),
        stepping=stepping,
        notes=tuple(notes),
    )


def stepping_of(recordings: Sequence[Recording]) -> Stepping | None:
    """The samples of all ranks between the first and the last step that were seen; None of fewer than two."""
    spans = []
    for recording in recordings:
        known = [s for s in recording.samples if s.step is not None]
        last = known[-1].step if known else None
        end = next((s.at_s for s in known if s.step == last), 0.0)
        within = [s for s in known if s.step != last]
        if within and within[0].step is not None and last is not None:
            spans.append((within, end - within[0].at_s, last - within[0].step))
    if not spans:
        return None
    samples = tuple(sample for within, _, _ in spans for sample in within)
    steps = sum(steps for _, _, steps in spans)
    return Stepping(samples, sum(seconds for _, seconds, _ in spans) / steps, steps)


Samples = tuple[Sequence[Sample], Sequence[Sample]]
Pairs = tuple[Sequence[Recording], Sequence[Recording]]
Counts = tuple[tuple[int, int], tuple[int, int]]
BothStepping = tuple[Stepping | None, Stepping | None]


def _same_ranks(first: Chosen, second: Chosen, notes: list[str]) -> Pairs:
    """Of each the recordings of the ranks that both have."""
    common = set(first.ranks) & set(second.ranks)
    if not common or (common == set(first.ranks) == set(second.ranks)):
        if not common:
            notes.append(f"They are of different ranks, {first.ranks} and {second.ranks}.")
        return first.recordings, second.recordings
    for chosen in (first, second):
        if left := sorted(set(chosen.ranks) - common):
            ranks = ", ".join(map(str, left))
            notes.append(f"Only {chosen.name} has rank {ranks}, which is left out.")
    return (
        [r for r in first.recordings if r.rank in common],
        [r for r in second.recordings if r.rank in common],
    )


def _from_same_start(pairs: Pairs, names: tuple[str, str], notes: list[str]) -> Samples:
    """The samples of both; without those of setting up if only one of them has it."""
    is_late = [any(r.from_s > LATE_S for r in recordings) for recordings in pairs]
    samples = [[s for r in recordings for s in r.samples] for recordings in pairs]
    if is_late[0] != is_late[1]:
        samples = [[s for s in kept if s.phase not in SETTING_UP] for kept in samples]
        late = names[is_late.index(True)]
        notes.append(
            f"{late} was not sampled from its start, so what comes before the first step is left out "
            "of both."
        )
    for name, kept in zip(names, samples, strict=True):
        if not kept:
            raise ValueError(f"{name} has no samples that can be compared")
    return samples[0], samples[1]


def _phase_changes(
    samples: Samples, stepping: BothStepping, notes: list[str]
) -> list[tuple[str, Change]]:
    tables = _tables(samples, stepping, lambda kept: Counter(s.phase for s in kept))
    seen = [set(counts) for counts in tables.counts]
    foreign = [bool(phases - set(PHASES)) for phases in seen]
    if foreign[0] != foreign[1]:
        notes.append("Only one of them has the phases of this version, so phases are not compared.")
        return []
    phases = [*PHASES, *sorted((seen[0] | seen[1]) - set(PHASES))]
    phases = [phase for phase in phases if phase in seen[0] | seen[1]]
    return list(zip(phases, tables.changes([{phase} for phase in phases]), strict=True))


def _line_changes(samples: Samples, stepping: BothStepping, smallest: float) -> list[LineChange]:
    """The lines of the largest changes first; of lines on exactly the same stacks, the innermost."""
    stacks: dict[Stack, int] = {}
    numbers: dict[int, int] = {}
    for kept in samples:
        for sample in kept:
            if id(sample.stack) not in numbers:
                numbers[id(sample.stack)] = stacks.setdefault(sample.stack, len(stacks))
    tables = _tables(samples, stepping, lambda kept: Counter(numbers[id(s.stack)] for s in kept))
    total = sum(map(len, samples))
    tested = [
        (frames, places)
        for frames, places in _groups(list(stacks))
        if smallest * total <= sum(counts[i] for counts in tables.counts for i in places) < total
    ]
    changes = tables.changes([places for _, places in tested])
    found = [
        LineChange(frames[-1], len(frames) - 1, change)
        for (frames, _), change in zip(tested, changes, strict=True)
    ]
    return sorted(found, key=lambda line: -abs(line.change.change.value))


def _groups(stacks: Sequence[Stack]) -> list[tuple[list[Frame], frozenset[int]]]:
    """Lines that are on the same stacks, the outermost first, with the places of these stacks.

    `fit` and the lines from it to the loop are on the same ones: what is said of one is said of all of them.
    """
    where: dict[tuple[str, str, str], set[int]] = {}
    frames: dict[tuple[str, str, str], tuple[int, Frame]] = {}
    for place, stack in enumerate(stacks):
        own = _own_folder(stack)
        for depth, frame in enumerate(stack):
            file = frame.file.removeprefix(own)
            key = (file, frame.function, frame.text or str(frame.line))
            where.setdefault(key, set()).add(place)
            # Stacks of the second training come last: there a line stands where its reader finds it.
            frames[key] = (depth, frame)
    groups: dict[frozenset[int], list[tuple[int, Frame]]] = {}
    for key, places in where.items():
        groups.setdefault(frozenset(places), []).append(frames[key])
    return [
        ([frame for _, frame in sorted(found, key=lambda item: item[0])], places)
        for places, found in groups.items()
    ]


def _own_folder(stack: Stack) -> str:
    """The folder of the program itself, with a slash: another checkout of it has another name."""
    if not stack or stack[0].function != "<module>":
        return ""
    folder, slash, _ = stack[0].file.rpartition("/")
    return folder + slash


@dataclass(frozen=True, slots=True)
class _Tables:
    """How often each thing (a phase, a stack) was seen in both, and in both while they took steps."""

    counts: tuple[Counter[Any], Counter[Any]]
    while_stepping: tuple[Counter[Any], Counter[Any]] | None
    seconds: tuple[float, float] | None

    def changes(self, groups: Sequence[Collection[Any]]) -> list[Change]:
        """The change of each group of things, tested together."""
        both = [_of(self.counts, group) for group in groups]
        corrected = holm([shares_differ(*shares) for shares in both])
        return [
            self._change(group, shares, p)
            for group, shares, p in zip(groups, both, corrected, strict=True)
        ]

    def _change(self, group: Collection[Any], both: Counts, p: float) -> Change:
        seconds, difference = None, None
        if self.while_stepping is not None and self.seconds is not None:
            shares = _of(self.while_stepping, group)
            one, two = (
                right / asked * factor
                for (right, asked), factor in zip(shares, self.seconds, strict=True)
            )
            if one or two:
                seconds, difference = (one, two), share_difference(*shares, self.seconds)
        first, second = (exact_ratio(*share) for share in both)
        return Change(first, second, share_difference(*both), p, seconds, difference)


def _tables(
    samples: Samples,
    stepping: BothStepping,
    count: Callable[[Sequence[Sample]], Counter[Any]],
) -> _Tables:
    first, second = stepping
    counts = count(samples[0]), count(samples[1])
    if first is None or second is None:
        return _Tables(counts, None, None)
    while_stepping = count(first.samples), count(second.samples)
    return _Tables(counts, while_stepping, (first.seconds, second.seconds))


def _of(tables: tuple[Counter[Any], Counter[Any]], group: Collection[Any]) -> Counts:
    first, second = ((sum(table[key] for key in group), table.total()) for table in tables)
    return first, second
