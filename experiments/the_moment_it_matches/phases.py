"""What the study reads out of a recording: when `match` jumps, and how heads change before, at and after."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from qa_research.capture.recording.reader import Recording

Floats = NDArray[np.float64]
Head = tuple[int, int]
# On the plateau and beyond the jump: exact match of the watched `match` questions, in percent.
PLATEAU, MATCHED = 45.0, 90.0
PHASES = ("before", "at", "after")
# From which tokens to which: the ways on which a subject can be matched.
ROUTES = (
    ("answer", "match_context"),
    ("answer", "match_question"),
    ("match_context", "match_question"),
    ("match_question", "match_context"),
)
HEADS_NAMED = 6


@dataclass(frozen=True)
class Seen:
    """A run: exact match of its watched `match` questions in percent [step], each head's attention on each
    route [step, route, layer, head] (mean over these questions), and the borders of its phases.
    """

    directory: Path
    seed: int
    steps: NDArray[np.int64]
    exact_match: Floats
    weight: Floats
    borders: tuple[int, int, int, int] | None

    def changes(self) -> Floats:
        """[phase, route, layer, head]: change of attention within each phase."""
        if self.borders is None:
            raise ValueError(f"{self.directory.name} never jumps")
        return np.diff(self.weight[list(self.borders)], axis=0)

    def named(self) -> list[Head]:
        """The heads whose attention rises most at the jump, on whichever route, the most first."""
        rise = self.changes()[PHASES.index("at")].max(axis=0)
        order = np.argsort(-rise, axis=None)[:HEADS_NAMED]
        return [(int(i // rise.shape[1]), int(i % rise.shape[1])) for i in order]


def see(directory: Path) -> Seen:
    """Read a run's recording."""
    recording = Recording(directory / "recording.zarr")
    match = [i for i, row in enumerate(recording.questions) if row["kind"] == "match"]
    logits = recording.read("logits").isel(question=match)
    heads = recording.read("heads").isel(question=match)
    exact = 100 * logits["exact_match"].mean("question").values
    weight = np.stack(
        [
            heads["group_weight"]
            .sel(source=source, target=target)
            .astype(np.float64)
            .mean("question", skipna=True)
            .values
            for source, target in ROUTES
        ],
        axis=1,
    )
    seed = int(directory.name.split("-s")[-1].split("-")[0])
    return Seen(directory, seed, logits["step"].values, exact, weight, _borders(exact))


def studied(runs: Path, study: str) -> list[Seen]:
    """All finished runs of a study, by seed."""
    found = [see(path.parent) for path in runs.glob(f"{study}/*/recording.zarr")]
    return sorted(found, key=lambda seen: seen.seed)


def _borders(exact: Floats) -> tuple[int, int, int, int] | None:
    """First capture, last one on the plateau, first one from which on all are matched, last one."""
    missed = np.flatnonzero(exact < MATCHED)
    low = np.flatnonzero(exact <= PLATEAU)
    if len(missed) == 0 or missed[-1] == len(exact) - 1 or len(low) == 0:
        return None
    return 0, int(low[-1]), int(missed[-1]) + 1, len(exact) - 1


def name(head: Sequence[int]) -> str:
    """`3.2`: layer 3, head 2, both counted from 0."""
    return f"{head[0]}.{head[1]}"
