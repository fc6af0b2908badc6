"""The figures of the study: how far networks look, and the steps that letters took."""

from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure

from experiments.sequence_models.scored import of_network
from qa_research.figures.reach import reach, steps_taken
from qa_research.model.reach import gradient_reach
from qa_research.runs.open import open_run
from qa_research.tasks.sequences.sequence import one_hot_of

TITLES = {
    "sequence_cnn": "CNN",
    "lecture_lstm": "LSTM",
    "sequence_sparse": "transformer with sparse attention",
    "sequence_transformer": "transformer",
}
READ, DRAWN = 32, 3


def reach_figure(runs: Path) -> Figure:
    """Of what is read of all letters in each network, seed 1."""
    by_name = {}
    for name, title in TITLES.items():
        opened = open_run(of_network(runs, "motifs", name, (1,))[1])
        vectors, mask = one_hot_of(opened.own("validation").rows[:READ])
        network: Any = opened.network.eval()
        by_name[title] = gradient_reach(network, network.by_position, vectors, mask)
    return reach(by_name)


def steps_figure(runs: Path, seed: int) -> Figure:
    """Of three sequences with motifs, in a universal transformer."""
    opened = open_run(of_network(runs, "motifs", "sequence_universal", (seed,))[seed])
    network: Any = opened.network.eval()
    rows = [row for row in opened.own("validation").rows if row.planted][:DRAWN]
    vectors, mask = one_hot_of(rows)
    with torch.no_grad():
        network(vectors, mask)
    taken = network.halting.steps.numpy()
    shown = [(row.letters, steps, row.planted) for row, steps in zip(rows, taken, strict=True)]
    return steps_taken(shown, network.encoder.settings.layers)
