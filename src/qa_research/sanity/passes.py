"""Checks of forward passes: what a row's scores depend on, and what they must not depend on."""

from torch import Tensor

from qa_research.sanity.bench import Bench, first_rows, padded
from qa_research.sanity.check import Check, Found
from qa_research.tasks.wiring import Batch

# Float32 sums in another order differ by a few 1e-6 of the scores; a real dependence moves them by 1e-3
# and more.
NOISE = 1e-4
ROWS = 4
MORE_PADDING = 5


def _few(bench: Bench) -> dict[str, Tensor]:
    """A few rows of the shortest batch that has so many."""

    def order(batch: Batch) -> tuple[int, int]:
        rows, width = batch[bench.wiring.read].shape[:2]
        return -min(rows, ROWS), width

    return first_rows(min(bench.batches, key=order), ROWS)


def _difference(first: Tensor, second: Tensor) -> float:
    """The largest difference of two scores, relative to the spread of the first, or to 1 if that is less."""
    spread = max(float(first.std()) if first.numel() > 1 else 0.0, float(first.abs().mean()), 1e-6)
    return float((first - second).abs().max()) / spread


def _short(difference: float) -> str:
    return f"{difference:.1e}" if difference else "0"


def passes_are_equal(bench: Bench) -> Found:
    """Without training mode, two passes over one batch give the same: no dropout is left."""
    batch = _few(bench)
    difference = _difference(bench.scores(batch), bench.scores(batch))
    return Found.judged(
        difference == 0,
        f"two passes in eval mode differ by {_short(difference)} of the scores",
        "0",
        "dropout that ignores eval(), such as functional.dropout with its default training=True",
    )


def rows_are_alone(bench: Bench) -> Found:
    """Another first row changes no other row's scores."""
    batch = _few(bench)
    read = batch[bench.wiring.read]
    if len(read) < 2:
        return Found.skipped("a batch has one row")
    other = read.clone()
    other[0] = read[0].flip(0)
    before, after = bench.scores(batch), bench.scores(batch | {bench.wiring.read: other})
    difference = _difference(before[1:], after[1:])
    own = _difference(before[:1], after[:1])
    return Found.judged(
        difference <= NOISE,
        f"another row 0 changes the other rows' scores by {_short(difference)} (its own by {_short(own)})",
        f"at most {NOISE:.0e}",
        "a mean, a norm or a reshape over the batch dimension, as in BatchNorm or view() in the wrong order",
    )


def padding_is_ignored(bench: Bench) -> Found:
    """More padding, whatever stands in it, changes no scores of tokens."""
    wiring = bench.wiring
    batch = _few(bench)
    # The longest row may be as long as the network can read: drop as many of its last places as are added.
    width = batch[wiring.read].shape[1]
    short = min(MORE_PADDING, (width - 1) // 2)
    if short < 1:
        return Found.skipped("a row has two tokens")
    cut = {
        name: tensor[:, : width - short] if tensor.ndim > 1 else tensor
        for name, tensor in batch.items()
    }
    # Labels may lie in what was dropped, and scores need none.
    cut = {name: tensor for name, tensor in cut.items() if name not in wiring.labels}
    before, after = bench.scores(cut), bench.scores(padded(cut, wiring, short))
    if wiring.outputs == "spans":
        is_token = cut[wiring.mask].bool()[:, None]
        after = after[..., : before.shape[-1]]
        before, after = before.masked_fill(~is_token, 0), after.masked_fill(~is_token, 0)
    difference = _difference(before, after)
    return Found.judged(
        difference <= NOISE,
        f"{short} more places of padding change scores by {_short(difference)}",
        f"at most {NOISE:.0e}",
        f"whether {wiring.mask} reaches the network, and every place that sums over tokens",
    )


def input_counts(bench: Bench) -> Found:
    """Another text gives other scores."""
    batch = _few(bench)
    read = batch[bench.wiring.read]
    difference = _difference(
        bench.scores(batch), bench.scores(batch | {bench.wiring.read: read.flip(1)})
    )
    return Found.judged(
        difference > NOISE,
        f"the text read backwards changes scores by {_short(difference)}",
        f"more than {NOISE:.0e}",
        f"whether {bench.wiring.read} reaches the network",
    )


def types_count(bench: Bench) -> Found:
    """Other token types give other scores."""
    wiring = bench.wiring
    if wiring.types is None:
        return Found.skipped("the network tells no token types apart")
    batch = _few(bench)
    if wiring.types not in batch:
        return Found.skipped("the tokenizer gives no token types")
    others = 1 - batch[wiring.types].clamp(0, 1)
    difference = _difference(bench.scores(batch), bench.scores(batch | {wiring.types: others}))
    return Found.judged(
        difference > NOISE,
        f"other token types change scores by {_short(difference)}",
        f"more than {NOISE:.0e}",
        f"whether {wiring.types} reaches the network",
    )


CHECKS = (
    Check("eval mode has no dropout", passes_are_equal),
    Check("no leak across the batch", rows_are_alone),
    Check("padding is ignored", padding_is_ignored),
    Check("the input counts", input_counts),
    Check("token types count", types_count),
)
