from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

from qa_research.explain.images.shared_area import _common_pixels, _most, shared_area
from tests.explain.images.explanations import loaded


def jaccard(one, ours, other, theirs):
    a, b = np.isin(one, ours), np.isin(other, theirs)
    return (a & b).sum() / (a | b).sum()


def with_segments(explanation, segments):
    return replace(explanation, arrays=replace(explanation.arrays, segments=segments))


def test_equal_explanations_share_all_and_random_ones_little(tmp_path):
    one = loaded(tmp_path, n=9, side=24, top=2)
    found = shared_area(one, one, 2)
    assert (found.jaccard, found.ceiling) == (1, 1)
    # Nine cells of equal area: the overlap of two sets of 2 of 9 is hypergeometric.
    assert found.chance == pytest.approx((14 / 36) / 3 + 1 / 36, abs=0.01)


def test_shared_area_is_counted_in_pixels(tmp_path):
    one = loaded(tmp_path / "a", n=4, side=16, top=2)
    shifted = np.roll(one.arrays.segments, 3, axis=1)
    other = with_segments(one, shifted)
    found = shared_area(one, other, 1)
    top = one.order[:1]
    assert found.jaccard == pytest.approx(jaccard(one.arrays.segments, top, shifted, top))
    most = max(jaccard(one.arrays.segments, top, shifted, [i]) for i in range(4))
    assert found.ceiling == pytest.approx(most) and found.ceiling < 1


def test_the_ceiling_is_that_of_trying_all_sets():
    random = np.random.default_rng(3)
    for _ in range(20):
        one, other = random.integers(0, 6, (10, 10)), random.integers(0, 8, (10, 10))
        one.flat[:6], other.flat[:8] = range(6), range(8)
        best = max(jaccard(one, (1, 4, 5), other, chosen) for chosen in combinations(range(8), 3))
        assert _most(_common_pixels(one, other), (1, 4, 5)) == pytest.approx(best)


def test_other_pictures_and_tops_of_all_are_refused(tmp_path):
    one = loaded(tmp_path, n=4)
    with pytest.raises(ValueError, match="a top of 4 cannot be compared.*name 1 to 3"):
        shared_area(one, one, 4)
    other = replace(one, picture=replace(one.picture, sha256="1" * 64))
    with pytest.raises(ValueError, match="not the same picture"):
        shared_area(one, other, 1)
