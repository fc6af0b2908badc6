"""A training on pairs: it stops anywhere and resumes bit for bit, is read back, scored and compared."""

import json
import signal

import numpy as np
import pytest
import torch

from qa_research.launch.compose import checked
from qa_research.runs.checkpoints import load_network_weights
from qa_research.runs.compare import side_by_side
from qa_research.runs.directory import read_record, run_directory
from qa_research.runs.open import open_run
from qa_research.signals import Stopped
from qa_research.tasks.evaluation import evaluate
from qa_research.tasks.labelled import MEASURED
from qa_research.training.story import train
from tests.tasks.paraphrase.signalling import SignallingPairs
from tests.training.reading import recording_of, result_of, rows_of
from tests.training.signalling import CrashError, Plan
from tests.training.test_exact_resume import describe, stopping_points

TINY = (
    "data.train_examples=44",
    "data.validation_examples=60",
    "data.batch_size=8",
    "data.eval_batch_size=16",
    "model.hidden_size=16",
    "model.num_hidden_layers=2",
    "model.num_attention_heads=2",
    "model.intermediate_size=32",
    "model.vocab_size=300",
    "model.dropout=0.3",
    "model._target_=tests.tasks.paraphrase.signalling.SignallingPairs",
    "trainer.max_epochs=2",
    "trainer.val_check_interval=0.34",
    "trainer.precision=32-true",
    "trainer.log_every_n_steps=1",
    "train.threads=1",
    "train.progress=none",
    "train.stop_at=null",
    "logger.graph=false",
)
LOOKING = ("capture.questions=3", "capture.every_n_steps=2", "capture.max_step_fraction=null")


@pytest.fixture
def pairs(composed, tmp_path, cache):
    """A checked config of a tiny training on pairs, whose runs lie in the test's own folder."""

    def make(*overrides: str, runs: str = "runs") -> dict:
        places = [f"paths.runs={tmp_path / runs}", f"paths.cache={cache}"]
        looks = () if any(word.startswith("capture=") for word in overrides) else LOOKING
        words = ["+experiment=paraphrase", "model=pairs_bert_tiny", *TINY, *looks, *places]
        return checked(composed(*words, *overrides))

    return make


def test_a_training_that_thaws_resumes_bit_for_bit_and_is_read_back(pairs):
    # Of 12 steps; stopped where a layer thaws.
    settings = ("capture=none", "finetuning=gradual", "finetuning.every_n_steps=3")
    whole = pairs(*settings, runs="whole")
    train(whole)
    config = pairs(*settings)
    SignallingPairs.follow(Plan("training", 6, signal.SIGINT))
    with pytest.raises(Stopped):
        train(config)
    SignallingPairs.follow()
    train(config)
    assert result_of(run_directory(config)) == result_of(run_directory(whole))
    opened = open_run(run_directory(config), "best")
    assert (
        0 <= evaluate(opened, opened.own("validation")).scores["all"]["val/accuracy"].value <= 100
    )


def test_losses_order_an_epoch_and_a_stop_in_it_changes_nothing(pairs):
    settings = ("capture=none", "data.curriculum=loss", "data.num_workers=2")
    whole, plain = pairs(*settings, runs="whole"), pairs("capture=none", runs="plain")
    train(whole)
    train(plain)
    config = pairs(*settings)
    SignallingPairs.follow(Plan("training", 9, signal.SIGINT))
    with pytest.raises(Stopped):
        train(config)
    SignallingPairs.follow()
    train(config)
    stopped = result_of(run_directory(config))
    assert stopped == result_of(run_directory(whole)) != result_of(run_directory(plain))


@pytest.mark.parametrize(
    "strategy",
    [
        ("finetuning=lora", "finetuning.rank=2", "finetuning.targets=[query,dense]"),
        pytest.param(("finetuning=bottleneck", "finetuning.width=4"), marks=pytest.mark.slow),
        pytest.param(
            ("finetuning=pals", "finetuning.width=8", "finetuning.heads=2"), marks=pytest.mark.slow
        ),
    ],
)
def test_adapters_train_with_the_pooler_and_are_read_back(pairs, strategy):
    config = pairs("capture=none", *strategy, "trainer.max_steps=4")
    train(config)
    weights = load_network_weights(run_directory(config) / "checkpoints/last.ckpt")
    opened = open_run(run_directory(config), "last")
    network = opened.network.state_dict()
    assert network.keys() == weights.keys()
    assert all(torch.equal(network[name].cpu(), tensor) for name, tensor in weights.items())
    stages = read_record(run_directory(config))["finetuning"]["trained"]
    added = sum(p.numel() for n, p in opened.network.named_parameters() if is_added(n))
    # The pooler, 16 x 16, and the output layer, 2 x 16, with their biases.
    assert stages == [{"step": 0, "parameters": added + 16 * 17 + 2 * 17}]


def is_added(name):
    return any(mark in name for mark in (".lora_", ".adapter.", ".pal."))


@pytest.fixture(autouse=True)
def _no_plan():
    yield
    SignallingPairs.follow()


