"""What sampling costs a training: python benchmarks/stacks_cost.py [--model bert_tiny|minilm] [--minutes 4].

One training of the built-in questions is done twice, and sampled in every second block of some steps only:
in the order off, on, on, off, and the second time on, off, off, on. A training can be repeated, so the
same step has the same batch in both, and is compared with itself: its time with samples with that without.
bert_tiny has steps of some 50 ms on two cores, minilm of some 500 ms. Captures and checkpoints are off.
`--every` samples more often, which shows that a cost is seen.
"""

import argparse
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path

import numpy as np

from qa_research.sampled import FOLDER
from qa_research.stacks.launching import own_folder
from qa_research.stacks.sampler import Sampler, Target

SETTINGS = {
    "bert_tiny": ["+experiment=nopretrain"],
    "minilm": ["+experiment=pretrained"],
}
STEPS_OF_A_BLOCK = {"bert_tiny": 16, "minilm": 8}
SETTLED_AFTER_S = 10.0
ORDER = (False, True, True, False)
BLOCK = 10
RESAMPLES = 10_000


class SometimesSampler(Sampler):
    """Samples only in some blocks of optimizer steps, each of `size` steps."""

    def __init__(self, folder: Path, mean_s: float, size: int, order: tuple[bool, ...]) -> None:
        super().__init__(folder, mean_s, seed=1, begun_s=None)
        self.size, self.order = size, order

    def is_on(self, step: int) -> bool:
        """Whether samples are taken in this step."""
        return self.order[step // self.size % len(self.order)]

    def _ask(self, target: Target) -> None:
        target.read_steps()
        if target.steps and self.is_on(target.steps[-1][1] + 1):
            super()._ask(target)
        else:
            target.next_s += target.clock.expovariate(1 / self.mean_s)


@dataclass(frozen=True)
class Step:
    """How long a step took, and whether samples were taken all the while."""

    lasted_s: float
    is_sampled: bool


@dataclass(frozen=True)
class Cost:
    """Percent by which steps are longer with samples, with its 95 % interval."""

    percent: float
    low: float
    high: float
    step_s: float
    steps: int
    samples: int


def measure(model: str, minutes: float, mean_s: float) -> Cost:
    """Train twice for half of the time each, and compare each step with itself."""
    first, some = _steps(model, minutes / 2, mean_s, ORDER)
    second, others = _steps(model, minutes / 2, mean_s, tuple(not is_on for is_on in ORDER))
    return compared(first, second, some + others)


def _steps(
    model: str, minutes: float, mean_s: float, order: tuple[bool, ...]
) -> tuple[dict[int, Step], int]:
    """The steps of one training by number, and how many samples were taken."""
    script = Path(__file__).parents[1] / "train.py"
    with own_folder() as folder, tempfile.TemporaryDirectory() as runs:
        words = [
            *(sys.executable, str(script), *SETTINGS[model], "capture=none", f"paths.runs={runs}"),
            *("trainer.max_epochs=50", "trainer.val_check_interval=1.0", "train.progress=none"),
            *("checkpoint.every_n_minutes=1000", "checkpoint.keep_weights_mb=null"),
        ]
        process = subprocess.Popen(
            words, env={**os.environ, FOLDER: str(folder)}, stderr=subprocess.DEVNULL
        )
        sampler = SometimesSampler(folder, mean_s, STEPS_OF_A_BLOCK[model], order)
        end = time.monotonic() + 60 * minutes
        sampler.run_until(lambda: process.poll() is not None or time.monotonic() > end)
        process.kill()
        process.wait()
        sampler.end()
        (target,) = sampler.targets
    settled = target.steps[0][0] + SETTLED_AFTER_S
    # The first step of a block may be sampled in its beginning, or not.
    steps = {
        number: Step(ends - begins, sampler.is_on(number))
        for (begins, _), (ends, number) in pairwise(target.steps)
        if begins > settled and number % sampler.size
    }
    return steps, len(target.asked)


def compared(first: dict[int, Step], second: dict[int, Step], samples: int) -> Cost:
    """The cost from the steps that were sampled in one of the two trainings only.

    The logarithms of sampled over not sampled are averaged for each training's sampled ones, then over both:
    a machine that was slower the second time makes one too small by what it makes the other too large. Blocks
    of steps that follow each other are resampled. A step that a validation follows is left out.
    """
    usual = float(np.median([step.lasted_s for step in first.values()]))
    ratios: dict[bool, list[float]] = {True: [], False: []}
    for number in sorted(first.keys() & second.keys()):
        one, other = first[number], second[number]
        if one.is_sampled != other.is_sampled and max(one.lasted_s, other.lasted_s) < 3 * usual:
            on, off = (one, other) if one.is_sampled else (other, one)
            ratios[one.is_sampled].append(math.log(on.lasted_s / off.lasted_s))
    generator = np.random.default_rng(1)
    means, drawn = [], []
    for found in ratios.values():
        blocks = [np.array(block) for block in batched(found, BLOCK)]
        means.append(float(np.mean(found)))
        picked = generator.integers(len(blocks), size=(RESAMPLES, len(blocks)))
        sums, counts = np.array([b.sum() for b in blocks]), np.array([len(b) for b in blocks])
        drawn.append(sums[picked].sum(axis=1) / counts[picked].sum(axis=1))
    low, high = np.quantile((drawn[0] + drawn[1]) / 2, [0.025, 0.975])
    return Cost(
        percent=100 * math.expm1(statistics.fmean(means)),
        low=100 * math.expm1(low),
        high=100 * math.expm1(high),
        step_s=usual,
        steps=sum(map(len, ratios.values())),
        samples=samples,
    )


def batched(values: Iterable[float], size: int) -> Iterator[tuple[float, ...]]:
    """The values in blocks of this size; the last one may be smaller. Python 3.11 has none."""
    rest = iter(values)
    while block := tuple(islice(rest, size)):
        yield block


def main() -> None:
    """Print the cost."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", choices=[*SETTINGS], default="bert_tiny")
    parser.add_argument("--minutes", type=float, default=4)
    parser.add_argument("--every", type=float, default=0.1, help="seconds between two samples")
    arguments = parser.parse_args()
    cost = measure(arguments.model, arguments.minutes, arguments.every)
    print(
        f"{arguments.model}: steps of {1000 * cost.step_s:.0f} ms; with a sample every "
        f"{1000 * arguments.every:.0f} ms they are longer by {cost.percent:.2f} "
        f"[{cost.low:.2f}, {cost.high:.2f}] % ({cost.steps} steps, each with samples and without; "
        f"{cost.samples} samples)"
    )


if __name__ == "__main__":
    main()
