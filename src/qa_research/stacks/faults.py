"""What takes a training's time, or its memory, and gives nothing for it: a rule for each such fault.

A fault is alleged only where the end of its interval that speaks for it least is beyond a threshold. So few
samples allege nothing.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from qa_research.ledger.stacks import Frame, Sample
from qa_research.stacks.evidence import (
    OTHER_RANKS,
    STRETCHES,
    Estimate,
    Observed,
    Part,
    collate_line,
    hottest,
    is_network,
    is_on_cpu,
    is_syncing,
    larger,
    memory_growth,
    own_line,
    processors_used,
    settled,
    standstill,
)
from qa_research.text import plural

COMPUTE = ("forward", "backward", "optimizer")
# Of the steps' time: equal trainings on a shared machine differ by several percent, so that the end of a
# smaller waste would hardly be noticed.
WASTE = 0.10
# Of the computing, at a standstill.
STILL_SHARE = 0.05
# A name is resolved, or a file in the cache asked for, in less.
NETWORK_S = 1.0
# Of what is resident in the end, in the later half of the steps: caches that still fill add a few percent.
CREEP = 0.05
# Part of the parameters: a single tensor in float64, such as a temperature, costs nothing.
DOUBLES = 0.10
# Numbers of twice the size: half as many fit into a vector instruction and into a cache line.
DOUBLE_COSTS = 0.5
# Processors that are busy on average while a line runs: below, it waits; above, it computes.
BUSY = 0.5


@dataclass(frozen=True, slots=True)
class Evidence:
    """A line of what speaks for a finding. `estimate`: its number, if it was measured by sampling."""

    text: str
    estimate: Estimate | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """What a rule found. `lost_s`: seconds of the recording that it took, at least. `label`: if not the name.

    Memory that creeps is counted as the same share of the steps' time as of the memory.
    """

    name: str
    claim: str
    lost_s: float
    evidence: tuple[Evidence, ...]
    next_steps: tuple[str, ...]
    label: str = ""


def standing_still(seen: Observed) -> Finding | None:
    """A process that computes, and gets no processor for long: suspended, or waiting for swapped memory."""
    # Of several processes, one waits within backward for the others.
    if not is_on_cpu(seen.recording) or (seen.fact("processes") or 1) > 1:
        return None
    still = standstill(seen.steps, lambda sample: sample.phase in COMPUTE)
    if still is None or still.low < STILL_SHARE:
        return None
    compute = seen.steps.share_of_phases(*COMPUTE)
    return Finding(
        "standing still",
        f"{still.percent()} of the computing passed at one place without a processor: the training was "
        "suspended, or its memory was swapped to a disk",
        still.low * compute.low * seen.steps.seconds,
        (
            Evidence(f"of the computing, without a processor {still.percent()}", still),
            Evidence(f"forward, backward and optimizer {compute.percent()}", compute),
        ),
        (
            "see whether the machine swaps (vmstat 1) or a scheduler suspends jobs",
            "less memory: data.batch_size, data.eval_batch_size",
        ),
    )


def creeping_memory(seen: Observed) -> Finding | None:
    """Resident memory that grows by as much in each stretch of the later steps."""
    late = settled(seen)
    growth = memory_growth(late)
    if growth is None:
        return None
    numbers = [sample.step or 0 for sample in late.samples]
    resident = median(s.memory_mb or 0.0 for s in late.samples[-len(late.samples) // STRETCHES :])
    gathered = growth.times(STRETCHES / resident)
    if gathered.low < CREEP or numbers[-1] == numbers[0]:
        return None
    each = growth.times(100 * STRETCHES / (numbers[-1] - numbers[0]))
    return Finding(
        "memory creep",
        f"resident memory grows by {each.measure('MB')} every 100 steps and does not level off",
        gathered.low * seen.steps.seconds,
        (
            Evidence(f"growth {each.measure('MB')} every 100 steps", each),
            Evidence(
                f"gathered from step {numbers[0]} to {numbers[-1]}: {gathered.percent()} of the "
                f"{resident:,.0f} MB that are resident then",
                gathered,
            ),
        ),
        (
            "look for tensors that are kept with their graph: a loss in a list needs .detach()",
            "capture=none, then logger=csv: does it still grow?",
        ),
    )


def waiting_for_data(seen: Observed) -> Finding | None:
    """Steps that wait for their batch, because of the loader or of the lines of a collate function."""
    waiting = seen.steps.share_of_phases("waiting for data")
    if waiting.low < WASTE:
        return None
    samples = [s for s in seen.steps.samples if s.phase == "waiting for data"]
    collating = sum(collate_line(sample) is not None for sample in samples)
    if larger(collating, len(samples) - collating).low > 0.5:
        return _collating(seen, waiting)
    workers = seen.fact("workers")
    evidence = [Evidence(f"waiting for data {waiting.percent()}", waiting)]
    evidence += _line_of(samples, own_line, "seen most often at")
    used = processors_used(seen.steps, lambda s: s.phase == "waiting for data")
    evidence += _busy(used)
    next_steps = [_more_workers(seen, workers)]
    if used is not None and used.high < BUSY:
        next_steps.append(
            "it waits rather than computes: keep the data on a local disk, or in memory"
        )
    return Finding(
        "slow loader",
        f"the steps wait for data {waiting.percent()} of their time",
        waiting.low * seen.steps.seconds,
        tuple(evidence),
        tuple(next_steps),
    )


def _collating(seen: Observed, waiting: Estimate) -> Finding:
    own = seen.steps.share(lambda s: s.phase == "waiting for data" and collate_line(s) is not None)
    where = hottest(seen.steps.samples, collate_line)
    used = processors_used(seen.steps, lambda s: collate_line(s) is not None)
    verb = "waits" if used is not None and used.high < BUSY else "runs"
    return Finding(
        "Python loop in the collate function",
        f"the collate function {verb} in lines of its own {own.percent()} of the steps' time, most often at "
        f"{where}",
        own.low * seen.steps.seconds,
        (
            Evidence(f"lines of the collate function {own.percent()}", own),
            Evidence(f"waiting for data {waiting.percent()}", waiting),
            *_busy(used),
        ),
        (
            "make a batch with one operation on arrays, or once before the training",
            _more_workers(seen, seen.fact("workers")),
        ),
    )


def _more_workers(seen: Observed, workers: int | None) -> str:
    processors = seen.fact("processors") or 2
    if not workers:
        return f"data.num_workers={max(1, min(processors - 1, 4))} (now {workers or 0})"
    return f"data.num_workers={2 * workers} (now {workers}, whose own stacks are not seen)"


def slow_logger(seen: Observed) -> Finding | None:
    """Writing curves and pictures, and showing progress."""
    logging = seen.steps.share_of_phases("logging")
    if logging.low < WASTE:
        return None
    samples = [s for s in seen.steps.samples if s.phase == "logging"]
    return Finding(
        "slow logger",
        f"logging takes {logging.percent()} of the steps' time",
        logging.low * seen.steps.seconds,
        (
            Evidence(f"logging {logging.percent()}", logging),
            *_line_of(samples, own_line, "seen most often at"),
            *_busy(processors_used(seen.steps, lambda s: s.phase == "logging")),
        ),
        ("trainer.log_every_n_steps=50", "logger=csv", "paths.runs=DIR on a local disk"),
    )


def slow_checkpoints(seen: Observed) -> Finding | None:
    """Writing weights and states, mostly waiting for the disk."""
    saving = seen.steps.share_of_phases("checkpoint")
    if saving.low < WASTE:
        return None
    samples = [s for s in seen.steps.samples if s.phase == "checkpoint"]
    syncing = Part(tuple(samples), 0.0).share(is_syncing)
    return Finding(
        "slow checkpoint disk",
        f"checkpoints take {saving.percent()} of the steps' time",
        saving.low * seen.steps.seconds,
        (
            Evidence(f"checkpoint {saving.percent()}", saving),
            Evidence(f"of it, waiting until the disk has written {syncing.percent()}", syncing),
            *_busy(processors_used(seen.steps, lambda s: s.phase == "checkpoint")),
        ),
        (
            "paths.runs=DIR on a faster disk",
            "checkpoint.keep_weights_mb=null",
            "trainer.val_check_interval: best weights are saved after validations",
        ),
    )


def waiting_for_ranks(seen: Observed) -> Finding | None:
    """A process of a distributed training that waits for the others; within backward that is not seen."""
    waiting = seen.steps.share_of_phases(OTHER_RANKS)
    if waiting.low < WASTE:
        return None
    return Finding(
        OTHER_RANKS,
        f"rank {seen.recording.rank} waits for the other processes {waiting.percent()} of the steps' time",
        waiting.low * seen.steps.seconds,
        (Evidence(f"in collective calls of torch.distributed {waiting.percent()}", waiting),),
        ("see what the other ranks do meanwhile; their work should be equally large",),
    )


def float64(seen: Observed) -> Finding | None:
    """Parameters or batches in float64 where the precision does not ask for it."""
    if str(seen.fact("precision")) in ("64-true", "64"):
        return None
    parameters: dict[str, int] = seen.fact("parameters") or {}
    doubles, total = parameters.get("float64", 0), sum(parameters.values())
    batch: dict[str, str] = seen.fact("batch") or {}
    inputs = sorted(name for name, kind in batch.items() if kind == "float64")
    is_network_double = doubles > DOUBLES * total
    if not is_network_double and not inputs:
        return None
    compute = seen.steps.share_of_phases(*COMPUTE)
    what = []
    if is_network_double:
        what.append(f"{doubles:,} of {total:,} parameters are float64")
    if inputs:
        what.append(f"the batch has float64: {', '.join(inputs)}")
    return Finding(
        "accidental float64",
        f"{' and '.join(what)}, though trainer.precision={seen.fact('precision')}",
        DOUBLE_COSTS * compute.low * seen.steps.seconds,
        (
            *(Evidence(text) for text in what),
            Evidence(f"forward, backward and optimizer {compute.percent()}", compute),
        ),
        ("find .double(), or an array of NumPy's default type, and make it float32",),
    )


def idle_processors(seen: Observed) -> Finding | None:
    """Fewer threads than there are processors, while the network computes on them."""
    threads, cores = seen.fact("threads"), seen.fact("cores") or seen.fact("processors")
    if threads is None or cores is None or not is_on_cpu(seen.recording):
        return None
    usable = cores // (seen.fact("processes") or 1)
    compute = seen.steps.share_of_phases(*COMPUTE)
    if threads >= usable or compute.low * (1 - threads / usable) < WASTE:
        return None
    used = processors_used(seen.steps, lambda s: s.phase in COMPUTE)
    # More than the threads that torch admits to: a library with threads of its own computes.
    if used is not None and used.low > threads + BUSY:
        return None
    return Finding(
        "too few threads",
        f"the network computes with {plural(threads, 'thread')} on {usable} processors",
        compute.low * (1 - threads / usable) * seen.steps.seconds,
        (
            Evidence(f"forward, backward and optimizer {compute.percent()}", compute),
            Evidence(f"torch has {plural(threads, 'thread')} for {usable} processors"),
            *_busy(used),
        ),
        ("train.threads=null", "no OMP_NUM_THREADS in the environment"),
    )


def network_at_start(seen: Observed) -> Finding | None:
    """Asking another machine before the first step, such as the hub for weights that are there already."""
    share = seen.starting.share(is_network)
    took = share.times(seen.starting.seconds)
    if took.low < NETWORK_S:
        return None
    samples = [sample for sample in seen.starting.samples if is_network(sample)]
    return Finding(
        "network at start",
        f"the start waits {took.measure('s')} for another machine, {share.percent()} of the time until the "
        "first step's end",
        took.low,
        (
            Evidence(f"network {share.percent()} of the start, {took.measure('s')}", took),
            *_line_of(samples, own_line, "called from"),
        ),
        (
            "HF_HUB_OFFLINE=1 for what is in the hub's cache",
            "model.weights=DIR, model.tokenizer=DIR or data=squad_file: files of this machine",
        ),
    )


def _line_of(
    samples: Sequence[Sample], line: Callable[[Sample], Frame | None], says: str
) -> list[Evidence]:
    where = hottest(samples, line)
    return [Evidence(f"{says} {where}")] if where else []


def _busy(used: Estimate | None) -> list[Evidence]:
    return [] if used is None else [Evidence(f"processors busy meanwhile {used.measure()}", used)]


# Those that come first count more where two took equally long.
RULES: tuple[Callable[[Observed], Finding | None], ...] = (
    standing_still,
    float64,
    idle_processors,
    waiting_for_data,
    slow_logger,
    slow_checkpoints,
    waiting_for_ranks,
    network_at_start,
    creeping_memory,
)


def find_faults(seen: Observed) -> list[Finding]:
    """The faults of a recording, the one that took the most time first."""
    found = [finding for rule in RULES if (finding := rule(seen)) is not None]
    return sorted(found, key=lambda finding: -finding.lost_s)
