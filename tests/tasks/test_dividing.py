"""Examples divided in whole groups."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qa_research.tasks.dividing import linked, parts_of

SHARES = {"choosing": 0.2, "temperature": 0.2}


def test_examples_that_share_a_text_are_linked_whatever_its_case():
    assert linked([("a", "b"), ("B ", "c"), ("d", "e"), ("f", "e"), ("x", "C")]) == [0, 0, 2, 2, 0]


@given(st.lists(st.integers(0, 30).map(str), min_size=3), st.integers(0, 5))
def test_every_part_has_a_group_and_each_group_one_part(names, seed):
    if len(set(names)) < 3:
        with pytest.raises(ValueError, match="3 are needed: for choosing, temperature, scored"):
            parts_of(names, SHARES, "scored", seed)
        return
    found = parts_of(names, SHARES, "scored", seed)
    assert set(found) == {*SHARES, "scored"}
    assert len(set(zip(names, found, strict=True))) == len(set(names))


def test_parts_have_about_their_shares_and_do_not_depend_on_the_order():
    names = [str(i) for i in range(500)]
    found = dict(zip(names, parts_of(names, SHARES, "scored", 1), strict=True))
    counts = [list(found.values()).count(part) for part in ("choosing", "temperature", "scored")]
    assert counts == [100, 100, 300]
    assert dict(zip(names[::-1], parts_of(names[::-1], SHARES, "scored", 1), strict=True)) == found
