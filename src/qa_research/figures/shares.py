"""What each part of the network adds to the logits of one watched question. Reads and saves nothing."""

import textwrap

import xarray as xr
from matplotlib.figure import Figure

from qa_research.figures.panels import (
    PlainFigure,
    at,
    numbers,
    recorded,
    step_map,
    steps_of,
    strongest,
)

ROWS = ("start", "end")
ROW_INCHES = 0.19


def logit_shares(dataset: xr.Dataset, question: int, asked: str = "") -> Figure:
    """Heat maps part x step of what each part adds to the true span's start and end logit.

    `dataset` is the group `attribution`. The parts are the embeddings, each layer's attention and
    feed-forward network, and the bias; those of a column sum to the logit. Columns are captures, to scale.

    Raises:
        ValueError: the question is not watched, or nothing is recorded.
    """
    shares = at(recorded(dataset, "layer_share"), question=question).compute()
    steps = steps_of(shares)
    parts = [str(part) for part in shares["component"].values]
    values = {row: numbers(at(shares, row=row), "component", "step") for row in ROWS}
    most = strongest(*values.values())
    height = ROW_INCHES * len(parts) + 1.7
    figure = PlainFigure(figsize=(8.2, height), layout="constrained")
    panels = figure.subplots(1, len(ROWS), sharey=True)
    for panel, row in zip(panels, ROWS, strict=True):
        # The first part is below, as the network is built up.
        image = step_map(panel, values[row].T[:, ::-1], steps, most, along="x")
        panel.set_yticks(range(len(parts)), parts[::-1], fontsize=8)
        panel.set_title(f"{row} logit", loc="left", fontsize=10)
        panel.set_xlabel("optimizer step")
    figure.colorbar(image, ax=panels, shrink=0.8, label="share of the logit")
    title = " ".join(asked.split()) or f"Watched question {question}"
    figure.suptitle("\n".join(textwrap.wrap(title, 80, max_lines=2, placeholder=" …")), fontsize=11)
    return figure
