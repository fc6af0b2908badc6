"""A tracker of somebody else's, which may be missing, away, or asked again about the same run.

What is not delivered stays in metrics.csv, and a training goes on without its tracker.
"""

import importlib.util
import logging
from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from qa_research.files import read_json, write_text
from qa_research.runs.metrics import METRICS, read_metrics
from qa_research.signals import one_sentence
from qa_research.text import json_text
from qa_research.trackers.tracker import TrackedRun, Tracker

log = logging.getLogger(__name__)
# In a run's directory: which run of the tracker it is, and the latest step of each curve that was delivered.
TRACKED = "tracker.json"


class Service(Tracker):
    """Delivers each point of a curve once, however often a training is resumed, and never raises.

    A subclass says how: `open` connects and returns the tracker's own id of the run, and the `send_` methods
    may raise anything.
    """

    # The tracker's name, its module, and what pip installs.
    name: ClassVar[str]
    module: ClassVar[str]
    requirement: ClassVar[str]

    def __init__(self) -> None:
        self.run: TrackedRun
        self.was_started = False
        self.is_open = False
        self.was_said = False
        self.own_id: str | None = None
        # The latest step of each curve and picture that was delivered.
        self.sent: dict[str, int] = {}

    @abstractmethod
    def open(self, run: TrackedRun, own_id: str | None) -> str:
        """Connect, and continue the run `own_id` or start one with the run's settings; its id there."""

    @abstractmethod
    def send_curves(self, values: Mapping[str, float], step: int) -> None:
        """Deliver one point of each of these curves."""

    @abstractmethod
    def send_picture(self, tag: str, pixels: NDArray[np.uint8], step: int) -> None:
        """Deliver a picture, as bytes [height, width, 3]."""

    @abstractmethod
    def send_end(self, best: Mapping[str, float] | None) -> None:
        """Deliver the best scores by their names (None: it was stopped, or failed), and disconnect."""

    def check(self) -> None:
        if importlib.util.find_spec(self.module) is None:
            raise ValueError(
                f"logger={self.config_name} needs {self.name}, which is not installed: pip install "
                f"'{self.requirement}'; logger=tensorboard and logger=csv need nothing more"
            )

    @property
    def config_name(self) -> str:
        """What `logger=` calls it."""
        return self.module

    def start(self, run: TrackedRun) -> None:
        self.run, self.was_started = run, True
        self._read()
        self._connect()

    def curves(self, values: Mapping[str, float], step: int) -> None:
        new = {tag: value for tag, value in values.items() if step > self.sent.get(tag, -1)}
        if new and self.is_open and self._try(lambda: self.send_curves(new, step)):
            self._mark(new, step)

    def picture(self, tag: str, pixels: NDArray[np.uint8], step: int) -> None:
        if (
            self.is_open
            and step > self.sent.get(tag, -1)
            and self._try(lambda: self.send_picture(tag, pixels, step))
        ):
            self._mark([tag], step)

    def finish(self, best: Mapping[str, float] | None, step: int) -> None:
        if not self.was_started:
            return
        if not self.is_open and best is not None:
            self._connect()
        if self.is_open and self._try(lambda: self.send_end(best)):
            return
        if best is not None:
            log.warning(
                "%s did not get all of this training, whose curves are in %s", self.name, METRICS
            )

    def _connect(self) -> None:
        """Open the tracker's run, and deliver what it has missed."""

        def connect() -> None:
            self.own_id = self.open(self.run, self.own_id)

        self.is_open = self._try(connect)
        if not self.is_open:
            return
        self._mark((), 0)
        path = self.run.directory / METRICS
        for row in read_metrics(path) if path.is_file() else ():
            values = {name: float(value) for name, value in row.items() if value}
            step = int(values.pop("step"))
            if self.run.shows(values, step):
                self.curves(values, step)

    def _try(self, deliver: Callable[[], None]) -> bool:
        """Whether it worked; what did not is said once, and nothing more is delivered until the end."""
        try:
            deliver()
        except Exception as error:
            # Each tracker has exceptions of its own, and none may end a training.
            self.is_open = False
            if not self.was_said:
                log.warning(
                    "%s cannot be reached, and the training goes on without it: %s",
                    self.name,
                    one_sentence(error),
                )
            self.was_said = True
            return False
        return True

    def _read(self) -> None:
        path = self.run.directory / TRACKED
        try:
            known: dict[str, Any] = read_json(path) if path.is_file() else {}
            if known.get("tracker") == self.config_name:
                self.own_id = str(known["id"])
                self.sent = {str(tag): int(step) for tag, step in known["sent"].items()}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            log.warning("%s is damaged, so a new run of %s begins: %s", path, self.name, error)
            self.own_id, self.sent = None, {}

    def _mark(self, tags: Any, step: int) -> None:
        self.sent |= dict.fromkeys(tags, step)
        kept = {"tracker": self.config_name, "id": self.own_id, "sent": self.sent}
        write_text(self.run.directory / TRACKED, json_text(kept))
