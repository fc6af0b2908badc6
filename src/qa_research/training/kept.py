"""Which steps' weights a training keeps if nobody chose any: about ten, evenly spaced, within a budget."""

# With fewer than two there is no curve.
MOST, FEWEST = 10, 2
# How often the distance between kept steps may double until the planned end.
DOUBLINGS = 3


def how_many(weights_bytes: int, budget_mb: float | None, fewest: int = FEWEST) -> int:
    """How many files of so many bytes have room in the budget: `fewest` to 10, or none. None: none is wanted.

    Example: of 8 MB each, 10 (80 MB); of 91 MB in a budget of 200 MB, 2; of 438 MB, none.
    """
    if budget_mb is None:
        return 0
    count = min(MOST, int(budget_mb * 1e6 // max(weights_bytes, 1)))
    return count if count >= fewest else 0


def kept_until(step: int, total: int, count: int) -> list[int]:
    """The steps whose weights a training of `total` steps has kept at the end of `step`: at most `count`.

    They are evenly spaced, and ever further apart: whenever there would be more, every second one is
    dropped. So a training that ends early, as one that reaches train.stop_at does, keeps about as many as
    one that does not. The last step itself is last.ckpt.

    Example: 10 of 1,276 steps are 116 apart at the end. Up to step 145 they are 14.5 apart (14, 29, 43, ...),
    then 29, then 58: at step 93 there are 14, 29, 43, 58, 72, 87.
    """
    if not count:
        return []
    apart = -(-total // (count + 1))
    for doublings in range(DOUBLINGS, -1, -1):
        # Position n of a grid halved d times is n * apart / 2^d; each second one is in the coarser one.
        number = (((step + 1) << doublings) - 1) // apart
        if number <= count or doublings == 0:
            grid = {(n * apart) >> doublings for n in range(1, min(number, count) + 1)}
            return sorted(grid - {0, total})
    raise AssertionError("the coarsest grid has room for all")
