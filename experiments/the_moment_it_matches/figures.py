"""The figures of the study: the jump with its heads, and the change of attention in each phase."""

from collections import Counter
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from experiments.the_moment_it_matches.phases import (
    MATCHED,
    PHASES,
    PLATEAU,
    ROUTES,
    Head,
    Seen,
)
from qa_research.figures.panels import (
    GREY,
    PlainFigure,
    head_name,
    head_style,
    plain,
    signed_map,
    strongest,
)

NAMES = [
    " → ".join(end.replace("match_", "letter in ") for end in (source, target))
    for source, target in ROUTES
]
INK, BAND = "#333333", "#f3e3b3"
PHASE_NAMES = dict(zip(PHASES, ("before the jump", "at the jump", "after the jump"), strict=True))


def draw_jump(found: list[Seen], control: list[Seen], guessing: float) -> Figure:
    """Exact match, and the attention of the named heads on their routes, over steps; a column a run."""
    runs = [*found, *control]
    figure = PlainFigure(figsize=(13, 6.8), layout="constrained")
    panels = figure.subplots(2, len(runs), sharex="col", sharey="row", squeeze=False)
    heads = routes_of_named(found)
    for column, seen in enumerate(runs):
        top, bottom = panels[:, column]
        top.plot(seen.steps, seen.exact_match, color=INK)
        top.axhline(guessing, color=GREY, linestyle="--", linewidth=0.8)
        weights = "pretrained" if column < len(found) else "random weights"
        if seen.borders is not None:
            begin, end = (seen.steps[seen.borders[i]] for i in (1, 2))
            for panel in (top, bottom):
                panel.axvspan(begin, end, color=BAND, linewidth=0, zorder=0)
        for (layer, head), route in heads.items():
            colour, style = head_style(layer, head)
            values = seen.weight[:, route, layer, head]
            bottom.plot(seen.steps, values, color=colour, linestyle=style)
        for panel in (top, bottom):
            plain(panel)
        top.set(title=f"{weights}, seed {seen.seed}", ylim=(0, 102), xlim=(0, seen.steps[-1]))
        bottom.set(ylim=(0, 1), xlabel="optimizer step")
    panels[0, 0].set_ylabel("exact match, %")
    panels[1, 0].set_ylabel("attention")
    entries = legend_of(heads, guessing)
    figure.legend(handles=entries, loc="outside lower center", ncols=4, frameon=False, fontsize=8)
    return figure


def routes_of_named(found: list[Seen]) -> dict[Head, int]:
    """The heads that rise most at the jump in any seed, those of most seeds first, and each one's route."""
    jumped = [seen for seen in found if seen.borders is not None]
    count = Counter(head for seen in jumped for head in seen.named())
    rise = np.mean([seen.changes()[PHASES.index("at")] for seen in jumped], axis=0)
    return {
        head: int(rise[:, head[0], head[1]].argmax())
        for head in sorted(count, key=lambda head: (-count[head], head))
    }


def legend_of(heads: dict[Head, int], guessing: float) -> list[Any]:
    """What the lines and the band are."""
    lines = []
    for head, route in heads.items():
        colour, style = head_style(*head)
        label = f"{head_name(*head)}: {NAMES[route]}"
        lines.append(Line2D([], [], color=colour, linestyle=style, label=label))
    return [
        *lines,
        Line2D([], [], color=INK, label="exact match, watched match questions"),
        Line2D(
            [],
            [],
            color=GREY,
            linestyle="--",
            linewidth=0.8,
            label=f"guessing among the candidates: {guessing:.0f} %",
        ),
        Patch(
            color=BAND, label=f"the jump: from at most {PLATEAU:.0f} to at least {MATCHED:.0f} %"
        ),
    ]


def draw_phases(found: list[Seen]) -> Figure:
    """Layer x head: change of attention by route (rows, each with its own scale) and phase (columns)."""
    jumped = [seen for seen in found if seen.borders is not None]
    mean = np.mean([seen.changes() for seen in jumped], axis=0)
    figure = PlainFigure(figsize=(11, 9), layout="constrained")
    figure.get_layout_engine().set(h_pad=0.08)
    panels = figure.subplots(len(ROUTES), len(PHASES), sharex=True, sharey=True)
    for row, route in enumerate(NAMES):
        most = strongest(mean[:, row])
        for column, phase in enumerate(PHASE_NAMES.values()):
            panel = panels[row, column]
            image = signed_map(panel, mean[column, row], most)
            panel.set_title(f"{route}\n{phase}", fontsize=8)
            panel.set_xticks(range(mean.shape[3]))
            panel.set_yticks(range(mean.shape[2]))
        panels[row, 0].set_ylabel("layer")
        figure.colorbar(image, ax=panels[row], label="change of attention")
    for panel in panels[-1]:
        panel.set_xlabel("head")
    figure.suptitle(
        f"Change of attention, mean over {len(jumped)} seeds; each row has its own scale"
    )
    return figure
