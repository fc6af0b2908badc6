"""The figure of the study: what each role's words are worth over the steps; and where the jump lies."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from experiments.words_that_match.roles import ROLES

# The jump: between the last kept step with less mean probability than this and the next one.
JUMPED = 0.5
# Colour and style of each role, in the order of ROLES.
LINES = (
    ("#c05f00", "-"),
    ("#5b9bc8", "-"),
    ("#0b4f84", "-"),
    ("#111827", "-"),
    ("#8a929c", "--"),
    ("#8a929c", "-."),
    ("#8a929c", ":"),
)


def before_jump(found: dict[str, Any]) -> int:
    """The index of the last kept step before the jump."""
    return int(np.flatnonzero(np.array(found["probability"])[:, 0] < JUMPED)[-1])


def draw_roles(seeds: dict[str, Any]) -> Figure:
    """A panel a seed, all over the same steps; a band where the jump lies."""
    figure = Figure(figsize=(12.6, 4.4), layout="constrained")
    panels = figure.subplots(1, len(seeds), sharex=True, sharey=True, squeeze=False)[0]
    for panel, (seed, found) in zip(panels, seeds.items(), strict=True):
        steps = found["steps"]
        last = before_jump(found)
        panel.axvspan(steps[last], steps[last + 1], color="#f3e3b3", linewidth=0, label="the jump")
        for (role, label), (colour, style) in zip(ROLES.items(), LINES, strict=True):
            mean, low, high = np.array(found[f"lost {role}"]).T
            panel.plot(steps, mean, color=colour, linestyle=style, label=label)
            panel.fill_between(steps, low, high, color=colour, alpha=0.15, linewidth=0)
        probability = np.array(found["probability"])[:, 0]
        panel.plot(
            steps, probability, color="#2e7d32", linestyle=":", label="probability, nothing masked"
        )
        panel.set(xlabel="optimizer step", title=f"seed {seed}")
        panel.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("probability (green, dotted) and its loss")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False, fontsize=8)
    return figure
