"""A trained sequence regression, read back from its run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from qa_research.config import build
from qa_research.tasks.asked_numbers import rows_of
from qa_research.tasks.dividing import linked
from qa_research.tasks.opened import Examples, Opened, Told
from qa_research.tasks.sequences.sequence import (
    LabelledSequence,
    checked_letters,
    one_hot_of,
    read_sequences,
    windows_of,
)
from qa_research.tasks.sequences.watched import watched_sequences
from qa_research.tasks.task import StoredRun
from qa_research.tasks.watching import Watched


@dataclass(frozen=True, repr=False)
class TrainedRegression(Opened[LabelledSequence]):
    """A network that says a number of each sequence."""

    asked_with: ClassVar[Sequence[str]] = ("sequence",)

    def own(self, split: str) -> Examples[LabelledSequence]:
        data: Any = build("data", self.config["data"])
        data.max_letters = self.max_letters
        return self.read_again(data, split)

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
        return rows_of(self.network, examples, one_hot_of, groups)

    @property
    def why_none_is_right(self) -> str:
        return "a predicted number is near or far"

    @property
    def max_letters(self) -> int:
        """How many letters the network reads at most."""
        return int(self.config["model"]["max_positions"])


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
