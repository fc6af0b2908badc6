"""The sentences of a report that judge: which run is better by kind, and how a run ended."""

import json
import re
from importlib.resources import files

import pytest

from qa_research.figures.lines import COLOURS
from qa_research.report.comparison import read_report
from qa_research.report.pictures import DARK
from qa_research.report.sources import Source
from qa_research.report.verdicts import differences_by_kind, ending, status_words, verdict_by_kind
from tests.fake_runs import CONFIG, record_of, running, write_run


def two_runs(tmp_path, first, second):
    """Two runs that got these questions right, the first half of them `lookup`, the others `match`."""
    folders = []
    for number, right in ((1, first), (2, second)):
        run = write_run(tmp_path, number, right=right, chose=(), config={"seed": number})
        path = run / "predictions" / "validation.json"
        rows = json.loads(path.read_text())
        for place, row in enumerate(rows):
            row["kind"] = "lookup" if place < len(rows) / 2 else "match"
        path.write_text(json.dumps(rows))
        folders.append(run)
    return read_report(folders).runs


def test_each_kind_is_compared_on_its_own_questions(tmp_path):
    # Of 40 each: lookup 30 and 30 of the same, match 10 and 36.
    lookup = [1.0] * 30 + [0.0] * 10
    first, second = two_runs(
        tmp_path, lookup + [1.0] * 10 + [0.0] * 30, lookup + [1.0] * 36 + [0.0] * 4
    )
    found = {kind: (total, one) for kind, total, one in differences_by_kind(first, second)}
    assert [(kind, total) for kind, (total, _) in found.items()] == [("lookup", 40), ("match", 40)]
    assert found["lookup"][1].points == 0 and found["lookup"][1].p_holm == 1
    assert found["match"][1].points == pytest.approx(65)
    # McNemar's exact test of 26 against none, corrected for two kinds.
    assert found["match"][1].p_holm == pytest.approx(2 * 2 * 0.5**26)
    told = verdict_by_kind(first, 1)
    assert told.startswith(
        "Exact match by kind: on lookup (40), the two cannot be distinguished (“seed 2” +0.0"
    )
    assert "; on match (40), “seed 2” is better by 65.0 points [" in told


def test_the_better_run_is_named_whichever_it_is(tmp_path):
    first, _ = two_runs(tmp_path, [1.0] * 40, [0.0] * 20 + [1.0] * 20)
    told = verdict_by_kind(first, 1).partition(";")[0]
    assert told.endswith("on lookup (20), “seed 1” is better by 100.0 points [66.3, 100.0]")


def ended(tmp_path, steps=1000, stop_at=None, status="finished", error=None, reached=0.5):
    record = record_of(1, status=status, error=error, steps=steps)
    config = {
        "train": {"stop_at": {"val/f1": stop_at, "val/loss": None}},
        "trainer": {"max_steps": 1000, "max_epochs": 2},
    }
    run = write_run(tmp_path, 1, record=record, config=CONFIG | config)
    (run / "metrics.csv").write_text(
        f"epoch,step,train/loss,val/f1\n0,1,0.5,\n0,1,,90.0\n0,{steps},,{reached}\n"
    )
    return Source(run)


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ({}, "at trainer.max_steps"),
        ({"steps": 900}, "at trainer.max_epochs"),
        ({"stop_at": 70.0}, "at trainer.max_steps"),
        ({"stop_at": 70.0, "reached": 70.25}, "at train.stop_at (val/f1 reached 70.25)"),
        # As a training takes it, whose float32 makes 99.99999 of 100.
        ({"stop_at": 100.0, "reached": 99.99999}, "at train.stop_at (val/f1 reached 100)"),
        ({"status": "interrupted", "error": "SIGINT"}, "by SIGINT"),
        ({"status": "failed", "error": "the loss is nan"}, "(the loss is nan)"),
    ],
)
def test_it_is_said_what_ended_a_training(tmp_path, how, told):
    source = ended(tmp_path, **how)
    assert ending(source) == told and ending(source, is_brief=True) == told.partition(" (val")[0]


def test_a_run_that_has_not_ended_or_was_killed_has_only_a_status(tmp_path):
    words = status_words(Source(write_run(tmp_path, 1, record=running(1))))
    assert [value.text for value in words] == ["killed"]


def test_a_run_has_one_colour_in_its_key_its_charts_and_its_pictures():
    style = files("qa_research.report").joinpath("report.css").read_text()
    light, dark = (
        dict(re.findall(r"--run-(\d): (#\w+);", part)) for part in style.split("@media")[:2]
    )
    assert [light[str(place)] for place in range(len(COLOURS))] == list(COLOURS)
    assert [DARK[colour] for colour in COLOURS] == [dark[str(i)] for i in range(len(COLOURS))]
