import numpy as np
import pytest

from qa_research.figures.curves import DecayFit, NoFit, fit_decay, outline


@pytest.mark.parametrize("last_step", [30, 1_000, 15_000, 1_000_000])
def test_an_exact_decay_is_found_whatever_the_scale_of_the_steps(last_step):
    steps = np.linspace(0, last_step, 200)
    b = 7 / last_step
    fit = fit_decay(steps, 4 * np.exp(-b * steps) + 0.6)
    assert isinstance(fit, DecayFit)
    assert (fit.a, fit.b, fit.c) == pytest.approx((4, b, 0.6), rel=1e-6)
    assert fit.r2 == pytest.approx(1) and fit.first_step == 0 and fit.n == 200


@pytest.mark.parametrize("scale", [1e-6, 1, 1e6])
def test_losses_of_any_size_and_a_late_first_step_fit_as_well(scale):
    steps = np.arange(200_000, 201_000, 10)
    losses = scale * (3 * np.exp(-(steps - 200_000) / 150) + 1)
    fit = fit_decay(steps, losses)
    assert (fit.a, 1 / fit.b, fit.c) == pytest.approx((3 * scale, 150, scale), rel=1e-5)
    np.testing.assert_allclose(fit.at(steps), losses, rtol=1e-6)


def test_the_order_of_the_steps_does_not_matter():
    steps = np.arange(50.0)
    losses = 2 * np.exp(-steps / 9) + 1
    fit, turned = fit_decay(steps, losses), fit_decay(steps[::-1], losses[::-1])
    assert (turned.a, turned.b, turned.c) == pytest.approx((fit.a, fit.b, fit.c))


@pytest.mark.parametrize("n", [25, 300])
def test_the_band_covers_the_true_curve_at_19_steps_in_20(n):
    steps = np.linspace(1, 15_000, n)
    true = 4 * np.exp(-(steps - 1) / 900) + 0.6
    covered = []
    for seed in range(120):
        noise = np.random.default_rng(seed).normal(0, 0.3, n)
        low, high = fit_decay(steps, true + noise).band(steps)
        covered.append(np.mean((low <= true) & (true <= high)))
    assert 0.91 <= np.mean(covered) <= 0.98
    assert np.mean(np.array(covered) > 0.5) > 0.9


def test_the_band_narrows_with_more_losses_and_encloses_the_curve():
    widths = []
    for n in (40, 4_000):
        steps = np.linspace(0, 15_000, n)
        noise = np.random.default_rng(0).normal(0, 0.3, n)
        fit = fit_decay(steps, 4 * np.exp(-steps / 900) + 0.6 + noise)
        low, high = fit.band([7_000])
        assert low < fit.at([7_000]) < high
        widths.append(float(high[0] - low[0]))
    assert widths[1] == pytest.approx(widths[0] / 10, rel=0.3)


def test_standard_errors_agree_with_the_spread_over_repetitions():
    steps = np.arange(0, 3_000, 20.0)
    found, errors = [], []
    for seed in range(150):
        noise = np.random.default_rng(seed).normal(0, 0.2, len(steps))
        fit = fit_decay(steps, 3 * np.exp(-steps / 400) + 1 + noise)
        found.append((fit.a, fit.b, fit.c))
        errors.append(np.sqrt(np.diag(fit.covariance)))
    np.testing.assert_allclose(np.mean(errors, axis=0), np.std(found, axis=0), rtol=0.2)


DOWN = -np.arange(20.0)


@pytest.mark.parametrize(
    ("losses", "reason"),
    [
        ([3, 2], "5 steps or more, and there are 2"),
        ([5, 3, 2, 1.5], "5 steps or more, and there are 4"),
        ([2.5] * 20, "all losses are equal"),
        ([0.0] * 20, "all losses are equal"),
        ([3, np.nan, 1, np.inf, 1, 1], "2 of 6 losses are not finite"),
        (-DOWN, "no better than their mean"),
        (np.random.default_rng(0).normal(2, 1, 60), "no better than their mean"),
        (DOWN, "no better than a straight line"),
        (-np.exp(np.arange(40) / 9), "no better than a straight line"),
        ([4.0] * 30 + [1.0] * 30, "no better than a straight line"),
        ([9.0] + [1.0] * 20, "before the second step"),
    ],
)
def test_there_is_no_fit_but_a_reason(losses, reason):
    fit = fit_decay(np.arange(1, len(losses) + 1), losses)
    assert isinstance(fit, NoFit) and reason in fit.reason


def test_repeated_steps_count_once():
    fit = fit_decay([1, 1, 1, 2, 2, 2], [5, 4, 5, 2, 2, 3])
    assert isinstance(fit, NoFit) and "there are 2" in fit.reason


def test_a_noisy_straight_fall_is_no_decay_in_nearly_all_seeds():
    steps = np.arange(100)
    fits = [
        fit_decay(steps, 5 - 0.02 * steps + np.random.default_rng(seed).normal(0, 0.3, 100))
        for seed in range(40)
    ]
    assert sum(isinstance(fit, NoFit) for fit in fits) >= 36


@pytest.mark.parametrize(("steps", "losses"), [([1, 2], [1]), ([[1, 2]], [[1, 2]])])
def test_lists_that_do_not_match_are_refused(steps, losses):
    with pytest.raises(ValueError, match="lists of the same length"):
        fit_decay(steps, losses)


def test_a_decay_that_the_last_losses_leave_is_not_shown():
    steps = np.arange(1.0, 201.0)
    noise = np.random.default_rng(3).normal(0, 0.1, 200)
    losses = 4 * np.exp(-steps / 40) + 1 + noise
    assert isinstance(fit_decay(steps, losses), DecayFit)
    # As where a network understands at last: it falls again at the end.
    late = np.where(steps > 180, losses - 0.9, losses)
    fit = fit_decay(steps, late)
    assert isinstance(fit, NoFit) and "lie off" in fit.reason


def test_an_outline_has_the_lowest_and_the_highest_of_each_stretch():
    x, y = np.arange(6.0), np.array([1.0, 5, 2, 9, 0, 3])
    kept = outline(x, y, 4)
    assert [values.tolist() for values in kept] == [[0, 1, 3, 4], [1, 5, 9, 0]]
    assert all(a is b for a, b in zip(outline(x, y, 6), (x, y), strict=True))
