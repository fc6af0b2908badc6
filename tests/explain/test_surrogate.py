import random

import numpy as np
import pytest
import torch

from qa_research.explain.surrogate import (
    ALPHA,
    all_masks,
    bootstrap,
    chance_of_r2,
    distance_weights,
    draw_masks,
    fit_surrogate,
    lime,
    r2_without_penalty,
    weighted_r2,
)


def drawn(n=300, segments=7, seed=3):
    generator = np.random.default_rng(seed)
    masks = draw_masks(n, segments, generator)
    outputs = masks @ np.linspace(-0.2, 0.3, segments) + 0.1 * masks[:, 0] * masks[:, 1]
    return masks, outputs + generator.normal(0, 0.01, n), distance_weights(masks, 0.25)


def test_masks_are_fair_and_the_same_for_a_seed():
    masks = draw_masks(4000, 5, np.random.default_rng(1))
    assert masks.dtype == bool
    assert np.abs(masks.mean(axis=0) - 0.5).max() < 0.03
    assert np.abs(np.corrcoef(masks.T) - np.eye(5)).max() < 0.06
    assert (masks == draw_masks(4000, 5, np.random.default_rng(1))).all()


def test_masks_drawn_in_two_parts_are_those_drawn_at_once():
    generator = np.random.default_rng(1)
    parts = [draw_masks(3, 5, generator), draw_masks(4, 5, generator)]
    assert (np.concatenate(parts) == draw_masks(7, 5, np.random.default_rng(1))).all()


def test_all_masks_are_all_of_them_once():
    masks = all_masks(4)
    assert masks.shape == (16, 4)
    assert len({tuple(row) for row in masks}) == 16
    assert masks[-1].all() and not masks[0].any()


def test_all_masks_of_very_many_segments_are_refused():
    with pytest.raises(ValueError, match="cannot enumerate all masks of 21 segments; 20 at most"):
        all_masks(21)


def test_distance_weights_by_hand():
    masks = np.array([[1, 1, 1, 1], [1, 0, 0, 0], [0, 0, 0, 0]], dtype=bool)
    # Distances 0, 1 - sqrt(1/4), 1.
    wanted = [1, np.sqrt(np.exp(-(0.5**2) / 0.25**2)), np.sqrt(np.exp(-1 / 0.25**2))]
    assert distance_weights(masks, 0.25) == pytest.approx(wanted, rel=1e-12)


def test_the_cosine_distance_is_scikit_learns():
    from sklearn.metrics import pairwise_distances

    masks = np.concatenate([draw_masks(50, 6, np.random.default_rng(0)), np.zeros((1, 6), bool)])
    theirs = pairwise_distances(masks, np.ones((1, 6)), metric="cosine").ravel()
    wanted = np.sqrt(np.exp(-(theirs**2) / 0.4**2))
    assert distance_weights(masks, 0.4) == pytest.approx(wanted, abs=1e-12)


def test_a_linear_surrogate_by_hand():
    masks = np.array([[1, 0], [0, 1], [1, 1], [0, 0]], dtype=bool)
    fit = fit_surrogate(masks, np.array([0.7, 0.1, 0.6, 0.2]), np.ones(4), "linear")
    assert fit.coefficients == pytest.approx([0.5, -0.1], abs=1e-7)
    assert fit.intercept == pytest.approx(0.2)
    assert fit.r2 == pytest.approx(1)
    assert fit.predicted(masks) == pytest.approx([0.7, 0.1, 0.6, 0.2])


def test_ridge_solves_its_normal_equations():
    masks, outputs, weights = drawn()
    fit = fit_surrogate(masks, outputs, weights, "ridge", 2.5 / weights.sum())
    centre = np.average(masks, axis=0, weights=weights)
    x = masks - centre
    y = outputs - np.average(outputs, weights=weights)
    wanted = np.linalg.solve(x.T @ (weights[:, None] * x) + 2.5 * np.eye(7), x.T @ (weights * y))
    assert fit.coefficients == pytest.approx(wanted, abs=1e-7)


@pytest.mark.parametrize("surrogate", ["ridge", "lasso"])
def test_the_penalty_shrinks_as_much_whatever_the_number_and_the_weights_of_the_masks(surrogate):
    masks, outputs, weights = drawn()
    once = fit_surrogate(masks, outputs, weights, surrogate, 0.05)
    twice = fit_surrogate(
        np.concatenate([masks] * 2), np.tile(outputs, 2), np.tile(weights, 2), surrogate, 0.05
    )
    lighter = fit_surrogate(masks, outputs, weights / 50, surrogate, 0.05)
    assert twice.coefficients == pytest.approx(once.coefficients, abs=1e-6)
    assert lighter.coefficients == pytest.approx(once.coefficients, abs=1e-6)
    draws = bootstrap(masks, outputs, weights, surrogate, 0.05, 200, np.random.default_rng(0))
    assert draws.mean(axis=0) == pytest.approx(once.coefficients, abs=0.01)


def test_no_penalty_reaches_more_than_none():
    masks, outputs, weights = drawn()
    shrunk = fit_surrogate(masks, outputs, weights, "ridge", 1.0)
    free = fit_surrogate(masks, outputs, weights, "linear")
    assert shrunk.r2 < 0.5 < r2_without_penalty(masks, outputs, weights)
    assert r2_without_penalty(masks, outputs, weights) == pytest.approx(free.r2, abs=1e-6)


