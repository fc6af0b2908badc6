"""How often `runs compare` calls two equally good runs different: python benchmarks/compare_errors.py

The runs answer the same questions equally well on average; their exact match and F1 are correlated, and so
are answers about one paragraph. The whole verdict counts: an error is a difference in any measure of any run.
Beside it, the rule of version 0.2: each measure tested on its own, and every question independent.
"""

import argparse
from typing import cast

import numpy as np
from numpy.typing import NDArray

from qa_research.runs.compare import SIGNIFICANT, Shares, compare
from qa_research.stats import exact_ratio, holm, mcnemar, sign_flips
from qa_research.streams import stream
from qa_research.tasks.earlier_configs import ANSWERING
from qa_research.tasks.task import Metric

METRICS = cast("list[Metric]", ANSWERING["metrics"])


def answers(
    skill: NDArray[np.float64], groups: NDArray[np.int64], rng: np.random.Generator
) -> Shares:
    """A run's scores: a question is right with a chance of about its `skill`, or else often partly.

    A run does well or badly at a paragraph as a whole, so that its answers there are correlated.
    """
    mood = rng.normal(size=groups.max() + 1)[groups]
    right = skill + 0.25 * mood > rng.random(len(skill))
    partly = np.where(rng.random(len(skill)) < 0.5, rng.uniform(0.2, 0.8, len(skill)), 0.0)
    values = {"exact_match": right.astype(float), "f1": np.where(right, 1.0, partly)}
    return Shares([str(i) for i in range(len(skill))], values, groups)


def called_before(first: Shares, others: list[Shares]) -> bool:
    """Whether version 0.2 called any of `others` different."""
    found = []
    for name, test in (("exact_match", None), ("f1", sign_flips)):
        differences = [other.values[name] - first.values[name] for other in others]
        p_values = [
            test(row) if test else mcnemar(int((row < 0).sum()), int((row > 0).sum()))
            for row in differences
        ]
        found += holm(p_values)
    return min(found) < SIGNIFICANT


def simulate(total: int, per_paragraph: int, others: int, runs: int, seed: int) -> None:
    """Print one line: errors now, and by the rule of version 0.2, in percent with exact intervals."""
    rng = stream(seed, "compare errors", total, per_paragraph, others)
    now = before = 0
    for _ in range(runs):
        groups = np.arange(total) // per_paragraph
        skill = rng.beta(1.2, 0.8, size=total)
        found = [answers(skill, groups, rng) for _ in range(others + 1)]
        compared = compare(found[0], found[1:], METRICS)
        now += any(d.p_holm < SIGNIFICANT for each in compared for d in each.differences)
        before += called_before(found[0], found[1:])
    cells = []
    for errors in (now, before):
        share = exact_ratio(errors, runs)
        cells.append(f"{100 * share.value:.1f} [{100 * share.low:.1f}, {100 * share.high:.1f}]")
    print(f"{total:>9}{per_paragraph:>15}{others + 1:>6}   {cells[0]:<20}{cells[1]}", flush=True)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    print(
        f"errors in % of {options.runs} comparisons of equal runs, 95 % interval, seed {options.seed}"
    )
    print(f"{'questions':>9}{'per paragraph':>15}{'runs':>6}   {'now':<20}{'version 0.2'}")
    for total, per_paragraph, others in (
        *((20, 1, 1), (200, 1, 1), (200, 5, 1), (1000, 5, 1)),
        *((200, 1, 3), (200, 5, 3)),
    ):
        simulate(total, per_paragraph, others, options.runs, options.seed)


if __name__ == "__main__":
    main()
