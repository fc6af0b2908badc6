"""Gradients, updates and changes of all parameters, and the first gradient that explodes."""

import dataclasses
import logging

import numpy as np
import pytest
import torch

from qa_research.capture.forward import forward_watched
from qa_research.capture.recorders.dynamics import KINDS, DynamicsRecorder, kind_of, layer_of
from tests.capture.conftest import make_network


@pytest.fixture
def recorder(network, subject):
    made = DynamicsRecorder(histograms=True, explodes_at=100.0)
    made.prepare("capture.dynamics", subject(network))
    return made


def step(network, recorder, number, size=1.0, captured=True, only=""):
    """One step of plain descent on gradients of 1, or of that size where the name has `only`."""
    for name, parameter in network.named_parameters():
        parameter.grad = torch.full_like(parameter, size if only in name else 1.0)
    recorder.before_step(network, number, captured)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter -= 0.1 * parameter.grad.nan_to_num()


@pytest.mark.parametrize("kind", ["bert", "distilbert", "roberta", "electra"])
def test_every_parameter_of_a_layer_has_a_kind(kind, tokenizer):
    names = [name for name, _ in make_network(kind, len(tokenizer)).named_parameters()]
    counts = {k: sum(kind_of(name) == k for name in names) for k in KINDS}
    layers = {n for n in map(layer_of, names) if n >= 0}
    assert layers == {0, 1}
    for part in ("query", "key", "value", "attention_output", "mlp_in", "mlp_out"):
        assert counts[part] == 4, part  # two layers, weight and bias
    assert counts["head"] == 2 and counts["norm"] == 10 and counts["embeddings"] >= 2
    assert counts["other"] == (2 if kind == "electra" else 0)  # its embeddings' projection


def test_norms_updates_and_changes(network, watched, recorder):
    first = recorder.record(forward_watched(network, watched, 0))
    assert np.isnan(first["gradient_norm"].values).all() and not first["change"].values.any()
    before = [p.detach().clone() for p in network.parameters()]
    step(network, recorder, 1)
    step(network, recorder, 2)
    found = recorder.record(forward_watched(network, watched, 2))
    for i, (now, start) in enumerate(zip(network.parameters(), before, strict=True)):
        size = now.numel() ** 0.5
        assert found["gradient_norm"].values[i] == pytest.approx(size, rel=1e-5)
        assert found["change"].values[i] == pytest.approx(
            0.2 * size / start.norm().item(), rel=1e-3
        )
        between = (start - 0.1).norm().item()
        assert found["update_ratio"].values[i] == pytest.approx(0.1 * size / between, rel=1e-3)
    shown = recorder.summaries(found, with_pictures=False)
    assert shown.curves["dynamics_change/query 1"] > 0
    assert {"weights/qa_outputs.weight", "gradients/qa_outputs.weight"} <= set(shown.histograms)


@pytest.mark.parametrize(
    ("size", "phrase"), [(float("nan"), "is nan"), (1e4, "10000 times its usual size")]
)
def test_the_first_exploding_gradient_is_reported_once(network, recorder, caplog, size, phrase):
    for number in range(1, 31):
        step(network, recorder, number, captured=False)
    assert not caplog.records
    with caplog.at_level(logging.WARNING, "qa_research"):
        step(network, recorder, 31, size, captured=False, only="layer.1.attention.self")
        step(network, recorder, 32, size, captured=False)
    (record,) = caplog.records
    message = record.getMessage()
    assert "Step 31: the gradient of bert.encoder.layer.1.attention.self.value.bias" in message
    assert phrase in message and "followed by 5 others" in message


def test_a_gradient_that_recovers_is_reported_again_when_it_explodes_again(
    network, recorder, caplog
):
    with caplog.at_level(logging.WARNING, "qa_research"):
        # The very first step does not set what is usual.
        step(network, recorder, 1, float("inf"), captured=False, only="qa_outputs.bias")
        for number in range(2, 31):
            step(network, recorder, number, captured=False)
        step(network, recorder, 31, 1e6, captured=False, only="qa_outputs.weight")
    assert [r.getMessage().split(" is ")[0] for r in caplog.records] == [
        "Step 1: the gradient of qa_outputs.bias",
        "Step 31: the gradient of qa_outputs.weight",
    ]


def test_weights_or_the_loss_are_named_if_no_gradient_is_finite(network, recorder, caplog):
    with caplog.at_level(logging.WARNING, "qa_research"):
        step(network, recorder, 1, float("nan"), captured=False)
        step(network, recorder, 2, captured=False)
        with torch.no_grad():
            network.bert.encoder.layer[0].output.dense.weight[0, 0] = float("nan")
        step(network, recorder, 3, float("nan"), captured=False)
    first, second = (record.getMessage() for record in caplog.records)
    assert "the loss itself is not finite" in first
    assert "bert.encoder.layer.0.output.dense.weight is the first weight tensor" in second


def test_overflows_of_a_scaled_loss_are_not_reported(network, subject, caplog):
    about = dataclasses.replace(subject(network), is_scaled=True)
    scaled = DynamicsRecorder(histograms=False, explodes_at=100.0)
    scaled.prepare("capture.dynamics", about)
    with caplog.at_level(logging.WARNING, "qa_research"):
        step(network, scaled, 1, float("inf"), captured=False)
    assert not caplog.records


def test_what_is_usual_survives_a_restart(network, subject, recorder, caplog):
    for number in range(1, 31):
        step(network, recorder, number, captured=False)
    again = DynamicsRecorder(histograms=False, explodes_at=100.0)
    again.prepare("capture.dynamics", subject(network))
    again.set_state(recorder.state())
    with caplog.at_level(logging.WARNING, "qa_research"):
        step(network, again, 31, 1e4, captured=False)
    assert len(caplog.records) == 1
