"""Random changes of the same size."""

import pytest

from qa_research.capture.components import Component
from qa_research.interventions.what_if.changes import random_examples, random_parts
from qa_research.streams import stream

SERVED = {"a": 1, "b": 1, "c": 2, "d": 1, "e": 2, "f": 1, "never": 0}
HEADS = [Component("heads", layer, n) for layer in range(3) for n in range(4)]
NETWORKS = [Component("feed_forward", layer) for layer in range(3)]


def test_as_many_others_that_are_trained_on_as_often():
    draws = random_examples(["a", "c", "elsewhere"], SERVED, 50, stream(1, "test"))
    for draw in draws:
        assert sorted(SERVED[one] for one in draw.without) == [1, 2]
        assert not {*draw.without} & {"a", "c", "never"}
    assert {one for draw in draws for one in draw.without} == {"b", "d", "e", "f"}


def test_each_set_of_examples_is_another_one():
    draws = random_examples(["c"], SERVED | {"g": 2, "h": 2}, 20, stream(1, "test"))
    assert sorted(draw.without for draw in draws) == [("e",), ("g",), ("h",)]
    two = random_examples(["a", "b"], SERVED | {"x": 1, "y": 1}, 5, stream(1, "test"))
    assert len({frozenset(draw.without) for draw in two}) == 5


def test_none_that_are_trained_on_change_nothing():
    with pytest.raises(ValueError, match="no batch of these steps has any of the examples"):
        random_examples(["elsewhere", "never"], SERVED, 5, stream(1, "test"))
    with pytest.raises(ValueError, match="trains? on 2 times, 2 are left out and only 0 are left"):
        random_examples(["c", "e"], SERVED, 5, stream(1, "test"))


def test_other_heads_of_the_same_layer_each_set_once():
    named = [Component("heads", 1, 0), Component("heads", 1, 1)]
    sets = random_parts(named, HEADS + NETWORKS, 20, stream(1, "test"))
    # Of two other heads there is one pair.
    assert sets == [[Component("heads", 1, 2), Component("heads", 1, 3)]]
    across = [Component("heads", 0, 0), Component("heads", 2, 3)]
    sets = random_parts(across, HEADS, 5, stream(1, "test"))
    assert len({tuple(one) for one in sets}) == 5
    assert all([part.layer for part in one] == [0, 2] and not {*one} & {*across} for one in sets)


def test_feed_forward_networks_of_any_layer_and_units_of_their_own():
    assert random_parts(NETWORKS[:1], HEADS + NETWORKS, 20, stream(1, "test")) == [
        [one] for one in NETWORKS[1:]
    ]
    units = [Component("feed_forward", 1, unit) for unit in range(30)]
    sets = random_parts(units[:2], units + NETWORKS, 20, stream(1, "test"))
    assert len(sets) == 20 and all(part.number >= 2 for one in sets for part in one)


def test_a_whole_layer_has_nothing_to_be_compared_with():
    with pytest.raises(
        ValueError, match="only 1 other parts like the 3 heads that are silenced in layer 1"
    ):
        random_parts([one for one in HEADS if one.layer == 1][:3], HEADS, 5, stream(1, "test"))
