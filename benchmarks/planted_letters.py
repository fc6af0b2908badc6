"""Do attributions find the letters that decide a sequence's number, and does it matter where gradients begin?

    python train.py +experiment=sequence_transformer
    python benchmarks/planted_letters.py runs/sequence_transformer/sequence_transformer-random-motifs-s1-*

On held-out sequences of the run with planted motifs (the first 50): areas under the ROC curve of the planted
letters, by strength without its sign, as `find_planted` has them. Prints those of the trained network and of
ten random ones, by both of its methods, and those of integrated gradients from other references.
"""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from scipy.stats import t
from torch import Tensor, nn

from qa_research.console import tracked
from qa_research.explain.words.example import ExampleReader, reader_of
from qa_research.explain.words.planted import METHODS, auc, marked_words, randomised
from qa_research.runs.open import open_run
from qa_research.streams import stream
from qa_research.text import aligned, print_line

SEQUENCES, SEED = 50, 1
RANDOM_NETWORKS = 10


@dataclass(frozen=True)
class From(ExampleReader):
    """A reader whose gradients begin elsewhere: `start` makes the references of the whole input."""

    start: Callable[[Tensor], Tensor]

    def references(self, seed: int) -> Float[Tensor, "reference token ..."]:
        """Other ones; `seed` plays no part in them."""
        return self.start(self.whole)


def shuffles(count: int) -> Callable[[Tensor], Tensor]:
    """The sequence's own letters in as many other orders."""

    def made(whole: Tensor) -> Tensor:
        draw = stream(SEED, "shuffled")
        return torch.cat([whole[:, draw.permutation(whole.shape[1])] for _ in range(count)])

    return made


STARTS: dict[str, Callable[[Tensor], Tensor]] = {
    "zeros": torch.zeros_like,
    "mean letter": lambda whole: whole.mean(1, keepdim=True).expand_as(whole),
    **{f"{count} shuffles": shuffles(count) for count in (10, 20, 50)},
}


def values_of(
    readers: Sequence[ExampleReader], method: str, seed: int, what: str
) -> list[Float[np.ndarray, " letter"]]:
    """By sequence, what each letter adds by one method."""
    return [np.array(METHODS[method](reader, seed).span) for reader in tracked(readers, what)]


def areas_of(
    readers: Sequence[ExampleReader], ranked: Sequence[Float[np.ndarray, " letter"]]
) -> list[float]:
    """By sequence, the area of its letters if they are ranked so."""
    pairs = zip(ranked, readers, strict=True)
    return [auc(letters, marked_words(reader)) for letters, reader in pairs]


def by_place(values: Sequence[Float[np.ndarray, " letter"]]) -> list[Float[np.ndarray, " letter"]]:
    """The mean strength of each place over the sequences, whatever letter stands there, for each of them."""
    return [np.abs(np.stack(values)).mean(0)] * len(values)


def spread(areas: Sequence[float]) -> tuple[str, str]:
    """The mean and its standard error."""
    return f"{np.mean(areas):.3f}", f"{np.std(areas, ddof=1) / len(areas) ** 0.5:.3f}"


def show_trained(readers: Sequence[ExampleReader], method: str) -> None:
    """What the trained network comes to, by strength and with signs."""
    values = values_of(readers, method, SEED, method)
    mean, error = spread(areas_of(readers, [np.abs(one) for one in values]))
    print_line(
        f"{method}: {mean}, standard error {error}; with signs {np.mean(areas_of(readers, values)):.3f}"
    )


def show_random(
    readers: Sequence[ExampleReader], networks: Sequence[nn.Module], method: str
) -> None:
    """What random networks, of which each has one mean area, come to."""
    areas, of_places = [], []
    for seed, network in enumerate(networks):
        others = [replace(one, network=network) for one in readers]
        values = values_of(others, method, seed, f"random network {seed}")
        areas.append(np.mean(areas_of(readers, [np.abs(one) for one in values])))
        of_places.append(np.mean(areas_of(readers, by_place(values))))
    mean, deviation = np.mean(areas), np.std(areas, ddof=1)
    error = t.ppf(0.975, len(areas) - 1) * deviation / len(areas) ** 0.5
    print_line(
        f"{method}, {len(areas)} random networks: {min(areas):.3f} to {max(areas):.3f}, mean {mean:.3f} "
        f"[{mean - error:.3f}, {mean + error:.3f}], standard deviation {deviation:.3f}, seed {SEED} "
        f"{areas[SEED]:.3f}; correlation with ranks by place {np.corrcoef(areas, of_places)[0, 1]:.2f}"
    )


def from_elsewhere(readers: Sequence[ExampleReader]) -> list[tuple[str, str, str]]:
    """By reference, the mean area of integrated gradients and its standard error."""
    rows = []
    for name, start in STARTS.items():
        moved = [From(one.network, one.watched, one.row, start) for one in readers]
        values = values_of(moved, "gradients", SEED, name)
        rows.append((name, *spread(areas_of(readers, [np.abs(one) for one in values]))))
    return rows


def main() -> None:
    """Measure a run, and print what was found."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run", type=Path)
    torch.set_num_threads(1)
    opened = open_run(parser.parse_args().run)
    own = opened.own("validation")
    rows = [row for row in own.rows if row.planted and row.id not in own.choosing][:SEQUENCES]
    readers = [reader_of(opened, row) for row in rows]
    networks = [randomised(opened.network, seed) for seed in range(RANDOM_NETWORKS)]
    for method in METHODS:
        show_trained(readers, method)
        show_random(readers, networks, method)
    table = [("gradients from", "area", "standard error"), *from_elsewhere(readers)]
    print_line("\n".join(aligned(table, right={1, 2})))


if __name__ == "__main__":
    main()
