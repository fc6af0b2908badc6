"""How much of a ranking holds: the largest top that independent repeats agree on, against chance. Pure.

An item is whatever was switched on and off: a picture's segment, a text's word.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations
from math import comb, factorial
from statistics import NormalDist

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from qa_research.stats import ranked

# Coefficients that differ by less than this share of the largest are equal: they are fitted in float32.
EQUAL = 1e-6


@dataclass(frozen=True)
class StableTop:
    """The largest k for which all repeats name the same k supporting items; 0 if they agree on none.

    `sizes`: every such k, so that (1, 2, 5) means that ranks 3 to 5 are known together, but not their order.
    `tied`: the items, best first, from rank k + 1 to the last that cannot be distinguished from it; none if
    there is no other. `repeats`: how many rankings were compared; 1 where every possible mask was used and
    chance plays no part. `chance`: the probability that as many random rankings agree on the top of any size.
    `items`: how many there are.
    """

    k: int
    sizes: tuple[int, ...]
    tied: tuple[int, ...]
    repeats: int
    chance: float
    items: int

    @property
    def tied_ranks(self) -> list[tuple[int, int]]:
        """First and last rank of each run whose order is not known, those in the top and the next one below.

        >>> StableTop(5, (1, 2, 5), (8, 9), 5, 0.001, 12).tied_ranks
        [(3, 5), (6, 7)]
        """
        inside = [(low + 1, high) for low, high in zip((0, *self.sizes), self.sizes, strict=False)]
        below = (self.k + 1, self.k + len(self.tied))
        return [(first, last) for first, last in [*inside, below] if last > first]


def tie_of(rank: int, tied: Sequence[tuple[int, int]]) -> tuple[int, int] | None:
    """The first and last rank of the run that a rank is tied in; None if its place is known.

    >>> tie_of(4, [(1, 2), (3, 5)])
    (3, 5)
    """
    return next(((first, last) for first, last in tied if first <= rank <= last), None)


def tie_mark(tie: tuple[int, int] | None) -> str:
    """What stands beside a tied item, the same in every table; nothing beside others.

    >>> tie_mark((3, 5))
    'tied 3-5'
    """
    return "" if tie is None else f"tied {tie[0]}-{tie[1]}"


def intervals(
    draws: Float[ndarray, "resample item"], confidence: float
) -> tuple[Float[ndarray, " item"], Float[ndarray, " item"]]:
    """Lower and upper end of each coefficient's percentile interval over bootstrap draws."""
    tail = (1 - confidence) / 2
    low, high = np.quantile(draws, [tail, 1 - tail], axis=0)
    return low, high


def needed_z(confidence: float, looks: int, n_items: int) -> float:
    """From how many standard errors on two coefficients differ.

    The allowed error is shared (Bonferroni) among the `looks`, at which masks may be added, and among the
    sizes 1 to `n_items` - 1 of a top: whoever asks often enough finds a difference.
    """
    # 18 items, 4 looks, 95 %: 1 - .05 / 2 / (4 * 17) = .99963, which is 3.38 standard errors.
    return NormalDist().inv_cdf(1 - (1 - confidence) / 2 / (looks * max(n_items - 1, 1)))


def chance_of_agreement(n_items: int, repeats: int) -> float:
    """The probability, at most, that random rankings agree on the top k for any k below `n_items`."""
    # 12 items: two rankings name the same first one with 1/12, the same two with 1/66, and so on up to all
    # but the last with 1/12: 0.21 together. With five rankings each term is to the power of 4: 0.0001.
    if n_items < 2:
        return 1.0
    return min(1.0, sum(1 / float(comb(n_items, k)) ** (repeats - 1) for k in range(1, n_items)))


def repeats_needed(n_items: int, level: float) -> int:
    """The fewest random rankings that agree on a top of any size with at most this probability.

    >>> repeats_needed(12, 0.05)
    3
    """
    repeats = 2
    while chance_of_agreement(n_items, repeats) > level:
        repeats += 1
    return repeats


