from functools import partial

import numpy as np
import pytest

from qa_research.explain.images.blanking import steps_of, switching_curve

deletion = partial(switching_curve, deleting=True)
insertion = partial(switching_curve, deleting=False)

WEIGHTS = np.array([0.1, 0.4, 0.0, 0.3])
AREAS = np.array([10, 20, 30, 40])


def linear(masks):
    return 0.1 + masks @ WEIGHTS


def best_first(seed=0, n=10):
    order = np.argsort(-WEIGHTS / AREAS)
    return order, np.random.default_rng(seed), n


def test_deletion_by_hand():
    order, generator, n = best_first()
    found = deletion(linear, order, AREAS, n, generator)
    assert list(order) == [1, 0, 3, 2]
    assert found.share == pytest.approx([0, 0.2, 0.3, 0.7, 1])
    assert found.probability == pytest.approx([0.9, 0.5, 0.4, 0.1, 0.1])
    wanted = 0.2 * 0.7 + 0.1 * 0.45 + 0.4 * 0.25 + 0.3 * 0.1
    assert found.area == pytest.approx(wanted)


def test_insertion_mirrors_it():
    order, generator, n = best_first()
    found = insertion(linear, order, AREAS, n, generator)
    assert found.probability == pytest.approx([0.1, 0.5, 0.6, 0.9, 0.9])
    assert found.share == pytest.approx([0, 0.2, 0.3, 0.7, 1])


@pytest.mark.parametrize("curve", [deletion, insertion])
def test_the_best_order_beats_all_others_and_the_worst_none(curve):
    order, generator, n = best_first(n=20)
    found = curve(linear, order, AREAS, n, generator)
    # Equal orders are not beaten.
    better = (
        found.random_areas > found.area if curve is deletion else found.random_areas < found.area
    )
    assert found.beaten == better.mean() > 0.8
    assert curve(linear, order[::-1], AREAS, n, np.random.default_rng(0)).beaten == 0


def test_the_band_contains_the_random_orders_and_starts_and_ends_where_all_do():
    order, generator, n = best_first()
    found = deletion(linear, order, AREAS, n, generator)
    assert (found.random_low <= found.random_mean + 1e-12).all()
    assert (found.random_mean <= found.random_high + 1e-12).all()
    assert found.random_low[0] == found.random_high[0] == pytest.approx(0.9)
    assert found.random_low[-1] == found.random_high[-1] == pytest.approx(0.1)


def test_random_orders_are_different_ones_and_never_the_ranking():
    found = deletion(linear, np.arange(4), AREAS, 100, np.random.default_rng(0))
    assert found.n_orders == 23
    assert found.least_p_value == pytest.approx(1 / 24)
    two = deletion(
        lambda m: m @ [0.4, 0.1], np.array([0, 1]), AREAS[:2], 20, np.random.default_rng(0)
    )
    assert two.n_orders == two.n_beaten == 1 and two.p_value == 0.5


def test_many_segments_are_switched_in_twenty_steps():
    assert list(steps_of(3)) == [0, 1, 2, 3]
    assert len(steps_of(150)) == 21
    assert steps_of(150)[0] == 0 and steps_of(150)[-1] == 150
