import pytest

from qa_research.efficacy.standings import Repeat, repeated
from qa_research.ledger.runs import Ledger
from tests.ledger.asking import state_of, write_search


@pytest.fixture
def ledger(tmp_path):
    with Ledger(tmp_path / "runs" / "ledger.sqlite") as opened:
        yield opened


def test_repeats_are_named_most_often_first_and_only_within_one_state(ledger):
    for numbers in (range(4), range(2, 6), range(3, 4)):
        write_search(
            ledger, [False] * len(numbers), state_of(50), goal="questions", first_number=numbers[0]
        )
    write_search(ledger, [False] * 9, state_of(100), goal="questions")
    first, second = repeated(ledger)
    assert [(r.index, r.id, r.times) for r in first.questions] == [(3, "q3", 3), (2, "q2", 2)]
    assert first.questions[0] == Repeat(3, "q3", "Who?", 3)
    assert first.standing.repeats == 3 and second.questions == ()


def test_nobody_asked_has_no_repeats(ledger):
    with pytest.raises(FileNotFoundError, match="no questions have been asked yet"):
        repeated(ledger)
