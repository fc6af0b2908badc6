"""What a start makes of the run that is there, and `qa-research resume`."""

import json
import os
import signal
from pathlib import Path

import pytest
import yaml

from qa_research.launch.resume import CHANGEABLE, resume
from qa_research.ledger.runs import Ledger
from qa_research.runs.directory import read_record
from qa_research.signals import Stopped
from qa_research.tasks.answering.squad import read_questions
from tests.tiny_run import train
from tests.training.reading import directory_of, result_of
from tests.training.signalling import CrashError, Plan, Signalling
from tests.training.test_exact_resume import SETTINGS


@pytest.fixture(autouse=True)
def _no_plan():
    yield
    Signalling.follow()


@pytest.fixture
def stopped(tiny):
    """A config whose run was stopped after its third step."""
    config = tiny(*SETTINGS)
    Signalling.follow(Plan("training", 3, signal.SIGTERM))
    with pytest.raises(Stopped):
        train(config)
    Signalling.follow()
    return config


@pytest.fixture
def whole(tiny, tmp_path):
    config = tiny(*SETTINGS, f"paths.runs={tmp_path / 'whole'}")
    train(config)
    return directory_of(config)


def test_a_run_goes_on_from_its_own_config(stopped, whole):
    run = directory_of(stopped)
    score = resume(run.name, ["data.num_workers=2", "train.progress=none"], run.parent.parent)
    assert score == pytest.approx(read_record(whole)["best"]["val/f1"])
    assert result_of(run) == result_of(whole)
    assert resume(str(run), [], Path("nowhere")) == score  # finished: reported


def test_a_run_of_an_older_version_goes_on(stopped, whole):
    path = directory_of(stopped) / "config.yaml"
    config = yaml.safe_load(path.read_text())
    del config["checkpoint"]["every_n_minutes"]
    path.write_text(yaml.safe_dump(config))
    resume(str(path.parent), [], Path("runs"))
    assert result_of(directory_of(stopped)) == result_of(whole)


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("model.lr=1", "model.lr changes the result, so it would be another run"),
        ("seed=2", "seed changes the result"),
        ("data=squad", "data changes the result"),
        ("model.lrr=1", r"no config key model.lrr; did you mean model.lr\?"),
        ("modle.lr=1", r"no config key modle; did you mean model\?"),
        ("paths.runs=x", "paths.runs cannot be set for a run that already exists"),
        ("train.progress", "'train.progress' is not of the form KEY=VALUE"),
        (
            "train.stop_at_exact_match=100",
            r"stop_at_exact_match is now: train.stop_at=\{choosing/exact_match: 100\}",
        ),
        ("data.num_workers=-1", "data.num_workers must be at least 0"),
    ],
)
def test_what_would_make_another_run_of_it_is_refused_by_name(stopped, override, sentence):
    before = read_record(directory_of(stopped))
    with pytest.raises(ValueError, match=sentence):
        resume(str(directory_of(stopped)), [override], Path("runs"))
    assert read_record(directory_of(stopped)) == before


def test_what_can_be_given_anew_exists(tiny):
    config = tiny()
    for key in CHANGEABLE:
        section, _, name = key.partition(".")
        assert name in config[section], key


def test_must_only_goes_on(tiny, stopped):
    with pytest.raises(ValueError, match="train.resume=must, but there is no run"):
        train(tiny(*SETTINGS, "seed=7", "train.resume=must"))
    train(tiny(*SETTINGS, "train.resume=must"))
    assert read_record(directory_of(stopped))["resumed"][0]["step"] == 3
    train(tiny(*SETTINGS, "train.resume=must"))


def test_never_begins_again_and_keeps_the_stopped_run(tiny, stopped):
    run = directory_of(stopped)
    train(tiny(*SETTINGS, "train.resume=never"))
    assert "resumed" not in read_record(run)
    kept = run.with_name(f"{run.name}.1")
    assert read_record(kept)["status"] == "interrupted"
    with Ledger(run.parent.parent / "ledger.sqlite", read_only=True) as ledger:
        found = {entry.directory.name: entry.status for entry in ledger.runs()}
    assert found == {run.name: "finished", kept.name: "interrupted"}
    resume(str(kept), [], Path("runs"))
    assert read_record(kept)["status"] == "finished"


def test_a_run_that_crashed_before_anything_was_saved_begins_again(tiny, whole):
    config = tiny(*SETTINGS)
    Signalling.follow(Plan("training", 4, None))
    with pytest.raises(CrashError):
        train(config)
    record = read_record(directory_of(config))
    assert (record["status"], record["steps"], record["saved_step"]) == ("failed", 3, 0)
    with pytest.raises(ValueError, match="stopped before its first checkpoint"):
        train(tiny(*SETTINGS, "train.resume=must"))
    Signalling.follow()
    train(config)
    assert result_of(directory_of(config)) == result_of(whole)


def test_kills_before_the_first_save_leave_one_directory(tiny, whole):
    config = tiny(*SETTINGS)
    run = directory_of(config)
    kept = ("config.yaml", "run.json")
    for _ in range(3):
        Signalling.follow(Plan("training", 2, None))
        with pytest.raises(CrashError):
            train(config)
        # As a kill leaves it: in the middle of the exchange, with the one before still set aside.
        (hidden := run.with_name(f".{run.name}.before")).mkdir(exist_ok=True)
        for name in kept:
            (hidden / name).write_bytes((run / name).read_bytes())
    Signalling.follow()
    train(config)
    assert [path.name for path in run.parent.iterdir()] == [run.name]
    assert result_of(run) == result_of(whole)


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [("model", "lr", 0.5), ("data", "batch_size", 4), ("model", "dropout", 0.25)],
)
def test_an_edited_config_is_refused_by_key(tiny, stopped, section, key, value, verb):
    run = directory_of(stopped)
    path = run / "config.yaml"
    config = yaml.safe_load(path.read_text())
    config[section][key] = value
    path.write_text(yaml.safe_dump(config))
    code, _, err = verb("resume", str(run))
    assert code == 2 and f"the file has {section}.{key}={value!r}" in err
    with pytest.raises(ValueError, match=f"was edited: .*{section}.{key}="):
        train(stopped)
    assert read_record(run)["status"] == "interrupted"


