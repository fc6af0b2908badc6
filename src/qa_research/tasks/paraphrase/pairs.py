"""A pair of sentences, and how pairs are read: the Microsoft files, other TSV, and rows of the hub."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import Any

from qa_research.files import UTF_8, json_kind
from qa_research.tasks.tables import Table, tab_table

# What a row must have, by what we call it: in the Microsoft files, and in GLUE's and anybody's TSV.
MICROSOFT = ("Quality", "#1 ID", "#2 ID", "#1 String", "#2 String")
LABEL, FIRST, SECOND = "label", "sentence1", "sentence2"
IDS = ("id", "idx", "index")
EXPECTED = (
    f"expected a first line of tabs between {', '.join(MICROSOFT)} (the Microsoft files), or between "
    f"{LABEL}, {FIRST} and {SECOND}, perhaps with id"
)
LABELS = ("0", "1")


@dataclass(frozen=True, slots=True)
class Pair:
    """Two sentences; `label`: 1 they say the same, 0 they do not, None nobody said. `kind`: if built in."""

    id: str
    first: str
    second: str
    label: int | None
    kind: str = ""


def read_pairs(
    path: str, key: str, encoding: str = UTF_8, option: str | None = None, labelled: bool = True
) -> list[Pair]:
    """The pairs of a file of columns between tabs, whose first line names them.

    Quotes are characters like any other, as in the Microsoft files. `key`: what the user calls the path, such
    as `data.train_path`; `option`: what sets the encoding. `labelled`: every pair must have a label; else a
    file without the column is read, too.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it has another first line, a line of it is no pair, or there are none.
    """
    table = tab_table(path, key, encoding, option, EXPECTED)
    columns = _columns(table, labelled)
    pairs = []
    for number, (_, where, cells) in enumerate(table.rows(), start=1):
        row = {ours: "-".join(cells[i] for i in places) for ours, places in columns.items()}
        pairs.append(_pair({"id": str(number)} | row, where, labelled))
    return _checked(pairs, table.name, labelled)


def pairs_of_rows(rows: Sequence[Mapping[str, Any]], name: str) -> list[Pair]:
    """Pairs from rows with GLUE's columns: sentence1, sentence2, label, and perhaps idx.

    Raises:
        ValueError: a row is no pair with a label, or there are none.
    """
    pairs = []
    for number, row in enumerate(rows):
        for key in (FIRST, SECOND, LABEL):
            if key not in row:
                raise ValueError(
                    f"{name}: row {number} has no {key!r}; it has {', '.join(map(repr, row))}"
                )
        identity = next((str(row[key]) for key in IDS if row.get(key) is not None), str(number))
        label = str(row[LABEL]) if type(row[LABEL]) is int else json_kind(row[LABEL])
        cells = {"id": identity, FIRST: row[FIRST], SECOND: row[SECOND], LABEL: label}
        pairs.append(_pair(cells, f"{name}, row {number}", True))
    return _checked(pairs, name, True)


def pair_of(first: str, second: str, names: tuple[str, str]) -> Pair:
    """A pair that somebody typed; `names`: what they call the two.

    Raises:
        ValueError: one of them is empty.
    """
    for text, name in zip((first, second), names, strict=True):
        if not text.strip():
            raise ValueError(f"{name} is empty")
    return Pair("asked", first, second, None)


def fingerprint(pairs: Sequence[Pair]) -> str:
    """A sha256 of all that pairs are."""
    return hashlib.sha256(json.dumps([astuple(pair) for pair in pairs]).encode()).hexdigest()


def _columns(table: Table, labelled: bool) -> dict[str, list[int]]:
    """Where each thing that we need is in a line."""
    header = table.header
    if header == MICROSOFT:
        return {LABEL: [0], "id": [1, 2], FIRST: [3], SECOND: [4]}
    has_labels = labelled or LABEL in header
    places = table.places((FIRST, SECOND, LABEL) if has_labels else (FIRST, SECOND))
    own = next((key for key in IDS if key in header), None)
    if own is not None:
        places["id"] = header.index(own)
    return {key: [place] for key, place in places.items()}


def _pair(cells: Mapping[str, Any], where: str, labelled: bool) -> Pair:
    for key in (FIRST, SECOND):
        if not isinstance(cells[key], str) or not cells[key].strip():
            raise ValueError(f"{where}: {key} is {json_kind(cells[key])}; expected a sentence")
    label = cells.get(LABEL, "")
    if label not in LABELS and (labelled or label):
        raise ValueError(f"{where}: the label is {label!r}; expected 1 (they say the same) or 0")
    return Pair(cells["id"], cells[FIRST], cells[SECOND], int(label) if label else None)


def _checked(pairs: list[Pair], name: str, labelled: bool) -> list[Pair]:
    if not pairs:
        raise ValueError(f"{name} holds no pairs")
    seen: dict[str, Pair] = {}
    for pair in pairs:
        if seen.setdefault(pair.id, pair) is not pair:
            raise ValueError(f"{name} has two pairs with the id {pair.id!r}")
    labels = {pair.label for pair in pairs}
    if labelled and len(labels) == 1:
        raise ValueError(
            f"{name}: all {len(pairs)} pairs have the label {labels.pop()}; both labels are needed to learn "
            "and to score"
        )
    return pairs
