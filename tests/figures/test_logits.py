import numpy as np
import pytest
from matplotlib.colors import to_hex

from qa_research.figures.logits import logits_at_three_steps, logits_over_steps
from qa_research.figures.panels import borders_of
from qa_research.figures.tokens import TRUE
from tests.figures.drawn import collisions, texts
from tests.figures.synthetic import logits, tokens, window


@pytest.mark.parametrize("row", ["start", "end"])
def test_the_heat_map_holds_the_logits_of_the_window_without_its_padding(row):
    recording = logits((30, 24))
    figure = logits_over_steps(recording, 1, tokens(24))
    panel = figure.axes[["start", "end"].index(row)]
    assert panel.get_title(loc="left") == f"{row} logits"
    (image,) = panel.images
    expected = recording["logit"].sel(question=1, row=row).values[:, :24]
    np.testing.assert_array_equal(image.get_array(), expected)


def test_both_maps_share_a_scale_that_is_white_at_zero():
    recording = logits()
    first, second = (
        panel.images[0] for panel in logits_over_steps(recording, 0, tokens(30)).axes[:2]
    )
    most = float(np.abs(recording["logit"].sel(question=0)).max())
    assert first.get_clim() == second.get_clim() == pytest.approx((-most, most))


def test_the_true_span_is_framed_its_tokens_are_bold_and_a_triangle_points_at_the_true_token():
    first, last = window(30)[2]
    figure = logits_over_steps(logits(), 0, tokens(30))
    for panel, true in zip(figure.axes[:2], (first, last), strict=True):
        (frame,) = panel.patches
        assert frame.get_xy() == (first - 0.5, 0)
        assert (frame.get_width(), frame.get_height()) == (last - first + 1, 1)
        (triangle,) = panel.lines
        assert triangle.get_xdata()[0] == true and triangle.get_marker() == "v"
    labels = figure.axes[1].get_xticklabels()
    assert [label.get_text() for label in labels] == tokens(30)
    bold = [i for i, label in enumerate(labels) if label.get_fontweight() == "bold"]
    assert bold == [first, last]
    assert {to_hex(labels[i].get_color()) for i in bold} == {TRUE}


def test_the_rows_are_the_captures_at_their_steps_to_scale():
    recording = logits(steps=[0, 1, 2, 4, 8, 16, 400])
    panel = logits_over_steps(recording, 0, tokens(30)).axes[0]
    labels = [label.get_text() for label in panel.get_yticklabels()]
    assert (
        labels
        == [str(int(place)) for place in panel.get_yticks()]
        == ["0", "100", "200", "300", "400"]
    )
    assert panel.get_ylim() == (-0.5, 592)
    assert borders_of(np.array([0, 1, 2, 4, 400])).tolist() == [-0.5, 0.5, 1.5, 3, 202, 598]
    assert borders_of(np.array([7])).tolist() == [6.5, 7.5]


def test_the_title_is_the_question_as_it_was_asked():
    figures = [
        draw(logits(), 0, tokens(30), asked="By whom is group B taught?")
        for draw in (logits_over_steps, logits_at_three_steps)
    ]
    for figure in figures:
        assert [text for text, _ in texts(figure)].count("By whom is group B taught?") == 1


def test_lines_are_the_first_middle_and_last_step_with_the_true_token_marked():
    recording = logits(steps=range(0, 501, 25))
    figure = logits_at_three_steps(recording, 0, tokens(30))
    for panel, row, true in zip(figure.axes, ("start", "end"), window(30)[2], strict=True):
        curves, marks = panel.lines[::2], panel.lines[1::2]
        for curve, mark, step in zip(curves, marks, (0, 250, 500), strict=True):
            expected = recording["logit"].sel(question=0, row=row, step=step)
            assert curve.get_label() == f"step {step}"
            np.testing.assert_array_equal(curve.get_ydata(), expected)
            assert (mark.get_xdata()[0], mark.get_ydata()[0]) == (true, expected[true])
        band = panel.patches[0].get_extents().transformed(panel.transData.inverted())
        assert (band.x0, band.x1) == pytest.approx((window(30)[2][0] - 0.5, window(30)[2][1] + 0.5))


@pytest.mark.parametrize(("steps", "shown"), [([50], [50]), ([0, 9], [0, 9])])
def test_fewer_steps_are_fewer_lines(steps, shown):
    panel = logits_at_three_steps(logits(steps=steps), 0, tokens(30)).axes[0]
    assert [line.get_label() for line in panel.lines[::2]] == [f"step {step}" for step in shown]


@pytest.mark.parametrize(
    ("n_tokens", "steps"),
    [(14, [50]), (60, range(0, 1_234_501, 12_345)), (75, [0, 1]), (384, range(0, 5_001, 50))],
)
@pytest.mark.parametrize("draw", [logits_over_steps, logits_at_three_steps])
def test_no_text_touches_another(draw, steps, n_tokens):
    figure = draw(logits((n_tokens,), steps), 0, tokens(n_tokens))
    assert not collisions(figure)
    shown = [text for text, _ in texts(figure)]
    assert ("ms lund" if n_tokens > 60 else "lund") in shown
    assert "who is the teacher for group k?" in shown


def test_no_answer_is_marked_at_the_cls_token():
    recording = logits()
    recording["true_first"][:] = recording["true_last"][:] = 0
    figure = logits_over_steps(recording, 0, tokens(30))
    assert figure.axes[0].patches[0].get_xy() == (-0.5, 0)
    assert figure.axes[1].get_xticklabels()[0].get_fontweight() == "bold"
    assert not collisions(figure)


@pytest.mark.parametrize("draw", [logits_over_steps, logits_at_three_steps])
def test_a_diverged_training_still_has_its_figure(draw):
    recording = logits()
    recording["logit"][5:] = np.nan
    assert not collisions(draw(recording, 0, tokens(30)))
    recording["logit"][:] = np.nan
    assert not collisions(draw(recording, 0, tokens(30)))


@pytest.mark.parametrize("draw", [logits_over_steps, logits_at_three_steps])
def test_what_is_not_recorded_is_refused(draw):
    with pytest.raises(ValueError, match="question 2 is not recorded; recorded: 0, 1"):
        draw(logits(), 2, tokens(30))
    with pytest.raises(ValueError, match="question 1 has 24 tokens in the recording, got 30"):
        draw(logits(), 1, tokens(30))
    with pytest.raises(ValueError, match="'logit' holds no step yet"):
        draw(logits().isel(step=slice(0)), 0, tokens(30))
    with pytest.raises(ValueError, match="no array 'logit' is recorded; recorded: loss"):
        draw(logits()[["loss"]], 0, tokens(30))
