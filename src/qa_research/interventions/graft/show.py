"""What grafted parts score, on the screen."""

from collections.abc import Sequence

from qa_research.console import Screen
from qa_research.interventions.graft.effects import Effect, Scored
from qa_research.interventions.graft.grafting import FROM, INTO, Grafted, GraftedPart
from qa_research.interventions.graft.parts import Division
from qa_research.interventions.graft.sharing import Share
from qa_research.tasks.scoring import ALL
from qa_research.tasks.task import PERCENT, Metric

# How many attention heads are shown, those that change most first; the file has all.
MOST_HEADS = 12
PARTS = ("part", "moved", "score", "change", "95 % interval", "random", "as far")
SHARES = ("part", "share", "95 % interval")


def show_grafted(found: Grafted) -> None:
    """Both ways round the effect of each part, the effects by kind, and Shapley values."""
    console = Screen()
    into, source = found.labels[INTO], found.labels[FROM]
    examples = found.base[INTO][ALL].examples
    console.print(
        f"{found.run}: {found.metric['label']} of {examples:,} {found.examples}"
        f"{' that chose nothing' if found.chose_nothing else ''}\n"
        f"{into}: {_scored(found.base[INTO][ALL], found.metric)}   "
        f"{source}: {_scored(found.base[FROM][ALL], found.metric)}"
    )
    for division, parts in found.parts.items():
        for side, own, other in ((INTO, into, source), (FROM, source, into)):
            console.print(f"\n{own} with one part of {other}")
            _show_parts(console, found, division, parts, side)
        if len(found.kinds) > 1:
            _show_kinds(console, found, parts)
    for division, shared in found.shapley.items():
        _show_shares(console, found, division, shared.shares[ALL], shared.orders)
    for note in found.notes:
        console.print(f"\n{note}")


def _show_parts(
    console: Screen,
    found: Grafted,
    division: Division,
    parts: Sequence[GraftedPart],
    side: str,
) -> None:
    shown = _telling(parts, side)
    rows = [_row(part, part.effects[side][ALL], found, side) for part in shown]
    columns = len(PARTS) if any(part.control for part in shown) else len(PARTS) - 2
    console.table(
        PARTS[:columns], [row[:columns] for row in rows], right=range(1, columns), whole=(0,)
    )
    if len(shown) < len(parts):
        console.print(
            f"{len(shown)} of {len(parts)} parts of {division}, those that change most; the table has all"
        )


def _telling(parts: Sequence[GraftedPart], side: str) -> list[GraftedPart]:
    """All of few parts; of many those that change most, in their order."""
    if len(parts) <= MOST_HEADS * 3:
        return list(parts)
    changes = sorted(parts, key=lambda part: -abs(part.effects[side][ALL].change))
    telling = {part.name for part in changes[:MOST_HEADS]}
    return [part for part in parts if part.name in telling]


def _row(part: GraftedPart, effect: Effect, found: Grafted, side: str) -> tuple[str, ...]:
    metric = found.metric
    random = as_far = ""
    if part.control is not None:
        scores = found.random[part.control].scores[side][ALL]
        random = f"{_number(min(scores), metric)} to {_number(max(scores), metric)}"
        as_far = f"{effect.as_far} of {len(scores)}"
    return (
        part.name,
        f"{100 * part.moved:.1f} %",
        _number(effect.score, metric),
        _signed(effect.change, metric),
        f"{_signed(effect.low, metric)} to {_signed(effect.high, metric)}",
        random,
        as_far,
    )


def _show_kinds(console: Screen, found: Grafted, parts: Sequence[GraftedPart]) -> None:
    """The scores by kind of example, both ways round."""
    kinds = found.kinds[1:]
    header = ["part", *(f"{kind}, {found.labels[side]}" for kind in kinds for side in (INTO, FROM))]
    console.print("\nby kind: the score of each step with one part of the other")
    own = [
        _number(found.base[side][kind].score, found.metric)
        for kind in kinds
        for side in (INTO, FROM)
    ]
    rows = [["(none)", *own]]
    for part in _telling(parts, INTO):
        rows.append(
            [
                part.name,
                *(
                    _number(part.effects[side][kind].score, found.metric)
                    for kind in kinds
                    for side in (INTO, FROM)
                ),
            ]
        )
    console.table(header, rows, right=range(1, len(header)), whole=(0,))


def _show_shares(
    console: Screen,
    found: Grafted,
    division: Division,
    shares: Sequence[Share],
    orders: int | None,
) -> None:
    metric, shared = found.metric, found.shapley[division]
    how = "exact" if orders is None else f"{orders} random orders"
    console.print(
        f"\nShapley values of {division} ({how}, {shared.states} sets of parts): they add up to "
        f"{_signed(shared.total[ALL], metric)}, from {found.labels[INTO]} to {found.labels[FROM]}"
    )
    rows = [
        (
            share.name,
            _signed(share.value, metric),
            f"{_signed(share.low, metric)} to {_signed(share.high, metric)}",
        )
        for share in shares
    ]
    console.table(SHARES, rows, right=(1, 2), whole=(0,))


def _scored(scored: Scored, metric: Metric) -> str:
    low, high = (_number(end, metric) for end in (scored.low, scored.high))
    return f"{_number(scored.score, metric)} [{low}, {high}]"


def _number(value: float, metric: Metric) -> str:
    return f"{value:.{_digits(metric)}f}"


def _signed(value: float, metric: Metric) -> str:
    # Adding zero turns a rounded -0.0 into 0.0.
    return f"{round(value, _digits(metric)) + 0.0:+.{_digits(metric)}f}"


def _digits(metric: Metric) -> int:
    return 1 if metric["scale"] == PERCENT else 3
