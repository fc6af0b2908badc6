import pytest

from qa_research.capture.budget import TimeBudget, planned_steps, within_budget


def test_steps_are_every_nth_chosen_or_log_spaced_and_always_the_first_and_last():
    assert planned_steps(50, None, None, 120) == [0, 50, 100, 120]
    assert planned_steps(50, None, None, 100) == [0, 50, 100]
    assert planned_steps(1, [7, 3], None, 9) == [0, 3, 7, 9]
    assert planned_steps(1, None, 4, 1000) == [0, 1, 10, 100, 1000]
    assert planned_steps(50, None, None, 3) == [0, 3]


def test_a_chosen_step_outside_the_training_is_refused():
    with pytest.raises(
        ValueError, match=r"capture.at_steps has 10; this training has the steps 0 to 9"
    ):
        planned_steps(1, [3, 10], None, 9)


def test_a_budget_of_space_takes_one_step_in_a_power_of_two_and_says_so():
    steps = list(range(0, 1001, 10))
    plan = within_budget(steps, 1_000_000, 30)
    assert sorted(plan.steps) == [*range(0, 1000, 40), 1000]
    assert plan.sentence == (
        "capture.max_mb=30 has room for 30 of 101 captures of 1.00 MB: one in 4 is made, 26 in all"
    )
    assert within_budget(steps, 1_000_000, 101).sentence is None
    assert within_budget(steps, 1_000_000, None).steps == frozenset(steps)
    assert sorted(within_budget(steps, 1_000_000, 2).steps) == [0, 1000]


def test_a_budget_too_small_for_the_first_and_the_last_capture_is_refused():
    with pytest.raises(
        ValueError, match=r"capture.max_mb=1.9 is too small for two captures.*1.00 MB"
    ):
        within_budget([0, 5, 10], 1_000_000, 1.9)


@pytest.mark.parametrize("fraction", [None, 0.02])
def test_captures_are_skipped_while_they_have_taken_more_than_their_share(monkeypatch, fraction):
    now = [0.0]
    monkeypatch.setattr("qa_research.capture.budget.time.perf_counter", lambda: now[0])
    budget = TimeBudget(fraction)
    with budget.spending(counts=False):
        now[0] += 50
    budget.resume()
    made = []
    for step in range(100):
        now[0] += 1
        if not budget.is_exceeded:
            made.append(step)
            with budget.spending(counts=True):
                now[0] += 0.1
        if step == 50:
            budget.pause()
            now[0] += 1000
            budget.resume()
    # The first capture alone took half of the time.
    assert budget.has_room is (fraction is None)
    budget.pause()
    # The first capture was made before the training's clock started.
    assert budget.training_s == pytest.approx(100 + 0.1 * len(made))
    assert budget.captures_s == pytest.approx(50 + 0.1 * len(made))
    if fraction is None:
        assert len(made) == 100
    else:
        assert 20 <= len(made) <= 21 and made[:3] == [0, 4, 9]
