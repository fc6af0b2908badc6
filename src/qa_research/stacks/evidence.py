"""What a verdict rests on: parts of a recording, and what was measured in them, each with a 95 % interval.

It decides nothing; verdict.py has the rules.
"""

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, pairwise
from statistics import median
from typing import Any

import numpy as np
from scipy.stats import t as student

from qa_research.ledger.stacks import Frame, Recording, Sample
from qa_research.stats import CONFIDENCE, exact_ratio

# Of a sample in place of its phase; see `observe`.
OTHER_RANKS = "waiting for other ranks"
# Of a part's time, to see whether something grows or differs in it.
STRETCHES = 8
# A process stands still if it is at one place for so many seconds with less than this part of a processor.
# On a machine that others keep busy it waits for a tenth of a second now and then.
STILL_S, STILL = 0.5, 0.1
# Memory grows until batches of most lengths have come: kernels are prepared for each, and kept.
WARM_STEPS = 100
# Fewer samples than this in each stretch have no median worth the name.
FEWEST_IN_A_STRETCH = 4
# Where a call that is not the user's own code ends up: Python, torch and Lightning.
_MACHINERY = ("torch/", "lightning/", "python3.", "<frozen ")
_IMPORTING = "<frozen importlib."
_NETWORK = re.compile(
    r"python3\.\d+/(socket|ssl|http/client|urllib/request)\.py$"
    r"|(urllib3|requests|httpx|httpcore|aiohttp|huggingface_hub)/"
)
_COLLATING = "torch/utils/data/_utils/fetch.py"
_COLLECTIVES = "torch/distributed/"
# Lines at which Python waits until a GPU has computed what it was given.
_READS_DEVICE = re.compile(
    r"\bfloat\(|\.item\(|\.tolist\(|\.cpu\(|\.to\(|synchronize\(|\bisfinite\("
)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its 95 % interval."""

    value: float
    low: float
    high: float

    def times(self, factor: float) -> "Estimate":
        """All three, `factor` times as large."""
        return Estimate(self.value * factor, self.low * factor, self.high * factor)

    def percent(self) -> str:
        """A share, such as `58 % [55, 61]`; one decimal below 10 %."""
        digits = 1 if self.value < 0.1 else 0
        value, low, high = (f"{100 * x:.{digits}f}" for x in (self.value, self.low, self.high))
        return f"{value} % [{low}, {high}]"

    def measure(self, unit: str = "") -> str:
        """A quantity, such as `5.21 s [4.40, 6.12]`; two decimals below 10."""
        digits = 1 if abs(self.value) >= 10 else 2
        value, low, high = (f"{x:.{digits}f}" for x in (self.value, self.low, self.high))
        return f"{value}{unit and ' '}{unit} [{low}, {high}]"


@dataclass(frozen=True, slots=True)
class Part:
    """Consecutive samples of a recording, and how many seconds they stand for."""

    samples: tuple[Sample, ...]
    seconds: float

    def share(self, fits: Callable[[Sample], bool]) -> Estimate:
        """The share of this part's time in which something holds; [0, 1] without samples."""
        return share(sum(map(fits, self.samples)), len(self.samples))

    def share_of_phases(self, *phases: str) -> Estimate:
        """The share of this part's time in these phases together."""
        return self.share(lambda sample: sample.phase in phases)


@dataclass(frozen=True, slots=True)
class Observed:
    """A recording in three parts: until the first optimizer step was done, the steps, and after the last one.

    So what is paid once (imports, the first capture, the last validation) is apart from what is paid again
    and again. Validations, captures and checkpoints between steps are in `steps`.
    """

    recording: Recording
    starting: Part
    steps: Part
    ending: Part
    step_count: int

    @property
    def seconds(self) -> float:
        """How long it was sampled."""
        return self.recording.to_s - self.recording.from_s

    def fact(self, name: str) -> Any:
        """What the training told of itself; None where it did not."""
        return self.recording.facts.get(name)


