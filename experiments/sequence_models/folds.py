"""Five folds of a file of sequences, twice: python experiments/sequence_models/folds.py FILE FOLDER

FOLDER/1 to FOLDER/5 get train.csv and validation.csv; each sequence is in one validation.csv. Sequences that
are the same but for a shift of at most 10 letters, and those that such ones link, are in the same fold.
FOLDER/random-1 to FOLDER/random-5 are folds in which only equal sequences are together.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from qa_research.files import UTF_8
from qa_research.tasks.dividing import linked, parts_of
from qa_research.tasks.sequences.sequence import LabelledSequence, read_sequences, windows_of

FOLDS = ("1", "2", "3", "4", "5")
RANDOM = "random-"
# As data.overlap_letters of a training.
OVERLAP_LETTERS = 10
LONGEST = 250
SEED = 0


def fold_of_each(rows: Sequence[LabelledSequence], overlap_letters: int) -> list[str]:
    """The fold in whose validation each sequence is; what overlaps so far is in one."""
    groups = linked([windows_of(row.letters, overlap_letters) for row in rows])
    names = [rows[group].letters for group in groups]
    shares = {fold: 1 / len(FOLDS) for fold in FOLDS[:-1]}
    return parts_of(names, shares, FOLDS[-1], SEED)


def write(rows: Sequence[LabelledSequence], path: Path) -> None:
    """Sequences and labels, as a training reads them."""
    lines = ["sequence,label", *(f"{row.letters},{row.label!r}" for row in rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def main(file: str, folder: str) -> None:
    """Write the folds of a file."""
    rows = read_sequences(file, "FILE", UTF_8, LONGEST, "r")
    for prefix, overlap_letters in (("", OVERLAP_LETTERS), (RANDOM, 0)):
        folds = fold_of_each(rows, overlap_letters)
        for fold in FOLDS:
            own = Path(folder, f"{prefix}{fold}")
            own.mkdir(parents=True, exist_ok=True)
            others = [row for row, one in zip(rows, folds, strict=True) if one != fold]
            write(others, own / "train.csv")
            held = [row for row, one in zip(rows, folds, strict=True) if one == fold]
            write(held, own / "validation.csv")
            print(f"{own}: {len(others):,} to train on, {len(held):,} to validate on")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__.split("\n", 1)[0])
    main(*sys.argv[1:])
