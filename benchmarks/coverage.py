"""How often the 95 % intervals of scores hold the truth: python benchmarks/coverage.py

Exact match is summed over every possible count, without chance. F1 and questions that share paragraphs are
simulated (`--runs`, `--seed`), with the percentile bootstrap, which was used before, for comparison.
"""

import argparse
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

from qa_research.stats import exact_ratio, mean_intervals
from qa_research.streams import stream

PERCENT = (1, 3, 10, 50, 90, 97, 99)
# F1-like values: shares of 0, of 1 and of the part between, and that part's beta distribution.
SHAPES = {
    "half right, some between": (0.3, 0.5, (2.0, 2.0)),
    "nearly all right": (0.01, 0.95, (2.0, 2.0)),
    "nearly all wrong": (0.95, 0.01, (1.0, 6.0)),
    "skewed, nothing at the ends": (0.0, 0.0, (6.0, 0.5)),
}
Draw = Callable[[np.random.Generator], tuple[NDArray[np.float64], NDArray[np.int64]]]


def exact_match(asked: int, rate: float) -> float:
    """The coverage of exact match's interval for independent questions."""
    return float(
        sum(
            binom.pmf(right, asked, rate)
            for right in range(asked + 1)
            if exact_ratio(right, asked).low <= rate <= exact_ratio(right, asked).high
        )
    )


def f1_like(asked: int, shape: str) -> tuple[Draw, float]:
    """Draws of independent questions, and their true mean."""
    wrong, right, (a, b) = SHAPES[shape]

    def draw(rng: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        kinds = rng.choice(3, p=[wrong, right, 1 - wrong - right], size=asked)
        values = np.where(kinds == 2, rng.beta(a, b, size=asked), kinds.astype(float))
        return values, np.arange(asked)

    return draw, right + (1 - wrong - right) * a / (a + b)


def paragraphs(count: int, rate: float, correlation: float) -> tuple[Draw, float]:
    """Draws of right and wrong answers about paragraphs of 1 to 9 questions, and their true mean.

    Each paragraph has a rate of its own, beta distributed, so that two of its answers have this correlation.
    """
    a, b = (share * (1 / correlation - 1) for share in (rate, 1 - rate))

    def draw(rng: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        groups = np.repeat(np.arange(count), rng.integers(1, 10, size=count))
        return (rng.random(len(groups)) < rng.beta(a, b, size=count)[groups]).astype(float), groups

    return draw, rate


def bootstrap(values: NDArray[np.float64], rng: np.random.Generator) -> tuple[float, float]:
    """The percentile interval of 1,000 resamples of questions."""
    means = values[rng.integers(0, len(values), size=(1000, len(values)))].mean(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)


def simulate(name: str, draw: Draw, truth: float, runs: int, seed: int) -> None:
    """Print one line: coverage with its interval, that of the bootstrap, and the mean width."""
    rng = stream(seed, "coverage")
    held = before = 0
    width = wider = 0.0
    for _ in range(runs):
        values, groups = draw(rng)
        (found,) = mean_intervals(values[None], (0.0, 1.0), groups)
        held += found.low <= truth <= found.high
        low, high = bootstrap(values, rng)
        before += low <= truth <= high
        width += 100 * (found.high - found.low) / runs
        wider += (found.wider or 1.0) / runs
    share = exact_ratio(held, runs)
    ends = f"[{100 * share.low:.1f}, {100 * share.high:.1f}]"
    print(
        f"{name:<52}{100 * share.value:>7.1f} {ends:<15}{100 * before / runs:>9.1f}"
        f"{width:>8.1f}{wider:>7.1f}",
        flush=True,
    )


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    print("exact match, independent questions: coverage in % (no chance)")
    print(f"{'questions':>10}" + "".join(f"{f'p={rate} %':>9}" for rate in PERCENT))
    for asked in (20, 50, 100, 1000):
        row = [exact_match(asked, rate / 100) for rate in PERCENT]
        print(f"{asked:>10}" + "".join(f"{100 * share:>9.1f}" for share in row))
    print(
        f"\n{options.runs} runs each, seed {options.seed}: coverage in % and its 95 % interval, that of"
    )
    print("the bootstrap, the mean width in points, and how many times as wide as if independent")
    for shape in SHAPES:
        for asked in (20, 100):
            simulate(
                f"F1-like, {shape}, {asked}", *f1_like(asked, shape), options.runs, options.seed
            )
    for count in (20, 100):
        for rate in (0.03, 0.5, 0.97):
            for correlation in (0.1, 0.5):
                name = f"{count} paragraphs, p={rate:g}, correlation {correlation:g}"
                simulate(name, *paragraphs(count, rate, correlation), options.runs, options.seed)


if __name__ == "__main__":
    main()
