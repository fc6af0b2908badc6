import numpy as np
import pytest

from qa_research.figures.curves import NoFit, fit_decay, levels_off, question_losses, training_loss
from tests.figures.drawn import collisions, texts
from tests.figures.synthetic import logits

STEPS = np.arange(10, 1_010, 10)
LOSSES = 4 * np.exp(-STEPS / 150) + 0.6 + np.random.default_rng(0).normal(0, 0.2, 100)


def test_training_loss_shows_the_losses_the_fit_its_band_and_formula():
    fit = fit_decay(STEPS, LOSSES)
    figure = training_loss(STEPS, LOSSES, fit)
    (panel,) = figure.axes
    measured, fitted = panel.lines
    np.testing.assert_array_equal(measured.get_xydata(), np.stack([STEPS, LOSSES], 1))
    np.testing.assert_allclose(fitted.get_ydata(), fit.at(fitted.get_xdata()))
    low, high = fit.band(fitted.get_xdata())
    edge = panel.collections[0].get_paths()[0].vertices[:, 1]
    assert (edge.min(), edge.max()) == pytest.approx((low.min(), high.max()))
    legend = [text.get_text() for text in panel.get_legend().get_texts()]
    assert legend[:2] == ["training batches", "95 % band of the fit"]
    assert legend[2].startswith(f"{fit.a:.2f} exp(−(step − 10) / {1 / fit.b:.0f}) + {fit.c:.3f}")
    assert f"R² = {fit.r2:.2f}" in legend[2]
    assert not collisions(figure)


def test_where_the_loss_levels_off_has_an_interval():
    fit = fit_decay(STEPS, LOSSES)
    low, high = fit.level
    assert low < 0.6 < high and high - low < 0.2
    assert levels_off(fit) == (
        f"If it goes on falling like this, it levels off at {fit.c:.3g} [{low:.3g}, {high:.3g}] nats, 95 % "
        "(for independent noise of equal size at all steps)."
    )
    label = training_loss(STEPS, LOSSES, fit).axes[0].get_xlabel()
    assert label.replace("\n", " ").endswith(levels_off(fit))


def test_a_level_that_may_be_below_zero_is_not_determined():
    # At the last step three quarters of the fall are behind, and the noise is large.
    steps = np.arange(400.0)
    losses = 5 * np.exp(-steps / 300) + 0.1 + np.random.default_rng(1).normal(0, 0.5, 400)
    fit = fit_decay(steps, losses)
    assert fit.level[0] < 0
    assert levels_off(fit).startswith("These steps do not say where the loss levels off: at ")
    assert not collisions(training_loss(steps, losses, fit))


def test_training_loss_says_why_there_is_no_fit():
    figure = training_loss([1, 2], [3.0, 2.5], fit_decay([1, 2], [3.0, 2.5]))
    (panel,) = figure.axes
    assert len(panel.lines) == 1 and not panel.collections
    shown = [text for text, _ in texts(figure)]
    assert "No fit: a decay needs losses at 5 steps or more, and there are 2." in shown
    assert not collisions(figure)


@pytest.mark.parametrize(("first", "c"), [(0, 0.6), (1_234_567, -56.7)])
def test_the_formula_says_zero_and_signs_as_a_reader_would(first, c):
    steps = np.arange(first, first + 500.0)
    losses = 120 * np.exp(-(steps - first) / 90) + c
    figure = training_loss(steps, losses, fit_decay(steps, losses))
    formula = figure.axes[0].lines[1].get_label()
    since = "(step − 1.23457e+06)" if first else "step"
    sign = "+ 0.600" if c > 0 else "− 56.7"
    assert formula == f"120 exp(−{since} / 90.0) {sign};  R² = 1.00"
    assert not collisions(figure)


@pytest.mark.parametrize(("steps", "losses"), [([], []), ([1, 2], [1.0])])
def test_training_loss_refuses_anything_but_a_curve(steps, losses):
    with pytest.raises(ValueError, match="every step needs a loss"):
        training_loss(steps, losses, NoFit("nothing"))


@pytest.mark.parametrize("steps", [[50], range(0, 5_001, 20)])
def test_question_losses_shows_both_losses_the_probability_and_when_the_answer_is_right(steps):
    recording = logits(steps=steps)
    figure = question_losses(recording, 1)
    above, below = figure.axes
    start, end, even = above.lines
    np.testing.assert_array_equal(start.get_xdata(), recording["step"])
    np.testing.assert_array_equal(start.get_ydata(), recording["loss"].sel(question=1, row="start"))
    np.testing.assert_array_equal(end.get_ydata(), recording["loss"].sel(question=1, row="end"))
    assert even.get_ydata()[0] == pytest.approx(np.log(24))
    probability, wrong, right = below.lines
    expected = recording["probability"].sel(question=1).values
    np.testing.assert_allclose(probability.get_ydata(), expected)
    is_right = recording["exact_match"].sel(question=1).values == 1
    np.testing.assert_array_equal(np.isfinite(right.get_ydata()), is_right)
    np.testing.assert_array_equal(np.isfinite(wrong.get_ydata()), ~is_right)
    assert not collisions(figure)


def test_a_diverged_training_still_has_its_figure():
    recording = logits()
    recording["loss"][5:] = np.nan
    recording["probability"][5:] = np.nan
    assert not collisions(question_losses(recording, 0))


def test_question_losses_names_what_is_recorded():
    with pytest.raises(ValueError, match="question 7 is not recorded; recorded: 0, 1"):
        question_losses(logits(), 7)
    with pytest.raises(ValueError, match="'loss' holds no step yet"):
        question_losses(logits().isel(step=slice(0)), 0)
