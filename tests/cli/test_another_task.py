"""Runs of a task in one file are evaluated, asked, searched, reported, bundled: verbs know no questions."""

import csv
import json
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest

from qa_research.runs.directory import find_run
from qa_research.stats import exact_ratio
from qa_research.tasks.opened import Opened
from tests.toy.line import TOLERANCE, OpenedLine

CONF = f"hydra.searchpath=[file://{Path(__file__).parents[2] / 'tests/toy/conf'}]"
POINTS = "x,y\n0.5,0.45\n-1,-4.2\n0.1,\n"


@pytest.fixture(scope="module")
def lines(tmp_path_factory, cache):
    """The folder of two finished runs of the toy task; the second one has learned more."""
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    from qa_research.launch.compose import conf_directory
    from tests.tiny_run import train

    runs = tmp_path_factory.mktemp("lines") / "runs"
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(conf_directory()), version_base="1.3"):
        for seed, rate in ((1, 0.01), (3, 0.1)):
            words = [CONF, "+experiment=line", "train.progress=none", "train.threads=1"]
            words += [f"paths.runs={runs}", f"paths.cache={cache}", f"seed={seed}"]
            train(compose("train", [*words, f"model.lr={rate}"]))
    return runs


@pytest.fixture
def on_line(verb, lines, monkeypatch):
    """Run a verb on the better of the two runs; its standard output, or what it is refused with."""
    monkeypatch.setenv("QA_RESEARCH_ALLOW", "tests.toy.line")

    def run(*words: str, code: int = 0) -> str:
        exit_code, out, err = verb(*words, "--runs", str(lines))
        assert exit_code == code, err
        return err if code else out

    return run


@pytest.fixture
def points(tmp_path):
    path = tmp_path / "points.csv"
    path.write_text(POINTS)
    return str(path)


def test_its_own_points_are_scored_with_intervals_and_written(on_line, lines):
    out = on_line("evaluate", "s3-", "--wrong", "2")
    assert re.search(r"^ +points +squared error \[95 %\] +Pearson \[95 %\]$", out, re.MULTILINE)
    folder = find_run("s3-", lines) / "predictions" / "validation-best"
    rows = json.loads((folder / "predictions.json").read_text())
    scores = json.loads((folder / "scores.json").read_text())["scores"]
    mean = np.mean([row["squared_error"] for row in rows])
    assert scores["val/squared_error"]["value"] == pytest.approx(mean)
    predicted, true = np.array([[row["prediction"], row["truth"]] for row in rows]).T
    pearson = scores["val/pearson"]
    assert pearson["value"] == pytest.approx(np.corrcoef(predicted, true)[0, 1])
    assert pearson["low"] < pearson["value"] < pearson["high"] < 1
    wrong = list(csv.DictReader((folder / "mistakes.csv").read_text().splitlines()))
    assert len(wrong) == int((abs(predicted - true) > TOLERANCE).sum())
    assert f"{len(wrong)} wrong answers" in out


def test_points_of_a_file_need_no_truth_to_be_asked(on_line, points):
    found = json.loads(on_line("evaluate", "s3-", "--data", points, "--json", "--wrong", "1"))
    assert (found["examples"], found["total"], found["unlabelled"]) == ("points", 2, 1)
    assert len(found["wrong"]) <= 1 and found["choosing"] is None
    found = json.loads(on_line("predict", "s3-", "--data", points, "--json"))
    rows = json.loads(Path(found["files"], "predictions.json").read_text())
    assert [row["id"] for row in rows] == ["f0", "f1", "f2"] and "truth" not in rows[2]


def test_a_point_is_asked_by_what_its_task_is_asked_with(on_line):
    found = json.loads(on_line("ask", "s3-", "--input", "x=0.5", "--json"))
    assert found["x"] == "0.5" and -1 < found["prediction"] < 1
    assert on_line("ask", "s3-", "--input", "x=0.5").strip() == f"{found['prediction']:.4g}"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--question", "Who?", "--context", "Ms Lund."), "not with --question and --context"),
        (("--first", "a", "--second", "b"), "not with --first and --second"),
        (("--sequence", "acgt"), "is asked with --input x=..., not with --sequence"),
        (("--input", "y=3"), "is asked with --input x=..., not with --input y=..."),
        (("--input", "x=far"), "--input x=far is no number"),
        (("--input", "x"), "--input is NAME=TEXT, got 'x'"),
        (("--input", "x=1", "--input", "x=2"), "--input x=... is there twice"),
        ((), "is asked with --input x=...; --input x=... is missing"),
        (("--input", "x=1", "--look"), "--look draws how a question is answered"),
    ],
)
def test_what_it_is_not_asked_with_is_refused_by_naming_what_it_is(on_line, words, sentence):
    assert sentence in on_line("ask", "s3-", *words, code=2)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("export", "s3-", "there"), "was trained on points, and this is for runs that answer"),
        (("evaluate", "s3-", "--data", "{}", "--on-bad-rows", "drop"), "drop is for questions"),
        (("efficacy", "s3-", "--data", "{}"), "1 of 3 points have no known answer"),
    ],
)
def test_what_is_only_for_questions_is_refused(on_line, points, words, sentence):
    assert sentence in on_line(*(word.format(points) for word in words), code=2)