@pytest.mark.parametrize(
    ("key", "sentence"),
    [
        ("trainer", "has no section trainer"),
        ("data", "config.yaml has no data"),
        ("trainer.precision", "has no key trainer.precision"),
        ("model.lr", "model has no key lr"),
        ("train.stop_at", "has no key train.stop_at"),
    ],
)
def test_a_config_without_a_part_is_refused_by_name(stopped, verb, key, sentence):
    run = directory_of(stopped)
    path, record = run / "config.yaml", json.loads((run / "run.json").read_text())
    config = yaml.safe_load(path.read_text())
    section, _, name = key.partition(".")
    if name:
        del config[section][name]
    else:
        del config[section]
    path.write_text(yaml.safe_dump(config))
    # A record of an earlier version, which cannot tell that the config was edited.
    del record["config"]
    (run / "run.json").write_text(json.dumps(record))
    code, _, err = verb("resume", str(run))
    assert code == 2 and sentence in err and err.count("\n") == 1


def test_a_damaged_checkpoint_is_passed_over_and_the_result_is_the_same(
    tiny, stopped, whole, caplog
):
    config, run = stopped, directory_of(stopped)
    Signalling.follow(Plan("training", 2, signal.SIGTERM))
    with pytest.raises(Stopped):
        train(config)
    Signalling.follow()
    last = run / "checkpoints/last.ckpt"
    content = bytearray(last.read_bytes())
    content[len(content) // 2] ^= 255
    last.write_bytes(content)
    train(config)
    assert [entry["step"] for entry in read_record(run)["resumed"]] == [3, 3]
    assert result_of(directory_of(config)) == result_of(whole)
    assert f"{last} is damaged" in (run / "train.log").read_text()


def test_where_every_checkpoint_is_damaged_nothing_is_trained(tiny, stopped):
    last = directory_of(stopped) / "checkpoints/last.ckpt"
    last.write_bytes(last.read_bytes()[:1000])
    with pytest.raises(
        ValueError, match=r"no undamaged checkpoint to resume from.*last.ckpt is damaged"
    ):
        train(stopped)
    assert read_record(directory_of(stopped))["status"] == "interrupted"


def test_the_same_config_with_other_questions_or_weights_is_refused_by_name(
    tiny, stopped, tmp_path, monkeypatch
):
    rows = [
        {"id": str(i), "context": f"Ms Lund teaches group {c}.", "question": f"Who teaches {c}?"}
        | {"answers": {"text": ["Ms Lund"], "answer_start": [0]}}
        for i, c in enumerate("ABCDEFGH")
    ]
    path = tmp_path / "rows.json"
    path.write_text("\n".join(json.dumps(row) for row in rows))
    config = tiny(
        *("data=squad_file", f"data.train_path={path}", f"data.validation_path={path}"),
        *("data.train_questions=null", "data.validation_questions=null"),
    )
    train(config)
    assert len(read_questions(path, "rows")) == 8
    rows[3]["question"] = "Who teaches group D?"
    path.write_text("\n".join(json.dumps(row) for row in rows))
    with pytest.raises(ValueError, match=r"the training questions are no longer those of the run"):
        train(config)
    record = directory_of(stopped) / "run.json"
    changed = json.loads(record.read_text())
    changed["fingerprints"]["weights"] = "0" * 64
    record.write_text(json.dumps(changed))
    with pytest.raises(ValueError, match=r"the initial weights are no longer.*train.resume=never"):
        train(stopped)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the device that is always full")
def test_a_full_disk_ends_the_training_and_the_run_goes_on_later(tiny, whole):
    config = tiny(*SETTINGS)
    run = directory_of(config)
    partial = run / f"checkpoints/.last.ckpt.{os.getpid()}.tmp"
    Signalling.follow(
        Plan("training", 2, signal.SIGUSR1),
        Plan("training", 4, lambda: os.symlink("/dev/full", partial)),
        Plan("training", 5, signal.SIGTERM),
    )
    with pytest.raises(OSError, match=r"No space left on device.*the previous last.ckpt is intact"):
        train(config)
    record = read_record(run)
    assert (record["status"], record["saved_step"]) == ("failed", 2)
    Signalling.follow()
    train(config)
    assert read_record(run)["resumed"][0]["step"] == 2
    assert result_of(directory_of(config)) == result_of(whole)


def test_changed_versions_are_reported(stopped):
    run = directory_of(stopped)
    record = json.loads((run / "run.json").read_text())
    record["versions"]["torch"] = "1.0"
    (run / "run.json").write_text(json.dumps(record))
    train(stopped)
    assert (
        "not be bit for bit the uninterrupted one: torch 1.0 -> " in (run / "train.log").read_text()
    )


def test_a_checkpoint_of_another_run_is_refused(stopped):
    run = directory_of(stopped)
    record = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(record | {"id": "another"}))
    with pytest.raises(ValueError, match=r"last.ckpt belongs to another run"):
        train(stopped)
