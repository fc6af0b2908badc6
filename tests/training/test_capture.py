"""Trainings with capture: nothing about them changes, and everything requested is recorded."""

import json
import logging
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr
import yaml
from google.protobuf import text_format
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.projector.projector_config_pb2 import ProjectorConfig
from transformers import AutoConfig, AutoModel

from qa_research.capture.recording.reader import Recording
from qa_research.launch.compose import checked
from qa_research.runs.directory import read_record
from qa_research.runs.open import open_run
from qa_research.signals import Stopped
from qa_research.tasks.answering.squad import squad_json
from tests.tiny_run import train
from tests.training.reading import directory_of, recording_of, result_of
from tests.training.signalling import CrashError, Plan, Signalling

EVERY_STEP = ("capture.every_n_steps=1", "capture.max_step_fraction=null")
BATCH = "+capture/recorders@capture=batch_attention"


@pytest.fixture(autouse=True)
def _no_plan():
    yield
    Signalling.follow()


def hooks_of(network) -> int:
    return sum(
        len(m._forward_hooks) + len(m._forward_pre_hooks) + len(m._backward_hooks)
        for m in network.modules()
    )


@pytest.mark.parametrize(("accumulate", "precision"), [(1, "bf16-mixed"), (3, "32-true")])
def test_a_training_with_capture_is_bit_identical_to_one_without(tiny, accumulate, precision):
    settings = ("model.dropout=0.3", f"trainer.accumulate_grad_batches={accumulate}")
    settings += (f"trainer.precision={precision}",)
    without = tiny(*settings)
    train(without)
    for extra in (["capture=default"], ["capture=everything", BATCH]):
        config = tiny(*settings, *extra, *EVERY_STEP)
        train(config)
        assert directory_of(config) != directory_of(without)
        assert result_of(directory_of(config)) == result_of(directory_of(without))
        best = [read_record(directory_of(c))["best"] for c in (config, without)]
        assert best[0] == best[1]


def test_step_0_every_nth_and_the_last_are_captured_and_the_cost_is_reported(tiny, caplog):
    config = tiny("capture=default", "capture.every_n_steps=4", "capture.max_step_fraction=null")
    with caplog.at_level(logging.INFO, "qa_research"):
        train(config)
    found = recording_of(directory_of(config))
    assert set(found) == {"logits", "head_weights", "attention", "heads", "attribution"}
    for arrays in found.values():
        assert arrays["step"].values.tolist() == [0, 4, 7]
    cost = read_record(directory_of(config))["capture"]
    assert cost["captures"] == 3 and cost["left_out"] == 0
    assert 0 < cost["percent_of_training"] <= 100 and cost["seconds"] > 0
    said = [r.getMessage() for r in caplog.records if "captured 3 times" in r.getMessage()]
    assert len(said) == 1 and f"{cost['percent_of_training']:.1f} %" in said[0]


def test_an_early_end_is_captured_too(tiny):
    config = tiny(
        "capture=default", "train.stop_at={choosing/exact_match:1e-9}", "capture.every_n_steps=100"
    )
    train(config)
    steps = recording_of(directory_of(config))["logits"]["step"].values.tolist()
    assert steps == [0, read_record(directory_of(config))["steps"]]
    assert steps[1] < 7


