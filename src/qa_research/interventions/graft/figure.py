"""What grafted parts score, drawn: by layer, both ways round, beside random sets; and Shapley values."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from qa_research.figures.panels import COLOURS, GREY, PlainFigure
from qa_research.interventions.graft.grafting import FROM, INTO, SIDES, Grafted, GraftedPart
from qa_research.interventions.graft.parts import ATTENTION, ATTENTION_HEAD, MLP, Division
from qa_research.interventions.graft.sharing import Share
from qa_research.tasks.scoring import ALL
from qa_research.tasks.task import PERCENT

OTHER = {INTO: FROM, FROM: INTO}
# Of kinds of parts; what is neither is drawn as a layer is.
COLOUR = {ATTENTION: COLOURS[0], MLP: COLOURS[1]}
SHIFT = {ATTENTION: -0.13, MLP: 0.13}
MOST_NUMBERS = 150


def graft_figure(found: Grafted) -> Figure:
    """A row for each division: into one step, into the other, and Shapley values where there are some."""
    columns = 2 + bool(found.shapley)
    rows = len(found.parts)
    figure = PlainFigure(figsize=(4.6 * columns, 3.5 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False)
    for row, (division, parts) in zip(panels, found.parts.items(), strict=True):
        for panel, side in zip(row, SIDES, strict=False):
            if _has_heads(parts):
                _map_heads(panel, found, parts, side)
            else:
                _draw_parts(panel, found, parts, side)
            panel.set_title(
                f"{found.labels[side]} with one part of {found.labels[OTHER[side]]}",
                fontsize=10,
                loc="left",
            )
        if not _has_heads(parts):
            _share_limits(row[0], row[1])
        if columns == 3:
            _draw_shares(row[2], found, division)
    return figure


def _has_heads(parts: Sequence[GraftedPart]) -> bool:
    return any(part.kind == ATTENTION_HEAD for part in parts)


def _share_limits(*panels: Axes) -> None:
    """The same scores at the same height."""
    lows, highs = zip(*(panel.get_ylim() for panel in panels), strict=True)
    for panel in panels:
        panel.set_ylim(min(lows), max(highs))


def _draw_parts(panel: Axes, found: Grafted, parts: Sequence[GraftedPart], side: str) -> None:
    """Scores with intervals of their change, the range of random sets, and both steps as lines."""
    places = _places(parts)
    base = found.base[side][ALL].score
    goal = found.base[OTHER[side]][ALL].score
    panel.axhline(base, color=GREY, lw=0.9, ls="--", label=found.labels[side])
    panel.axhline(goal, color=GREY, lw=0.9, ls=":", label=found.labels[OTHER[side]])
    for kind in dict.fromkeys(_series(part) for part in parts):
        own = [part for part in parts if _series(part) == kind]
        colour = COLOUR.get(kind, "#333333")
        at = [places[part.name] for part in own]
        effects = [part.effects[side][ALL] for part in own]
        errors = [
            [max(effect.score - (base + effect.low), 0) for effect in effects],
            [max((base + effect.high) - effect.score, 0) for effect in effects],
        ]
        panel.errorbar(
            at,
            [effect.score for effect in effects],
            errors,
            fmt="o",
            ms=5,
            color=colour,
            elinewidth=1,
            capsize=2,
            label=kind or None,
        )
    _draw_random_sets(panel, found, parts, side)
    _name_places(panel, parts)
    panel.set_ylabel(_unit(found))
    panel.spines[["top", "right"]].set_visible(False)
    panel.grid(axis="y", color="#dddddd", linewidth=0.6)
    panel.legend(fontsize=8, frameon=False)


def _draw_random_sets(panel: Axes, found: Grafted, parts: Sequence[GraftedPart], side: str) -> None:
    """A bar from the lowest to the highest score behind each part that has some."""
    places, labels = _places(parts), ["random sets"]
    for part in parts:
        if part.control is None:
            continue
        scores = found.random[part.control].scores[side][ALL]
        panel.plot(
            [places[part.name]] * 2,
            [min(scores), max(scores)],
            color=COLOUR.get(part.kind, "#333333"),
            alpha=0.25,
            lw=7,
            solid_capstyle="butt",
            label=labels.pop() if labels else None,
        )


def _series(part: GraftedPart) -> str:
    return part.kind if part.kind in COLOUR else ""


def _columns(parts: Sequence[GraftedPart]) -> list[str]:
    """The ticks from left to right: the embeddings, the layers by number, the head."""
    return list(dict.fromkeys(_column(part) for part in parts))


def _column(part: GraftedPart) -> str:
    return part.name if part.layer is None else str(part.layer)


def _places(parts: Sequence[GraftedPart]) -> dict[str, float]:
    columns = _columns(parts)
    return {p.name: columns.index(_column(p)) + SHIFT.get(p.kind, 0.0) for p in parts}


def _name_places(panel: Axes, parts: Sequence[GraftedPart]) -> None:
    columns = _columns(parts)
    long = max(map(len, columns)) > 3 and len(columns) > 10
    panel.set_xticks(range(len(columns)), columns, rotation=60 if long else 0)
    panel.set_xlabel("layer")


def _unit(found: Grafted) -> str:
    return found.metric["label"] + (", %" if found.metric["scale"] == PERCENT else "")


def _map_heads(panel: Axes, found: Grafted, parts: Sequence[GraftedPart], side: str) -> None:
    """The change by layer and head; a frame where no random set of the layer's units goes as far."""
    heads = [part for part in parts if part.kind == ATTENTION_HEAD]
    layers = sorted({part.layer for part in heads if part.layer is not None})
    numbers = sorted({part.number for part in heads if part.number is not None})
    table = np.full((len(layers), len(numbers)), np.nan)
    for part in heads:
        place = layers.index(part.layer), numbers.index(part.number)  # type: ignore[arg-type]
        table[place] = part.effects[side][ALL].change
        if part.effects[side][ALL].as_far == 0:
            row, column = place
            panel.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, zorder=2))
    most = float(np.nanmax(np.abs(table))) or 1.0
    image = panel.imshow(table, origin="lower", aspect="auto", cmap="RdBu_r", vmin=-most, vmax=most)
    panel.set_xticks(range(len(numbers)), [str(number) for number in numbers])
    panel.set_yticks(range(len(layers)), [str(layer) for layer in layers])
    panel.set(xlabel="head", ylabel="layer")
    assert panel.figure is not None
    panel.figure.colorbar(image, ax=panel, label=f"change of {_unit(found)}")
    if table.size > MOST_NUMBERS:
        return
    for (row, column), value in np.ndenumerate(table):
        if np.isfinite(value):
            panel.text(
                *(
                    column,
                    row,
                    f"{value:+.0f}" if found.metric["scale"] == PERCENT else f"{value:+.2f}",
                ),
                ha="center",
                va="center",
                fontsize=7,
                color="white" if abs(value) > 0.6 * most else "black",
            )


def _draw_shares(panel: Axes, found: Grafted, division: Division) -> None:
    """Shapley values with their intervals, at the places of the parts."""
    if division not in found.shapley:
        panel.set_axis_off()
        return
    parts = found.parts[division]
    shares: dict[str, Share] = {one.name: one for one in found.shapley[division].shares[ALL]}
    places = _places(parts)
    panel.axhline(0, color=GREY, lw=0.9)
    for part in parts:
        share = shares[part.name]
        panel.bar(
            places[part.name],
            share.value,
            0.24 if part.kind in COLOUR else 0.5,
            color=COLOUR.get(part.kind, "#888888"),
            yerr=[[max(share.value - share.low, 0)], [max(share.high - share.value, 0)]],
            error_kw={"elinewidth": 1, "capsize": 2},
        )
    _name_places(panel, parts)
    panel.set_ylabel("share, points" if found.metric["scale"] == PERCENT else "share")
    panel.spines[["top", "right"]].set_visible(False)
    orders = found.shapley[division].orders
    how = "exact" if orders is None else f"{orders} orders"
    panel.set_title(f"Shapley values of {division} ({how})", fontsize=10, loc="left")
