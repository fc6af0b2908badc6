"""How much time captures may take of a training."""

import time
from collections.abc import Iterator
from contextlib import contextmanager


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
