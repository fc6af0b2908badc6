"""The passages of README.md that have numbers."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from experiments.study import Passages, made_by

TITLES = {
    "sequence_transformer": "transformer",
    "sequence_universal": "universal transformer",
    "sequence_sparse": "transformer, sparse attention",
    "without_positions": "transformer without positions",
    "sequence_cnn": "CNN",
    "lecture_lstm": "LSTM of the lecture",
    "lecture_rnn": "RNN of the lecture",
    "lecture_linear": "`lecture_linear`",
    "sequence_linear": "ridge on letters by place",
    "sequence_kmer": "ridge on counts of words",
}
RIDGES = ("sequence_linear", "sequence_kmer")


def claims(measured: dict[str, Any], says: Passages) -> None:
    """From the trainings of both parts."""
    made_by(measured["made by"], says)
    says.defined("95 %")
    says.defined(
        "its batches of 20 and its learning rate of 1e-4, the others batches of 64 and 1e-3"
    )
    motifs(measured["motifs"], says)
    halting(measured["halting"], says)
    promoters(measured["promoters"], says)
    random_split(measured["random split"], says)


def motifs(networks: dict[str, Any], says: Passages) -> None:
    """The table of the generated sequences."""
    transformer = networks["sequence_transformer"]
    says("{:,} generated sequences train each network", transformer["trained"][0])
    says("{:,} sequences that chose nothing", transformer["seeds"]["1"]["sequences"])
    for name, found in networks.items():
        seeds = list(found["seeds"].values())
        says(
            "| {} | {:,} | {:,} | {} | {} | {} | {} | {} |",
            TITLES[name],
            found["parameters"],
            found["steps"],
            len(seeds),
            over_seeds([seed["pearson"] for seed in seeds]),
            over_seeds([seed["spearman"] for seed in seeds]),
            "" if name in RIDGES else least_beyond(seeds),
            "" if name in RIDGES else f"{found['time']:.2f}",
        )


def halting(seeds: dict[str, Any], says: Passages) -> None:
    """The steps of letters in universal transformers."""
    says("| seed | motifs | other letters | difference |")
    for seed, found in seeds.items():
        says(
            "| {} | {:.2f} | {:.2f} | {:+.3f} ({:+.3f} to {:+.3f}) |",
            seed,
            *(found[key] for key in ("motifs", "others", "value", "low", "high")),
        )
    says("{:,} sequences with motifs", seeds["1"]["sequences"])


def promoters(networks: dict[str, Any], says: Passages) -> None:
    """The table of the promoters."""
    cnn = networks["sequence_cnn"]
    least, most = min(cnn["trained"]), max(cnn["trained"])
    says("{:,} or {:,} of them train", least, most)
    says("{:,} promoters that chose nothing", cnn["sequences"])
    for name, found in networks.items():
        says(
            "| {} | {:,} | {} | {} | {} | {:.3f} to {:.3f} | {} | {} |",
            TITLES[name],
            found["steps"],
            len(found["trainings"]),
            with_interval(found["pearson"]),
            with_interval(found["spearman"]),
            min(found["trainings"]),
            max(found["trainings"]),
            *(
                ("", "")
                if name in RIDGES
                else (difference(found["beyond"][ridge]) for ridge in RIDGES)
            ),
        )


def random_split(ridges: dict[str, Any], says: Passages) -> None:
    """What ridges score in random folds."""
    first = ridges[RIDGES[0]]
    # Of the trial that this study began with, whose split is not known any more.
    says.defined("had read 0.365 on its 35 overlapping promoters and 0.206 on the rest")
    says(
        "{:,} of {:,} promoters that chose nothing overlap a training one",
        first["overlapping"]["sequences"],
        first["all"]["sequences"],
    )
    for name, found in ridges.items():
        parts = (with_interval(found[part]) for part in ("all", "overlapping", "others"))
        says("| {} | {} | {} | {} |", TITLES[name], *parts)


def over_seeds(values: list[dict[str, float]]) -> str:
    """The mean, and from the least lower end of all intervals to the highest upper end."""
    mean = np.mean([value["value"] for value in values])
    low, high = min(value["low"] for value in values), max(value["high"] for value in values)
    return f"{mean:.3f} ({low:.3f} to {high:.3f})"


def least_beyond(seeds: Iterable[dict[str, Any]]) -> str:
    """The least of the differences from the better ridge, with its interval."""
    least = min(
        (found for seed in seeds for found in seed["beyond"].values()),
        key=lambda found: found["low"],
    )
    return difference(least)


def with_interval(value: dict[str, float]) -> str:
    """A correlation with its interval."""
    return f"{value['value']:.3f} ({value['low']:.3f} to {value['high']:.3f})"


def difference(value: dict[str, float]) -> str:
    """A difference with its interval and its p."""
    p = "p < 0.001" if value["p"] < 0.001 else f"p = {value['p']:.3f}"
    return f"{value['value']:+.3f} ({value['low']:+.3f} to {value['high']:+.3f}), {p}"
