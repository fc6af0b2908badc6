"""How far the estimates of `qa-research efficacy` can be trusted: coverage and bias at known true ratios.

    python benchmarks/estimators.py [--runs 2000]

Each simulation goes through random orders of all questions in rounds of 8, as the verb does: a search
continues after the round in which the previous one ended. Once the whole split has been asked its ratio is
exact, which counts as covered and without error. The old lab drew rounds of three with replacement.
"""

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qa_research.stats import Stretch, exact_ratio, unbiased_ratio

ROUND = 8
RATES = (0.01, 0.04, 0.10, 0.33, 0.50, 0.90)
SPLIT = 2000
# Splits, and of how many of their questions are answered right: the small one is nearly used up.
POOLED = ((100, (4, 10, 30)), (2000, (20, 80, 600)))
# Each cell of a table has draws of its own, so that one unlucky draw is not in all of them.
SEED = 1


@dataclass(frozen=True)
class Found:
    """What searches came to: `right` of `asked`, each question once, and a stretch for each order.

    `lengths`: of all searches, of which version 0.2 took (k - 1) / (n - 1). `exact`: the true ratio, if all
    questions were asked.
    """

    right: int
    asked: int
    lengths: list[int]
    stretches: list[Stretch]
    exact: float | None


def main() -> None:
    """Print the coverage of the intervals and the bias of the estimates."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--runs", type=int, default=2000)
    runs = parser.parse_args().runs
    print(f"{runs:,} simulations each, seed {SEED}\n")
    _print_coverage(runs)
    _print_bias(runs)
    _print_pooled(runs)
    _print_rounds_of_three(runs)


def _print_coverage(runs: int) -> None:
    print(f"coverage of the 95 % interval, in percent; {SPLIT:,} questions")
    rules: dict[str, Callable[[np.random.Generator, float], tuple[int, int]]] = {
        "100 questions": lambda rng, rate: _number(rng, rate, 100),
        "1,000 questions": lambda rng, rate: _number(rng, rate, 1000),
        "1 search": lambda rng, rate: _right_asked(rng, rate, 1, 1),
        "10 searches": lambda rng, rate: _right_asked(rng, rate, 10, 1),
        "5 searches in 2 orders": lambda rng, rate: _right_asked(rng, rate, 5, 2),
        "until 5 points wide": _until_narrow,
        "until 10 points wide": lambda rng, rate: _until_narrow(rng, rate, 0.10),
        "1 search, threes": lambda rng, rate: _threes(rng, rate, 1)[:2],
        "10 searches, threes": lambda rng, rate: _threes(rng, rate, 10)[:2],
    }
    print(f"{'true ratio':<24}" + "".join(f"{100 * rate:>8.0f} %" for rate in RATES))
    for row, (name, rule) in enumerate(rules.items()):
        cells = []
        for column, rate in enumerate(RATES):
            rng = np.random.default_rng([SEED, row, column])
            true = rate if "threes" in name else round(rate * SPLIT) / SPLIT
            covered = sum(1 for _ in range(runs) if _covers(*rule(rng, rate), true))
            cells.append(f"{100 * covered / runs:>10.1f}")
        print(f"{name:<24}" + "".join(cells))


def _print_bias(runs: int) -> None:
    print("\nbias in points over one order: mean of the estimate minus the true ratio, ± 95 %")
    for count in (2, 3, 10):
        values: dict[str, list[str]] = {"right/asked": [], "unbiased": []}
        for rate in RATES:
            true = round(rate * SPLIT)
            found = list(_simulated(runs, SPLIT, true, count, 1))
            for name, cells in values.items():
                cells.append(_bias([_estimate(name, one) for one in found], true / SPLIT))
        for name, cells in values.items():
            print(f"{count:>2} searches {name:<12}" + "".join(f"{cell:>14}" for cell in cells))


def _print_pooled(runs: int) -> None:
    print("\nbias in points over two orders, ± 95 %; exact: how often the whole split was asked")
    names = ("right/asked", "as one order", "unbiased")
    header = "".join(f"{name:>16}" for name in names)
    print(f"{'questions':>9}{'true':>7}{'searches':>10}{header}{'exact':>9}")
    for split, rights in POOLED:
        for right in rights:
            for count in (2, 3, 5):
                found = list(_simulated(runs, split, right, count, 2))
                cells = [
                    _bias([_estimate(name, one) for one in found], right / split) for name in names
                ]
                exact = 100 * sum(one.exact is not None for one in found) / runs
                print(
                    f"{split:>9,}{100 * right / split:>5.0f} %{f'{count} + {count}':>10}"
                    + "".join(f"{cell:>16}" for cell in cells)
                    + f"{exact:>7.1f} %"
                )


def _print_rounds_of_three(runs: int) -> None:
    print("\nbias in points of the old lab's records, in rounds of three, ± 95 %")
    for count in (2, 10, 17):
        values: dict[str, list[str]] = {"right/asked": [], "(k-1)/(n-1)": [], "unbiased": []}
        for column, rate in enumerate(RATES):
            rng = np.random.default_rng([SEED, count, column])
            found = [_threes(rng, rate, count) for _ in range(runs)]
            values["right/asked"].append(_bias([r / n for r, n in found], rate))
            as_singles = [(count - 1) / (n - 1) for _, n in found]
            values["(k-1)/(n-1)"].append(_bias(as_singles, rate))
            in_threes = [unbiased_ratio(Stretch(count, n // 3, r, 3)) or 0.0 for r, n in found]
            values["unbiased"].append(_bias(in_threes, rate))
        for name, cells in values.items():
            print(f"{count:>2} searches {name:<12}" + "".join(f"{cell:>14}" for cell in cells))


def _estimate(name: str, found: Found) -> float:
    if found.exact is not None:
        return found.exact
    if name == "right/asked":
        return found.right / found.asked
    searches, counted = len(found.lengths), sum(found.lengths)
    if name == "as one order":
        return (searches - 1) / (counted - 1)
    ratio = unbiased_ratio(*found.stretches)
    assert ratio is not None
    return ratio


def _bias(values: list[float], true: float) -> str:
    """The mean of the estimates minus the true ratio, in points, with the half width of its 95 % interval."""
    half = 1.96 * float(np.std(values)) / np.sqrt(len(values))
    return f"{100 * (float(np.mean(values)) - true):+.2f}±{100 * half:.2f}"


def _simulated(runs: int, split: int, right: int, count: int, orders: int) -> Iterator[Found]:
    rng = np.random.default_rng([SEED, split, right, count, orders])
    for _ in range(runs):
        yield _search(rng, split, right, count, orders)


def _search(rng: np.random.Generator, split: int, right: int, count: int, orders: int) -> Found:
    """So many searches in each of so many orders; the first `right` questions are answered right."""
    known: dict[int, bool] = {}
    seen: set[int] = set()
    lengths: list[int] = []
    stretches = []
    for _ in range(orders):
        order = rng.permutation(split)
        places = np.flatnonzero(order < right)
        begin = 0
        for _ in range(count):
            after = np.searchsorted(places, begin)
            if after == len(places):
                return Found(0, 0, [], [], right / split)
            lengths.append(int(places[after]) + 1 - begin)
            for number in order[begin : begin + lengths[-1]].tolist():
                known[number] = number < right
            # The rest of the round was asked, too: a search of 11 questions uses 16 of the order.
            begin += -(-lengths[-1] // ROUND) * ROUND
        seen.update(order[:begin].tolist())
        right_here = int(np.searchsorted(places, begin))
        stretches.append(Stretch(count, begin // ROUND, right_here, ROUND))
    exact = right / split if len(seen) == split else None
    return Found(sum(known.values()), len(known), lengths, stretches, exact)


def _right_asked(rng: np.random.Generator, rate: float, count: int, orders: int) -> tuple[int, int]:
    found = _search(rng, SPLIT, round(rate * SPLIT), count, orders)
    return (found.right, found.asked) if found.exact is None else (round(rate * SPLIT), SPLIT)


def _number(rng: np.random.Generator, rate: float, asked: int) -> tuple[int, int]:
    return int(_order(rng, rate)[:asked].sum()), asked


def _until_narrow(rng: np.random.Generator, rate: float, width: float = 0.05) -> tuple[int, int]:
    right = _order(rng, rate).cumsum()
    for asked in [*range(64, SPLIT, 64), SPLIT]:
        if exact_ratio(int(right[asked - 1]), asked).width <= width:
            break
    return int(right[asked - 1]), asked


def _order(rng: np.random.Generator, rate: float) -> NDArray[np.bool_]:
    """Which questions of a random order are answered right."""
    return rng.permutation(SPLIT) < round(rate * SPLIT)


def _threes(rng: np.random.Generator, rate: float, count: int) -> tuple[int, int]:
    """All right and all asked of so many searches in rounds of three, with replacement."""
    ends = 1 - (1 - rate) ** 3
    rounds = count + int(rng.negative_binomial(count, ends))
    # Right answers in a round that has at least one.
    chances = [3 * rate * (1 - rate) ** 2, 3 * rate**2 * (1 - rate), rate**3]
    right = int(rng.choice([1, 2, 3], size=count, p=np.array(chances) / ends).sum())
    return right, 3 * rounds


def _covers(right: int, asked: int, rate: float) -> bool:
    ratio = exact_ratio(right, asked)
    return ratio.low <= rate <= ratio.high


if __name__ == "__main__":
    main()
