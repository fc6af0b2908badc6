"""Trackers of other people: refused if missing, never in a training's way, continued by a resumed run.

The tests of real packages run where these are installed: pip install '.[trackers]'.
"""

import importlib.util
import json
import os
import signal
import sqlite3

import pytest

from qa_research.launch.compose import checked
from qa_research.runs.directory import config_hash, read_record
from qa_research.signals import Stopped
from qa_research.trackers.service import TRACKED, Service
from qa_research.trackers.tracker import TrackedRun
from tests.tiny_run import train
from tests.training.reading import directory_of, result_of, rows_of
from tests.training.signalling import Plan, Signalling

STOPPABLE = "model._target_=tests.training.signalling.Signalling"
SERVICES = ("wandb", "mlflow", "trackio")
INSTALLED = {name: importlib.util.find_spec(name) is not None for name in SERVICES}


@pytest.fixture(autouse=True)
def _no_plan():
    yield
    Signalling.follow()


@pytest.fixture
def places(tmp_path, monkeypatch):
    """Where packages keep what is not a run's: in the test's own folder."""
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))
    monkeypatch.setenv("WANDB_CONFIG_DIR", str(tmp_path / "wandb"))
    monkeypatch.setenv("WANDB_CACHE_DIR", str(tmp_path / "wandb"))
    for name in ("MLFLOW_TRACKING_URI", "TRACKIO_SERVER_URL", "TRACKIO_SPACE_ID", "WANDB_API_KEY"):
        monkeypatch.delenv(name, raising=False)


class Diary(Service):
    """A service in memory, of which a test decides whether it is there."""

    name, module, requirement = "Diary", "diary", "diary>=1"

    def __init__(self) -> None:
        super().__init__()
        self.is_away = False
        self.got: list[tuple[str, int, float]] = []
        self.opened: list[str | None] = []

    def open(self, run, own_id):
        self._answer()
        self.opened.append(own_id)
        return own_id or "diary-1"

    def send_curves(self, values, step):
        self._answer()
        self.got += [(tag, step, value) for tag, value in values.items()]

    def send_picture(self, tag, pixels, step):
        self._answer()

    def send_end(self, best):
        self._answer()

    def _answer(self):
        if self.is_away:
            raise ConnectionError("no route to host")


def tracked(directory, step: int = 0) -> TrackedRun:
    config = {"trainer": {"log_every_n_steps": 2}}
    return TrackedRun("id", "study/run", directory, config, step, ["val/f1"])


def write_metrics(directory, last: int) -> None:
    rows = ["epoch,step,train/loss,val/f1"]
    rows += [f"0,{step},{step}.5," for step in range(1, last + 1)] + [f"0,{last},,50.0"]
    (directory / "metrics.csv").write_text("\n".join(rows) + "\n")


def test_a_service_that_is_away_is_said_once_and_gets_the_curves_at_the_end(tmp_path, caplog):
    diary = Diary()
    diary.start(tracked(tmp_path))
    diary.curves({"train/loss": 2.5}, 2)
    diary.is_away = True
    diary.curves({"train/loss": 4.5}, 4)
    diary.curves({"train/loss": 6.5}, 6)
    said = [r.getMessage() for r in caplog.records]
    assert said == [
        "Diary cannot be reached, and the training goes on without it: ConnectionError: no route to host"
    ] or (len(said) == 1 and said[0].startswith("Diary cannot be reached"))
    write_metrics(tmp_path, 7)
    diary.is_away = False
    diary.finish({"val/f1": 50.0}, 7)
    steps = [(tag, step) for tag, step, _ in diary.got if tag != "epoch"]
    # Every second of the training's own, once each, and the validation.
    assert steps == [("train/loss", s) for s in (2, 4, 6)] + [("val/f1", 7)]
    assert diary.opened == [None, "diary-1"]


def test_a_service_that_stays_away_ends_nothing(tmp_path, caplog):
    diary = Diary()
    diary.is_away = True
    diary.start(tracked(tmp_path))
    diary.curves({"train/loss": 2.5}, 2)
    diary.finish({"val/f1": 50.0}, 7)
    said = [r.getMessage() for r in caplog.records]
    assert len(said) == 2 and "did not get all of this training" in said[1]
    Diary().finish(None, 0)


def test_a_resumed_run_continues_the_services_run_and_gives_no_point_twice(tmp_path):
    first, second = Diary(), Diary()
    first.start(tracked(tmp_path))
    for step in (2, 4):
        first.curves({"train/loss": step + 0.5}, step)
    # Killed. Resumed from step 3: step 4 is trained again.
    write_metrics(tmp_path, 2)
    second.start(tracked(tmp_path, step=3))
    for step in (4, 6):
        second.curves({"train/loss": step + 0.5}, step)
    assert second.opened == ["diary-1"]
    assert [step for tag, step, _ in second.got if tag == "train/loss"] == [6]
    (tmp_path / TRACKED).write_text("[]")
    third = Diary()
    third.start(tracked(tmp_path))
    assert third.opened == [None]


@pytest.mark.parametrize("name", SERVICES)
def test_what_is_not_installed_is_refused_before_training(tiny, tmp_path, name):
    if INSTALLED[name]:
        pytest.skip(f"{name} is installed here")
    with pytest.raises(
        ValueError, match=rf"^logger={name} needs .*not installed: pip install '{name}"
    ):
        train(tiny(f"logger={name}"))
    assert not (tmp_path / "runs").exists()


