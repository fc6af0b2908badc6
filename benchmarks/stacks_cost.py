"""What sampling costs a training: python benchmarks/stacks_cost.py [--model bert_tiny|minilm] [--minutes 4].

One training of the built-in questions is sampled in every second stretch of some seconds only (in the order
off, on, on, off), ten times a second. The times of the optimizer steps that lie within a stretch with samples
are compared with those in the stretches beside it without. The interval is of the mean over groups of four
stretches, resampled. bert_tiny has steps of some 50 ms on two cores, minilm of some 700 ms. Captures and
checkpoints are off. `--every` samples more often, which shows that a cost is seen.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from qa_research.sampled import FOLDER
from qa_research.stacks.launching import own_folder
from qa_research.stacks.sampler import Sampler, Target

SETTINGS = {
    "bert_tiny": ["+experiment=nopretrain"],
    "minilm": ["+experiment=pretrained"],
}
STRETCH_S = {"bert_tiny": 0.5, "minilm": 4.0}
SETTLED_AFTER_S = 10.0
ORDER = (False, True, True, False)
RESAMPLES = 10_000


class SometimesSampler(Sampler):
    """Samples only in some stretches of the time, each `length_s` seconds long."""

    def __init__(self, folder: Path, mean_s: float, length_s: float) -> None:
        super().__init__(folder, mean_s, seed=1, begun_s=None)
        self.length_s = length_s
        self.zero_s = time.monotonic()

    def is_on(self, moment: float) -> bool:
        """Whether samples are taken then."""
        return ORDER[int((moment - self.zero_s) / self.length_s) % len(ORDER)]

    def _ask(self, target: Target) -> None:
        if self.is_on(time.monotonic()):
            super()._ask(target)
        else:
            target.next_s += target.clock.expovariate(1 / self.mean_s)


@dataclass(frozen=True)
class Cost:
    """Percent by which steps are longer with samples, with its 95 % interval; `steps`: off and on."""

    percent: float
    low: float
    high: float
    step_s: float
    steps: tuple[int, int]
    samples: int


def measure(model: str, minutes: float, mean_s: float) -> Cost:
    """Train for so many minutes, sample in every second stretch, and compare."""
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
        sampler = SometimesSampler(folder, mean_s, STRETCH_S[model])
        end = time.monotonic() + 60 * minutes
        sampler.run_until(lambda: process.poll() is not None or time.monotonic() > end)
        process.kill()
        process.wait()
        sampler.end()
        (target,) = sampler.targets
        return compared(sampler, target)


def compared(sampler: SometimesSampler, target: Target) -> Cost:
    """The cost from the times at which steps ended."""
    ends = np.array([moment for moment, _ in target.steps])
    begins, ends = ends[:-1], ends[1:]
    kept = begins > ends[0] + SETTLED_AFTER_S
    begins, ends = begins[kept], ends[kept]
    length = sampler.length_s
    first, last = ((moments - sampler.zero_s) // length for moments in (begins, ends))
    # A step that reaches into another stretch is of neither; nor one that a validation follows.
    times = ends - begins
    whole = (first == last) & (times < 3 * np.median(times))
    stretch, times = first[whole].astype(int), times[whole]
    on = np.array([ORDER[number % len(ORDER)] for number in stretch])
    groups = stretch // len(ORDER)
    ratios = [
        times[(groups == group) & on].mean() / times[(groups == group) & ~on].mean()
        for group in np.unique(groups)
        if (on & (groups == group)).any() and (~on & (groups == group)).any()
    ]
    generator = np.random.default_rng(1)
    drawn = generator.choice(ratios, (RESAMPLES, len(ratios))).mean(axis=1)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Cost(
        percent=100 * (statistics.fmean(ratios) - 1),
        low=100 * (float(low) - 1),
        high=100 * (float(high) - 1),
        step_s=float(np.median(times)),
        steps=(int((~on).sum()), int(on.sum())),
        samples=len(target.asked),
    )


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
        f"[{cost.low:.2f}, {cost.high:.2f}] % ({cost.steps[1]} steps with samples, {cost.steps[0]} without; "
        f"{cost.samples} samples)"
    )


if __name__ == "__main__":
    main()
