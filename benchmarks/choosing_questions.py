"""How often `runs compare` calls equal trainings different because their checkpoints were chosen.

    python benchmarks/choosing_questions.py [--runs 400]

Two trainings on a plateau: each of their validations answers every question right with the same chance, and
differs from the others by luck. The best of many validations is compared with the best of a few: on the
questions that chose both (as until version 0.2), and on those that chose neither.
"""

import argparse
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from qa_research.runs.compare import SIGNIFICANT, Shares, compare
from qa_research.stats import exact_ratio
from qa_research.streams import stream
from qa_research.tasks.answering.choosing import choosing_ids
from qa_research.tasks.answering.question import Question
from qa_research.tasks.earlier_configs import ANSWERING
from qa_research.tasks.task import Metric

SEED = 1
CONTEXTS, EACH = 500, 2
SHARE = 0.2
# Of a question's difficulty on the scale of its noise: how much is its own, in all trainings, how much this
# training's, and how much this validation's. Two validations of one training then differ in about a fifth of
# the answers.
OWN, TRAINING, VALIDATION = 1.0, 0.5, 0.5
RIGHT = 0.6
# F1 of a wrong answer: none of its words, or half of them.
PARTIAL = 0.3
# The trainings' numbers of validations, and how much better, in points, the second one is.
CASES = ((84, 1, 0.0), (84, 6, 0.0), (84, 6, 5.0))

Scores = dict[str, NDArray[np.float64]]


@dataclass(frozen=True)
class Found:
    """What one simulation found: which training was called better, if any, and by how many points of F1."""

    better: str
    points: float


def main() -> None:
    """Print the rates of claimed differences."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--runs", type=int, default=400)
    runs = parser.parse_args().runs
    rows = [
        Question(f"q{i}", "", f"context {i // EACH}", "?", (), "what")
        for i in range(CONTEXTS * EACH)
    ]
    some = choosing_ids(rows, SHARE, seed=0)
    everything = frozenset(row.id for row in rows)
    print(f"{runs} simulations each, {len(rows):,} questions, seed {SEED}\n")
    print(f"{'best of':<10}{'truly':<12}{'chosen and compared on':<25}", end="")
    print(f"{'called different [95 %]':<26}{'first':>6}{'second':>8}{'points of F1':>18}")
    for first, second, better in CASES:
        for name, choosing in (("the same questions", everything), ("a fifth; the others", some)):
            ids = [row.id for row in rows]
            found = [simulated(ids, choosing, (first, second), better, i) for i in range(runs)]
            pair, truth = f"{first}, {second}", f"{better:+.0f} points" if better else "equal"
            print(f"{pair:<10}{truth:<12}{name:<25}{_summary(found)}", flush=True)


def _summary(found: list[Found]) -> str:
    """How often the trainings were called different, in favour of which, and the mean difference."""
    runs = len(found)
    counts = {which: sum(f.better == which for f in found) for which in ("first", "second", "both")}
    claimed = exact_ratio(sum(counts.values()), runs)
    low, high = 100 * claimed.low, 100 * claimed.high
    rate = f"{100 * claimed.value:.1f} % [{low:.1f}, {high:.1f}]"
    points = np.array([f.points for f in found])
    mean, error = points.mean(), 1.96 * points.std() / np.sqrt(runs)
    difference = f"{mean:+.2f} [{mean - error:+.2f}, {mean + error:+.2f}]"
    return f"{rate:<26}{counts['first']:>6}{counts['second']:>8}  {difference:>22}"


def simulated(
    ids: list[str], choosing: frozenset[str], validations: tuple[int, int], better: float, run: int
) -> Found:
    """The second of two trainings compared with the first, each by its best validation."""
    rng = stream(SEED, "choosing", run)
    own = rng.normal(0, OWN, len(ids))
    chooses = np.array([i in choosing for i in ids])
    first, second = (
        _best(rng, own, chooses, count, RIGHT + gain)
        for count, gain in zip(validations, (0.0, better / 100), strict=True)
    )
    # Where all choose, the comparison is told of none, as versions until 0.2 knew nothing of them.
    chose = frozenset() if chooses.all() else choosing
    metrics = cast(list[Metric], ANSWERING["metrics"])
    groups = np.arange(len(ids)) // EACH
    shares = [Shares(ids, values, groups, chose) for values in (first, second)]
    (compared,) = compare(shares[0], shares[1:], metrics)
    called = {
        "second" if d.points > 0 else "first"
        for d in compared.differences
        if d.p_holm < SIGNIFICANT
    }
    better_one = "both" if len(called) == 2 else next(iter(called), "")
    return Found(better_one, compared.differences[1].points)


def _best(
    rng: np.random.Generator,
    own: NDArray[np.float64],
    chooses: NDArray[np.bool_],
    validations: int,
    right: float,
) -> Scores:
    """The scores of the validation with the best F1 on the questions that choose."""
    training = rng.normal(0, TRAINING, len(own))
    spread = np.sqrt(OWN**2 + TRAINING**2 + VALIDATION**2)
    limit = float(norm.ppf(right)) * spread
    best: Scores = {}
    for _ in range(validations):
        ability = own + training + rng.normal(0, VALIDATION, len(own))
        exact = (ability < limit).astype(np.float64)
        partial = 0.5 * (rng.random(len(own)) < PARTIAL)
        scores = {"exact_match": exact, "f1": np.maximum(exact, partial)}
        if not best or scores["f1"][chooses].mean() > best["f1"][chooses].mean():
            best = scores
    return best


if __name__ == "__main__":
    main()