def test_what_is_recorded_is_what_the_trained_network_does(tiny):
    """The last capture against the network read back from its checkpoint."""
    config = tiny("capture=everything", *EVERY_STEP)
    train(config)
    found = recording_of(directory_of(config))
    run = open_run(directory_of(config), checkpoint="last")
    last = {name: arrays.isel(step=-1) for name, arrays in found.items()}
    weight = run.network.qa_outputs.weight.detach().numpy()
    assert np.array_equal(last["head_weights"]["weight"].values, weight)
    names = last["dynamics"]["parameter"].values.tolist()
    assert names == [name for name, _ in run.network.named_parameters()]
    for i in range(4):
        count = int(last["logits"]["tokens"][i])
        ids = torch.from_numpy(last["logits"]["token_id"].values[i : i + 1, :count].astype(int))
        types = torch.from_numpy(last["logits"]["part"].values[i : i + 1, :count] == "context")
        # The last [SEP] is of the second segment.
        types[0, -1] = True
        with torch.no_grad():
            output = run.network(
                input_ids=ids, token_type_ids=types.long(), output_hidden_states=True
            )
        shown = last["logits"]["logit"].values[i, :, :count]
        assert np.allclose(shown[0], output.start_logits[0], atol=1e-5)
        assert np.allclose(shown[1], output.end_logits[0], atol=1e-5)
        hidden = last["activations"]["layer_output"].values[i, 1, :count]
        assert np.allclose(hidden, output.hidden_states[2][0], atol=2e-3)  # kept in float16
    change = found["dynamics"]["change"].values
    began_at_zero = np.isnan(change).all(axis=0)
    assert [name.endswith(".bias") for name, zero in zip(names, began_at_zero, strict=True) if zero]
    assert (change[0, ~began_at_zero] == 0).all() and (change[1:, ~began_at_zero] > 0).all()


def test_attention_of_the_training_batch_is_captured_by_hooks_that_do_not_stay(tiny):
    config = tiny("capture=default", BATCH, *EVERY_STEP, "model.dropout=0.0")
    train(config)
    found = recording_of(directory_of(config))["batch_attention"]
    counts = found["tokens"].values
    assert counts[0] == 0 and (counts[1:] > 10).all()
    assert np.isnan(found["weight"].values[0]).all()
    for step, count in enumerate(counts[1:], start=1):
        weight = found["weight"].values[step, :, :, :count, :count].astype(np.float64)
        assert np.abs(weight.sum(axis=-1) - 1).max() < 2e-3
        ids = found["token_id"].values[step]
        assert (ids[:count] >= 0).all() and (ids[count:] == -1).all()


@pytest.mark.parametrize("number", [None, 2])
def test_no_hook_is_left_after_a_crash_or_a_stop_in_the_middle(tiny, monkeypatch, number):
    networks, before = [], []
    build = Signalling.build

    def kept(self, *arguments):
        report = build(self, *arguments)
        networks.append(self.network)
        before.append(hooks_of(self.network))
        return report

    monkeypatch.setattr(Signalling, "build", kept)
    during = []
    plans = [Plan("training", 3, lambda: during.append(hooks_of(networks[0])))]
    plans.append(Plan("training", 4, number))
    Signalling.follow(*plans)
    config = tiny(
        "model._target_=tests.training.signalling.Signalling",
        "capture=everything",
        BATCH,
        *EVERY_STEP,
    )
    with pytest.raises((CrashError, Stopped)):
        train(config)
    # Without capture there is one: the head's scores are computed outside autocast.
    assert before == [1]
    assert during == [before[0] + 4 * 2 - 4], "two layers' queries and keys"
    assert hooks_of(networks[0]) == before[0]
    steps = recording_of(directory_of(config))["logits"]["step"].values.tolist()
    assert steps == ([0, 1, 2, 3] if number is None else [0, 1, 2, 3, 4])


def test_a_budget_that_is_too_small_is_refused_and_leaves_no_run(tiny):
    config = tiny("capture=default", "capture.max_mb=0.001")
    with pytest.raises(ValueError, match=r"capture.max_mb=0.001 is too small for two captures"):
        train(config)
    assert not directory_of(config).exists()


def test_a_budget_thins_and_says_so_in_the_recording_and_on_the_screen(tiny, caplog):
    sized = tiny("capture=default", *EVERY_STEP)
    train(sized)
    each = read_record(directory_of(sized))["capture"]["mb"] / 8
    config = tiny("capture=default", *EVERY_STEP, f"capture.max_mb={5.5 * each}")
    with caplog.at_level(logging.WARNING, "qa_research"):
        train(config)
    assert recording_of(directory_of(config))["logits"]["step"].values.tolist() == [0, 2, 4, 6, 7]
    assert any("one in 2 is made" in record.getMessage() for record in caplog.records)
    config = tiny("capture=default", "capture.every_n_steps=1", "capture.max_step_fraction=1e-9")
    with caplog.at_level(logging.WARNING, "qa_research"):
        train(config)
    assert recording_of(directory_of(config))["logits"]["step"].values.tolist() == [0, 1, 7]
    said = [record.getMessage() for record in caplog.records]
    assert any("From step 2 on some captures are skipped" in sentence for sentence in said)
    assert any("5 of the planned captures were skipped" in sentence for sentence in said)
    assert len(Recording(directory_of(config) / "recording.zarr").skipped) == 2
    assert read_record(directory_of(config))["capture"]["left_out"] == 5


