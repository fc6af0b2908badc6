"""At which optimizer steps a capture is due, and what a budget leaves out of them. Pure.

How much time captures may take of a training.
"""

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

MB = 1_000_000


@dataclass(frozen=True)
class Plan:
    """Steps at which a capture is due, 0 and the last always among them; `sentence`: what was left out."""

    steps: frozenset[int]
    sentence: str | None


def planned_steps(
    every_n_steps: int, at_steps: Sequence[int] | None, log_spaced: int | None, total: int
) -> list[int]:
    """The steps that are asked for, of a training of `total` steps.

    Raises:
        ValueError: a chosen step outside the training.
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
    """One in 2, 4, 8 ... of the planned steps, as far as `max_mb` (before compression) asks for.

    Raises:
        ValueError: it is too small for the first and the last capture.
    """
    if max_mb is None or bytes_each * len(steps) <= max_mb * MB:
        return Plan(frozenset(steps), None)
    each = bytes_each / MB
    least = min(2, len(steps))
    if least * each > max_mb:
        raise ValueError(
            f"capture.max_mb={max_mb:g} is too small for {'one capture' if least == 1 else 'two captures'}, "
            f"the first and the last: each takes {each:.2f} MB; record less (capture/recorders=[logits], "
            "capture.attention.layers=[-1], capture.questions=1), or give it more"
        )
    stride = 1
    while (len(steps[::stride]) + 1) * each > max_mb and stride < len(steps):
        stride = 2 * stride
    kept = frozenset([*steps[::stride], steps[-1]])
    sentence = (
        f"capture.max_mb={max_mb:g} holds {math.floor(max_mb / each)} of {len(steps)} captures of "
        f"{each:.2f} MB: one in {stride} is made, {len(kept)} in all"
    )
    return Plan(kept, sentence)


class TimeBudget:
    """Counts a training's time, validations left out, and what captures took of it.

    A capture that is due is left out while captures have taken more than `fraction` (None: no limit) of the
    time so far. The first and the last capture are always made and do not count for this rule, but for the
    total that is stated at the end.
    """

    def __init__(self, fraction: float | None) -> None:
        self.fraction = fraction
        self.training_s = 0.0
        self.captures_s = 0.0
        self.counted_s = 0.0
        self.since: float | None = None

    def go(self) -> None:
        """Training begins, or goes on after a validation."""
        self.since = time.perf_counter()

    def pause(self) -> None:
        """A validation begins, or training ends."""
        self._add_running()
        self.since = None

    @property
    def is_exceeded(self) -> bool:
        """Whether the next capture is to be left out."""
        self._add_running()
        return self.fraction is not None and self.counted_s > self.fraction * self.training_s

    @contextmanager
    def spending(self, counts: bool) -> Iterator[None]:
        """Around the work of captures."""
        began = time.perf_counter()
        try:
            yield
        finally:
            passed = time.perf_counter() - began
            self.captures_s += passed
            self.counted_s += passed * counts

    @property
    def share(self) -> float:
        """What captures took of the training's time, between 0 and 1."""
        return self.captures_s / self.training_s if self.training_s else 0.0

    def state(self) -> dict[str, float]:
        """What a checkpoint keeps."""
        self._add_running()
        return {name: getattr(self, name) for name in ("training_s", "captures_s", "counted_s")}

    def set_state(self, state: dict[str, float]) -> None:
        """Put back what `state` gave."""
        for name, value in state.items():
            setattr(self, name, value)

    def _add_running(self) -> None:
        if self.since is not None:
            now = time.perf_counter()
            self.training_s += now - self.since
            self.since = now
