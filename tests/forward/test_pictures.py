"""The pictures of an opened forward pass: which networks have which, and what is drawn in them."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgb

from qa_research.figures.panels import COLOURS, GREY
from qa_research.figures.reach import MOST_TOKENS
from qa_research.forward.opened import opened_pass
from qa_research.forward.pictures import pictures_of, write_pictures
from qa_research.model.encoder import EncoderSettings
from qa_research.model.one_number import (
    ConvolutionalNetwork,
    RecurrentNetwork,
    TransformerNetwork,
    UnusedEncoder,
)
from qa_research.runs.open import open_run
from qa_research.tasks.sequences.sequence import LabelledSequence
from qa_research.tasks.sequences.watched import watched_sequences
from qa_research.tasks.stages import passing_of
from tests.conftest import CONTEXT, make_question
from tests.figures.drawn import collisions, texts
from tests.model_folders import write_model

ROW = LabelledSequence("v1", "ttacgtacggtacc", 0.5, planted=(2, 3, 4))


def transformer(halts):
    torch.manual_seed(0)
    settings = EncoderSettings(8, 2, 8, 3, "rotary", 300, "all", 3, 0.0)
    return TransformerNetwork(4, settings, 1, "mean", halts)


def passed(network, row=ROW):
    watched = watched_sequences([("validation", row)])
    opened = SimpleNamespace(
        network=network.eval(),
        step=0,
        name="letters",
        label="best",
        passing=lambda row, n_best: passing_of(watched, True),
    )
    return opened_pass(opened, row)


def drawn(network, row=ROW):
    return pictures_of(passed(network, row), network)


@pytest.mark.parametrize(
    ("network", "names"),
    [
        (transformer(False), ["attention", "reach"]),
        (transformer(True), ["steps", "reach"]),
        (ConvolutionalNetwork(4, 8, 3, 1, "max", 0.0), ["reach"]),
        (RecurrentNetwork("lstm", 4, 8, 1), ["reach"]),
    ],
)
def test_each_network_is_drawn_as_far_as_it_has_something(network, names, tmp_path):
    figures = drawn(network)
    assert list(figures) == names
    assert not any(collisions(figure) for figure in figures.values())
    files = write_pictures(figures, tmp_path / "pictures", "svg")
    assert sorted(path.name for path in (tmp_path / "pictures").iterdir()) == sorted(
        f"{name}.svg" for name in names
    )
    assert all(path.is_file() for path in files.values())


def test_a_network_with_none_of_these_is_refused():
    with pytest.raises(ValueError, match=r"--figures draws .*; UnusedEncoder has none of these"):
        drawn(UnusedEncoder(4, 1, 20))


def test_a_recurrent_network_sees_what_came_before():
    (panel,) = drawn(RecurrentNetwork("rnn", 4, 8, 1))["reach"].axes
    seen = np.array([bar.get_height() for bar in panel.patches])
    middle = len(ROW.letters) // 2
    assert np.isfinite(seen[: middle + 1]).all() and np.isnan(seen[middle + 1 :]).all()


def test_bars_are_what_each_token_receives_and_marked_ones_are_coloured():
    network = transformer(False)
    found = passed(network)
    figure = pictures_of(found, network)["attention"]
    assert len(figure.axes) == 3
    weights = found.tensors["layer 1: attention"][0].numpy()
    received = weights.mean(axis=(0, 1))
    panel = figure.axes[1]
    np.testing.assert_allclose([bar.get_height() for bar in panel.patches], received, rtol=1e-5)
    coloured = [bar.get_facecolor()[:3] == to_rgb(COLOURS[1]) for bar in panel.patches]
    assert np.flatnonzero(coloured).tolist() == list(ROW.planted)
    share = received[list(ROW.planted)].sum()
    expected = f"layer 1: {share:.0%} goes to motif tokens, which are 21% of all"
    assert panel.get_title("left") == expected


def test_of_a_long_example_the_first_tokens_are_drawn_and_the_picture_says_so():
    figure = drawn(transformer(False), LabelledSequence("v", "acgt" * 40, 0.0))["attention"]
    assert all(len(panel.patches) == MOST_TOKENS for panel in figure.axes)
    assert f"the first {MOST_TOKENS} of 160 tokens" in [text for text, _ in texts(figure)]
    assert {to_rgb(GREY)} == {bar.get_facecolor()[:3] for bar in figure.axes[0].patches}


def test_steps_until_it_halts_are_in_the_picture_the_table_and_a_sentence():
    network = transformer(True)
    with torch.no_grad():
        # Without a weight all halt alike, at the third step.
        network.encoder.halt.weight.zero_()
    found = passed(network)
    (panel,) = pictures_of(found, network)["steps"].axes
    steps = found.tensors["steps"][0].tolist()
    assert [bar.get_height() for bar in panel.patches] == steps == [3.0] * len(ROW.letters)
    assert panel.get_ylim() == (0, 3)
    model = found.stages[2]
    assert model.tables[1].columns == ("number", "token", "steps")
    assert model.tables[1].rows[2] == (2, "a", 3)
    assert (
        "3.00 times on average, 3.00 to motif tokens and 3.00 to the others." in model.sentences[-1]
    )


def test_attention_of_a_question_has_a_panel_for_each_layer(tokenizer, tmp_path):
    opened = open_run(write_model(tmp_path / "bert", tokenizer, "bert"), runs=tmp_path / "runs")
    found = opened_pass(opened, make_question(7, "Who teaches chess?", "Ms Lund"), 4)
    figures = pictures_of(found, opened.network)
    assert list(figures) == ["attention"]
    panels = figures["attention"].axes
    assert len(panels) == opened.network.config.num_hidden_layers
    assert not collisions(figures["attention"])
    assert CONTEXT and "goes to answer tokens" in panels[0].get_title("left")
