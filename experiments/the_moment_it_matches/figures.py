"""The figures of the study: the jump with its heads, and the change of attention in each phase."""

import numpy as np
from matplotlib.figure import Figure

from experiments.the_moment_it_matches.phases import MATCHED, PHASES, PLATEAU, ROUTES, Seen

COLOURS = ("#0b6e99", "#d1495b", "#3c7a3b", "#777777")
STYLES = ("-", "--", ":", "-.", (0, (6, 1, 1, 1, 1, 1)), (0, (1, 4)))
NAMES = [f"{source} → {target}".replace("match_", "word in ") for source, target in ROUTES]


def draw_jump(found: list[Seen], control: list[Seen]) -> Figure:
    """Exact match, and the attention of the named heads on their routes, over steps."""
    figure = Figure(figsize=(10, 6.4), layout="constrained")
    panels = figure.subplots(2, len(found), sharex="col", sharey="row", squeeze=False)
    for column, seen in enumerate(found):
        top, bottom = panels[:, column]
        top.plot(seen.steps, seen.exact_match, color="#333333", label="pretrained")
        for other in control:
            top.plot(other.steps, other.exact_match, color="#aaaaaa", label="random weights")
        top.set(title=f"seed {seen.seed}", ylim=(0, 102), xlim=(0, seen.steps[-1]))
        if seen.borders is not None:
            begin, end = (seen.steps[seen.borders[i]] for i in (1, 2))
            for panel in (top, bottom):
                panel.axvspan(begin, end, color="#f3e3b3", zorder=0)
            rise = seen.changes()[PHASES.index("at")]
            for i, (layer, head) in enumerate(seen.named()):
                route = int(rise[:, layer, head].argmax())
                bottom.plot(
                    seen.steps,
                    seen.weight[:, route, layer, head],
                    color=COLOURS[route],
                    linestyle=STYLES[i % len(STYLES)],
                    label=f"{layer}.{head} {NAMES[route]}",
                )
            # Above the lines, which end at 1.
            bottom.set_ylim(-0.02, 1.55)
            bottom.legend(fontsize=7, frameon=False, loc="upper left")
        bottom.set_xlabel("optimizer step")
        for panel in (top, bottom):
            panel.spines[["top", "right"]].set_visible(False)
    panels[0, 0].set_ylabel("exact match on watched match questions, %")
    panels[1, 0].set_ylabel("attention of the named heads")
    panels[0, 0].legend(frameon=False, fontsize=8)
    return figure


def draw_phases(found: list[Seen]) -> Figure:
    """Layer x head: change of attention by route (rows) and phase (columns), mean over seeds."""
    jumped = [seen for seen in found if seen.borders is not None]
    mean = np.mean([seen.changes() for seen in jumped], axis=0)
    most = np.abs(mean).max()
    figure = Figure(figsize=(10, 8), layout="constrained")
    panels = figure.subplots(len(ROUTES), len(PHASES), sharex=True, sharey=True)
    for row, name in enumerate(NAMES):
        for column, phase in enumerate(PHASES):
            panel = panels[row, column]
            image = panel.imshow(
                mean[column, row],
                cmap="RdBu_r",
                vmin=-most,
                vmax=most,
                origin="lower",
                aspect="auto",
            )
            panel.set_title(f"{name}, {phase}", fontsize=9)
            panel.set_xticks(range(mean.shape[3]))
        panels[row, 0].set_ylabel("layer")
    for panel in panels[-1]:
        panel.set_xlabel("head")
    figure.colorbar(image, ax=panels, label="change of attention", shrink=0.6)
    when = f"before: match up to {PLATEAU:.0f} %; after: from {MATCHED:.0f} % on"
    figure.suptitle(f"Change of attention, mean over {len(jumped)} seeds ({when})")
    return figure
