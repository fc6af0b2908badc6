"""Weights & Biases: offline in the run's own folder unless `mode=online` asks for more."""

import importlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from qa_research.trackers.service import Service
from qa_research.trackers.tracker import TrackedRun

# How long a server that is away may keep a training waiting, at its start and at its end.
START_S, END_S = 20.0, 30.0


class WandbTracker(Service):
    """One run of `project`. It gets curves, pictures and the config; no code, no output, no names of
    machines or users.
    """

    name, module, requirement = "Weights & Biases", "wandb", "wandb>=0.25"

    def __init__(
        self, project: str, entity: str | None, mode: Literal["offline", "online"]
    ) -> None:
        super().__init__()
        self.project = project
        self.entity = entity
        self.mode = mode

    def check(self) -> None:
        super().check()
        if self.mode == "online" and not _library().login(prompt=False):
            raise ValueError(
                "logger.mode=online needs a login to Weights & Biases: wandb login; logger.mode=offline "
                "needs none"
            )

    def open(self, run: TrackedRun, own_id: str | None) -> str:
        wandb = _library()
        own_id = own_id or run.id
        self.session = wandb.init(
            project=self.project,
            entity=self.entity,
            mode=self.mode,
            dir=str(run.directory),
            id=own_id,
            # Offline it has no meaning: both folders have the same id, and `wandb sync --append` joins them.
            resume="allow" if self.mode == "online" else None,
            name=run.name,
            group=run.directory.parent.name,
            config=run.settings,
            settings=wandb.Settings(
                init_timeout=START_S,
                finish_timeout=END_S,
                silent=True,
                console="off",
                save_code=False,
                disable_code=True,
                disable_git=True,
                disable_job_creation=True,
                x_disable_meta=True,
                x_disable_stats=True,
                x_save_requirements=False,
            ),
        )
        # Its own count of steps only rises, and would drop what a resumed training gives again.
        self.session.define_metric("step")
        self.session.define_metric("*", step_metric="step")
        return own_id

    def send_curves(self, values: Mapping[str, float], step: int) -> None:
        self.session.log({**values, "step": step})

    def send_picture(self, tag: str, pixels: NDArray[np.uint8], step: int) -> None:
        self.session.log({tag: _library().Image(pixels), "step": step})

    def send_end(self, best: Mapping[str, float] | None) -> None:
        if best is not None:
            self.session.summary.update({f"best/{name}": value for name, value in best.items()})
        self.session.finish(exit_code=0 if best is not None else 1)

    def command(self, directory: Path) -> tuple[str, ...] | None:
        if self.mode == "online":
            return None
        return ("wandb", "sync", "--append", str(directory / "wandb"))


def _library() -> Any:
    # Read when it is imported: nothing about crashes is sent.
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
    return importlib.import_module("wandb")
