"""MLflow: a folder beside the runs, or the server that `tracking_uri` names."""

import importlib
import os
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qa_research.trackers.service import Service
from qa_research.trackers.tracker import TrackedRun

FOLDER = "mlflow"
# What a name of a curve may consist of, how long a value of a parameter may be, how many go at once.
FOREIGN = re.compile(r"[^\w\-. :/]", re.ASCII)
LONGEST, AT_ONCE = 6000, 100
# Without them a server that is away would be asked for minutes; nothing is reported to MLflow's makers; and
# since version 3.16 folders need a permission.
ENVIRONMENT = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ALLOW_FILE_STORE": "true",
}


class MlflowTracker(Service):
    """One run of `experiment`. `tracking_uri`: a server or a folder; None: what MLFLOW_TRACKING_URI says, or
    else the folder mlflow beside the runs.
    """

    name, module, requirement = "MLflow", "mlflow", "mlflow-skinny>=3"

    def __init__(self, experiment: str, tracking_uri: str | None) -> None:
        super().__init__()
        self.experiment = experiment
        self.tracking_uri = tracking_uri

    def open(self, run: TrackedRun, own_id: str | None) -> str:
        mlflow = _library()
        self.client = mlflow.MlflowClient(tracking_uri=self._place(run.directory.parent.parent))
        if own_id is not None:
            self.client.update_run(own_id, status="RUNNING")
            self.own_run = own_id
            return own_id
        known = self.client.get_experiment_by_name(self.experiment)
        number = known.experiment_id if known else self.client.create_experiment(self.experiment)
        new = self.client.create_run(number, run_name=run.name, tags={"qa_research.run": run.id})
        self.own_run = str(new.info.run_id)
        parameters = [
            mlflow.entities.Param(key, _shortened(str(value)))
            for key, value in run.settings.items()
        ]
        for first in range(0, len(parameters), AT_ONCE):
            self.client.log_batch(self.own_run, params=parameters[first : first + AT_ONCE])
        return self.own_run

    def send_curves(self, values: Mapping[str, float], step: int) -> None:
        metric, now = _library().entities.Metric, int(time.time() * 1000)
        self.client.log_batch(
            self.own_run,
            metrics=[
                metric(FOREIGN.sub("_", name), value, now, step) for name, value in values.items()
            ],
        )

    def send_picture(self, tag: str, pixels: NDArray[np.uint8], step: int) -> None:
        # Its viewer takes the name apart at slashes.
        name = FOREIGN.sub("_", tag).replace("/", " ")
        self.client.log_image(self.own_run, pixels, key=name, step=step, synchronous=True)

    def send_end(self, best: Mapping[str, float] | None) -> None:
        if best is not None:
            self.send_curves({f"best/{name}": value for name, value in best.items()}, 0)
        self.client.set_terminated(self.own_run, "FINISHED" if best is not None else "KILLED")

    def command(self, directory: Path) -> tuple[str, ...] | None:
        return ("mlflow", "ui", "--backend-store-uri", self._place(directory.parent.parent))

    def _place(self, runs: Path) -> str:
        given = self.tracking_uri or os.environ.get("MLFLOW_TRACKING_URI")
        return given or (runs.absolute() / FOLDER).as_uri()


def _shortened(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 2]} …"


def _library() -> Any:
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    return importlib.import_module("mlflow")
