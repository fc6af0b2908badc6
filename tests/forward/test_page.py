"""docs/forward_pass.md: outputs of today's form that agree with each other, and what its Python prints."""

import math
import re

import pytest

from qa_research.forward.opened import opened_pass
from qa_research.forward.show import show_pass
from qa_research.runs.open import open_run
from tests.commands import blocks
from tests.conftest import make_question
from tests.forward_page import OTHERS, PAGE, PYTHON, printed, with_stages
from tests.model_folders import write_model

ROW = make_question(7, "Who teaches chess?", "Ms Lund")
NUMBER = r"[+-]?\d+\.\d{4}"


@pytest.fixture
def shown(tokenizer, tmp_path, capsys):
    """What is printed of a tiny network."""
    show_pass(opened_pass(open_run(write_model(tmp_path / "m", tokenizer)), ROW))
    return capsys.readouterr().out


def stage(number: int, of_pair: bool = False) -> list[str]:
    """The lines of a stage in the page, of the question or of the pair, which comes after it."""
    found = [b for b in blocks(PAGE, "text") if re.match(rf"{number} \w+   ", b)]
    assert len(found) == (2 if number > 3 else 1)
    return found[of_pair].splitlines()


def rows(number: int, words: int) -> list[list[str]]:
    """The lines of a stage with that many words, of which the third to last is a number."""
    return [line.split() for line in stage(number) if len(line.split()) == words]


def test_each_stage_stands_there_with_todays_heading_and_columns(shown):
    page, _, _ = PAGE.read_text(encoding="utf-8").partition(OTHERS)
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


def test_the_numbers_of_the_pair_follow_from_each_other():
    numbers = rf"({NUMBER}) +({NUMBER}) +({NUMBER})$"
    head = re.findall(numbers, "\n".join(stage(4, of_pair=True)), re.MULTILINE)
    said = re.findall(numbers, "\n".join(stage(5, of_pair=True)), re.MULTILINE)
    assert len(head) == len(said) == 2
    for (products, bias, logit), (again, exponential, probability) in zip(head, said, strict=True):
        assert float(products) + float(bias) == pytest.approx(float(logit), abs=2e-4)
        assert again == logit and math.exp(float(logit)) == pytest.approx(
            float(exponential), rel=1e-3
        )
        total = sum(float(row[1]) for row in said)
        assert float(exponential) / total == pytest.approx(float(probability), abs=1e-4)
    (loss,) = re.findall(rf"^loss +({NUMBER})", "\n".join(stage(6, of_pair=True)), re.MULTILINE)
    assert any(-math.log(float(row[2])) == pytest.approx(float(loss), abs=1e-3) for row in said)


def test_its_python_prints_what_stands_below_it():
    text = PAGE.read_text(encoding="utf-8")
    found = list(re.finditer(PYTHON, text, re.DOTALL))
    assert found
    for block in found:
        assert f"{block[1]}```text\n{printed(block[2])}```" == block[0]
