"""Picks what a figure shows out of one recorder's dataset, and refuses what was not recorded."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

# Longer lists of what is recorded are cut in the middle.
LISTED = 12


def recorded(dataset: xr.Dataset, name: str) -> xr.DataArray:
    """The array `name` of a recorder, with at least one step.

    Raises:
        ValueError: there is no such array, or no step yet.
    """
    if name not in dataset.data_vars:
        arrays = ", ".join(str(array) for array in dataset.data_vars) or "nothing"
        raise ValueError(f"no array {name!r} is recorded; recorded: {arrays}")
    if dataset.sizes.get("step", 0) == 0:
        raise ValueError(f"{name!r} holds no step yet; this figure needs at least one")
    return dataset[name]


def at(array: xr.DataArray, **chosen: Any) -> xr.DataArray:
    """`array` at one value of each named axis: `at(array, layer=11, row="start")`.

    Values are those of the axis's coordinate; an axis without one is numbered from 0.

    Raises:
        ValueError: a value that the axis does not have.
    """
    places = {}
    for axis, value in chosen.items():
        known = array.get_index(axis)
        if value not in known:
            raise ValueError(f"{axis} {value!r} is not recorded; recorded: {listing(list(known))}")
        places[axis] = int(np.flatnonzero(known == value)[0])
    return array.isel(places)


def steps_of(array: xr.DataArray) -> NDArray[np.int64]:
    """The optimizer steps at which `array` was recorded, ascending."""
    return np.asarray(array.get_index("step"), dtype=np.int64)


def last_step(array: xr.DataArray, step: int | None) -> int:
    """`step`, or the last recorded one for None."""
    return int(steps_of(array)[-1]) if step is None else step


def spread(steps: NDArray[np.int64], n: int) -> list[int]:
    """At most `n` of the recorded `steps`, first and last included, evenly over the captures."""
    places = np.unique(np.linspace(0, len(steps) - 1, min(n, len(steps))).round().astype(int))
    return [int(step) for step in steps[places]]


def numbers(array: xr.DataArray, *axes: str) -> NDArray[np.float64]:
    """The values with their axes in this order, in double precision."""
    return np.asarray(array.transpose(*axes).values, dtype=np.float64)


def listing(values: Sequence[Any]) -> str:
    """What is recorded, in words: a run of whole numbers as its ends, a long list cut."""
    if not values:
        return "nothing"
    words = [str(value) for value in values]
    if len(values) > 2 and not isinstance(values[0], str):
        gaps = np.diff(np.asarray(values))
        if np.all(gaps == 1):
            return f"{words[0]} to {words[-1]}"
    if len(words) > LISTED:
        words = [*words[: LISTED - 2], "...", words[-1]]
    return ", ".join(words)
