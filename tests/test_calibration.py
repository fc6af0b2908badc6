"""Calibration: values by hand, by direct integration, by scikit-learn, and against what chance makes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit
from scipy.stats import norm
from sklearn.metrics import brier_score_loss
from sklearn.metrics import log_loss as sklearn_log_loss

from qa_research.calibration import (
    binned_calibration_error,
    calibration,
    confidence_of,
    fit_temperature,
    log_loss,
    reliability,
    smooth_calibration_error,
)

SHARP = 2.0


def forecasts(count: int, sharpness: float) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of an event whose log odds are `sharpness` times the true ones, and what happened."""
    rng = np.random.default_rng(count)
    odds = rng.normal(0, 2, count)
    return expit(sharpness * odds), (rng.random(count) < expit(odds)).astype(float)


def two_labels(count: int, sharpness: float) -> tuple[np.ndarray, np.ndarray]:
    """Logits of two labels that are `sharpness` times the true ones, and the labels."""
    rng = np.random.default_rng(count)
    odds = rng.normal(0, 2, count)
    labels = (rng.random(count) < expit(odds)).astype(np.int64)
    return np.stack([np.zeros(count), sharpness * odds], axis=1), labels


def integrated(confidence: np.ndarray, right: np.ndarray, width: float) -> float:
    """The smoothed error at a width, from the kernel's formula: the Gaussian and its images at 0 and 1."""
    place = np.linspace(0, 1, 5001)
    total = np.zeros_like(place)
    for own, was in zip(confidence, right, strict=True):
        images = [2 * turn + sign * own for turn in range(-3, 4) for sign in (1, -1)]
        total += (was - own) * sum(norm.pdf(place, image, width) for image in images)
    return float(np.trapezoid(np.abs(total), place) / len(right))


@pytest.mark.parametrize(("count", "sharpness"), [(50, 2.0), (200, 1.0), (200, 2.5)])
def test_the_smooth_error_is_the_one_that_equals_its_own_width(count, sharpness):
    confidence, right = forecasts(count, sharpness)
    found = smooth_calibration_error(confidence, right)
    assert integrated(confidence, right, found) == pytest.approx(found, abs=3e-4)


# By relplot 1.0.3 (smECE), for the same forecasts. It sums over 200 points of [0, 1].
RELPLOT = [(50, 2.0, 0.17134), (400, 1.0, 0.03431), (400, 2.5, 0.13574), (2000, 1.5, 0.05808)]


@pytest.mark.parametrize(("count", "sharpness", "theirs"), RELPLOT)
def test_the_smooth_error_is_near_relplots(count, sharpness, theirs):
    assert smooth_calibration_error(*forecasts(count, sharpness)) == pytest.approx(theirs, rel=0.1)


def test_errors_by_hand():
    # All say 0.8, half are right: wherever it is smoothed, the residuals sum to 0.3.
    confidence, right = np.full(10, 0.8), np.array([1.0, 0.0] * 5)
    assert smooth_calibration_error(confidence, right) == pytest.approx(0.3, abs=1e-4)
    assert binned_calibration_error(confidence, right) == pytest.approx(0.3)
    # Two of four say 0.9 and are right, two say 0.6 and are wrong: (2 * 0.1 + 2 * 0.6) / 4.
    confidence, right = np.array([0.9, 0.9, 0.6, 0.6]), np.array([1.0, 1.0, 0.0, 0.0])
    assert binned_calibration_error(confidence, right) == pytest.approx(0.35)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40), st.floats(0, 1e-3), st.randoms())
def test_a_smooth_error_moves_little_if_confidences_move_little(values, shift, random):
    confidence = np.array(values)
    right = np.array([float(random.random() < 0.5) for _ in values])
    moved = np.clip(confidence + shift, 0, 1)
    before, after = (smooth_calibration_error(c, right) for c in (confidence, moved))
    assert 0 <= before <= 1
    assert abs(after - before) < 0.02


