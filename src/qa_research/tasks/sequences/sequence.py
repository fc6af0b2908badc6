"""A sequence of letters with a label: read from text, and as numbers that a network reads."""

import hashlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from qa_research.tasks.tables import loose_table
from qa_research.text import shown_value

# Those with a unit of their own; n is any of them, and has none.
LETTERS = "acgt"
ANY = "n"
SEQUENCE, LABEL = "sequence", "label"
EXPECTED = f"expected a first line that names the columns {SEQUENCE} and {LABEL}, or lines such as acgtn,0.5"


@dataclass(frozen=True)
class LabelledSequence:
    """`label` None: nobody said. `planted`: the places of letters of motifs, where that is known."""

    id: str
    letters: str
    label: float | None
    planted: tuple[int, ...] = ()
    kind: str = ""


def one_hot(
    sequences: Sequence[str],
) -> tuple[Float[Tensor, "example letter 4"], Bool[Tensor, "example letter"]]:
    """Letters in the order of LETTERS, all zero for `n` and for padding on the right; and what is no padding.

    Example: "an", "c": [[1 0 0 0], [0 0 0 0]], [[0 1 0 0], [0 0 0 0]] and [[T T], [T F]].
    """
    longest = max(map(len, sequences))
    padded = "".join(letters.ljust(longest) for letters in sequences).encode()
    codes = np.frombuffer(padded, dtype=np.uint8).reshape(len(sequences), longest)
    units = codes[:, :, None] == np.frombuffer(LETTERS.encode(), dtype=np.uint8)
    return torch.from_numpy(units.astype(np.float32)), torch.from_numpy(codes != ord(" "))


def one_hot_of(
    rows: Sequence[LabelledSequence],
) -> tuple[Float[Tensor, "example letter 4"], Bool[Tensor, "example letter"]]:
    """`one_hot` of the letters of sequences."""
    return one_hot([row.letters for row in rows])


def checked_letters(text: str, where: str, max_letters: int) -> str:
    """The letters of a sequence, in lower case.

    Raises:
        ValueError: there are none, an unknown one, or too many; the sentence begins with `where`.
    """
    letters = text.strip().lower()
    if not letters:
        raise ValueError(f"{where}: an empty sequence; expected letters of {LETTERS}{ANY}")
    for place, letter in enumerate(letters, start=1):
        if letter not in LETTERS + ANY:
            raise ValueError(
                f"{where}: letter {place} of the sequence is {letter!r}; expected "
                f"{', '.join(LETTERS)} or {ANY}, in either case"
            )
    if len(letters) > max_letters:
        raise ValueError(
            f"{where}: a sequence of {len(letters):,} letters, and the model reads at most {max_letters:,} "
            "(model.max_positions)"
        )
    return letters


def read_sequences(
    path: str, key: str, encoding: str, max_letters: int, prefix: str, needs_labels: bool = True
) -> list[LabelledSequence]:
    """The sequences of a text file: columns `sequence` and `label` between commas, tabs or blanks.

    Without a header there are these two columns. `key`: what the user calls the path, as `data.train_path`;
    `prefix` and the number of its line are a sequence's id. Unless it `needs_labels`, a file may lack the
    column, or a line its label.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is empty, or a line is not what it should be; file and line are said.
    """
    option = "--encoding" if key == "--data" else "data.encoding"
    table = loose_table(path, key, encoding, option, EXPECTED, (SEQUENCE, LABEL))
    has_labels = needs_labels or LABEL in table.header
    places = table.places((SEQUENCE, LABEL) if has_labels else (SEQUENCE,))
    rows: list[LabelledSequence] = []
    for number, where, cells in table.rows():
        try:
            letters = checked_letters(cells[places[SEQUENCE]], where, max_letters)
        except ValueError as error:
            if rows or table.is_named:
                raise
            raise ValueError(f"{error}; the first line names no columns: {EXPECTED}") from error
        label = cells[places[LABEL]].strip() if has_labels else ""
        known = _number(label, where) if label or needs_labels else None
        rows.append(LabelledSequence(f"{prefix}{number}", letters, known))
    if not rows:
        raise ValueError(f"{table.name} has a header and no sequences")
    return rows


def _number(label: str, where: str) -> float:
    try:
        number = float(label)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"{where}: the label is {shown_value(label)}; expected a finite number")
    return number


def windows_of(letters: str, overlap_letters: int) -> list[str]:
    """What a sequence shares with each that is the same, shifted by at most so many letters.

    Example: "acgtt" and 1: "acgt" and "cgtt"; "gacgt", the same shifted by 1, has "acgt", too.
    """
    length = max(len(letters) - overlap_letters, 1)
    return [letters[i : i + length] for i in range(len(letters) - length + 1)]


def fingerprint(rows: Iterable[LabelledSequence]) -> str:
    """A sha256 of sequences and labels in their order."""
    digest = hashlib.sha256()
    for row in rows:
        digest.update(f"{row.letters} {row.label!r}\n".encode())
    return digest.hexdigest()