def stable_top(
    repeats: Float[ndarray, "repeat item"],
    pooled: Float[ndarray, " item"],
    draws: Float[ndarray, "resample item"] | None,
    confidence: float,
    looks: int = 1,
) -> StableTop:
    """The largest top that holds, from the coefficients of each repeat, of all masks, and of the bootstrap.

    The top k of `pooled` holds if in every repeat its items have positive coefficients, all above those of
    the others, and if in `pooled` each is above each of the others by `needed_z` of the bootstrap's
    standard errors. Items that oppose are in no top: that all agree on the worst one says nothing of the
    best. Without `draws` the coefficients come from every possible mask, and every difference is real.
    """
    # Coefficients .50 .40 .10 .09 -.2, by rank. In one repeat the third and fourth change places: k = 1 and
    # 2 hold, 3 does not; 4 does, if .09 is clearly above -.2 and above 0 in each repeat.
    n_repeats, n_items = repeats.shape
    order = ranked(pooled)
    values, ordered = pooled[order], repeats[:, order]
    equal = EQUAL * float(np.abs(pooled).max(initial=0.0))
    lowest_of_top = np.minimum.accumulate(ordered, axis=1)[:, :-1]
    highest_of_rest = np.maximum.accumulate(ordered[:, ::-1], axis=1)[:, ::-1][:, 1:]
    agreed = (lowest_of_top > highest_of_rest + equal) & (lowest_of_top > equal)
    z = _standardised(values, None if draws is None else draws[:, order], equal)
    needed = needed_z(confidence, looks, n_items)
    sizes = tuple(
        k for k in range(1, n_items) if agreed[:, k - 1].all() and z[:k, k:].min() >= needed
    )
    k = sizes[-1] if sizes else 0
    # Of .50 .45 .40 at ranks 2 to 4 the last may scatter so widely that it is not clearly below the first,
    # though the one between them is. Then the order of all three is not known.
    last = max((i for i in range(k + 1, n_items) if z[k, i] < needed), default=k)
    tied = [int(i) for i in order[k : last + 1]]
    return StableTop(
        k=k,
        sizes=sizes,
        tied=tuple(tied) if len(tied) > 1 else (),
        repeats=n_repeats,
        chance=0.0 if draws is None else chance_of_agreement(n_items, n_repeats),
        items=n_items,
    )


def _standardised(
    values: Float[ndarray, " rank"], draws: Float[ndarray, "resample rank"] | None, equal: float
) -> Float[ndarray, "rank rank"]:
    """By how many standard errors values differ; infinite where nothing is left to chance."""
    gaps = np.abs(values[:, None] - values[None, :])
    gaps = np.where(gaps > equal, gaps, 0.0)
    if draws is None:
        noise = np.zeros_like(gaps)
    else:
        spread = np.atleast_2d(np.cov(draws.T))
        variance = np.diag(spread)
        # Var(a - b) = Var a + Var b - 2 Cov(a, b); rounding may leave a little less than 0.
        noise = np.sqrt(np.maximum(variance[:, None] + variance[None, :] - 2 * spread, 0.0))
    # Without noise a difference is infinitely clear, and equality is equality.
    unlimited = np.where(gaps > 0, np.inf, 0.0)
    return np.divide(gaps, noise, out=unlimited, where=noise > equal / 10)


def ranks_sentence(found: StableTop, repeats: str, items: str) -> str:
    """What holds and what is tied; the nouns are those of rankings and ranked, "seeds" and "segments"."""
    if found.repeats == 1:
        known = f"All possible masks were predicted, so the order of the {items} is exact"
    elif found.k == 0:
        known = f"The {found.repeats} {repeats} do not agree on the top {items}"
    elif found.k == 1:
        known = f"The top 1 is stable: all {found.repeats} {repeats} name it"
    else:
        known = f"The top {found.k} are stable: all {found.repeats} {repeats} name them"
    tied = [f"{first} to {last}" for first, last in found.tied_ranks]
    return f"{known}; ranks {_joined(tied)} are tied." if tied else f"{known}."


def _joined(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def chance_jaccard(top: int, n: int) -> float:
    """Expected Jaccard index of two random sets of `top` out of `n`: the overlap is hypergeometric."""
    # top 2 of 4: one of the 6 sets shares both (index 2 / 2), four share one (1 / 3), one shares none:
    # 1/6 * 1 + 4/6 * 1/3 = 0.389.
    return sum(
        comb(top, i) * comb(n - top, top - i) / comb(n, top) * i / (2 * top - i)
        for i in range(max(1, 2 * top - n), top + 1)
    )


def other_orders(
    n_items: int,
    n_orders: int,
    generator: np.random.Generator,
    excluded: tuple[int, ...] | None = None,
) -> list[tuple[int, ...]]:
    """Different orders of the items other than `excluded`, at random; all of them if there are no more."""
    possible = factorial(n_items) - (excluded is not None)
    if possible <= n_orders:
        return [one for one in permutations(range(n_items)) if one != excluded]
    found: dict[tuple[int, ...], None] = {}
    while len(found) < n_orders:
        one = tuple(int(i) for i in generator.permutation(n_items))
        if one != excluded:
            found[one] = None
    return list(found)


def p_of_beaten(beaten: int, orders: int) -> float:
    """The share of orders, the ranking included, that are at least as good as a ranking that beats so many.

    >>> p_of_beaten(19, 19), p_of_beaten(18, 19)
    (0.05, 0.1)
    """
    return (1 + orders - beaten) / (1 + orders)
