"""A whole probing of a tiny run: from its checkpoints, and from its recording."""

import numpy as np
import pytest

from qa_research.capture.recording.files import RECORDING
from qa_research.capture.recording.reader import Recording
from qa_research.capture.sites import Site
from qa_research.cli.verbs import run
from qa_research.model.untrained import untrained
from qa_research.probe.activations import activations_of, batches, sites_of
from qa_research.probe.figure import probe_figure
from qa_research.probe.labels import NAMES, items_of
from qa_research.probe.probing import ProbeRequest, probe_recording, probe_steps
from qa_research.runs.open import open_run
from tests.tiny_run import TINY

REQUEST = ProbeRequest(read=(), questions=100, random=2, seed=1)
FEW = ("data.train_questions=48", "data.validation_questions=48", "trainer.max_steps=4")
RECORDED = ("capture/recorders=[activations]", "capture.questions=96", "capture.every_n_steps=4")


@pytest.fixture(scope="module")
def directory(cache, tmp_path_factory):
    """A tiny run that recorded the activations of all its questions."""
    runs = tmp_path_factory.mktemp("runs")
    places = (f"paths.runs={runs}", f"paths.cache={cache}", "logger.graph=false")
    assert run(["train", *TINY, *FEW, *RECORDED, *places]) == 0
    return next(path.parent for path in runs.rglob("run.json"))


def test_every_label_is_read_at_every_site_and_erased_once(directory):
    found = probe_steps([open_run(directory, "last")], REQUEST)
    assert found.notes == () or "chose" in found.notes[0]
    assert set(found.classes) <= set(NAMES) and {"answer", "kind", "position"} <= set(found.classes)
    for name in found.classes:
        sites = [one.site for one in found.readings if one.label == name]
        assert sites == ["embeddings", "layer 0", "layer 1"]
    assert [one.label for one in found.erasings] == list(found.classes)
    assert all(len(one.random) == REQUEST.random for one in found.erasings)
    assert probe_figure(found).axes


def test_the_same_seed_reads_the_same_and_another_draws_others(directory):
    opened, one = open_run(directory, "last"), ProbeRequest(("kind",), 60, 1, 1)
    first, again = (probe_steps([opened], one) for _ in range(2))
    assert first == again
    assert probe_steps([opened], ProbeRequest(("kind",), 60, 1, 2)).readings != first.readings


def test_a_recording_gives_what_the_network_computes(directory):
    found = probe_recording(open_run(directory, "last"), Recording(directory / RECORDING), REQUEST)
    steps = list(dict.fromkeys(one.step for one in found.readings))
    assert steps == Recording(directory / RECORDING).read("activations")["step"].values.tolist()
    assert found.erasings == ()
    assert probe_figure(found).axes


def test_an_untrained_network_has_other_weights_and_the_trained_one_keeps_its_own(directory):
    opened = open_run(directory, "last")
    before = {name: value.clone() for name, value in opened.network.state_dict().items()}
    fresh = untrained(opened.network, 1)
    name = "bert.encoder.layer.0.output.dense.weight"
    assert not fresh.state_dict()[name].equal(before[name])
    assert untrained(opened.network, 1).state_dict()[name].equal(fresh.state_dict()[name])
    assert all(value.equal(before[n]) for n, value in opened.network.state_dict().items())


def test_activations_are_the_hidden_states_of_the_network(directory):
    opened = open_run(directory, "last")
    (watched,) = batches(opened, opened.own("validation").rows[:4])
    found = activations_of(opened.network, [watched], sites_of(opened.network), "")
    wanted = opened.network(**watched.inputs, output_hidden_states=True).hidden_states
    length = len(watched.examples[0].tokens)
    np.testing.assert_allclose(
        found.values[Site("layer_output", 1)][0], wanted[2][0, :length].detach().numpy(), atol=1e-5
    )


def test_no_text_trains_a_probe_and_scores_it(directory):
    found = probe_steps([open_run(directory, "last")], ProbeRequest(("kind",), 40, 1, 3))
    assert found.trained_on + found.scored_on == 40
    assert found.texts < found.scored_on or found.texts <= 40


def test_what_cannot_be_probed_is_one_sentence(directory):
    opened = open_run(directory, "last")
    with pytest.raises(ValueError, match="20 or more texts"):
        probe_steps([opened], ProbeRequest((), 5, 1, 1))
    rows = [row for row in opened.own("validation").rows if row.kind == "match"]
    (watched,) = batches(opened, rows[:8])
    with pytest.raises(ValueError, match="--read kind has only the class 'match'"):
        items_of("kind", watched.examples, [""] * 8, 1)
    with pytest.raises(ValueError, match="--read group has no class"):
        items_of("group", watched.examples, [""] * 8, 1)
