"""A sequence of letters with a label: read from text, and as numbers that a network reads."""

import csv
import hashlib
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from qa_research.files import read_text
from qa_research.text import shown_value

# Those with a unit of their own; n is any of them, and has none.
LETTERS = "acgt"
ANY = "n"
SEQUENCE, LABEL = "sequence", "label"


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
    `prefix` and the number of its line are a sequence's id.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is empty, or a line is not what it should be; file and line are said.
    """
    name = f"{key}={path}"
    text = read_text(
        Path(path), name, encoding, "--encoding" if key == "--data" else "data.encoding"
    )
    lines = [(i, line) for i, line in enumerate(text.splitlines(), start=1) if line.strip()]
    if not lines:
        raise ValueError(f"{name} is empty; expected lines such as acgtn,0.5")
    first = lines[0][1]
    delimiter = next((mark for mark in ",\t" if mark in first), None)
    header = [word.strip().lower() for word in _fields(first, delimiter)]
    if SEQUENCE in header:
        lines = lines[1:]
    else:
        header = [SEQUENCE, LABEL][: len(header)] + header[2:]
    if needs_labels and LABEL not in header:
        raise ValueError(f"{name}, line 1: there is no column {LABEL}, only {', '.join(header)}")
    if not lines:
        raise ValueError(f"{name} has a header and no sequences")
    rows = _rows(lines, delimiter, header, name)
    return [_read(row, where, max_letters, f"{prefix}{line}") for line, where, row in rows]


def _rows(
    lines: Iterable[tuple[int, str]], delimiter: str | None, header: Sequence[str], name: str
) -> Iterator[tuple[int, str, dict[str, str]]]:
    for line, text in lines:
        fields = _fields(text, delimiter)
        where = f"{name}, line {line}"
        if len(fields) != len(header):
            raise ValueError(f"{where}: {len(fields)} columns; expected {len(header)}")
        yield line, where, dict(zip(header, fields, strict=True))


def _fields(line: str, delimiter: str | None) -> list[str]:
    return line.split() if delimiter is None else next(csv.reader([line], delimiter=delimiter))


def _read(row: dict[str, str], where: str, max_letters: int, identity: str) -> LabelledSequence:
    letters = checked_letters(row[SEQUENCE], where, max_letters)
    if LABEL not in row:
        return LabelledSequence(identity, letters, None)
    try:
        label = float(row[LABEL])
    except ValueError:
        label = math.nan
    if not math.isfinite(label):
        raise ValueError(
            f"{where}: the label is {shown_value(row[LABEL])}; expected a finite number"
        )
    return LabelledSequence(identity, letters, label)


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