@pytest.fixture(scope="module")
def uninterrupted():
    """Results of trainings that were not stopped, by their accumulation."""
    return {}


@pytest.mark.parametrize("point", stopping_points(24), ids=describe)
def test_a_stopped_training_resumes_bit_for_bit(pairs, uninterrupted, point):
    accumulate, workers, plan = point
    settings = (f"trainer.accumulate_grad_batches={accumulate}",)
    if accumulate not in uninterrupted:
        whole = run_directory(config := pairs(*settings, runs="whole"))
        train(config)
        uninterrupted[accumulate] = (result_of(whole), read_record(whole), recording_of(whole))
    config = pairs(*settings, f"data.num_workers={workers}")
    plans = [plan]
    if plan.number == signal.SIGUSR1:
        # Training continues after the save, so something else has to end it: a crash, later on.
        plans.append(Plan("training", 12, None))
    SignallingPairs.follow(*plans)
    with pytest.raises((Stopped, CrashError)):
        train(config)
    SignallingPairs.follow()
    train(config)
    run = run_directory(config)
    result, expected, recording = uninterrupted[accumulate]
    assert result_of(run) == result
    record = read_record(run)
    assert len(record["resumed"]) == 1
    for key in ("steps", "best", "best_step", "train_samples", "fingerprints", "pairs"):
        assert record[key] == expected[key], key
    found = recording_of(run)
    assert found.keys() == recording.keys()
    for group, arrays in recording.items():
        assert arrays.identical(found[group]), group


@pytest.fixture
def trained(pairs):
    config = pairs("capture=none")
    train(config)
    return run_directory(config)


def test_what_it_measures_writes_and_tells(trained):
    record = read_record(trained)
    assert set(MEASURED) <= set(rows_of(trained)[0])
    assert record["pairs"] | {"train": 44} == record["pairs"] and record["loss_unit"] == "nats"
    parts = {part: record["pairs"][part] for part in ("choosing", "temperature", "scored")}
    assert sum(parts.values()) == 60 and min(parts.values()) > 0
    rows = json.loads((trained / "predictions/validation.json").read_text())
    scored = [row for row in rows if not row["chose"]]
    assert len(scored) == parts["scored"]
    accuracy = 100 * np.mean([row["correct"] for row in scored])
    assert record["best"]["val/accuracy"] == pytest.approx(accuracy)


def test_it_is_read_back_and_says_the_same(trained):
    opened = open_run(trained)
    found = opened.own("validation")
    result = evaluate(opened, found)
    best = read_record(trained)["best"]
    for name in ("val/accuracy", "val/f1"):
        assert result.scores["all"][name].value == pytest.approx(best[name])
        assert result.scores["all"][name].low <= best[name] <= result.scores["all"][name].high
    calibration = result.as_json()["calibration"]
    assert 100 * calibration["smooth_error"] == pytest.approx(best["val/smooth_ece"], abs=0.01)
    assert calibration["loss"] == pytest.approx(best["val/loss"], abs=1e-5)
    fitted = calibration["at_temperature"]
    assert fitted["temperature"] == pytest.approx(best["val/temperature"])
    assert fitted["loss"] == pytest.approx(best["val/loss_at_temperature"], abs=1e-5)
    assert any("temperature" in line for line in result.lines())
    example = opened.example({"first": "The nurse thanked the pilot.", "second": "It rained."})
    (row,) = opened.rows([example])
    assert row["prediction"] in ("paraphrase", "not a paraphrase") and "correct" not in row


def test_while_it_is_trained_no_temperature_is_known(trained):
    path = trained / "run.json"
    record = json.loads(path.read_text())
    del record["best"]
    path.write_text(json.dumps(record))
    opened = open_run(trained)
    result = evaluate(opened, opened.own("validation"))
    assert "at_temperature" not in result.as_json()["calibration"] or (
        result.as_json()["calibration"]["at_temperature"] is None
    )


def test_its_files_are_written_with_a_diagram(trained, tmp_path):
    opened = open_run(trained)
    names = evaluate(opened, opened.own("validation")).write(tmp_path / "out")
    assert names == ["predictions.json", "scores.json", "mistakes.csv", "reliability.png"]
    assert (tmp_path / "out/reliability.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "is empty; expected a first line of tabs between Quality"),
        ("label,sentence1,sentence2\n1,a,b\n", "line 1 names no column 'sentence1'"),
        (
            "Quality\t#1 ID\t#1 String\n",
            "line 1 names no column 'sentence1': found 'Quality', '#1 ID'",
        ),
        ("sentence1\tsentence2\na\tb\tc\n", "line 2 has 3 columns, and the first line has 2"),
        ("label\tsentence1\tsentence2\nyes\ta\tb\n", "line 2: the label is 'yes'; expected 1"),
    ],
)
def test_a_file_that_is_none_of_pairs_is_refused_by_line(trained, tmp_path, verb, text, sentence):
    path = tmp_path / "asked.tsv"
    path.write_text(text)
    code, _, err = verb("evaluate", str(trained), "--data", str(path))
    assert code == 2 and f"--data={path}" in err and sentence in err, err
    assert "Traceback" not in err and err.count("\n") == 1


