"""metrics.csv as a training writes it, as a crash leaves it, and as people edit it."""

import math
from pathlib import Path

import pytest

from qa_research.runs.metrics import number_in, read_metrics


def test_rows_are_read_without_a_line_that_a_crash_cut(tmp_path):
    path = tmp_path / "metrics.csv"
    path.write_text("epoch,step,train/loss\n0,1,4.5\n0,2,4.25\n0,3")
    assert [row["step"] for row in read_metrics(path)] == ["1", "2"]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "has no header with a column step"),
        (b"0,1,4.5\n0,2,4.25\n", "has no header with a column step"),
        (b"epoch,step\n0,one\n", "has the step 'one', which is not a number"),
        (b"epoch,step\n0," + b"9" * 5000, "has the step '999"),
        (b"\xff\xfe\x00", "is not a table of UTF-8 text"),
    ],
)
def test_what_is_no_table_of_metrics_is_one_sentence(tmp_path, content, sentence):
    path = tmp_path / "metrics.csv"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=sentence) as refusal:
        read_metrics(path)
    assert str(path) in str(refusal.value)


def test_a_value_that_is_no_number_is_named(tmp_path):
    row = {"step": "3", "train/loss": "much", "val/loss": "nan"}
    assert math.isnan(number_in(row, "val/loss", tmp_path))
    with pytest.raises(ValueError, match="has train/loss='much' at step 3, which is not a number"):
        number_in(row, "train/loss", tmp_path)


def test_every_reader_of_metrics_is_the_same():
    found = [p for p in Path("src").rglob("*.py") if "DictReader" in p.read_text(encoding="utf-8")]
    # The other one reads data.
    assert sorted(path.name for path in found) == ["metrics.py", "reading.py"]
