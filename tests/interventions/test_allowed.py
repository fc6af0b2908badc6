"""What would take longer than it may is refused before it begins."""

import logging

import pytest

from qa_research.interventions.allowed import check_allowed


@pytest.mark.parametrize(
    ("fit", "way"),
    [
        ("--examples 40", "--examples 40 draws as many as fit, --max-minutes 11 allows all"),
        (None, "allows 5; --max-minutes 11 allows all"),
    ],
)
def test_too_long_is_refused_with_what_would_fit(fit, way):
    with pytest.raises(ValueError, match="asking 90 questions would take about 10 minutes") as said:
        check_allowed("asking 90 questions", 601.0, 5, fit)
    assert str(said.value).endswith(way)


def test_what_is_long_and_allowed_is_announced(caplog):
    caplog.set_level(logging.INFO)
    assert check_allowed("asking 90 questions", 60.0, 1, None)
    assert caplog.messages == ["Asking 90 questions takes about 60 s"]
    assert not check_allowed("asking 9 questions", 0.5, 1, None)
    assert len(caplog.messages) == 1