def observe(recording: Recording) -> Observed:
    """Divide a recording at the first and at the last optimizer step that was seen to end."""
    samples = [_as_seen(s, recording) for s in recording.samples]
    numbers = [sample.step for sample in samples if sample.step is not None]
    first, last = (numbers[0], numbers[-1]) if numbers else (0, 0)
    begins = len(samples) - len(numbers)
    ends = begins + sum(number < last for number in numbers)
    cuts = [recording.from_s, *_moments(samples, begins, ends, recording.to_s), recording.to_s]
    parts = (samples[:begins], samples[begins:ends], samples[ends:])
    lasted = [later - earlier for earlier, later in pairwise(cuts)]
    starting, steps, ending = (Part(tuple(p), s) for p, s in zip(parts, lasted, strict=True))
    return Observed(recording, starting, steps, ending, last - first)


def _moments(samples: Sequence[Sample], begins: int, ends: int, to_s: float) -> tuple[float, float]:
    at = [sample.at_s for sample in samples] + [to_s]
    return at[begins], at[ends]


def _as_seen(sample: Sample, recording: Recording) -> Sample:
    """With a phase that says what the time is spent for, where the line says only at which line it passes.

    A collective call waits for other processes, and on a GPU a line that reads a value waits for the device,
    whatever its value is for; such as the loss, which is logged.
    """
    if is_collective(sample):
        return replace(sample, phase=OTHER_RANKS)
    if is_on_cpu(recording) or sample.phase != "logging" or not sample.stack:
        return sample
    reads = _READS_DEVICE.search(sample.stack[-1].text)
    return replace(sample, phase="forward") if reads else sample


def is_on_cpu(recording: Recording) -> bool:
    """Whether the network computes on the processors; so it is said where nothing is told."""
    return bool(recording.facts.get("device", "cpu") == "cpu")


def share(count: int, total: int) -> Estimate:
    """`count` of `total` with the exact interval; [0, 1] of none."""
    if not total:
        return Estimate(0.0, 0.0, 1.0)
    ratio = exact_ratio(count, total)
    return Estimate(ratio.value, ratio.low, ratio.high)


def larger(one: int, other: int) -> Estimate:
    """The share of the first in the samples of either; it is the larger one if `low` is above one half.

    Given their sum, the first count is binomial, whatever else was sampled.
    """
    return share(one, one + other)


def is_network(sample: Sample) -> bool:
    """Whether it speaks to another machine."""
    return _calls(sample, lambda file: _NETWORK.match(file) is not None)


def is_collective(sample: Sample) -> bool:
    """Whether it waits for the other processes of a distributed training, where Python sees that."""
    return _calls(sample, lambda file: file.startswith(_COLLECTIVES))


def _calls(sample: Sample, is_theirs: Callable[[str], bool]) -> bool:
    """Whether code in files of theirs was called, as opposed to being imported.

    The outermost of their frames since the last import tells: an import runs their module itself first.
    """
    entered = None
    for frame in reversed(sample.stack):
        if frame.file.startswith(_IMPORTING):
            break
        if is_theirs(frame.file):
            entered = frame
    return entered is not None and entered.function != "<module>"


def is_dropout(sample: Sample) -> bool:
    """Whether it draws dropout's random numbers, in the forward pass."""
    return any(
        (frame.file, frame.function) == ("torch/nn/functional.py", "dropout")
        for frame in sample.stack
    )


def is_syncing(sample: Sample) -> bool:
    """Whether it waits until the disk has written."""
    return any("fsync(" in frame.text or "fdatasync(" in frame.text for frame in sample.stack)


def collate_line(sample: Sample) -> Frame | None:
    """The innermost line if it is one of a collate function that is not torch's, or of its file; or None."""
    for outer, frame in pairwise(sample.stack):
        if outer.file == _COLLATING and "collate_fn" in outer.text:
            own = sample.stack[-1]
            is_own = own.file == frame.file and not own.file.startswith(_MACHINERY)
            return own if is_own else None
    return None


def own_line(sample: Sample) -> Frame | None:
    """The innermost line outside of Python's library, torch and Lightning; None if there is none."""
    own = (f for f in reversed(sample.stack) if not f.file.startswith(_MACHINERY))
    return next(own, None)


