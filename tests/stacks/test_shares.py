"""Shares of phases: exact intervals, the order of a training, and stretches of time."""

import pytest

from qa_research.ledger.stacks import Sample
from qa_research.stacks.shares import share_of, shares, shares_over_time


def samples(phases: str, every_s: float = 1.0) -> list[Sample]:
    names = {"f": "forward", "b": "backward", "i": "imports", "o": "old"}
    return [
        Sample((place + 0.5) * every_s, names[letter], ()) for place, letter in enumerate(phases)
    ]


def test_shares_stand_in_a_trainings_order_and_add_up() -> None:
    found = shares(samples("bbfioob"))
    assert [share.phase for share in found] == ["imports", "forward", "backward", "old"]
    assert [share.count for share in found] == [1, 1, 3, 2]
    assert sum(share.value for share in found) == pytest.approx(1)


def test_the_interval_is_clopper_and_pearsons() -> None:
    # Of no sample among ten the upper end is 1 - 0.025^(1/10).
    backward = share_of("x", samples("f" * 10), lambda sample: sample.phase == "backward")
    assert (backward.low, backward.high) == (0.0, pytest.approx(1 - 0.025**0.1))


def test_no_samples_have_no_shares() -> None:
    assert shares([]) == ()
    with pytest.raises(ValueError, match="0 right of 0"):
        share_of("x", [], lambda _: True)


def test_stretches_divide_the_time_and_lose_no_sample() -> None:
    stretches = shares_over_time([*samples("ffbb"), Sample(4.0, "imports", ())], 0, 4, 2)
    assert [(s.from_s, s.to_s) for s in stretches] == [(0, 2), (2, 4)]
    assert [[(x.phase, x.count) for x in s.shares] for s in stretches] == [
        [("forward", 2)],
        [("imports", 1), ("backward", 2)],
    ]


def test_a_stretch_without_samples_has_no_shares() -> None:
    assert shares_over_time(samples("f"), 0, 4, 2)[1].shares == ()


def test_no_time_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot be divided into 2 stretches"):
        shares_over_time([], 3, 3, 2)
