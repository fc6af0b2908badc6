"""Trackio: a database on this machine, which `trackio show` opens."""

import importlib
import io
from collections.abc import Mapping
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qa_research.trackers.service import Service
from qa_research.trackers.tracker import TrackedRun


class TrackioTracker(Service):
    """One run of `project`, in Trackio's own folder: TRACKIO_DIR, or ~/.cache/huggingface/trackio.

    Trackio's own variables TRACKIO_SERVER_URL and TRACKIO_SPACE_ID send it elsewhere.
    """

    name, module, requirement = "Trackio", "trackio", "trackio>=0.20"

    def __init__(self, project: str) -> None:
        super().__init__()
        self.project = project

    def open(self, run: TrackedRun, own_id: str | None) -> str:
        # It prints how to look at the run, which is said at a training's end.
        with redirect_stdout(io.StringIO()):
            self.session: Any = importlib.import_module("trackio").init(
                project=self.project,
                name=own_id or run.name,
                group=run.directory.parent.name,
                config=run.settings,
                resume="must" if own_id else "never",
                embed=False,
                auto_log_gpu=False,
                auto_log_cpu=False,
            )
        return str(self.session.name)

    def send_curves(self, values: Mapping[str, float], step: int) -> None:
        self.session.log(dict(values), step=step)

    def send_picture(self, tag: str, pixels: NDArray[np.uint8], step: int) -> None:
        image = importlib.import_module("trackio").Image(pixels)
        self.session.log({tag: image}, step=step)

    def send_end(self, best: Mapping[str, float] | None) -> None:
        if best is not None:
            self.session.log({f"best/{name}": value for name, value in best.items()})
        with redirect_stdout(io.StringIO()):
            importlib.import_module("trackio").finish()

    def command(self, directory: Path) -> tuple[str, ...] | None:
        return ("trackio", "show", "--project", self.project)
