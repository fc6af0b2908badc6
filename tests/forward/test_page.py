"""docs/forward_pass.md: outputs of today's form that agree with each other, and what its Python prints."""

import math
import re

import pytest

from qa_research.forward.opened import opened_pass
from qa_research.forward.show import show_pass
from qa_research.runs.open import open_run
from tests.commands import blocks
from tests.conftest import make_question
from tests.forward_page import PAGE, PYTHON, printed, with_stages
from tests.model_folders import write_model

ROW = make_question(7, "Who teaches chess?", "Ms Lund")
NUMBER = r"[+-]?\d+\.\d{4}"


@pytest.fixture
def shown(tokenizer, tmp_path, capsys):
    """What is printed of a tiny network."""
    show_pass(opened_pass(open_run(write_model(tmp_path / "m", tokenizer)), ROW))
    return capsys.readouterr().out


def stage(number: int) -> list[str]:
    """The lines of a stage in the page."""
    (found,) = [b for b in blocks(PAGE, "text") if re.match(rf"{number} \w+   ", b)]
    return found.splitlines()


def rows(number: int, words: int) -> list[list[str]]:
    """The lines of a stage with that many words, of which the third to last is a number."""
    return [line.split() for line in stage(number) if len(line.split()) == words]


def test_each_stage_stands_there_with_todays_heading_and_columns(shown):
    page = PAGE.read_text(encoding="utf-8")
    today = with_stages(page, shown)
    for heading in re.findall(r"^\d \w+   .*$", today, re.MULTILINE):
        assert heading in page
    for number, column in ((1, "in words"), (2, "characters"), (3, "what it is"), (4, "logit")):
        now = [line for line in shown.splitlines() if line.endswith(column)]
        there = [line for line in stage(number) if line.endswith(column)]
        assert now and [line.split() for line in now] == [line.split() for line in there]


def test_the_logits_there_are_the_sums_of_their_parts():
    parts = [line.split() for line in stage(4) if re.match(r"(start|end) +\d+ \(", line)]
    assert [row[0] for row in parts] == ["start", "end"]
    by_token = {row[0]: row[2:] for row in rows(4, 4) if row[0].isdigit()}
    for column, (_, place, _, products, bias, logit) in enumerate(parts):
        assert float(products) + float(bias) == pytest.approx(float(logit), abs=2e-4)
        assert by_token[place][column] == logit


def test_the_probabilities_there_follow_from_the_logits():
    (total,) = re.findall(rf"over all answers +({NUMBER})", "\n".join(stage(5)))
    spans = [re.match(rf" +\d +\d+ +\d+((?: +{NUMBER}){{4}})", line) for line in stage(5)]
    found = [[float(word) for word in span[1].split()] for span in spans if span]
    assert len(found) == 5
    for start, end, score, probability in found:
        assert start + end == pytest.approx(score, abs=2e-4)
        assert math.exp(score - float(total)) == pytest.approx(probability, abs=2e-4)


def test_its_python_prints_what_stands_below_it():
    text = PAGE.read_text(encoding="utf-8")
    found = list(re.finditer(PYTHON, text, re.DOTALL))
    assert found
    for block in found:
        assert f"{block[1]}```text\n{printed(block[2])}```" == block[0]
