"""Sequence regression as a task: what is its own, besides what every regression has."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from torch import Tensor

from qa_research.files import UTF_8
from qa_research.tasks.opened import Opened
from qa_research.tasks.regression_task import RegressionTask
from qa_research.tasks.sequences.opened import reopen
from qa_research.tasks.sequences.sequence import ANY, LETTERS, LabelledSequence, read_sequences
from qa_research.tasks.sequences.watched import watched_sequences
from qa_research.tasks.task import StoredRun
from qa_research.tasks.watching import Watching, choose_examples
from qa_research.tasks.wired_numbers import wiring_of_numbers
from qa_research.tasks.wiring import Wiring
from qa_research.text import command_line

if TYPE_CHECKING:
    from qa_research.tasks.sequences.data import SequenceData


class SequenceTask(RegressionTask):
    """Sequences of letters, and a number of each."""

    fingerprinted: ClassVar[Mapping[str, str]] = {
        "train": "training sequences",
        "validation": "validation sequences",
        "weights": "initial weights",
    }
    reopened: ClassVar[Sequence[str] | None] = ()
    position: ClassVar[str] = "letter"
    data: "SequenceData"

    def load(self, cache: Path, seed: int) -> list[str]:
        self.data.max_letters = self.module.max_positions
        return super().load(cache, seed)

    def facts(self) -> dict[str, Any]:
        return super().facts() | {"overlapping": self.data.overlapping()}

    def description(self) -> list[str]:
        data, lines = self.data, super().description()
        if shared := data.overlapping():
            lines.append(
                f"{shared:,} of {len(data.validation):,} validation sequences are a training one, shifted by "
                f"at most {data.overlap_letters} letters; their scores are partly memory"
            )
        return lines

    def next_commands(self, directory: Path, record: Mapping[str, Any]) -> list[tuple[str, str]]:
        scoring = command_line("qa-research", "evaluate", directory) + " --data FILE"
        asking = command_line("qa-research", "ask", directory) + " --sequence acgtn"
        return [
            ("Score others", scoring),
            ("Ask it", asking),
            ("Report it", command_line("qa-research", "report", directory)),
        ]

    def watching(self, request: int | str | Sequence[str | int]) -> Watching:
        data = self.data
        splits = {"train": data.train, "validation": data.validation}
        chosen = choose_examples(request, splits, data.seed, self._of_file, "sequence")
        longest = max(int(data.lengths(split).max()) for split in splits)
        watched = watched_sequences(chosen)
        return Watching(watched, longest, data.batch_size, is_compiled=False, mask="mask")

    def wiring(self) -> Wiring:
        return wiring_of_numbers(self.module, self.data, LETTERS, ANY, lambda row: row.letters)

    def _of_file(self, path: str) -> list[LabelledSequence]:
        return read_sequences(path, "capture.questions", UTF_8, self.module.max_positions, "f")

    @classmethod
    def reopen(cls, run: StoredRun, weights: Mapping[str, Tensor]) -> Opened[LabelledSequence]:
        return reopen(run, weights)
