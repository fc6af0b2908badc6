"""At which optimizer steps a capture is due, and how much space and time captures may take."""

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

MB = 1_000_000


@dataclass(frozen=True)
class Plan:
    """Steps at which a capture is due, always with 0 and the last; `sentence`: what is skipped, or None."""

    steps: frozenset[int]
    sentence: str | None


def planned_steps(
    every_n_steps: int, at_steps: Sequence[int] | None, log_spaced: int | None, total: int
) -> list[int]:
    """The requested steps of a training of `total` steps, always with 0 and the last one.

    Of 120 steps, `every_n_steps` 50 takes 0, 50, 100, 120. Of 1000, `log_spaced` 4 takes 1, 10, 100, 1000
    (each 10 times the one before) and 0. Of 10, `log_spaced` 8 takes fewer than 8 and 0: 1, 1.4, 1.9, 2.7,
    3.7, 5.2, 7.2, 10 are rounded to 1, 2, 3, 4, 5, 7, 10.

    Raises:
        ValueError: one of `at_steps` is outside the training.
    """
    if at_steps is not None:
        for step in at_steps:
            if not 0 <= step <= total:
                raise ValueError(
                    f"capture.at_steps has {step}; this training has the steps 0 to {total}"
                )
        wanted = set(at_steps)
    elif log_spaced is not None:
        wanted = {round(step) for step in np.geomspace(1, total, log_spaced)} if total else set()
    else:
        wanted = set(range(0, total, every_n_steps))
    return sorted(wanted | {0, total})


def within_budget(steps: Sequence[int], bytes_each: int, max_mb: float | None) -> Plan:
    """All planned steps, or one in 2, 4, 8 ... of them, so that `max_mb` (before compression) is enough.

    Example: 101 captures of 1 MB at 0, 10 ... 1000 in 30 MB. One in 2 is 51, one in 4 is 26, which fit:
    0, 40 ... 1000. Powers of two keep the steps of runs with different budgets comparable.

    Raises:
        ValueError: it is too small for the first and the last capture.
    """
    if max_mb is None or bytes_each * len(steps) <= max_mb * MB:
        return Plan(frozenset(steps), None)
    each = bytes_each / MB
    least = min(2, len(steps))
    if least * each > max_mb:
        needed = "one capture" if least == 1 else "two captures, the first and the last"
        raise ValueError(
            f"capture.max_mb={max_mb:g} is too small for {needed}: each takes {each:.2f} MB; record less "
            "(capture/recorders=[logits], capture.attention.layers=[-1], capture.questions=1), or raise it"
        )
    stride = 1
    while (len(steps[::stride]) + 1) * each > max_mb and stride < len(steps):
        stride = 2 * stride
    kept = frozenset([*steps[::stride], steps[-1]])
    sentence = (
        f"capture.max_mb={max_mb:g} has room for {math.floor(max_mb / each)} of {len(steps)} captures of "
        f"{each:.2f} MB: one in {stride} is made, {len(kept)} in all"
    )
    return Plan(kept, sentence)


class TimeBudget:
    """Measures how long a training takes, without validations, and how much of that captures take.

    A due capture is skipped while captures have taken more than `fraction` (None: no limit) of the time so
    far. Example with 2 %, steps of 1 s and captures of 0.1 s, all of them due: after the first capture,
    training must last 0.1 / 0.02 = 5 s before the next one, so about one step in five is captured. The
    first and the last capture are always made, and pictures are not to cost a capture: both only count for
    `share`. Pictures are put off while everything together has taken more than `fraction`.
    """

    def __init__(self, fraction: float | None) -> None:
        self.fraction = fraction
        self.training_s = 0.0
        self.captures_s = 0.0
        self.counted_s = 0.0
        self.since: float | None = None

    def resume(self) -> None:
        """Training starts, or continues after a validation."""
        self.since = time.perf_counter()

    def pause(self) -> None:
        """A validation starts, or training ends."""
        self._add_running()
        self.since = None

    @property
    def is_exceeded(self) -> bool:
        """Whether the next capture is to be skipped."""
        self._add_running()
        return self.fraction is not None and self.counted_s > self.fraction * self.training_s

    @property
    def has_room(self) -> bool:
        """Whether all that was done for captures has taken at most the `fraction` so far."""
        self._add_running()
        return self.fraction is None or self.captures_s <= self.fraction * self.training_s

    @contextmanager
    def spending(self, counts: bool) -> Iterator[None]:
        """Time the work of captures; `counts`: against the limit too."""
        started = time.perf_counter()
        try:
            yield
        finally:
            took = time.perf_counter() - started
            self.captures_s += took
            if counts:
                self.counted_s += took

    @property
    def share(self) -> float:
        """What captures took of the training's time, between 0 and 1."""
        return self.captures_s / self.training_s if self.training_s else 0.0

    def state(self) -> dict[str, float]:
        """What a checkpoint stores."""
        self._add_running()
        return {name: getattr(self, name) for name in ("training_s", "captures_s", "counted_s")}

    def set_state(self, state: dict[str, float]) -> None:
        """Restore what `state` returned."""
        for name, value in state.items():
            setattr(self, name, value)

    def _add_running(self) -> None:
        if self.since is not None:
            now = time.perf_counter()
            self.training_s += now - self.since
            self.since = now