def test_tensorboard_has_curves_distributions_pictures_and_vectors(tiny):
    config = tiny("capture=everything", *EVERY_STEP)
    train(config)
    folder = directory_of(config) / "tensorboard"
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0, "images": 0})
    events.Reload()
    tags = events.Tags()
    ids = [
        row["id"]
        for row in json.loads((directory_of(config) / "recording.zarr/zarr.json").read_text())[
            "attributes"
        ]["questions"]
    ]
    for tag in ("watched/loss", "layer_share_start/bias", "dynamics_gradient_norm/query 0"):
        assert tag in tags["scalars"]
    assert {f"watched_probability/{name}" for name in ids} <= set(tags["scalars"])
    assert {"head_weights/start", "weights/qa_outputs.weight"} <= set(tags["histograms"])
    for layer in (0, 1):
        pictures = events.Images(f"attention/{ids[0]}/layer {layer}")
        assert [picture.step for picture in pictures] == [0, 1, 2, 4, 7]
    (labels,) = folder.glob("*/watched_tokens/metadata.tsv")
    vectors = labels.with_name("tensors.tsv").read_text().splitlines()
    rows = labels.read_text().splitlines()
    assert rows[0].split("\t") == ["token", "part", "question", "kind"]
    assert len(rows) - 1 == len(vectors) and len(vectors[0].split("\t")) == 16
    assert sum(row.startswith("[CLS]\t") for row in rows) == 4
    projector = text_format.Parse(
        (folder / "projector_config.pbtxt").read_text(), ProjectorConfig()
    )
    assert [e.tensor_name for e in projector.embeddings] == [
        "watched_tokens:7",
        "watched_questions:7",
    ]
    assert all((folder / e.metadata_path).is_file() for e in projector.embeddings)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["capture.every_n_steps=0"], "capture.every_n_steps must be at least 1, got 0"),
        (["capture.attention.layers=[2]"], "capture.attention.layers has 2.*layers 0 to 1"),
        (["capture.questions=[nobody]"], "capture.questions: nobody is in neither split"),
        (["capture.questions=100"], "capture.questions=100, but there are only 64"),
        (["capture.at_steps=[3]", "capture.log_spaced=4"], "are two schedules"),
        (["capture.at_steps=[30]"], "capture.at_steps has 30; this training has the steps 0 to 7"),
        (["capture/recorders=[]"], "capture has no recorder"),
        ([BATCH, "capture.batch_attention.row=8"], "row=8, but a batch has the rows 0 to 7"),
        (["+capture/recorders@capture=unit_traces"], r"units=\[287\]: the units.* are 0 to 15"),
        ([BATCH, "model.compile=true"], "capture.batch_attention.*model.compile=false"),
    ],
)
def test_what_cannot_be_captured_is_refused_before_anything_is_made(tiny, overrides, message):
    config = tiny("capture=default", *overrides)
    with pytest.raises(ValueError, match=message):
        train(config)
    assert not list(Path(config.paths.runs).glob("*/*"))


def test_keys_of_recorders_are_checked_like_all_others(tiny):
    config = tiny("capture=default", "+capture.attention.layer=[0]")
    with pytest.raises(ValueError, match=r"no config key capture.attention.layer; did you mean"):
        checked(config)
    config = tiny("capture=default", "+capture.atention.layers=[0]")
    with pytest.raises(ValueError, match=r"no config key capture.atention"):
        checked(config)
    config = tiny("capture=default", "capture.attention.dtype=int8")
    with pytest.raises(ValueError, match=r"capture.attention.dtype must be 'float16' or 'float32'"):
        checked(config)
    config = tiny("capture=default", "+capture.recorders={}")
    with pytest.raises(ValueError, match=r"no config key capture.recorders"):
        checked(config)
    config = tiny("capture=default", "capture.logits._target_=fractions.Fraction")
    with pytest.raises(ValueError, match=r"capture.logits must be a recorder, got a Fraction"):
        train(config)
    config = tiny("capture=default", "capture.logits._target_=nowhere.Recorder")
    with pytest.raises(ValueError, match=r"capture.logits._target_=nowhere.Recorder cannot be"):
        checked(config)


