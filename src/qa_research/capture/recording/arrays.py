"""Named arrays: what recorders give and recordings keep."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray


@dataclass(frozen=True)
class Array:
    """One array of one capture. `axes` name its dimensions, without the step; its type is what is stored.

    `units`: of measure, such as `nats`; `long_name`: a sentence.
    """

    axes: tuple[str, ...]
    values: NDArray[Any]
    units: str
    long_name: str


@dataclass(frozen=True)
class Coordinate:
    """What stands along axes: numbers, or words. Integers with `labels` are indices of words."""

    axes: tuple[str, ...]
    values: NDArray[Any] | Sequence[str]
    labels: Sequence[str] | None = None


ROWS = ("start", "end")
