import numpy as np
import pytest

from qa_research.explain.images import blanking
from qa_research.explain.images.blanking import blanked, smallest_flip

LABELS = ("first", "second")
AREAS = np.array([10, 10, 20, 30, 30])


def control_by_area(*numbers, searched=False):
    return blanking.control_by_area(*numbers, searched=searched)


def two_classes(p):
    return np.stack([p, 1 - p], axis=1)


def linear(masks):
    return two_classes(0.1 + masks @ np.array([0.4, 0.3, 0.1, 0.0, 0.0]))


def test_other_sets_have_the_area_of_the_chosen_one_and_each_is_there_once():
    found = control_by_area(linear, [0, 1], AREAS, LABELS, 0, 0.2, 40, np.random.default_rng(0))
    # Of 10 10 20 30 30 only the third is as large as the first two.
    assert found.sets == ((2,),) and found.complete and set(found.areas) == {0.2}
    assert found.probabilities[0] == pytest.approx(linear(blanked((2,), 5)[None])[0, 0])
    assert found.p_value == 1 / 2


def test_of_eight_segments_seven_others_are_the_control_of_one():
    areas = np.full(8, 10)

    def first_matters(masks):
        return two_classes(0.1 + 0.5 * masks[:, 0] + masks[:, 1:] @ np.linspace(0, 0.1, 7))

    found = control_by_area(
        first_matters, [0], areas, LABELS, 0, 0.2, 1000, np.random.default_rng(0)
    )
    assert found.sets == tuple((i,) for i in range(1, 8)) and found.complete
    assert found.p_value == 1 / 8


def test_the_p_value_counts_other_sets_that_are_as_bad():
    areas = np.array([10, 10, 10, 10])

    def twins(masks):
        # Segments 0 and 1 do the same.
        return two_classes(0.1 + masks @ np.array([0.3, 0.3, 0.1, 0.0]))

    found = control_by_area(twins, [0], areas, LABELS, 0, 0.5, 40, np.random.default_rng(0))
    assert found.sets == ((1,), (2,), (3,))
    assert found.as_low(0.5) == 1 and found.p_value == 2 / 4
    harmless = control_by_area(linear, [3], AREAS, LABELS, 0, 0.9, 40, np.random.default_rng(0))
    assert harmless.p_value == 1


def test_where_no_other_segments_have_the_area_there_is_no_control():
    areas = np.array([10, 90, 95, 61, 70])
    found = control_by_area(linear, [0], areas, LABELS, 0, 0.5, 5, np.random.default_rng(0))
    assert found.sets == () and found.p_value is None
    assert len(found.probabilities) == len(found.areas) == len(found.winners) == 0


def test_a_set_that_was_searched_has_no_p_value():
    generator = np.random.default_rng(0)
    found = control_by_area(linear, [0, 1], AREAS, LABELS, 0, 0.2, 40, generator, searched=True)
    assert found.sets == ((2,),) and found.p_value is None


@pytest.mark.parametrize("n", [12, 30])
def test_random_sets_differ_from_each_other_and_from_the_chosen_one(n):
    areas = np.random.default_rng(1).integers(8, 12, n)

    def flat(masks):
        return two_classes(np.full(len(masks), 0.5))

    chosen = (0, 1, 2)
    found = control_by_area(flat, chosen, areas, LABELS, 0, 0.2, 50, np.random.default_rng(0))
    assert len(set(found.sets)) == len(found.sets) == 50 and chosen not in found.sets
    assert not found.complete
    wanted = areas[list(chosen)].sum()
    assert all(abs(areas[list(one)].sum() - wanted) <= 0.1 * wanted for one in found.sets)


def test_the_winner_without_each_random_set_is_named():
    def second_wins_without_0(masks):
        return two_classes(np.where(masks[:, 0], 0.9, 0.1))

    generator = np.random.default_rng(0)
    found = control_by_area(second_wins_without_0, [3], AREAS, LABELS, 0, 0.9, 40, generator)
    wanted = tuple("second" if 0 in one else "first" for one in found.sets)
    assert found.winners == wanted and set(wanted) == set(LABELS)


def test_random_sets_are_the_same_for_a_seed():
    sets = [
        control_by_area(linear, [0], AREAS, LABELS, 0, 0.5, 10, np.random.default_rng(3)).sets
        for _ in range(2)
    ]
    assert sets[0] == sets[1]


def test_the_smallest_flip_is_found_and_proven():
    # 0.9 - 0.4 = 0.5: still the first class, so two segments are needed.
    found = smallest_flip(linear, [0, 1, 2, 3, 4], 0, 1000)
    assert found.proven_smallest
    assert set(found.segments) == {0, 1}


def test_a_flip_down_the_ranking_is_made_smaller():
    def together(masks):
        # Only segments 2 and 4 matter, and only together; the ranking has them last.
        return two_classes(np.where(masks[:, 2] | masks[:, 4], 0.8, 0.2))

    found = smallest_flip(together, [0, 1, 3, 2, 4], 0, 1000)
    assert set(found.segments) == {2, 4}
    assert found.proven_smallest


def test_a_search_that_runs_out_says_that_it_proved_nothing():
    def together(masks):
        return two_classes(np.where(masks[:, 2] | masks[:, 4], 0.8, 0.2))

    found = smallest_flip(together, [0, 1, 3, 2, 4], 0, 10)
    assert set(found.segments) == {2, 4}
    assert not found.proven_smallest
    assert found.tried <= 10


def test_a_class_that_nothing_changes_has_no_flip():
    found = smallest_flip(lambda m: two_classes(np.full(len(m), 0.9)), [0, 1, 2], 0, 1000)
    assert found.segments is None and not found.proven_smallest


def test_among_sets_of_one_size_the_one_that_hurts_most_is_taken():
    def several(masks):
        # Down the ranking 0 and 3 together change it; 1 or 2 alone would, too.
        p = np.where(~masks[:, 0] & ~masks[:, 3], 0.3, 0.9)
        p = np.where(~masks[:, 2], 0.4, p)
        return two_classes(np.where(~masks[:, 1], 0.1, p))

    found = smallest_flip(several, [0, 3, 2, 1], 0, 1000)
    assert found.segments == (1,) and found.proven_smallest
