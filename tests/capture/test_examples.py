"""Recorders of networks that say one thing of an example: a label of a pair, a number of a sequence."""

import numpy as np
import pytest
import torch

from qa_research.capture.forward import forward_watched
from qa_research.capture.recorders.activations import ActivationsRecorder
from qa_research.capture.recorders.attention import AttentionRecorder
from qa_research.capture.recorders.attribution import AttributionRecorder
from qa_research.capture.recorders.batch_attention import BatchAttentionRecorder
from qa_research.capture.recorders.dynamics import DynamicsRecorder
from qa_research.capture.recorders.head_weights import HeadWeightsRecorder
from qa_research.capture.recorders.heads import HeadsRecorder
from qa_research.capture.recorders.logits import LogitsRecorder
from qa_research.capture.recorders.outputs import OutputsRecorder
from qa_research.capture.sites import FINAL, Anatomy, output_layer
from qa_research.model.places import Places
from tests.capture.examples import (
    Letters,
    pair_network,
    record_training,
    subject_of,
    watched_letters,
    watched_pairs,
)


def of_examples() -> dict:
    return {
        "outputs": OutputsRecorder(),
        "head_weights": HeadWeightsRecorder(),
        "attention": AttentionRecorder(None, "float32"),
        "heads": HeadsRecorder(None),
        "activations": ActivationsRecorder(
            ["embeddings", "context", "layer_output"], None, None, "float32"
        ),
        "dynamics": DynamicsRecorder(False, 1000.0),
    }


def test_all_of_a_pair_is_recorded_and_is_what_the_network_computes(tokenizer, tmp_path):
    network, watched = pair_network(len(tokenizer)), watched_pairs(tokenizer)
    found = record_training(network, watched, of_examples(), tmp_path / "recording.zarr")
    assert found.damage() == []
    outputs = found.read("outputs")
    assert outputs["row"].values.tolist() == ["different", "same"]
    assert outputs["true_label"].values.tolist() == ["same", "different", "different"]
    shares = torch.from_numpy(outputs["logit"].values).softmax(dim=2)
    true = outputs["probability"].values
    assert np.allclose(shares[:, [0, 1, 2], [1, 0, 0]], true, atol=1e-6)
    assert np.allclose(-np.log(true), outputs["loss"], atol=1e-5)
    assert (outputs["exact_match"].values == (true > 0.5)).all()
    assert outputs["loss"].values[-1].mean() < outputs["loss"].values[0].mean()
    weights = found.read("head_weights")["weight"]
    assert weights.dims == ("step", "row", "unit") and "classifier.weight" in weights.long_name
    heads = found.read("heads")
    assert heads["source"].values.tolist() == ["all", "cls", "first", "sep", "second"]
    total = heads["group_weight"].sel(source="all").sum("target")
    assert np.allclose(total, 1, atol=5e-3)
    network.set_attn_implementation("eager")
    network.eval()
    fresh = forward_watched(network, watched, 0, attention_sites(network))
    with torch.no_grad():
        wanted = network(**watched.inputs, output_attentions=True).attentions
    for layer in (0, 1):
        seen = watched.mask[:, None, :, None].expand_as(wanted[layer])
        assert (fresh.attention(layer) - wanted[layer])[seen].abs().max() < 1e-5


def attention_sites(network) -> list:
    anatomy = Anatomy(network)
    return [site for layer in range(anatomy.layers) for site in anatomy.attention_sites(layer)]


def test_a_network_of_our_own_says_where_it_computes_what(tmp_path):
    network, watched = Letters(), watched_letters()
    found = record_training(network, watched, of_examples(), tmp_path / "recording.zarr")
    assert found.damage() == []
    outputs, attention = found.read("outputs"), found.read("attention")
    assert outputs["true_value"].values.tolist() == [1, -1, 1]
    assert np.allclose(outputs["prediction"] - outputs["true_value"], outputs["error"])
    assert attention["weight"].sizes["layer"] == 1 and attention["weight"].sizes["head"] == 2
    marked = attention["marked"].values.astype(bool)
    for i, row in enumerate(watched.examples):
        assert tuple(np.flatnonzero(marked[i])) == row.marked
        text = "".join(np.array(row.tokens)[list(row.marked)])
        assert text == ("gattaca" if row.marked else "")
    rows = found.read("heads")["group_weight"]
    assert rows["target"].values.tolist() == ["letter", "motif"]
    assert np.isnan(rows.sel(target="motif").isel(question=1)).all(), "it has no motif"
    places = found.read("activations")
    assert places["layer_output"].dims == ("step", "question", "layer", "token", "unit")
    final = forward_watched(network, watched, 0, [FINAL]).values[FINAL]
    assert final.shape == (3, 16), "the head reads one vector of each sequence"


def test_weights_are_computed_as_the_network_says(tmp_path):
    network, watched = Letters(), watched_letters()

    def first_only(layer, query, key, mask):
        weights = torch.zeros(*query.shape[:2], query.shape[1])[:, None].repeat(1, 2, 1, 1)
        weights[..., 0] = 1
        return weights

    network.places = Places(**{**vars(network.places), "attends": first_only})
    found = forward_watched(network, watched, 0, attention_sites(network)).attention(0)
    assert (found[..., 0] == 1).all() and (found[..., 1:] == 0).all()


@pytest.mark.parametrize("recorder", [LogitsRecorder(), AttributionRecorder()])
def test_recorders_of_start_and_end_scores_are_refused_with_what_there_is(recorder):
    about = subject_of(Letters(), watched_letters())
    with pytest.raises(ValueError, match="puts out one number for each example") as caught:
        recorder.check_task("capture.x", about)
    assert "capture/recorders may have: outputs, " in str(caught.value)


def test_outputs_are_refused_for_questions(network, subject):
    with pytest.raises(ValueError, match="may have: logits, attribution"):
        OutputsRecorder().check_task("capture.outputs", subject(network))


@pytest.mark.parametrize(
    "recorder",
    [
        AttentionRecorder(None, "float16"),
        HeadsRecorder(None),
        BatchAttentionRecorder(0, None, "float16"),
        ActivationsRecorder(["layer_output"], None, None, "float16"),
    ],
)
def test_a_network_without_layers_has_no_attention(recorder):
    network = Letters()
    network.places = Places(head="head")
    with pytest.raises(ValueError, match="has no layers to look into"):
        recorder.prepare("capture.x", subject_of(network, watched_letters()))


def test_what_a_network_lacks_is_named():
    network = Letters()
    with pytest.raises(ValueError, match="this network has no mlp; it has: query, key, context"):
        ActivationsRecorder(["mlp"], None, None, "float16").prepare(
            "capture.x", subject_of(network, watched_letters())
        )
    assert output_layer(network) is network.head
    del network.places
    with pytest.raises(ValueError, match="a Letters does not declare what it computes where"):
        output_layer(network)
