"""What TensorBoard reads of a run: settings and scores, the network's graph, attention with its tokens."""

import io
import itertools
import json

import numpy as np
import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import metadata

from qa_research.capture.attention_picture import SCALE, AttentionPicture, Tokens, _labels
from qa_research.runs.directory import read_record
from qa_research.signals import Stopped
from qa_research.trackers.tensorboard import TensorBoardTracker
from qa_research.trackers.tracker import TrackedRun
from tests.tiny_run import train
from tests.training.reading import directory_of, result_of
from tests.training.signalling import Plan, Signalling

STOPPABLE = "model._target_=tests.training.signalling.Signalling"


@pytest.fixture(autouse=True)
def _no_plan():
    yield
    Signalling.follow()


def events_of(run) -> EventAccumulator:
    events = EventAccumulator(str(run / "tensorboard"), size_guidance={"scalars": 0, "images": 0})
    events.Reload()
    return events


def sessions(events: EventAccumulator):
    """The settings that the HParams tab reads, its columns of scores, and how the session ended."""
    content = events.PluginTagToContent(metadata.PLUGIN_NAME)
    start = metadata.parse_session_start_info_plugin_data(content[metadata.SESSION_START_INFO_TAG])
    columns = metadata.parse_experiment_plugin_data(content[metadata.EXPERIMENT_TAG])
    ended = content.get(metadata.SESSION_END_INFO_TAG)
    settings = {
        name: value.string_value or value.number_value for name, value in start.hparams.items()
    }
    shown = [info.name.tag for info in columns.metric_infos]
    return settings, shown, ended and metadata.parse_session_end_info_plugin_data(ended)


def test_the_hparams_tab_has_the_settings_and_the_best_scores(tiny):
    config = tiny("model.lr=0.002")
    train(config)
    events = events_of(directory_of(config))
    settings, shown, ended = sessions(events)
    assert settings["model.lr"] == 0.002 and settings["model.weights"] == "random"
    assert settings["model.compile"] == "false" and settings["model.num_hidden_layers"] == 2
    assert not [
        name for name in settings if name.startswith(("paths", "logger")) or "_target_" in name
    ]
    assert shown == ["best/val/exact_match", "best/val/f1"] and ended is not None
    best = read_record(directory_of(config))["best"]
    for name in ("val/exact_match", "val/f1"):
        (point,) = events.Scalars(f"best/{name}")
        assert point.value == pytest.approx(best[name])


def test_a_resumed_run_is_one_session(tiny):
    config = tiny(STOPPABLE)
    Signalling.follow(Plan("training", 3, 2))
    with pytest.raises(Stopped):
        train(config)
    assert sessions(events_of(directory_of(config)))[2] is None
    Signalling.follow()
    train(config)
    events = events_of(directory_of(config))
    settings, _, ended = sessions(events)
    assert settings["model.weights"] == "random" and ended is not None
    assert len(events.Scalars("best/val/f1")) == 1
    raw = b"".join(path.read_bytes() for path in directory_of(config).glob("tensorboard/events.*"))
    assert raw.count(metadata.SESSION_START_INFO_TAG.encode()) == 1


def test_the_graph_is_the_networks_and_changes_nothing(tiny, tmp_path):
    results = []
    for graph in ("false", "true"):
        words = (f"logger.graph={graph}", "model.dropout=0.3")
        config = tiny(*words, f"paths.runs={tmp_path / graph}")
        train(config)
        results.append(result_of(directory_of(config)))
        tags = events_of(directory_of(config)).Tags()
        assert tags["graph"] is (graph == "true")
    assert results[0] == results[1]
    nodes = [node.name for node in events_of(directory_of(config)).Graph().node]
    assert {"input/input_ids", "input/attention_mask"} <= {*nodes} or any(
        "qa_outputs" in n for n in nodes
    )


class Unlike(torch.nn.Module):
    def forward(self, x):
        raise RuntimeError("only in this network")


def test_a_network_that_cannot_be_traced_is_said(tmp_path, caplog):
    tracker = TensorBoardTracker(graph=True)
    config = {"trainer": {"log_every_n_steps": 1}, "model": {"lr": 0.1, "layers": None}}
    tracker.start(TrackedRun("id", "study/run", tmp_path, config, 0, ["val/f1"]))
    before = torch.get_rng_state()
    tracker.graph(Unlike(), {"x": torch.ones(1)})
    assert "has no graph of this network: only in this network" in caplog.text
    assert torch.equal(before, torch.get_rng_state())
    tracker.curves({"val/f1": 1.0}, 3)
    tracker.finish({"val/f1": 1.0}, 3)
    assert [point.step for point in events_of(tmp_path).Scalars("val/f1")] == [3]


def test_attention_of_each_layer_is_drawn_and_always_at_the_last_step(tiny):
    # The captures 1, 2, 3, 5 have pictures; the last one, made when it was due, is the seventh.
    config = tiny(
        "capture=default", "capture.at_steps=[0,1,2,3,4,5,7]", "capture.max_step_fraction=null"
    )
    train(config)
    events = events_of(directory_of(config))
    recording = json.loads((directory_of(config) / "recording.zarr/zarr.json").read_text())
    name = recording["attributes"]["questions"][0]["id"]
    for layer in (0, 1):
        pictures = events.Images(f"attention/{name}/layer {layer}")
        assert [picture.step for picture in pictures] == [0, 1, 2, 4, 7]
    picture = Image.open(io.BytesIO(pictures[-1].encoded_image_string))
    assert picture.size == (pictures[-1].width, pictures[-1].height) and picture.width > 400


def test_pictures_wait_while_captures_have_taken_their_share(tiny):
    # Nothing has taken so little, so there are only the pictures that are always drawn.
    config = tiny("capture=default", "capture.every_n_steps=1", "capture.max_step_fraction=1e-9")
    train(config)
    events = events_of(directory_of(config))
    (tag,) = [tag for tag in events.Tags()["images"] if tag.endswith("layer 0")]
    assert [picture.step for picture in events.Images(tag)] == [0, 7]


def window(n: int) -> Tokens:
    texts = ["[CLS]", *(f"w{i}" for i in range(n - 2)), "[SEP]"]
    return Tokens(texts, frozenset({5, 6}), 3)


def test_a_picture_has_a_map_for_each_head_and_a_label_for_each_token():
    n = 12
    maps = np.zeros((3, n, n), dtype=np.float32)
    maps[1, 4, 7] = 1.0
    drawn = AttentionPicture(3, window(n), 5, "Who sings?")
    picture = drawn.of(maps)
    dark = np.argwhere((picture == SCALE[-1].astype(np.uint8)).all(axis=2))
    assert len(dark) == 100  # one cell of 10 x 10 pixels
    (top, left), (bottom, right) = dark.min(axis=0), dark.max(axis=0)
    assert (bottom - top, right - left) == (9, 9)
    # What it draws next knows nothing of that.
    assert not (drawn.of(np.zeros_like(maps)) == SCALE[-1].astype(np.uint8)).all(axis=2).any()
    assert (drawn.of(maps) == picture).all()
    # Query 4 is three rows above key 7's column: the map's corner is as far left as up.
    assert [text for _, text in _labels(window(n), 10)] == list(window(n).texts)


def test_labels_of_a_long_window_keep_their_distance_and_have_the_answer():
    labels = list(_labels(window(300), 2))
    places = [index for index, _ in labels]
    assert min(b - a for a, b in itertools.pairwise(places)) >= 5
    assert {0, 5, 299} <= {*places} and len(places) > 40
