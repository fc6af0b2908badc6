"""Processor time of a training step: python -m experiments.sequence_models.speed RUNS

Writes RUNS/sequence_models_speed.json: by network the time of one sequence in a step, as a multiple of the
CNN's. Networks take turns and only processor time counts, with one thread, so that other work on the machine
matters little.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from experiments.sequence_models.measure import NETWORKS, SPEED
from experiments.sequence_models.scored import of_network
from qa_research.files import write_text
from qa_research.runs.open import open_run
from qa_research.tasks.sequences.sequence import one_hot_of
from qa_research.text import print_line

ROUNDS, STEPS = 7, 4
UNIT = "sequence_cnn"


class Trained:
    """A network of a run, its optimizer, and a batch of the size that it was trained with."""

    def __init__(self, run: Path) -> None:
        opened = open_run(run)
        self.network: Any = opened.network.train()
        size = int(opened.config["data"]["batch_size"])
        self.batch = one_hot_of(opened.own("train").rows[:size])
        self.labels = torch.zeros(size)
        self.optimizer = torch.optim.AdamW(self.network.parameters(), lr=1e-6)

    def seconds(self) -> float:
        """Processor time of a sequence in some steps."""
        start = time.process_time()
        for _ in range(STEPS):
            self.optimizer.zero_grad()
            torch.nn.functional.mse_loss(self.network(*self.batch), self.labels).backward()
            self.optimizer.step()
        return (time.process_time() - start) / (STEPS * len(self.labels))


def main(folder: str) -> None:
    """Measure, write and print."""
    torch.set_num_threads(1)
    runs = Path(folder)
    trained = {name: Trained(of_network(runs, "motifs", name, (1,))[1]) for name in NETWORKS}
    taken: dict[str, list[float]] = {name: [] for name in NETWORKS}
    # The first round is left out: memory is reserved in it.
    for _ in range(ROUNDS + 1):
        for name, one in trained.items():
            taken[name].append(one.seconds())
    times = {name: float(np.median(values[1:])) for name, values in taken.items()}
    shares = {name: round(value / times[UNIT], 2) for name, value in times.items()}
    write_text(runs / SPEED, json.dumps(shares, indent=1) + "\n")
    for name, share in shares.items():
        print_line(f"{name}  {share:.2f}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__.split("\n", 1)[0])
    main(sys.argv[1])