def test_a_perfect_network_reads_a_binned_error_that_is_far_from_zero():
    rng = np.random.default_rng(0)
    read = []
    for _ in range(400):
        confidence = rng.uniform(0.5, 1, 100)
        right = (rng.random(100) < confidence).astype(float)
        read.append(binned_calibration_error(confidence, right))
    assert np.median(read) == pytest.approx(0.088, abs=0.004)


def test_floors_tell_a_true_confidence_from_a_wrong_one():
    true = calibration(*two_labels(400, 1.0), None)
    assert true.smooth_error < true.smooth_floor.high
    assert true.binned_error < true.binned_floor.high
    too_sure = calibration(*two_labels(400, 3.0), None)
    assert too_sure.smooth_error > too_sure.smooth_floor.high
    assert too_sure.overconfidence > 0.05
    assert "too sure by" in too_sure.lines("pairs")[0]
    assert "more than chance" in too_sure.lines("pairs")[1]


def test_brier_and_loss_are_those_of_scikit_learn():
    logits, labels = two_labels(300, 1.5)
    found = calibration(logits, labels, None)
    probability = expit(logits[:, 1])
    assert found.brier == pytest.approx(brier_score_loss(labels, probability))
    assert found.loss == pytest.approx(sklearn_log_loss(labels, probability))
    assert log_loss(logits, labels) == pytest.approx(found.loss)


@pytest.mark.parametrize("sharpness", [0.5, 1.0, 3.0])
def test_the_temperature_undoes_what_made_logits_too_large(sharpness):
    fitted = fit_temperature(*two_labels(4000, sharpness))
    assert fitted == pytest.approx(sharpness, rel=0.1)
    logits, labels = two_labels(4001, sharpness)
    found = calibration(logits, labels, fitted).at_temperature
    assert found is not None and found.smooth_error < 0.03
    assert (logits.argmax(axis=1) == (logits / fitted).argmax(axis=1)).all()


def test_a_temperature_of_examples_that_are_all_right_is_not_zero():
    logits, labels = np.array([[0.0, 4.0], [4.0, 0.0]] * 20), np.array([1, 0] * 20)
    assert 0.3 < fit_temperature(logits, labels) < 2


def test_confidence_is_that_of_the_chosen_label():
    confidence, right = confidence_of(
        np.array([[0.0, np.log(3)], [np.log(9), 0.0]]), np.array([0, 0])
    )
    assert confidence.tolist() == pytest.approx([0.75, 0.9])
    assert right.tolist() == [0, 1]


def test_the_curve_of_a_diagram_is_the_share_of_right_answers():
    curve = reliability(*forecasts(4000, SHARP))
    known = (curve.confidence > 0.2) & (curve.confidence < 0.8)
    true = expit(np.log(curve.confidence / (1 - curve.confidence)) / SHARP)
    assert np.abs(curve.right - true)[known].max() < 0.1
    assert curve.density.mean() == pytest.approx(1)


def test_of_no_examples_nothing_is_said():
    nothing = np.zeros((0, 2)), np.zeros(0, dtype=np.int64)
    for work in (lambda: calibration(*nothing, None), lambda: fit_temperature(*nothing)):
        with pytest.raises(ValueError, match="no examples"):
            work()


def test_the_binned_error_by_hand():
    # 0.95 and 0.99 share the last of 15 bins: |1.94 - 1| / 4; 0.5 and 0.52 share one: |1.02 - 1| / 4.
    confidence, right = np.array([0.95, 0.99, 0.5, 0.52]), np.array([1.0, 0.0, 1.0, 0.0])
    assert binned_calibration_error(confidence, right) == pytest.approx((0.94 + 0.02) / 4)
    # A confidence of 1 belongs to the last bin.
    assert binned_calibration_error(np.array([1.0]), np.array([1.0])) == 0.0