def test_a_missing_recording_is_started_over_and_the_log_says_so(tiny, caplog):
    config = tiny(
        "model._target_=tests.training.signalling.Signalling", "capture=default", *EVERY_STEP
    )
    Signalling.follow(Plan("training", 3, 2))
    with pytest.raises(Stopped):
        train(config)
    shutil.rmtree(directory_of(config) / "recording.zarr")
    Signalling.follow()
    with caplog.at_level(logging.WARNING, "qa_research"):
        train(config)
    assert any("starting a new recording" in record.getMessage() for record in caplog.records)
    assert recording_of(directory_of(config))["logits"]["step"].values.tolist() == [3, 4, 5, 6, 7]


@pytest.mark.slow
def test_a_compiled_training_stays_compiled_and_is_recorded_alike(tiny):
    from torch._dynamo.utils import counters

    recordings, graphs = {}, {}
    for name, extra in (
        ("plain", ["capture=default"]),
        ("compiled", ["capture=default", "model.compile=true"]),
        ("without", ["model.compile=true"]),
    ):
        torch._dynamo.reset()
        counters.clear()
        config = tiny(
            *(EVERY_STEP if "capture=default" in extra else ()), *extra, "trainer.max_steps=2"
        )
        train(config)
        graphs[name] = dict(counters["stats"])
        if "capture=default" in extra:
            recordings[name] = recording_of(directory_of(config))
    assert graphs["compiled"] == graphs["without"] and graphs["compiled"]["unique_graphs"] > 0
    assert graphs["plain"] == {}
    for group, arrays in recordings["plain"].items():
        first = recordings["compiled"][group].isel(step=0)
        xr.testing.assert_identical(first, arrays.isel(step=0))
        if group not in ("head_weights",):  # percent changes of weights near zero
            xr.testing.assert_allclose(recordings["compiled"][group], arrays, atol=2e-3)


def test_the_film_of_a_run_is_drawn_from_the_run_alone(tiny, verb, tmp_path):
    config = tiny("capture=everything", *EVERY_STEP)
    train(config)
    run = str(directory_of(config))
    code, out, err = verb("watch", run, "--figures", "--check", "--json")
    assert code == 0, err
    shown = json.loads(out)
    assert shown["step"] == 7 and shown["damage"] == [] and len(shown["questions"]) == 4
    assert len(shown["figures"]) >= 12
    for path in (shown["strip"], *shown["figures"]):
        assert Path(path).read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    page = Path(shown["page"]).read_text(encoding="utf-8")
    assert not re.search(r"(src|href)\s*=\s*[\"']?https?:", page)
    wanted = shown["questions"][2]
    code, out, _ = verb("watch", run, "--question", wanted["id"], "--out", str(tmp_path / "films"))
    assert code == 0 and wanted["question"].split()[0] in out
    assert (tmp_path / "films" / f"{wanted['id']}.html").is_file()
    code, _, err = verb("watch", run, "--question", "nobody")
    assert code == 2 and "was not watched; these were" in err and wanted["id"] in err


def test_damage_is_reported_by_array_and_step_and_no_film_is_made(tiny, verb):
    config = tiny("capture=default", *EVERY_STEP)
    train(config)
    run = directory_of(config)
    (chunk,) = (run / "recording.zarr/logits/loss").glob("c.0*")
    content = bytearray(chunk.read_bytes())
    content[5] ^= 1
    chunk.write_bytes(content)
    code, out, _ = verb("watch", str(run), "--check")
    assert code == 1 and not (run / "films").exists()
    assert "logits: loss cannot be read at steps 0 to 7 (a wrong checksum)" in out
    assert "intact: head_weights, attention, heads, attribution" in out
    code, _, err = verb("watch", str(run))
    assert code == 2 and "is damaged" in err and "--check says what is intact" in err


