"""How far the estimates of `qa-research efficacy` can be trusted: coverage and bias at known true ratios.

    python benchmarks/estimators.py [--simulated 20000]

Each simulation goes through a random order of 2,000 questions in rounds of 8, as the verb does: a search
continues after the round in which the previous one ended.
"""

import argparse
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from qa_research.stats import exact_ratio, unbiased_ratio

SPLIT, ROUND = 2000, 8
RATES = (0.01, 0.04, 0.10, 0.33, 0.50, 0.90)
SEED = 1


def main() -> None:
    """Print the coverage of the intervals and the bias of the estimates."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--simulated", type=int, default=20_000)
    simulated = parser.parse_args().simulated
    print(f"{simulated:,} simulations each, {SPLIT:,} questions, seed {SEED}\n")
    _print_coverage(simulated)
    _print_bias(simulated)


def _print_coverage(simulated: int) -> None:
    print("coverage of the 95 % interval, in percent")
    rules: dict[str, Callable[[np.random.Generator, float], tuple[int, int]]] = {
        "100 questions": lambda rng, rate: _number(rng, rate, 100),
        "1,000 questions": lambda rng, rate: _number(rng, rate, 1000),
        "1 search": lambda rng, rate: _searches(rng, rate, 1)[:2],
        "10 searches": lambda rng, rate: _searches(rng, rate, 10)[:2],
        "until 5 points wide": _until_narrow,
        "until 10 points wide": lambda rng, rate: _until_narrow(rng, rate, 0.10),
    }
    print(f"{'true ratio':<22}" + "".join(f"{100 * rate:>8.0f} %" for rate in RATES))
    for name, rule in rules.items():
        cells = []
        for rate in RATES:
            rng = np.random.default_rng(SEED)
            true = round(rate * SPLIT) / SPLIT
            covered = sum(1 for _ in range(simulated) if _covers(*rule(rng, rate), true))
            cells.append(f"{100 * covered / simulated:>10.1f}")
        print(f"{name:<22}" + "".join(cells))


def _print_bias(simulated: int) -> None:
    print("\nbias in points: mean of the estimate minus the true ratio, and its standard error")
    for count in (2, 3, 10):
        for label in ("right/asked", "unbiased"):
            cells = []
            for rate in RATES:
                rng = np.random.default_rng(SEED)
                found = [_searches(rng, rate, count) for _ in range(simulated)]
                if label == "unbiased":
                    values = np.array([unbiased_ratio(lengths) for _, _, lengths in found])
                else:
                    values = np.array([right / asked for right, asked, _ in found])
                bias = 100 * (values.mean() - round(rate * SPLIT) / SPLIT)
                error = 100 * values.std() / np.sqrt(simulated)
                cells.append(f"{bias:>+6.2f}±{error:.2f}")
            print(f"{count:>2} searches {label:<12}" + "".join(f"{c:>12}" for c in cells))


def _order(rng: np.random.Generator, rate: float) -> NDArray[np.bool_]:
    """Which questions of a random order are answered right."""
    right = np.zeros(SPLIT, dtype=bool)
    right[: round(rate * SPLIT)] = True
    return rng.permutation(right)


def _number(rng: np.random.Generator, rate: float, asked: int) -> tuple[int, int]:
    return int(_order(rng, rate)[:asked].sum()), asked


def _searches(rng: np.random.Generator, rate: float, count: int) -> tuple[int, int, list[int]]:
    right = np.flatnonzero(_order(rng, rate))
    lengths: list[int] = []
    begin = 0
    for _ in range(count):
        found = right[np.searchsorted(right, begin)]
        lengths.append(int(found) + 1 - begin)
        # The rest of the round was asked, too: a search of 11 questions uses 16 of the order.
        begin += -(-lengths[-1] // ROUND) * ROUND
    return count, sum(lengths), lengths


def _until_narrow(rng: np.random.Generator, rate: float, width: float = 0.05) -> tuple[int, int]:
    right = _order(rng, rate).cumsum()
    for asked in [*range(64, SPLIT, 64), SPLIT]:
        if exact_ratio(int(right[asked - 1]), asked).width <= width:
            break
    return int(right[asked - 1]), asked


def _covers(right: int, asked: int, rate: float) -> bool:
    ratio = exact_ratio(right, asked)
    return ratio.low <= rate <= ratio.high


if __name__ == "__main__":
    main()
