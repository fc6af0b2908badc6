"""`qa-research report` of real runs."""

import pytest

from tests.fake_runs import record_of, write_run
from tests.tiny_run import train


@pytest.fixture
def two(tiny, tmp_path):
    """Two tiny runs of one study, each with a recording of logits and heads; their folder."""
    looks = ["capture=default", "capture/recorders=[logits,heads]", "capture.every_n_steps=3"]
    for seed in (1, 2):
        train(tiny(*looks, "capture.max_step_fraction=null", f"seed={seed}", "study=pair"))
    return tmp_path / "runs"


@pytest.mark.slow
def test_the_runs_of_a_study_come_onto_one_page(two, verb):
    code, out, err = verb("report", "pair", "--runs", str(two))
    assert code == 0, err
    page = (two / "pair" / "report.html").read_text()
    assert str(two / "pair" / "report.html") in out
    assert "seed 1" in page and "seed 2" in page and '"questions":[{' in page


def test_too_many_runs_are_refused(tmp_path, verb):
    for number in range(1, 8):
        write_run(tmp_path, number, right=[1.0] * 4, validations=1)
    code, _, err = verb("report", "nopretrain", "--runs", str(tmp_path))
    assert code == 2 and "7 runs are too many for one page, which has room for 6" in err


def test_a_run_that_does_not_exist_is_named(tmp_path, verb):
    write_run(tmp_path, 1, right=[1.0] * 4, validations=1)
    code, _, err = verb("report", "bert_tiny", "elsewhere", "--runs", str(tmp_path))
    assert code == 2 and "elsewhere" in err


def test_runs_on_other_questions_are_not_compared_but_shown(tmp_path, verb):
    for number in (1, 2):
        record = record_of(number)
        record["fingerprints"] = record["fingerprints"] | {"validation": f"{number}b" * 32}
        write_run(tmp_path, number, right=[1.0, 0.0] * 4, record=record, validations=3)
    code, _, err = verb("report", "nopretrain", "--runs", str(tmp_path))
    assert code == 0, err
    page = (tmp_path / "nopretrain" / "report.html").read_text()
    assert "different questions" in page and "Over seeds" not in page
    assert (tmp_path / "nopretrain" / "report.pdf").read_bytes().startswith(b"%PDF")
