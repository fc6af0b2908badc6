import numpy as np
import pytest

from qa_research.figures.logits import unit_by_token
from tests.figures.drawn import collisions, texts
from tests.figures.synthetic import activations, tokens, window


def test_few_layers_are_a_line_each_at_the_last_step():
    recording = activations(layers=(0, 11))
    figure = unit_by_token(recording, "context", 1, 3, tokens(24))
    (panel,) = figure.axes
    for line, layer in zip(panel.lines, (0, 11), strict=True):
        expected = recording["context"].sel(question=1, layer=layer, step=200).values[:24, 3]
        np.testing.assert_array_equal(line.get_ydata(), expected.astype(float))
        assert line.get_label() == f"layer {layer}"
    band = panel.patches[0].get_extents().transformed(panel.transData.inverted())
    assert band.x0 == pytest.approx(window(24)[2][0] - 0.5)


def test_many_layers_are_a_heat_map_with_the_true_span_framed():
    recording = activations(layers=range(2, 9))
    figure = unit_by_token(recording, "layer_output", 0, 5, tokens(30))
    panel = figure.axes[0]
    expected = recording["layer_output"].sel(question=0, step=200).values[:, :, 5]
    np.testing.assert_array_equal(panel.images[0].get_array(), expected.astype(float))
    assert [label.get_text() for label in panel.get_yticklabels()] == list("2345678")
    (frame,) = panel.patches
    assert frame.get_xy() == (window(30)[2][0] - 0.5, 0) and frame.get_height() == 1


def test_the_site_the_unit_and_the_step_are_always_named():
    recording = activations()
    for place in ("context", "layer_output", "embeddings"):
        shown = " ".join(
            text for text, _ in texts(unit_by_token(recording, place, 0, 3, tokens(30)))
        )
        assert f"unit 3 of {place}, step 200" in shown
        assert recording[place].attrs.get("long_name", "") in shown


def test_embeddings_have_no_layer_and_are_one_line():
    recording = activations(steps=[0])
    (panel,) = unit_by_token(recording, "embeddings", 0, 2, tokens(30)).axes
    (line,) = panel.lines
    expected = recording["embeddings"].sel(question=0, step=0).values[:, 2]
    np.testing.assert_array_equal(line.get_ydata(), expected.astype(float))
    assert panel.get_legend() is None


@pytest.mark.parametrize(
    ("n_tokens", "layers"), [(14, (0,)), (60, range(12)), (60, (0, 4, 8, 11)), (384, range(12))]
)
def test_no_text_touches_another(n_tokens, layers):
    recording = activations((n_tokens,), layers, steps=[1_234_567])
    recording["context"].attrs["long_name"] = "What the heads put together, " * 4
    assert not collisions(unit_by_token(recording, "context", 0, 3, tokens(n_tokens)))


def test_a_diverged_training_still_has_its_figure():
    recording = activations(layers=range(6))
    recording["context"][:] = np.nan
    assert not collisions(unit_by_token(recording, "context", 0, 3, tokens(30)))


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        (("mlp", 0, 3), "no array 'mlp' is recorded; recorded: context, "),
        (("context", 5, 3), "question 5 is not recorded; recorded: 0, 1"),
        (("context", 0, 8), "unit 8 is not recorded; recorded: 0 to 7"),
    ],
)
def test_what_is_not_recorded_is_refused(chosen, message):
    with pytest.raises(ValueError, match=message):
        unit_by_token(activations(), *chosen, tokens(30))


def test_an_empty_recording_is_refused():
    with pytest.raises(ValueError, match="'context' holds no step yet"):
        unit_by_token(activations().isel(step=slice(0)), "context", 0, 3, tokens(30))
