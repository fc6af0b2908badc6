"""Results that are trees of frozen dataclasses: as a JSON file with the name of its format, and back."""

import json
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

from qa_research.files import read_json, write_text


def write_document(path: Path, document: Mapping[str, Any]) -> None:
    """Write plain values as JSON, whole or not at all; equal values give equal bytes."""
    text = json.dumps(document, ensure_ascii=False, indent=2, allow_nan=False)
    write_text(path, text + "\n")


def read_document(path: Path, expected: str, unnamed: str | None = None) -> dict[str, Any]:
    """The plain values of a file of the format `expected`; a file without a format has the one `unnamed`.

    Raises:
        ValueError: the file has another format.
    """
    document = read_json(path)
    is_object = isinstance(document, dict)
    found = document.get("format", unnamed) if is_object else type(document).__name__
    if found != expected:
        raise ValueError(f"{path} has the format {found}; this version reads {expected}")
    return dict(document)


def restored(kind: Any, value: Any) -> Any:
    """A value of JSON as the annotation `kind` says: objects as dataclasses, lists as tuples or arrays.

    `tuple[int, ...]` with [1, 2] is (1, 2), `float` with None is NaN, `Curves | None` with None is None. A
    union of dataclasses is the one that has these fields. A field with a default may be missing: earlier
    versions did not write it.

    Raises:
        KeyError: a field is missing.
        AttributeError, TypeError, ValueError: the value is of another kind.
    """
    options = get_args(kind)
    if is_dataclass(kind) and isinstance(value, dict):
        hints = get_type_hints(kind)
        found = {
            field.name: restored(hints[field.name], value[field.name])
            for field in fields(kind)
            if field.name in value or field.default is MISSING
        }
        return kind(**found)  # type: ignore[operator]
    if get_origin(kind) is UnionType:
        if value is None:
            return None
        kinds = [one for one in options if one is not NoneType]
        same = [one for one in kinds if is_dataclass(one) and _fits(one, set(value))]
        return restored((same or kinds)[0], value)
    if get_origin(kind) is Mapping:
        return {key: restored(options[1], inner) for key, inner in value.items()}
    if get_origin(kind) is tuple:
        return tuple(restored(options[0], inner) for inner in value)
    if hasattr(kind, "array_type"):
        # The methods' names, which --help shows, are in a file that imports this one.
        import numpy as np

        return np.array(value, dtype=np.float64)
    if kind is float:
        return float("nan") if value is None else float(value)
    return value


def _fits(kind: Any, names: set[str]) -> bool:
    """Whether these are fields of the dataclass, and all that have no default are among them."""
    needed = {field.name for field in fields(kind) if field.default is MISSING}
    return needed <= names <= {field.name for field in fields(kind)}
