"""What the weight matrices are like, on the screen."""

from collections.abc import Sequence

import numpy as np

from qa_research.console import Screen
from qa_research.weights.measuring import OV, QK, HeadHistory, MatrixHistory, Measured

HEADER = (
    *("layer", "matrix", "shape", "effective rank", "chance", "participation", "chance"),
    *("redundancy", "chance", "change a step"),
)
HEADS = ("layer", "head", "query-key", "value-output")
# How many heads with the fewest directions are shown; the file has all.
MOST_HEADS = 8


def show_measured(found: Measured) -> None:
    """A table of matrices at the last of the checkpoints, the narrowest heads, and how to read them."""
    console = Screen()
    console.print(found.run)
    last, several = found.checkpoints[-1], len(found.checkpoints) > 1
    over = f", changes since {found.checkpoints[-2]}" if several else ""
    console.print(
        f"Weights of checkpoint {last}{over}; chance: random matrices of the same shape.\n"
    )
    # With one checkpoint there is no change to show.
    columns = len(HEADER) if several else len(HEADER) - 1
    rows = [_row(one)[:columns] for one in found.matrices]
    console.table(HEADER[:columns], rows, right=range(2, columns), whole=(0, 1))
    if found.heads:
        _show_heads(console, found.heads)
    for note in found.notes:
        console.print(note)


def _row(one: MatrixHistory) -> Sequence[str]:
    latest, chance = one.steps[-1], one.chance
    name = one.kind if one.kind != "other" else one.name
    if one.kind == "embeddings":
        name = one.name.removesuffix(".weight").rpartition(".")[2]
    return (
        "" if one.layer < 0 else str(one.layer),
        name,
        f"{one.shape[0]} x {one.shape[1]}",
        f"{latest.spread.effective_rank:.1f}",
        f"{chance.effective_rank:.1f}",
        f"{latest.spread.participation:.1f}",
        f"{chance.participation:.1f}",
        *(_two(spread.redundancy) for spread in (latest.spread, chance)),
        "" if latest.rate is None else f"{100 * latest.rate:.3f} %",
    )


def _two(number: float) -> str:
    return f"{number:.2f}" if np.isfinite(number) else ""


def _show_heads(console: Screen, heads: Sequence[HeadHistory]) -> None:
    """The heads whose queries and keys use the fewest directions."""
    by_place = {(one.layer, one.head, one.product): one for one in heads}
    places = sorted(
        {(one.layer, one.head) for one in heads},
        key=lambda place: by_place[*place, QK].steps[-1].spread.participation,
    )
    chance = heads[0].chance.participation
    console.print(
        f"\nParticipation ratio of heads, at most {heads[0].width}, by chance {chance:.1f}; "
        f"{min(MOST_HEADS, len(places))} of {len(places)}, the fewest directions first."
    )
    rows = [
        (str(layer), str(head), *(_of(by_place[layer, head, product]) for product in (QK, OV)))
        for layer, head in places[:MOST_HEADS]
    ]
    console.table(HEADS, rows, right=range(len(HEADS)))


def _of(one: HeadHistory) -> str:
    return f"{one.steps[-1].spread.participation:.1f}"
