import numpy as np
import pytest

from qa_research.figures.attention import attention_over_steps
from tests.figures.drawn import collisions, texts
from tests.figures.synthetic import attention, tokens, window


def maps(figure):
    return [panel for panel in figure.axes if panel.images and panel.get_visible()]


def test_up_to_six_steps_are_shown_the_first_and_last_among_them():
    recording = attention(steps=range(0, 1_001, 100))
    panels = maps(attention_over_steps(recording, 0, 1, 1, tokens(30)))
    assert [panel.get_title() for panel in panels] == [
        f"step {step}" for step in (0, 200, 400, 600, 800, 1_000)
    ]


def test_a_map_holds_the_weights_of_that_step_without_padding():
    recording = attention((30, 24), layers=(0, 11))
    figure = attention_over_steps(recording, 1, 11, 0, tokens(24))
    shown = recording["weight"].sel(question=1, layer=11, step=[0, 100, 200])
    top = float(shown.isel(head=0).max())
    for panel, step in zip(maps(figure), [0, 100, 200], strict=True):
        (image,) = panel.images
        expected = recording["weight"].sel(question=1, layer=11, step=step)[0, :24, :24]
        np.testing.assert_array_equal(image.get_array(), expected.values.astype(float))
        assert panel.get_title() == f"step {step}" and image.get_clim() == (0, top)


def test_queries_run_downwards_and_the_true_tokens_are_bold_on_both_axes():
    figure = attention_over_steps(attention((24,)), 0, 0, 0, tokens(24))
    first, last = window(24)[2]
    panel = maps(figure)[0]
    assert panel.get_ylim() == (23.5, -0.5)
    for labels in (panel.get_xticklabels(), panel.get_yticklabels()):
        assert [label.get_text() for label in labels] == tokens(24)
        bold = [i for i, label in enumerate(labels) if label.get_fontweight() == "bold"]
        assert bold == [first, last]
    lines = [line.get_ydata()[0] for line in panel.lines[:1]]
    assert lines == [8.5]  # behind the question's last token


def test_even_attention_is_pale_and_no_colour_stands_for_more_than_all():
    even = attention((24,), steps=[0])
    (image,) = maps(attention_over_steps(even, 0, 0, 0, tokens(24)))[0].images
    assert image.get_clim() == pytest.approx((0, 10 / 24))
    even["weight"][:] = 1 / 8
    few = {"query": slice(8), "key": slice(8), "token": slice(8)}
    short = even.isel(few).assign_coords(tokens=("question", [8]))
    (image,) = maps(attention_over_steps(short, 0, 0, 0, tokens(24)[:8]))[0].images
    assert image.get_clim() == (0, 1)


def test_in_a_long_window_a_cell_shows_the_largest_weight_of_its_tokens():
    recording = attention((300,), steps=[0])
    recording["weight"][:] = 0.001
    recording["weight"][0, 0, 0, 0, 155, 8] = 0.9
    figure = attention_over_steps(recording, 0, 0, 0, tokens(300))
    (panel,) = maps(figure)
    shown = panel.images[0].get_array()
    assert shown.shape == (100, 100)
    assert np.argwhere(shown > 0.5).tolist() == [[155 // 3, 8 // 3]]
    assert panel.images[0].get_extent() == [-0.5, 299.5, 299.5, -0.5]
    shown = " ".join(text for text, _ in texts(figure))
    assert "a cell is the largest weight of 3 × 3 tokens" in shown


@pytest.mark.parametrize(("n_tokens", "n_steps"), [(14, 1), (384, 2), (61, 4), (30, 7)])
def test_no_text_touches_another(n_tokens, n_steps):
    recording = attention((n_tokens,), (11,), 1, np.arange(n_steps) * 200_000)
    figure = attention_over_steps(recording, 0, 11, 0, tokens(n_tokens))
    assert not collisions(figure)
    assert "layer 11, head 0" in " ".join(text for text, _ in texts(figure))


@pytest.mark.parametrize(("n_tokens", "named"), [(20, True), (64, True), (65, False)])
def test_up_to_64_tokens_are_all_named_and_others_are_said_to_be_missing(n_tokens, named):
    recording = attention((n_tokens,), (11,), 1, np.arange(6))
    figure = attention_over_steps(recording, 0, 11, 0, tokens(n_tokens), asked="Who teaches?")
    lower = maps(figure)[-1]
    assert (len(lower.get_xticks()) == n_tokens) == named
    shown = [text for text, _ in texts(figure)]
    assert (f"to token (key), some of {n_tokens} named …" in shown) == (not named)
    assert shown.count("Who teaches?") == 1 and not collisions(figure)


def test_a_diverged_training_still_has_its_figure():
    recording = attention()
    recording["weight"][1:] = np.nan
    assert not collisions(attention_over_steps(recording, 0, 0, 0, tokens(30)))


@pytest.mark.parametrize(
    ("question", "layer", "head", "message"),
    [
        (2, 0, 0, "question 2 is not recorded; recorded: 0, 1"),
        (0, 5, 0, "layer 5 is not recorded; recorded: 0, 11"),
        (0, 0, 2, "head 2 is not recorded; recorded: 0, 1"),
    ],
)
def test_what_is_not_recorded_is_refused(question, layer, head, message):
    with pytest.raises(ValueError, match=message):
        attention_over_steps(attention(layers=(0, 11)), question, layer, head, tokens(30))


def test_an_empty_recording_is_refused():
    with pytest.raises(ValueError, match="'weight' holds no step yet"):
        attention_over_steps(attention().isel(step=slice(0)), 0, 0, 0, tokens(30))