def test_csv_writes_metrics_and_no_events(tiny, tmp_path):
    results = []
    for logger in ("csv", "tensorboard"):
        config = tiny(f"logger={logger}", "capture=default", f"paths.runs={tmp_path / logger}")
        train(config)
        results.append(result_of(directory_of(config)))
        assert (directory_of(config) / "tensorboard").exists() is (logger == "tensorboard")
    assert results[0] == results[1] and rows_of(directory_of(config))


def test_the_logger_does_not_make_another_run(tiny):
    hashes = {
        config_hash(checked(tiny(word)))
        for word in ("logger=tensorboard", "logger=csv", "logger.graph=false")
    }
    assert len(hashes) == 1


def test_a_resumed_run_may_have_another_logger(tiny, verb):
    config = tiny(STOPPABLE)
    Signalling.follow(Plan("training", 3, signal.SIGTERM))
    with pytest.raises(Stopped):
        train(config)
    Signalling.follow()
    allowed = os.environ.get("QA_RESEARCH_ALLOW")
    os.environ["QA_RESEARCH_ALLOW"] = "tests.training.signalling"
    try:
        where = ("--runs", config.paths.runs)
        code, _, err = verb("resume", directory_of(config).name, "logger=csvv", *where)
        assert code == 2 and "there is no logger=csvv; did you mean csv?" in err
        code, _, err = verb("resume", directory_of(config).name, "logger=csv", *where)
        assert code == 0, err
    finally:
        os.environ.pop("QA_RESEARCH_ALLOW")
        if allowed is not None:
            os.environ["QA_RESEARCH_ALLOW"] = allowed
    assert read_record(directory_of(config))["status"] == "finished"


@pytest.fixture(scope="module")
def uninterrupted():
    """What the same training gives without a tracker, once it is known."""
    return {}


@pytest.mark.parametrize("name", SERVICES)
def test_a_real_tracker_changes_nothing_and_a_resumed_run_is_one_run(
    tiny, tmp_path, places, uninterrupted, name
):
    if not INSTALLED[name]:
        pytest.skip(f"{name} is not installed: pip install '.[trackers]'")
    words = (STOPPABLE, "model.dropout=0.3", "capture=default")
    if not uninterrupted:
        whole = tiny(*words, f"paths.runs={tmp_path / 'whole'}")
        train(whole)
        uninterrupted["result"] = result_of(directory_of(whole))
    config = tiny(*words, f"logger={name}")
    Signalling.follow(Plan("training", 3, signal.SIGTERM))
    with pytest.raises(Stopped):
        train(config)
    Signalling.follow()
    train(config)
    assert result_of(directory_of(config)) == uninterrupted["result"]
    known = json.loads((directory_of(config) / TRACKED).read_text())
    assert known["tracker"] == name and known["sent"]["val/f1"] == 7
    assert not (directory_of(config) / "tensorboard").exists()
    READ[name](directory_of(config), known["id"], tmp_path)


def read_wandb(run, own_id, tmp_path):
    """Two offline folders of one run."""
    folders = sorted((run / "wandb").glob("offline-run-*"))
    assert len(folders) == 2 and all(folder.name.endswith(own_id) for folder in folders)
    assert all(list(folder.glob("run-*.wandb")) for folder in folders)
    assert own_id == read_record(run)["id"]


def read_mlflow(run, own_id, tmp_path):
    client = importlib.import_module("mlflow").MlflowClient(
        tracking_uri=(tmp_path / "runs/mlflow").as_uri()
    )
    (experiment,) = [e for e in client.search_experiments() if e.name == "qa_research"]
    (found,) = client.search_runs([experiment.experiment_id])
    assert found.info.run_id == own_id and found.info.status == "FINISHED"
    assert found.data.params["model.dropout"] == "0.3"
    steps = [point.step for point in client.get_metric_history(own_id, "train/loss")]
    assert sorted(steps) == [1, 2, 3, 4, 5, 6, 7]
    best = read_record(run)["best"]["val/f1"]
    assert found.data.metrics["best/val/f1"] == pytest.approx(best)


def read_trackio(run, own_id, tmp_path):
    (database,) = (tmp_path / "trackio").glob("qa_research*.db")
    with sqlite3.connect(database) as connection:
        rows = connection.execute("SELECT run_name, step, metrics FROM metrics").fetchall()
    assert {row[0] for row in rows} == {own_id}
    losses = [step for _, step, metrics in rows if "train/loss" in json.loads(metrics)]
    assert sorted(losses) == [1, 2, 3, 4, 5, 6, 7]


READ = {"wandb": read_wandb, "mlflow": read_mlflow, "trackio": read_trackio}


def test_a_server_that_is_away_is_said_once(tiny, caplog, places):
    if not INSTALLED["mlflow"]:
        pytest.skip("mlflow is not installed: pip install '.[trackers]'")
    config = tiny("logger=mlflow", "logger.tracking_uri=http://127.0.0.1:9")
    with caplog.at_level("WARNING", "qa_research"):
        train(config)
    assert read_record(directory_of(config))["status"] == "finished"
    said = [r.getMessage() for r in caplog.records if "MLflow" in r.getMessage()]
    assert len([line for line in said if "cannot be reached" in line]) == 1


def test_wandb_online_needs_a_login(tiny, places, monkeypatch, tmp_path):
    if not INSTALLED["wandb"]:
        pytest.skip("wandb is not installed: pip install '.[trackers]'")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with pytest.raises(ValueError, match="needs a login to Weights & Biases: wandb login"):
        train(tiny("logger=wandb", "logger.mode=online"))