def hottest(samples: Sequence[Sample], line: Callable[[Sample], Frame | None]) -> str | None:
    """The most frequent line as `file:line` and its text; None where there is none."""
    counts = Counter(found for sample in samples if (found := line(sample)) is not None)
    if not counts:
        return None
    frame, _ = counts.most_common(1)[0]
    where = f"{frame.file}:{frame.line}, in {frame.function}"
    return f"{where}: {frame.text}" if frame.text else where


def processors_used(part: Part, fits: Callable[[Sample], bool]) -> Estimate | None:
    """How many processors were busy on average while something held; None where that is not told.

    From the processor time between two samples that follow each other and both fit. What falls between them
    is not seen, so it is read where a state lasts longer than two samples are apart.
    """
    pairs = [
        (later.at_s - earlier.at_s, later.cpu_s - earlier.cpu_s)
        for earlier, later in pairwise(part.samples)
        if earlier.cpu_s is not None and later.cpu_s is not None and fits(earlier) and fits(later)
    ]
    if len(pairs) < STRETCHES * FEWEST_IN_A_STRETCH:
        return None
    # The kernel counts in ticks of 10 ms, so single pairs say little.
    blocks = [np.sum(block, axis=0) for block in np.array_split(np.array(pairs), STRETCHES)]
    return _mean([spent / lasted for lasted, spent in blocks if lasted > 0])


def standstill(part: Part, fits: Callable[[Sample], bool]) -> Estimate | None:
    """The share of the time in which something held that passed at one place, for long, without a processor.

    None where processor times are not told.
    """
    told = [sample for sample in part.samples if sample.cpu_s is not None and fits(sample)]
    still = 0
    for _, same in groupby(told, key=lambda sample: (sample.stack, sample.step)):
        first, *rest = same
        last = rest[-1] if rest else first
        lasted, used = last.at_s - first.at_s, (last.cpu_s or 0.0) - (first.cpu_s or 0.0)
        if lasted > STILL_S and used < STILL * lasted:
            still += 1 + len(rest)
    return share(still, len(told)) if told else None


def settled(seen: Observed) -> Part:
    """The later half of the steps, without the first WARM_STEPS in any case; the samples that tell memory."""
    samples = [s for s in seen.steps.samples if s.memory_mb is not None and s.step is not None]
    if not samples:
        return Part((), 0.0)
    first = samples[0].step or 0
    begins = max(first + WARM_STEPS, first + seen.step_count // 2)
    late = tuple(sample for sample in samples if (sample.step or 0) >= begins)
    return Part(late, late[-1].at_s - late[0].at_s if late else 0.0)


def memory_growth(part: Part) -> Estimate | None:
    """MB of resident memory that were added in each of STRETCHES; None where there are too few samples.

    If memory creeps, the medians of the stretches differ by as much each time. If it grows once or twice, as
    when a longer batch comes, most differences are 0, and 0 is in the interval.

    Example: medians 100, 110, 121, 130 differ by 10, 11 and 9: 10 [7.5, 12.5]. Of 100, 130, 130, 130 the
    differences are 30, 0 and 0: 10 [-33, 53].
    """
    if len(part.samples) < STRETCHES * FEWEST_IN_A_STRETCH:
        return None
    stretches: list[list[float]] = [[] for _ in range(STRETCHES)]
    for sample in part.samples:
        place = int((sample.at_s - part.samples[0].at_s) / part.seconds * STRETCHES)
        stretches[min(place, STRETCHES - 1)].append(sample.memory_mb or 0.0)
    if any(len(stretch) < FEWEST_IN_A_STRETCH for stretch in stretches):
        return None
    return _mean([later - earlier for earlier, later in pairwise(map(median, stretches))])


def _mean(values: Sequence[float]) -> Estimate:
    """A mean with Student's interval."""
    mean = float(np.mean(values))
    error = float(np.std(values, ddof=1)) / math.sqrt(len(values))
    half = float(student.ppf((1 + CONFIDENCE) / 2, len(values) - 1)) * error
    return Estimate(mean, mean - half, mean + half)
