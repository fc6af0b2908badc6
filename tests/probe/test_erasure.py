"""A planted direction: found at its layer and later, not before; gone when it is erased, and only then."""

import numpy as np
import pytest
import torch

from qa_research.capture.forward import changed
from qa_research.capture.sites import Site, module_of
from qa_research.probe.activations import activations_of, batches, sites_of
from qa_research.probe.erasure import Whitening, erased
from qa_research.probe.linear import predicted
from qa_research.runs.open import open_run
from tests.conftest import make_question
from tests.model_folders import write_model

LAYER = 0


@pytest.fixture
def opened(tokenizer, tmp_path):
    return open_run(write_model(tmp_path / "bert", tokenizer, "bert"), runs=tmp_path / "runs")


def planted(opened, count=64):
    """One token at each site in many passes, half of them with a direction added; and which have it."""
    (watched,) = batches(
        opened, [make_question(n, "Who teaches chess?", "Ms Lund") for n in range(8)]
    )
    sites = sites_of(opened.network)
    rng = np.random.default_rng(1)
    direction = torch.from_numpy(rng.standard_normal(opened.network.config.hidden_size)).float()
    values = {site: [] for site in sites}
    labels = np.arange(count) % 2
    for label in labels:
        # Noise in the embeddings, so that no two passes are equal.
        shift = torch.from_numpy(rng.standard_normal(len(direction))).float() * 0.1
        changes = {
            Site("embeddings"): lambda found, shift=shift: found + shift,
            Site("layer_output", LAYER): lambda found, label=label: found + int(label) * direction,
        }
        with changed(opened.network, changes):
            found = activations_of(opened.network, [watched], sites, "")
        for site in sites:
            values[site].append(found.values[site][0][2])
    return {site: np.stack(own).astype(float) for site, own in values.items()}, labels


def accuracy(values, labels):
    half = len(labels) // 2
    return (predicted(values[:half], labels[:half], values[half:], 1) == labels[half:]).mean()


def test_a_planted_direction_is_read_from_its_layer_on_and_not_before(opened):
    values, labels = planted(opened)
    read = {site: accuracy(own, labels) for site, own in values.items()}
    assert read[Site("embeddings")] < 0.75
    assert read[Site("layer_output", 0)] == read[Site("layer_output", 1)] == 1.0


def test_erasing_what_was_found_leaves_chance_and_random_directions_leave_it_all():
    rng = np.random.default_rng(2)
    labels = np.arange(800) % 2
    values = rng.standard_normal((800, 12)) @ rng.standard_normal((12, 12))
    values += 4 * labels[:, None] * rng.standard_normal(12)
    assert accuracy(values, labels) > 0.95
    whitening = Whitening.of(values[:400])
    found = whitening.found(values[:400], labels[:400], 2)
    assert found.directions == 1
    assert accuracy(found(values), labels) < 0.6
    for _ in range(5):
        assert accuracy(whitening.random(1, rng)(values), labels) > 0.9


def test_no_class_is_left_apart_from_another_after_erasing():
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 4, 300)
    values = rng.standard_normal((300, 9)) + np.eye(9)[labels]
    found = Whitening.of(values).found(values, labels, 4)
    assert found.directions == 3
    means = np.stack([found(values)[labels == each].mean(axis=0) for each in range(4)])
    np.testing.assert_allclose(means, np.broadcast_to(means[0], means.shape), atol=1e-9)


def test_a_hook_erases_what_the_eraser_erases_and_none_remains(opened):
    site = Site("layer_output", LAYER)
    (watched,) = batches(opened, [make_question(1, "Who teaches chess?", "Ms Lund")])
    before = activations_of(opened.network, [watched], [site], "").values[site][0].astype(float)
    eraser = Whitening.of(before).random(2, np.random.default_rng(1))
    with erased(opened.network, site, eraser):
        after = activations_of(opened.network, [watched], [site], "").values[site][0]
    np.testing.assert_allclose(after, eraser(before), atol=1e-4)
    with pytest.raises(ValueError, match="stop"), erased(opened.network, site, eraser):
        raise ValueError("stop")
    assert not module_of(opened.network, site)[0]._forward_hooks
