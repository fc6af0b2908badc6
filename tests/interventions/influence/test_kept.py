"""Learning rates by which gradients are weighed."""

import pytest

from qa_research.interventions.influence.kept import rates_at


def test_a_rate_is_that_of_the_curve_or_between_its_points(tmp_path):
    (tmp_path / "metrics.csv").write_text("step,train/lr,val/f1\n10,1e-4,\n15,,0.5\n20,3e-4,\n")
    assert rates_at(tmp_path, [10, 15, 20]) == pytest.approx({10: 1e-4, 15: 2e-4, 20: 3e-4})


@pytest.mark.parametrize("content", [None, "step,val/f1\n10,0.5\n"])
def test_without_a_curve_nothing_can_be_weighed(tmp_path, content):
    if content is not None:
        (tmp_path / "metrics.csv").write_text(content)
    with pytest.raises(ValueError, match="has no learning rate, by which gradients are weighed"):
        rates_at(tmp_path, [10])
