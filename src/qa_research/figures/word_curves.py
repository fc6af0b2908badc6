"""What is lost with a ranking's first words off, or with only them on. Reads and saves nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from numpy import ndarray

from qa_research.figures.scores import COLOURS

STYLES = (("#0b6e99", "-", "o"), ("#c25a00", "--", "s"), ("#6c3fa8", "-.", "^"))


@dataclass(frozen=True)
class Band:
    """Mean, lowest and highest of the random orders' curves."""

    mean: Float[ndarray, " count"]
    low: Float[ndarray, " count"]
    high: Float[ndarray, " count"]


def faithfulness_panel(
    panel: Axes,
    counts: Int[ndarray, " count"],
    curves: Mapping[str, Float[ndarray, " count"]],
    random: Band,
) -> None:
    """A line a method over the number of words, and the band of random orders, in equal distances.

    Raises:
        ValueError: more methods than there are line styles.
    """
    if len(curves) > len(STYLES):
        raise ValueError(f"{len(curves)} methods are more than the {len(STYLES)} line styles")
    along = np.arange(len(counts))
    panel.fill_between(
        along, random.low, random.high, color=COLOURS[5], alpha=0.25, lw=0, label="random orders"
    )
    panel.plot(along, random.mean, color=COLOURS[5], lw=1, linestyle=":")
    for (name, curve), (colour, line, mark) in zip(curves.items(), STYLES, strict=False):
        panel.plot(
            along, curve, color=colour, linestyle=line, marker=mark, ms=4, lw=1.6, label=name
        )
    panel.set_xticks(along, [str(count) for count in counts], fontsize=8)
    panel.spines[["top", "right"]].set_visible(False)
    panel.grid(axis="y", color="#dddddd", linewidth=0.6)


def curves_beside(
    panels: Sequence[Axes],
    counts: Int[ndarray, " count"],
    comprehensiveness: Mapping[str, Float[ndarray, " count"]],
    sufficiency: Mapping[str, Float[ndarray, " count"]],
    random: tuple[Band, Band],
) -> None:
    """Comprehensiveness in the first panel, sufficiency in the second, with what is good in the titles."""
    faithfulness_panel(panels[0], counts, comprehensiveness, random[0])
    faithfulness_panel(panels[1], counts, sufficiency, random[1])
    panels[0].set_title("comprehensiveness: high is good", fontsize=9.5, loc="left")
    panels[1].set_title("sufficiency: low is good", fontsize=9.5, loc="left")
    panels[0].set(xlabel="first words switched off", ylabel="probability lost")
    panels[1].set(xlabel="first words kept, all others off")
