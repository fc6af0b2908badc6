"""What bounds a training, in one sentence, with what speaks for it and what to try next.

If a fault takes time and gives nothing for it, that is the verdict (faults.py). Otherwise it is the work that
takes the most time, or much of it though less would do: computing, validating, capturing, starting up.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from qa_research.ledger.stacks import Recording
from qa_research.stacks.evidence import (
    OTHER_RANKS,
    Observed,
    Part,
    is_dropout,
    is_on_cpu,
    larger,
    observe,
    processors_used,
    share,
)
from qa_research.stacks.faults import COMPUTE, Evidence, Finding, find_faults
from qa_research.stacks.phases import UNKNOWN
from qa_research.text import plural

TOO_FEW, NO_STEP, NO_TIMES = "too few samples", "no optimizer step", "no times"
# Of fewer, one half cannot be told from a quarter.
FEWEST = 20
# Which of two takes more time is open while the interval of their ratio is wider than this; if it is not, and
# still holds one half, they take equally much.
VAGUE = 0.2
# Of the steps' time: without what takes a quarter, a training would end a quarter earlier.
MUCH = 0.25
# What is asked for and can be asked for less often.
LESS_WOULD_DO = ("validation", "capture")
# What dropout takes by its lower end, to be worth a word.
DROPOUT = 0.02
# Of the threads: if fewer processors are busy, others use them, or operations are too small to divide.
SPARE = 0.7
# Phases that take less are not listed.
SMALL = 0.02


@dataclass(frozen=True, slots=True)
class Verdict:
    """The first line of what is shown of a training, and what follows it.

    `bound`: what bounds the training, such as `compute` or `slow loader`. `is_fault`: it takes time and gives
    nothing for it. `also`: further faults, and what bounds the training apart from faults, in order of harm.
    """

    bound: str
    sentence: str
    is_fault: bool
    evidence: tuple[Evidence, ...]
    next_steps: tuple[str, ...]
    also: tuple[Finding, ...] = ()

    def lines(self) -> list[str]:
        """The sentence, then a line for each piece of evidence, next step and further finding."""
        return [
            self.sentence,
            *(f"  {evidence.text}" for evidence in self.evidence),
            *(f"  next: {step}" for step in self.next_steps),
            *(f"  also {finding.label or finding.name}: {finding.claim}" for finding in self.also),
        ]


def judge(recordings: Sequence[Recording]) -> Verdict:
    """The verdict on a training, from the recordings of all of its processes.

    Distributed processes keep step, so the fault of one of them bounds all: the others wait for it, mostly
    within backward, where that cannot be seen.

    Raises:
        ValueError: there are no recordings.
    """
    if not recordings:
        raise ValueError("a verdict needs at least one recording")
    faults = [
        (finding, recording)
        for recording in recordings
        for finding in find_faults(observe(recording))
    ]
    faults.sort(key=lambda pair: -pair[0].lost_s)
    # One fault of all ranks is one fault.
    named = {finding.name: (finding, recording) for finding, recording in reversed(faults)}
    worst_first = sorted(named.values(), key=lambda pair: -pair[0].lost_s)
    work, *more = what_bounds(observe(recordings[0]))
    if not worst_first:
        return _verdict(work, False, "", tuple(more))
    (worst, recording), *rest = worst_first
    of_rank = f" (rank {recording.rank})" if len(recordings) > 1 else ""
    also = [finding for finding, _ in rest]
    also += [found for found in (work, *more) if found.name not in SAYS_NOTHING]
    return _verdict(worst, True, of_rank, tuple(also))


def _verdict(finding: Finding, is_fault: bool, of_rank: str, also: tuple[Finding, ...]) -> Verdict:
    label = finding.label or finding.name
    following = f"; next: {finding.next_steps[0]}" if finding.next_steps else ""
    return Verdict(
        finding.name,
        f"{label}{of_rank}: {finding.claim}{following}",
        is_fault,
        finding.evidence,
        finding.next_steps,
        also,
    )


@dataclass(frozen=True, slots=True)
class Work:
    """Work that steps do, or that is done between them: its phases, and what makes it less."""

    name: str
    label: str
    phases: tuple[str, ...]
    next_steps: Callable[[Observed], Sequence[str]]


def _faster_computing(seen: Observed) -> list[str]:
    precision = str(seen.fact("precision"))
    found = []
    if is_on_cpu(seen.recording):
        if precision in ("32-true", "32"):
            found.append("trainer.precision=bf16-mixed, if qa-research doctor finds bfloat16 here")
        elif precision in ("64-true", "64"):
            found.append("trainer.precision=32-true")
    else:
        if precision in ("32-true", "32", "64-true", "64"):
            found.append("trainer.precision=bf16-mixed")
        found += ["a larger data.batch_size, up to the device's memory", "model.compile=true"]
    dropout = seen.steps.share(is_dropout)
    if dropout.low >= DROPOUT:
        found.append(f"model.dropout=0.0, which saves its {dropout.percent()}, if nothing overfits")
    optimizer, forward = (seen.steps.share_of_phases(phase) for phase in ("optimizer", "forward"))
    if optimizer.low > forward.high:
        found.append("a larger data.batch_size: the optimizer takes more time than forward")
    if is_on_cpu(seen.recording):
        used = processors_used(seen.steps, lambda s: s.phase in COMPUTE)
        threads = seen.fact("threads") or 1
        if used is not None and used.high < SPARE * threads:
            got = f"an idle machine: {plural(threads, 'thread')} got {used.measure()} processors"
            found.append(got if threads == 1 else f"{got}; or train.threads=1")
        found.append("trainer=gpu, where there is one")
    return found


def _fewer_captures(seen: Observed) -> list[str]:
    budget = seen.recording.facts.get("capture_budget", 0.0)
    limit = "capture.max_step_fraction=0.02"
    if budget is None:
        limit += " (now null, so nothing limits it)"
    elif budget:
        limit = f"a smaller capture.max_step_fraction (now {budget:g})"
    return [limit, "a larger capture.every_n_steps", "capture=none"]


def _constant(*steps: str) -> Callable[[Observed], Sequence[str]]:
    return lambda _: steps


WORK = (
    Work("compute", "forward, backward and optimizer take", COMPUTE, _faster_computing),
    Work(
        "validation",
        "validations take",
        ("validation",),
        _constant(
            "a larger trainer.val_check_interval",
            "a smaller data.validation_questions",
            "data.eval_batch_size=128",
        ),
    ),
    Work("capture", "captures take", ("capture",), _fewer_captures),
    Work(
        "data",
        "batches take",
        ("waiting for data", "data", "tokenizing"),
        _constant("data.num_workers=1"),
    ),
    Work(
        "checkpoint",
        "checkpoints take",
        ("checkpoint",),
        _constant("paths.runs=DIR on a faster disk"),
    ),
    Work("logging", "logging takes", ("logging",), _constant("trainer.log_every_n_steps=50")),
    Work(
        "overhead",
        "Python between the phases takes",
        ("between", "configuration", "imports", "model"),
        _constant("a larger data.batch_size, so that there are fewer steps"),
    ),
    Work(
        "other ranks",
        "waiting for other ranks takes",
        (OTHER_RANKS,),
        _constant("trainer.devices=1"),
    ),
    Work(
        "unknown", "an unknown phase takes", (UNKNOWN,), _constant("qa-research stacks flame RUN")
    ),
)
# Not worth a line after the verdict. Where one of the last four takes the most time, a fault says so.
SAYS_NOTHING = (TOO_FEW, NO_STEP, NO_TIMES, "data", "checkpoint", "logging", "other ranks")
NEXT_OUTSIDE: Mapping[str, tuple[str, ...]] = {
    "start-up": (
        "a sweep, which starts once for all of its runs: qa-research train -m seed=1,2,3",
        "a longer training: trainer.max_epochs, trainer.max_steps",
    ),
    "ending": ("a smaller data.validation_questions", "a longer training"),
}


def what_bounds(seen: Observed) -> list[Finding]:
    """The work that takes the most time: before the steps, in them, or after them.

    If it is not in them, what takes the most time in them follows, which counts in a longer training.
    """
    samples = seen.recording.samples
    if not seen.recording.mean_s:
        return [_plain(NO_TIMES, "an imported recording has none, so it has no shares of time")]
    if samples and not any(sample.step is not None for sample in samples):
        return [_without_steps(seen)]
    if len(samples) < FEWEST:
        return [_too_few(seen)]
    in_steps = [found for found in _in_steps(seen) if found.name not in SAYS_NOTHING]
    for name, part in (("start-up", seen.starting), ("ending", seen.ending)):
        # More than all the rest.
        if share(len(part.samples), len(samples)).low > 0.5:
            return [_outside(seen, name, part), *in_steps]
    return in_steps or [_too_few(seen)]


def _plain(name: str, claim: str, evidence: Sequence[Evidence] = ()) -> Finding:
    return Finding(name, claim, 0.0, tuple(evidence), ())


def _without_steps(seen: Observed) -> Finding:
    """Of a program that trains nothing, or of a training that ended before its first step."""
    phases = _phases(seen.starting)
    claim = f"none ended in {seen.seconds:.1f} s, most of which were {phases[0].text}"
    return _plain(NO_STEP, claim, phases)


def _leading(counts: Counter[str]) -> tuple[str, ...]:
    """The name with the most samples; the two that have equally many; none if there are too few to say."""
    (first, most), (second, fewer) = counts.most_common(2)
    ratio = larger(most, fewer)
    if ratio.low > 0.5:
        return (first,)
    return () if ratio.high - ratio.low > VAGUE else (first, second)


def _too_few(seen: Observed) -> Finding:
    steps = len(seen.steps.samples)
    return Finding(
        TOO_FEW,
        f"{plural(len(seen.recording.samples), 'sample')}, {steps} of them between the first step and the "
        "last, do not say what bounds this training",
        0.0,
        tuple(_phases(Part(seen.recording.samples, seen.seconds))),
        ("sample longer, or with a shorter mean distance",),
    )


def _outside(seen: Observed, name: str, part: Part) -> Finding:
    when = "before the first step was done" if name == "start-up" else "after the last step"
    of_all = share(len(part.samples), len(seen.recording.samples))
    phases = _phases(part)
    most = f", most of it {phases[0].text}" if phases else ""
    return Finding(
        name,
        f"{part.seconds:.1f} of {seen.seconds:.1f} s, {of_all.percent()}, went by {when}{most}",
        0.0,
        tuple(phases),
        NEXT_OUTSIDE[name],
        f"{name}-bound",
    )


def _in_steps(seen: Observed) -> list[Finding]:
    """What takes the most time in the steps; before it, what takes much of it and could be asked for less."""
    counts = Counter({work.name: _count(seen, work) for work in WORK})
    lead = _leading(counts)
    much = [
        work
        for work in WORK
        if work.name in LESS_WOULD_DO and seen.steps.share_of_phases(*work.phases).low >= MUCH
    ]
    much.sort(key=lambda work: -counts[work.name])
    # Of two that take as long, the one of which less would do is told first.
    if len(lead) > 1:
        lead = tuple(name for name in lead if name not in [work.name for work in much]) or lead
    found = [_found(seen, [work], f"much {work.name}") for work in much if work.name not in lead]
    if lead:
        leading = [work for name in lead for work in WORK if work.name == name]
        found.append(_found(seen, leading, f"{' and '.join(lead)}-bound"))
    return found


def _found(seen: Observed, works: Sequence[Work], label: str) -> Finding:
    return Finding(
        " and ".join(work.name for work in works),
        ", ".join(_claim(seen, work) for work in works),
        0.0,
        (*_phases(seen.steps), *_computing(seen)),
        tuple(step for work in works for step in work.next_steps(seen)),
        label,
    )


def _count(seen: Observed, work: Work) -> int:
    return sum(sample.phase in work.phases for sample in seen.steps.samples)


def _claim(seen: Observed, work: Work) -> str:
    taken = seen.steps.share_of_phases(*work.phases)
    claim = f"{work.label} {taken.percent()} of the steps' time"
    if work.name == "compute":
        counts = Counter(s.phase for s in seen.steps.samples if s.phase in COMPUTE)
        (largest, _), *_ = counts.most_common(1)
        return f"{claim}, {largest} alone {seen.steps.share_of_phases(largest).percent()}"
    times = len({sample.step for sample in seen.steps.samples if sample.phase in work.phases})
    if work.name in LESS_WOULD_DO:
        return f"{claim}, seen after {times} of {plural(seen.step_count, 'step')}"
    return claim


def _phases(part: Part) -> list[Evidence]:
    """The shares of phases that are worth a line, the largest first."""
    counts = Counter(sample.phase for sample in part.samples)
    found = [(phase, share(count, len(part.samples))) for phase, count in counts.most_common()]
    return [
        Evidence(f"{phase} {taken.percent()}", taken)
        for phase, taken in found
        if taken.value >= SMALL
    ]


def _computing(seen: Observed) -> list[Evidence]:
    """What more is known of the computing: what dropout takes, and how many processors are busy."""
    found = []
    dropout = seen.steps.share(is_dropout)
    if dropout.low >= DROPOUT:
        found.append(Evidence(f"dropout in forward {dropout.percent()}", dropout))
    used = processors_used(seen.steps, lambda s: s.phase in COMPUTE)
    if used is not None and is_on_cpu(seen.recording):
        of = f" of {seen.fact('processors')}" if seen.fact("processors") else ""
        text = f"processors busy while it computes {used.measure()}{of}"
        found.append(Evidence(text, used))
    return found