def test_it_is_asked_until_an_answer_is_right_and_the_table_says_points(on_line):
    out = on_line("efficacy", "s3-")
    assert re.search(r"right after \d+ points?, ", out) and "line validation, 64 points" in out
    found = json.loads(on_line("efficacy", "s3-", "--questions", "64", "--json"))
    standing = found[0]
    assert standing["is_whole"] and standing["source"]["examples"] == "points"
    assert standing["mean_f1_percent"] is None and standing["first_gold"] is None
    right = standing["ratio"]["right"]
    assert exact_ratio(right, 64).value == standing["ratio"]["percent"] / 100
    table = on_line("efficacy", "table")
    assert f"{right}/64" in table and "right: of the points that count" in table


def test_a_task_in_which_nothing_is_right_is_refused(on_line, monkeypatch):
    monkeypatch.setattr(OpenedLine, "right", Opened.right)
    sentence = (
        "efficacy asks until an answer is right, and its task says of no answer that it is right"
    )
    assert sentence in on_line("efficacy", "s3-", code=2)
    assert "--wrong shows wrong answers, and " in on_line("evaluate", "s3-", "--wrong", "1", code=2)
    assert "mistakes.csv" not in on_line("evaluate", "s3-")


def test_its_report_has_its_own_metrics_and_nothing_of_questions(on_line, lines):
    on_line("report", "s3-")
    page = (find_run("s3-", lines) / "report.html").read_text()
    assert "How well does line learn the points of line from random weights?" in page
    body = re.sub(r"<(script|style).*?</\1>", "", page, flags=re.DOTALL)
    assert "squared error" in body and "Pearson" in body
    assert not re.search("question|exact match|QA output|nats", body)
    assert "no difference" in on_line("report", "s3-", "--verify")


def test_two_runs_are_reported_and_compared_by_a_metric_that_is_no_mean(on_line, lines):
    on_line("report", "s1-", "s3-")
    page = (lines / "line" / "report.html").read_text()
    assert "is better in squared error on these 64 points; in Pearson they cannot" in page
    body = re.sub(r"<(script|style).*?</\1>", "", page, flags=re.DOTALL)
    assert not re.search("question|in percent", body)
    found = json.loads(on_line("runs", "compare", "s1-", "s3-", "--json"))
    pearson = found["pairs"][0]["comparison"]["pearson"]
    # A line that rises has the same correlation whatever its slope.
    assert abs(pearson["points"]) < 1e-9 and pearson["p"] == 1.0


def test_it_is_shown_bundled_and_its_asked_points_are_exported(on_line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shown = on_line("runs", "show", "s3-")
    assert "64 train and 64 validation points" in shown and "val/pearson" in shown
    on_line("efficacy", "s3-")
    on_line("bundle", "s3-", "--out", str(tmp_path))
    (bundle,) = tmp_path.glob("*.zip")
    assert any(
        name.endswith("predictions/validation.json") for name in zipfile.ZipFile(bundle).namelist()
    )
    on_line("ledger", "export", str(tmp_path / "asked.csv"))
    rows = list(csv.DictReader((tmp_path / "asked.csv").read_text().splitlines()))
    assert rows and all(row["question"].startswith("x = ") for row in rows)
    sources = json.loads(on_line("ledger", "sql", "SELECT examples FROM sources", "--json"))
    assert "points" in json.dumps(sources)


def test_a_task_that_switches_nothing_off_is_not_explained(on_line):
    refused = on_line("attribute", "s3-", "--example", "v1", code=2)
    assert "its task does not say how a token is switched off" in refused
    refused = on_line("attribute", "s3-", "--input", "y=1", code=2)
    assert "is asked with --input x=..., not with --input y=..." in refused
    refused = on_line("attribute", "s3-", "--input", "x=1", "--context", "1", code=2)
    assert "--context is of questions, and another example was typed" in refused


def test_what_was_not_recorded_is_not_filmed(on_line):
    assert "has no recording.zarr" in on_line("watch", "s3-", "--example", "v1", code=2)
