"""The matrices of a run, read back from its checkpoints, as the verb tells and draws them."""

import json

import numpy as np
import pytest
import torch

from qa_research.runs.checkpoints import load_network_weights
from qa_research.runs.open import open_run
from qa_research.weights.figure import weights_figure
from qa_research.weights.measuring import measure
from tests.figures.drawn import collisions
from tests.tiny_run import train
from tests.training.reading import directory_of


@pytest.fixture
def run(tiny):
    config = tiny("capture=none", "checkpoint.keep_every_n_steps=2")
    train(config)
    return directory_of(config)


def files(run):
    return [(str(step), step, run / f"checkpoints/step-{step:06d}.ckpt") for step in (2, 4, 6)]


def test_matrices_and_heads_are_those_of_the_checkpoints(run):
    found = measure(open_run(run, "6"), files(run))
    tensors = [load_network_weights(path) for _, _, path in files(run)]
    names = {name for name, tensor in tensors[0].items() if tensor.ndim == 2}
    assert {one.name for one in found.matrices} == names
    (query,) = [
        one for one in found.matrices if one.name.endswith("layer.1.attention.self.query.weight")
    ]
    assert (query.kind, query.layer, query.shape) == ("query", 1, (16, 16))
    assert [at.step for at in query.steps] == [2, 4, 6]
    before, after = (t[query.name] for t in tensors[:2])
    rate = float((after - before).norm() / before.norm()) / 2
    assert query.steps[1].rate == pytest.approx(rate, rel=1e-5) and query.steps[0].rate is None
    # Head 1 of layer 1, made whole.
    key = tensors[2][query.name.replace("query", "key")]
    whole = tensors[2][query.name][8:].T @ key[8:]
    values = torch.linalg.svdvals(whole.double()).numpy()
    (head,) = [
        one for one in found.heads if (one.layer, one.head, one.product) == (1, 1, "query-key")
    ]
    expected = (values**2).sum() ** 2 / (values**4).sum()
    assert head.steps[-1].spread.participation == pytest.approx(expected, rel=1e-6)
    assert len(found.heads) == 2 * 2 * 2 and head.width == 8 and not found.notes
    assert not collisions(weights_figure(found))


def test_what_is_carried_over_is_the_value_through_the_output(run):
    found = measure(open_run(run, "6"), files(run)[-1:])
    tensors = load_network_weights(files(run)[-1][2])
    stem = "bert.encoder.layer.0.attention."
    whole = tensors[f"{stem}output.dense.weight"][:, :8] @ tensors[f"{stem}self.value.weight"][:8]
    values = torch.linalg.svdvals(whole.double()).numpy()
    (head,) = [
        one for one in found.heads if (one.layer, one.head, one.product) == (0, 0, "value-output")
    ]
    shares = values[values > 1e-12] / values.sum()
    expected = np.exp(-(shares * np.log(shares)).sum())
    assert head.steps[0].spread.effective_rank == pytest.approx(expected, rel=1e-4)


def test_the_verb_writes_what_it_tells(run, verb, tmp_path):
    code, out, _ = verb("weights", str(run), "--out", str(tmp_path), "--json")
    told = json.loads(out)
    assert code == 0 and told["checkpoints"] == ["2", "4", "6"]
    assert json.loads((tmp_path / "weights.json").read_text()).items() <= told.items()
    assert (tmp_path / "weights.png").stat().st_size > 10_000
    head = next(one for one in told["heads"])
    assert head["steps"][0]["spread"]["redundancy"] is None
    code, out, _ = verb("weights", str(run), "--steps", "2, 6", "--out", str(tmp_path))
    assert code == 0 and "Weights of checkpoint 6, changes since 2" in out
    code, _, err = verb("weights", str(run), "--steps", "3", "--out", str(tmp_path))
    assert code == 2 and "there is no checkpoint 3; this run has best, last, 2, 4, 6" in err


def test_a_network_without_layers_has_matrices_and_no_heads(composed, tmp_path, cache, verb):
    config = composed(
        "+experiment=sequence_cnn",
        *("data.made_train=44", "data.made_validation=40", "trainer.max_epochs=1"),
        *("capture=none", "train.progress=none", "logger.graph=false"),
        *(f"paths.runs={tmp_path}", f"paths.cache={cache}"),
    )
    train(config)
    code, out, err = verb("weights", str(directory_of(config)), "--out", str(tmp_path / "out"))
    assert code == 0, err
    assert "no heads" in out or "no attention" in out or "no layers" in out