def test_an_r2_that_noise_reaches_as_well_is_no_evidence():
    masks = all_masks(2)
    # Three numbers are fitted to masks that count as 2.7: any outputs are explained.
    assert chance_of_r2(0.99, distance_weights(masks, 0.25), 2) is None
    weights = np.ones(20)
    # (0.4 / 3) / (0.6 / 16) = 3.556 with 3 and 16 degrees of freedom.
    assert chance_of_r2(0.4, weights, 3) == pytest.approx(0.0383, abs=1e-3)
    assert chance_of_r2(1.0, weights, 3) == 0 and chance_of_r2(-0.2, weights, 3) == 1


def test_lasso_leaves_what_does_nothing_at_zero():
    masks = draw_masks(500, 6, np.random.default_rng(5))
    fit = fit_surrogate(masks, 0.5 * masks[:, 2] + 0.2, np.ones(500), "lasso", 0.01)
    assert set(np.flatnonzero(fit.coefficients)) == {2}


def test_weighted_r2_by_hand_and_with_nothing_to_explain():
    weights = np.array([1.0, 1, 2])
    outputs = np.array([0.0, 1, 1])
    # Mean 0.75, total 0.5625 + 0.0625 + 0.125 = 0.75; residual 2 * 0.5**2 = 0.5.
    assert weighted_r2(outputs, np.array([0, 1, 0.5]), weights) == pytest.approx(1 - 0.5 / 0.75)
    assert np.isnan(weighted_r2(np.full(3, 0.3), np.full(3, 0.3), weights))


def test_no_masks_and_outputs_that_are_not_finite_are_refused():
    with pytest.raises(ValueError, match="at least one mask, got none"):
        fit_surrogate(np.zeros((0, 3), bool), np.zeros(0), np.zeros(0))
    with pytest.raises(ValueError, match="contain NaN or infinity"):
        fit_surrogate(np.ones((2, 3), bool), np.array([0.1, np.nan]), np.ones(2))


def test_the_bootstrap_spreads_as_new_masks_would():
    fits, spreads = [], []
    for seed in range(60):
        masks, outputs, weights = drawn(seed=seed)
        fits.append(fit_surrogate(masks, outputs, weights).coefficients)
        if seed < 5:
            generator = np.random.default_rng(seed)
            draws = bootstrap(masks, outputs, weights, "ridge", ALPHA, 150, generator)
            spreads.append(draws.std(axis=0))
    ratio = np.mean(spreads, axis=0) / np.std(fits, axis=0)
    assert ratio.min() > 0.6 and ratio.max() < 1.6


def test_weighted_r2_is_the_share_of_the_weighted_variance():
    _, outputs, weights = drawn()
    predicted = outputs + np.random.default_rng(0).normal(0, 0.1, len(outputs))
    deviations = outputs - np.average(outputs, weights=weights)
    wanted = 1 - weights @ (outputs - predicted) ** 2 / (weights @ deviations**2)
    assert weighted_r2(outputs, predicted, weights) == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize("surrogate", ["linear", "ridge"])
@pytest.mark.filterwarnings("ignore")
def test_coefficients_equal_those_of_the_package_lime(surrogate):
    from lime.lime_base import LimeBase
    from sklearn.linear_model import LinearRegression

    masks, outputs, weights = drawn(segments=9)
    distances = 1 - np.sqrt(masks.mean(axis=1))
    theirs = LimeBase(lambda d: np.sqrt(np.exp(-(d**2) / 0.25**2))).explain_instance_with_data(
        masks.astype(int),
        outputs[:, None],
        distances,
        label=0,
        num_features=9,
        feature_selection="none",
        model_regressor=LinearRegression() if surrogate == "linear" else None,
    )
    # `lime` adds 1.0 times the sum of squares to the weighted sum of squared residuals.
    fit = fit_surrogate(masks, outputs, weights, surrogate, 1.0 / weights.sum())
    assert fit.coefficients == pytest.approx([dict(theirs[1])[i] for i in range(9)], abs=1e-6)
    assert fit.intercept == pytest.approx(float(np.squeeze(theirs[0])), abs=1e-6)
    assert fit.r2 == pytest.approx(theirs[2], abs=1e-6)


def test_coefficients_equal_those_of_scikit_learn_to_seven_digits():
    from sklearn.linear_model import Ridge

    masks, outputs, weights = drawn()
    theirs = Ridge(alpha=1.0).fit(masks.astype(float), outputs, sample_weight=weights)
    fit = fit_surrogate(masks, outputs, weights, "ridge", 1.0 / weights.sum())
    assert fit.coefficients == pytest.approx(theirs.coef_, abs=1e-7)
    assert fit.intercept == pytest.approx(theirs.intercept_, abs=1e-7)


def test_masks_are_predicted_at_once_and_their_outputs_returned():
    masks, outputs, weights = drawn()
    asked = []

    def predict(batch):
        asked.append(batch)
        return outputs

    returned, fit = lime(predict, masks, weights)
    (batch,) = asked
    assert (batch == masks).all() and batch.dtype == bool
    assert (returned == outputs).all()
    assert (fit.coefficients == fit_surrogate(masks, outputs, weights).coefficients).all()


def test_the_global_random_generators_are_left_as_they_were():
    before = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()
    fit_surrogate(*drawn())
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (np.random.get_state()[1] == before[1]).all()
    assert random.getstate() == before[2]


def test_fitting_prints_nothing(capfd):
    fit_surrogate(*drawn())
    assert capfd.readouterr() == ("", "")
