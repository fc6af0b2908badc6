"""A trained sequence regression, read back from its run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from qa_research.config import build
from qa_research.tasks.dividing import linked
from qa_research.tasks.opened import Examples, Opened, Told
from qa_research.tasks.sequences.sequence import (
    LabelledSequence,
    checked_letters,
    one_hot,
    read_sequences,
    windows_of,
)
from qa_research.tasks.sequences.watched import watched_sequences
from qa_research.tasks.task import PARAGRAPH, StoredRun
from qa_research.tasks.watching import Watched

AT_ONCE = 256


@dataclass(frozen=True, repr=False)
class TrainedRegression(Opened[LabelledSequence]):
    """A network that says a number of each sequence."""

    asked_with: ClassVar[Sequence[str]] = ("sequence",)

    def own(self, split: str) -> Examples[LabelledSequence]:
        data: Any = build("data", self.config["data"])
        data.load(self.max_letters)
        self.check_unchanged(split, data.fingerprints()[split])
        rows = getattr(data, split)
        chose = data.scored["choosing"] if split == "validation" else ()
        return Examples(rows, data.name, split, frozenset(rows[place].id for place in chose))

    def of_file(self, path: str, encoding: str) -> Examples[LabelledSequence]:
        rows = read_sequences(path, "--data", encoding, self.max_letters, "f", needs_labels=False)
        return Examples(rows, Path(path).name, "file")

    def example(self, given: Mapping[str, str]) -> LabelledSequence:
        letters = checked_letters(given["sequence"], "--sequence", self.max_letters)
        return LabelledSequence("asked", letters, None)

    def told(self, row: LabelledSequence) -> Told:
        return Told(row.id, row.letters, () if row.label is None else (f"{row.label:.4g}",))

    def watched(self, examples: Sequence[LabelledSequence]) -> Watched:
        return watched_sequences([("file", row) for row in examples])

    def rows(self, examples: Sequence[LabelledSequence]) -> list[dict[str, Any]]:
        shift = int(self.config["data"]["overlap_letters"])
        groups = linked([windows_of(row.letters, shift) for row in examples])
        rows = rows_of(self.network, examples)
        return [row | {PARAGRAPH: group} for row, group in zip(rows, groups, strict=True)]

    @property
    def why_none_is_right(self) -> str:
        return "a predicted number is near or far"

    @property
    def max_letters(self) -> int:
        """How many letters the network reads at most."""
        return int(self.config["model"]["max_positions"])


def rows_of(network: nn.Module, examples: Sequence[LabelledSequence]) -> list[dict[str, Any]]:
    """What a network in eval mode says of sequences, as `Opened.rows` has it."""
    device = next(network.parameters()).device
    rows: list[dict[str, Any]] = []
    for start in range(0, len(examples), AT_ONCE):
        some = examples[start : start + AT_ONCE]
        letters, mask = one_hot([row.letters for row in some])
        with torch.inference_mode():
            numbers = network(letters.to(device), mask.to(device)).tolist()
        for row, number in zip(some, numbers, strict=True):
            truth = {} if row.label is None else {"truth": row.label}
            rows.append({"id": row.id, "prediction": number} | truth)
    return rows


def reopen(run: StoredRun, weights: Mapping[str, Tensor]) -> TrainedRegression:
    """The trained network of a run, made from its config and these weights.

    Raises:
        ValueError: the weights do not fit the network.
    """
    module: Any = build("model", run.config["model"])
    module.build(seed=0)
    try:
        module.network.load_state_dict(dict(weights))
    except RuntimeError as error:
        raise ValueError(
            f"{run.checkpoint} does not fit the network of config.yaml: {error}"
        ) from error
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return TrainedRegression(**vars(run), network=module.network.eval().to(device))
