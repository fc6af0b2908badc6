"""Sequences as they are looked at inside a training: a letter is a token, and those of motifs are marked."""

from collections.abc import Sequence

import torch

from qa_research.model.tokenizer import Off
from qa_research.tasks.sequences.sequence import ANY, LabelledSequence, one_hot_of
from qa_research.tasks.watching import PADDING, PREDICTION, Outputs, Watched, WatchedExample

LETTER = "sequence"
# Longer ones are cut in the heading.
SHOWN = 24


def watched_sequences(chosen: Sequence[tuple[str, LabelledSequence]]) -> Watched:
    """(split, sequence) as one batch."""
    rows = [row for _, row in chosen]
    vectors, mask = one_hot_of(rows)
    labels = torch.tensor([row.label or 0.0 for row in rows], dtype=torch.float32)
    return Watched(
        examples=tuple(_example(split, row) for split, row in chosen),
        inputs={"vectors": vectors, "mask": mask},
        mask=mask,
        part_names=(PADDING, LETTER),
        outputs=Outputs("number", (PREDICTION,), labels, lambda numbers: numbers[:, None]),
        marked_as="motif" if any(row.planted for row in rows) else "",
        # A letter that is off is n, which has no unit.
        off=Off(0, ANY, None),
        switched="vectors",
    )


def _example(split: str, row: LabelledSequence) -> WatchedExample:
    letters = row.letters
    return WatchedExample(
        id=row.id,
        split=split,
        kind=row.kind,
        title="",
        heading=letters if len(letters) <= SHOWN else f"{letters[:SHOWN]}...",
        text=letters,
        truths=() if row.label is None else (f"{row.label:.4g}",),
        tokens=tuple(letters),
        parts=(LETTER,) * len(letters),
        chars=tuple((i, i + 1) for i in range(len(letters))),
        marked=row.planted,
    )