def test_a_network_of_an_unknown_type_is_recorded_from_outside(
    composed, questions, tokenizer, tmp_path, cache
):
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    sizes |= {"vocab_size": len(tokenizer), "embedding_size": 8, "intermediate_size": 32}
    AutoModel.from_config(AutoConfig.for_model("albert", **sizes)).save_pretrained(tmp_path / "w")
    tokenizer.save_pretrained(tmp_path / "w")
    path = tmp_path / "questions.json"
    path.write_text(json.dumps(squad_json(questions, "1.1")))
    config = composed(
        *("model=as_weights", f"model.weights={tmp_path / 'w'}", "data=squad_file"),
        *(f"data.train_path={path}", f"data.validation_path={path}"),
        *("data.max_tokens=64", "data.stride_tokens=16", "trainer.max_epochs=1"),
        *("trainer.precision=32-true", "train.progress=none", "train.threads=1"),
        *(f"paths.runs={tmp_path / 'runs'}", f"paths.cache={cache}"),
        "capture/recorders=[logits,head_weights]",
    )
    train(config)
    found = recording_of(directory_of(config))
    assert set(found) == {"logits", "head_weights"} and len(found["logits"]["step"]) >= 2


def test_a_network_that_cannot_read_a_window_is_refused_before_training(
    tiny, questions, tokenizer, tmp_path
):
    # A Longformer looks for its own [SEP], and this one's config knows another than the tokenizer.
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    sizes |= {"vocab_size": 400, "intermediate_size": 32, "attention_window": [8, 8]}
    config = AutoConfig.for_model("longformer", **sizes, pad_token_id=0, sep_token_id=99)
    AutoModel.from_config(config).save_pretrained(tmp_path / "w")
    tokenizer.save_pretrained(tmp_path / "w")
    refused = tiny("model=as_weights", f"model.weights={tmp_path / 'w'}", "data.max_tokens=64")
    with pytest.raises(
        ValueError, match="w: the longformer network cannot read a question with its"
    ):
        train(refused)
    assert not directory_of(refused).exists()


def test_a_run_of_a_version_that_did_not_look_inside_goes_on(tiny, verb):
    config = tiny("model._target_=tests.training.signalling.Signalling")
    Signalling.follow(Plan("training", 3, 2))
    with pytest.raises(Stopped):
        train(config)
    Signalling.follow()
    path = directory_of(config) / "config.yaml"
    plain = yaml.safe_load(path.read_text())
    del plain["capture"]
    path.write_text(yaml.safe_dump(plain))
    code, _, err = verb("resume", str(directory_of(config)))
    assert code == 0, err
    assert read_record(directory_of(config))["status"] == "finished"


def test_an_early_end_between_planned_steps_holds_nothing_of_an_earlier_step(tiny):
    config = tiny(
        "capture=everything",
        BATCH,
        "capture.every_n_steps=2",
        "train.stop_at={choosing/exact_match:1e-9}",
    )
    train(config)
    found = recording_of(directory_of(config))
    last = int(found["logits"]["step"][-1])
    assert last % 2 == 1
    assert found["batch_attention"]["tokens"].values.tolist()[-1] == 0
    assert np.isnan(found["dynamics"]["gradient_norm"].values[-1]).all()
    assert np.isfinite(found["dynamics"]["gradient_norm"].values[1]).all()


def test_runs_without_a_recording_or_with_a_foreign_one_are_refused_with_a_reason(tiny, verb):
    config = tiny()
    train(config)
    code, _, err = verb("watch", str(directory_of(config)))
    assert code == 2 and "trained without recording (capture=none)" in err
    config = tiny("capture=default", "capture/recorders=[head_weights]")
    train(config)
    run = directory_of(config)
    code, _, err = verb("watch", str(run))
    assert code == 2 and "has no logits" in err and "head_weights" in err
    root = run / "recording.zarr/zarr.json"
    content = json.loads(root.read_text())
    content["attributes"]["format"] = 7
    root.write_text(json.dumps(content))
    code, _, err = verb("watch", str(run))
    assert code == 2 and "format 7" in err and "1" in err