def test_pairs_with_quotes_and_without_labels_are_asked(trained, tmp_path, verb):
    path = tmp_path / "asked.tsv"
    path.write_text(
        'label\tsentence1\tsentence2\n\t"I said so," he said.\tHe said, "I did.\n1\ta"\tb\n'
    )
    out = ("--out", str(tmp_path / "out"))
    code, said, err = verb("evaluate", str(trained), "--data", str(path), "--json", *out)
    assert code == 0, err
    assert (json.loads(said)["total"], json.loads(said)["unlabelled"]) == (1, 1)
    code, _, err = verb("predict", str(trained), "--data", str(path), *out)
    assert code == 0, err


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "label\tsentence1\tsentence2\n1\ta\tb\n1\tc\td\n",
            "all 2 pairs have the label 1; both labels",
        ),
        (
            "label\tsentence1\tsentence2\n1\ta\tb\n0\tc\n",
            "line 3 has 2 columns, and the first line has 3",
        ),
    ],
)
def test_what_cannot_be_trained_on_is_refused(pairs, tmp_path, text, sentence):
    path = tmp_path / "pairs.tsv"
    path.write_text(text)
    config = pairs(
        *("data=pairs_file", f"data.train_path={path}", f"data.validation_path={path}"),
        "capture=none",
    )
    with pytest.raises(ValueError, match=f"data.train_path={path}.*{sentence}"):
        train(config)
    assert not list((tmp_path / "runs").glob("*/*/run.json"))


def test_its_report_shows_how_sure_it_was_at_each_validation(trained, verb):
    code, _, err = verb("report", str(trained))
    assert code == 0, err
    (header, *rows) = (trained / "figures/confidence_over_steps.csv").read_text().splitlines()
    assert header == "step,accuracy,overconfidence,loss,loss_at_temperature"
    measured = [row for row in rows_of(trained) if row["val/loss"]]
    assert [row.split(",")[0] for row in rows] == [row["step"] for row in measured]
    assert float(rows[-1].split(",")[3]) == pytest.approx(float(measured[-1]["val/loss"]))
    code, said, err = verb("report", str(trained), "--verify")
    assert code == 0 and "no difference" in said, err


def test_pairs_that_have_changed_since_are_refused(trained, tmp_path):
    path = tmp_path / "pairs.tsv"
    path.write_text("label\tsentence1\tsentence2\n1\ta\tb\n0\tc\td\n")
    opened = open_run(trained)
    assert len(opened.rows(opened.of_file(str(path), "utf-8").rows)) == 2
    opened.config["data"]["seed"] = 5
    with pytest.raises(ValueError, match="the validation pairs have changed since this run"):
        opened.own("validation")


def test_two_runs_are_compared_by_accuracy_and_f1(pairs):
    configs = [pairs("capture=none", f"seed={seed}") for seed in (1, 2)]
    for config in configs:
        train(config)
    (pair,) = side_by_side([run_directory(config) for config in configs]).pairs
    assert [metric["name"] for metric in pair.comparison.metrics] == ["val/accuracy", "val/f1"]
    assert pair.comparison.left_out > 0


def test_the_true_labels_of_watched_pairs_are_explained_at_each_kept_step(pairs, verb, tmp_path):
    config = pairs("capture.questions=2", "checkpoint.keep_every_n_steps=6", "model.dropout=0.0")
    train(config)
    run = run_directory(config)
    code, out, _ = verb(
        "attribute", str(run), "--watched", "--json", "--out", str(tmp_path / "out"), "--seed", "3"
    )
    assert code == 0
    found = json.loads(out)["examples"]
    recorded = recording_of(run)["outputs"]
    for number, document in enumerate(found):
        assert document["says"] == "label" and document["steps"] == [6, 12]
        (truth,) = document["answers"]
        assert document["quantity"] == (
            f"Explained is the logit of the label “{truth}”, which is true, at every step."
        )
        own = recorded["probability"].isel(question=number).sel(step=[6, 12])
        assert document["probability"] == pytest.approx(own.values.tolist(), rel=1e-3)
        assert document["methods"]["erasure"]["start"] is None
    code, out, _ = verb(
        "attribute",
        str(run),
        "--watched",
        "--example",
        found[0]["question_id"],
        "--out",
        str(tmp_path),
    )
    assert code == 0 and "true label, %" in out and found[1]["question_id"] not in out


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("checkpoint.monitor=val/accuracy", "use choosing/accuracy"),
        ("data.choosing_share=0.9", "leave no validation examples to score"),
        ("data.train_examples=99999", "data.train_examples=99999, but there are only 6000"),
        ("data.kinds=[thing,verb]", "data.kinds"),
        ("data.kinds=[]", "data.kinds"),
        ("data.max_tokens=600", "data.max_tokens=600 is more than the 512 tokens"),
        ("capture=default", "capture.logits"),
    ],
)
def test_what_does_not_fit_is_refused(pairs, override, sentence):
    with pytest.raises(ValueError, match=sentence):
        train(pairs(override))
