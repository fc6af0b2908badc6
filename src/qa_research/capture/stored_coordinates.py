"""Coordinates as zarr holds them: words become integers with the attribute `labels`."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from qa_research.capture.arrays import Coordinate

# Longer ones are not shown in messages.
SHOWN = 8


def stored(name: str, coordinate: Coordinate) -> tuple[NDArray[Any], dict[str, Any]]:
    """The numbers of a coordinate, and its attributes.

    Raises:
        ValueError: it has words and labels, or numbers that are no indices of its labels.
    """
    values = np.asarray(coordinate.values)
    if values.dtype.kind == "U":
        if coordinate.labels is not None:
            raise ValueError(f"the coordinate {name} has words, which need no labels")
        words = list(dict.fromkeys(values.ravel().tolist()))
        places = {word: place for place, word in enumerate(words)}
        numbers = [places[word] for word in values.ravel().tolist()]
        return np.array(numbers, np.int32).reshape(values.shape), {"labels": words}
    if coordinate.labels is None:
        return values, {}
    if values.dtype.kind != "i" or values.min() < 0 or values.max() >= len(coordinate.labels):
        raise ValueError(
            f"the coordinate {name} must hold integers from 0 to {len(coordinate.labels) - 1}, one "
            "for each of its labels"
        )
    return values, {"labels": list(coordinate.labels)}


def words_of(values: NDArray[Any], labels: Sequence[str]) -> NDArray[np.str_]:
    """The words that `stored` made numbers of."""
    words: NDArray[np.str_] = np.array(labels, dtype=np.str_)[values]
    return words


def difference(there: Mapping[str, zarr.Array[Any]], now: Mapping[str, Coordinate]) -> str | None:
    """How coordinates differ from those that were written, if they do."""
    if there.keys() != now.keys():
        return f"its coordinates are {_listed(there)} there, and {_listed(now)} now"
    for name, coordinate in now.items():
        metadata: Any = there[name].metadata
        then = np.asarray(there[name][...])
        values, attributes = stored(name, coordinate)
        labels, labels_now = there[name].attrs.get("labels"), attributes.get("labels")
        same = labels == labels_now and np.array_equal(then, values)
        if same and metadata.dimension_names == coordinate.axes:
            continue
        was = _shown(metadata.dimension_names, then, labels)
        return f"{name} is {was} there, and {_shown(coordinate.axes, values, labels_now)} now"
    return None


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"


def _shown(axes: tuple[str, ...], values: NDArray[Any], labels: Any) -> str:
    sizes = " ".join(f"{axis}={n}" for axis, n in zip(axes, values.shape, strict=True))
    if values.size > SHOWN:
        return f"{sizes}, other values"
    shown: NDArray[Any] = values if labels is None else words_of(values, labels)
    return f"{sizes}: {shown.tolist()}"
