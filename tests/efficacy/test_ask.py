"""The verb efficacy on tiny trained runs, from the command line to the ledger."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from dataclasses import replace

import pytest
import torch

from qa_research.capture.kept import read_kept
from qa_research.ledger import database as opening
from qa_research.runs.open import open_run
from qa_research.tasks.answering.decode import Answer
from qa_research.tasks.answering.trained import TrainedAnswerer
from tests.tiny_run import train


@pytest.fixture(scope="module")
def trained(tmp_path_factory, cache):
    """The folder of a run with checkpoints at the steps 3 and 6, of 7."""
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    from qa_research.launch.compose import conf_directory
    from tests.tiny_run import TINY

    runs = tmp_path_factory.mktemp("asked") / "runs"
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(conf_directory()), version_base="1.3"):
        words = [*TINY, "capture=none", "study=tiny", "checkpoint.keep_every_n_steps=3"]
        train(compose("train", [*words, f"paths.runs={runs}", f"paths.cache={cache}"]))
    return runs


@pytest.fixture
def runs(trained, tmp_path):
    """A copy with a ledger of its own."""
    shutil.copytree(trained, tmp_path / "runs")
    return tmp_path / "runs"


@pytest.fixture
def efficacy(verb, runs):
    def ask(*words):
        return verb("efficacy", *words, "--runs", str(runs))

    return ask


def rows(runs, query="SELECT * FROM asked_questions"):
    connection = sqlite3.connect(runs / "ledger.sqlite")
    connection.row_factory = sqlite3.Row
    found = connection.execute(query).fetchall()
    connection.close()
    return found


def test_every_asked_question_becomes_a_row_that_evaluating_confirms(efficacy, runs, verb):
    code, out, _ = efficacy("tiny", "--questions", "16", "--json")
    assert code == 0
    (state,) = json.loads(out)
    assert state["ratio"]["asked"] == 16 and state["is_whole"] and state["repeats"] == 0
    _, out, _ = verb("evaluate", "tiny", "--runs", str(runs), "--json")
    scores = json.loads(out)
    assert state["ratio"]["percent"] == pytest.approx(scores["exact_match"])
    assert state["mean_f1_percent"] == pytest.approx(scores["f1"])
    predictions = json.loads(
        (runs.glob("*/*/predictions/validation-best/predictions.json").__next__()).read_text()
    )
    asked = rows(runs)
    assert {row["id"]: row["answer"] for row in asked} == predictions
    record = json.loads(next(runs.glob("*/*/run.json")).read_text())
    assert {(r["run_id"], r["step"], r["split"], r["fingerprint"]) for r in asked} == {
        (record["id"], record["best_step"], "validation", record["fingerprints"]["validation"])
    }
    assert sorted(row["question_index"] for row in asked) == list(range(16))
    assert all(row["probability"] and row["score"] is not None and row["seconds"] for row in asked)


def test_a_search_shows_question_expected_and_given_answer_and_its_cost(efficacy, runs):
    code, out, err = efficacy("tiny", "--round-size", "4", "--max-questions", "8")
    assert code == 0 and "from validation of builtin: 16 questions, seed 1" in err
    asked = rows(runs)
    assert "round 1: 4 questions in " in out
    for row in asked:
        if row["counted"]:
            assert row["question"] in out and json.loads(row["golds"])[0] in out
            assert f"given     {row['answer']}" in out
    searched = rows(runs, "SELECT * FROM search_counts")[0]
    ended = f"right after {searched['counted']} question"
    assert (ended if searched["ending"] == "right" else "none right of 8 questions") in out
    assert "a search " in out and "[" in out


def test_the_same_command_continues_and_repeats_nothing_before_all_were_asked(efficacy, runs):
    for _ in range(2):
        assert (
            efficacy("tiny", "--rounds", "2", "--max-questions", "4", "--round-size", "4")[0] == 0
        )
    searches = rows(runs, "SELECT seed, draw, first FROM searches")
    assert [tuple(row) for row in searches] == [(1, 0, 0), (1, 0, 4), (1, 0, 8), (1, 0, 12)]
    assert sorted(row["number"] for row in rows(runs, "SELECT number FROM asked")) == list(
        range(16)
    )
    assert efficacy("tiny", "--max-questions", "4")[0] == 0
    assert [tuple(r) for r in rows(runs, "SELECT draw, first FROM searches")][4] == (1, 0)


def test_a_number_of_questions_is_continued_to_the_last_and_then_nothing_is_left_to_ask(
    efficacy, runs
):
    found = []
    for _ in range(3):
        code, out, err = efficacy("tiny", "--questions", "10", "--json")
        (state,) = json.loads(out)
        assert code == 0
        made = [(len(one["rows"]), one["ending"]) for one in state["found"]]
        found.append((made, state["asked"], state["repeats"], state["is_whole"]))
        used_up = "6 questions in" in err and "the order of questions is used up" in err
        assert used_up is (len(found) == 2)
    assert found == [
        ([(10, "done")], 10, 0, False),
        ([(6, "exhausted")], 16, 0, True),
        ([], 16, 0, True),
    ]
    assert "Nothing to ask: the whole split has been asked already" in err
    assert "Nothing to ask" in efficacy("tiny", "--questions", "10", "--seed", "2")[2]
    assert len(rows(runs)) == 16


def test_more_questions_than_there_are_asks_each_once_and_says_so(efficacy, runs):
    code, out, err = efficacy("tiny", "--questions", "17")
    assert code == 0 and "asked      16 in 1 search" in out and "(the whole split)" in out
    assert "validation has 16 questions, fewer than --questions 17: each is asked once" in err


def test_a_search_that_reaches_the_end_of_an_order_continues_in_the_next(
    efficacy, runs, monkeypatch
):
    ask = TrainedAnswerer.answer
    monkeypatch.setattr(
        TrainedAnswerer,
        "answer",
        lambda self, rows: [replace(a, text="", char_start=0, char_end=0) for a in ask(self, rows)],
    )
    monkeypatch.setattr(Answer, "score", property(lambda answer: 0.0))
    assert efficacy("tiny", "--questions", "10")[0] == 0
    code, out, _ = efficacy("tiny")
    assert code == 0 and out.count("the order of questions is used up") == 2
    searches = rows(runs, "SELECT draw, first, ending, asked FROM search_counts")
    assert [tuple(row) for row in searches][1:] == [
        (0, 10, "exhausted", 6),
        (1, 0, "exhausted", 16),
    ]


def test_all_checkpoints_are_asked_the_same_questions_and_drawn(efficacy, runs, tmp_path):
    code, out, _ = efficacy("tiny", "--all-checkpoints", "--questions", "10")
    assert code == 0
    asked = rows(
        runs,
        "SELECT step, group_concat(question_index) AS order_ FROM asked_questions GROUP BY step",
    )
    assert [row["step"] for row in asked] == [3, 6, 7]
    assert len({row["order_"] for row in asked}) == 1
    assert [line.split()[1] for line in out.splitlines()[1:4]] == ["3", "6", "7"]
    last = out.splitlines()[-1]
    assert last == f"qa-research efficacy plot tiny --runs {runs} draws them over training steps"
    picture = tmp_path / "curve" / "efficacy.png"
    code, out, _ = efficacy("plot", "--out", str(picture.parent))
    assert code == 0 and str(picture) in out and picture.read_bytes()[:4] == b"\x89PNG"
    code, out, _ = efficacy("table")
    assert code == 0 and out.count("builtin validation") == 3 and "right: of the" in out
    code, out, _ = efficacy("table", "tiny", "--json")
    assert [state["state"]["step"] for state in json.loads(out)["states"]] == [3, 6, 7]
    code, out, _ = efficacy("tiny", "--checkpoint", "6", "--questions", "2", "--json")
    assert json.loads(out)[0]["state"]["step"] == 6


def test_best_and_the_step_it_is_from_are_one_state(efficacy, runs):
    record = json.loads(next(runs.glob("*/*/run.json")).read_text())
    shutil.copy(next(runs.glob("*/*/checkpoints/best.ckpt")), runs / "copy.ckpt")
    for checkpoint in ("best", str(runs / "copy.ckpt")):
        assert efficacy("tiny", "--checkpoint", checkpoint, "--questions", "2")[0] == 0
    (state,) = rows(runs, "SELECT * FROM states")
    assert state["step"] == record["best_step"] and len(state["weights"]) == 64
    assert state["pretrained"] == 0


def test_a_width_is_asked_for_once(efficacy, runs):
    code, _, _ = efficacy("tiny", "--until-width", "80", "--round-size", "2")
    assert code == 0
    before = len(rows(runs))
    assert 0 < before <= 16
    code, _, err = efficacy("tiny", "--until-width", "80")
    assert code == 0 and "Nothing to ask: the interval is narrow enough already" in err
    assert len(rows(runs)) == before
    assert efficacy("tiny", "--until-width", "0.1")[0] == 0
    code, _, err = efficacy("tiny", "--until-width", "0.1")
    assert "Nothing to ask: the whole split has been asked already" in err


def test_other_splits_and_files_are_other_sources(efficacy, runs, tmp_path, questions):
    from qa_research.tasks.answering.squad import squad_json

    path = tmp_path / "mine.json"
    path.write_text(json.dumps(squad_json(questions, "1.1")))
    assert efficacy("tiny", "--split", "train", "--questions", "3")[0] == 0
    assert efficacy("tiny", "--data", str(path), "--questions", "3")[0] == 0
    sources = rows(runs, "SELECT name, split, questions FROM sources")
    assert [tuple(row) for row in sources] == [("builtin", "train", 48), ("mine.json", "file", 8)]


def test_what_cannot_be_read_fails_alone_and_long_contexts_are_read_in_windows(
    efficacy, runs, tmp_path
):
    context = "Ms Lund teaches chess. " + "Judo is on Monday. " * 2000
    questions = {"long context": "Who teaches chess?", "long question": "Who teaches " * 300 + "?"}
    qas = [
        {"id": name, "question": text, "answers": [{"text": "Ms Lund", "answer_start": 0}]}
        for name, text in questions.items()
    ]
    path = tmp_path / "long.json"
    path.write_text(json.dumps({"data": [{"paragraphs": [{"context": context, "qas": qas}]}]}))
    code, out, err = efficacy("tiny", "--data", str(path), "--questions", "2")
    assert code == 0 and "(long question) failed: ValueError: question long question has" in err
    assert "failed     1, counted neither as right nor as wrong" in out
    asked = {row["id"]: row for row in rows(runs)}
    assert asked["long context"]["status"] == "answered" and asked["long context"]["answer"]
    assert asked["long question"]["status"] == "failed" and not asked["long question"]["counted"]


def test_a_network_of_nan_is_refused_by_name(efficacy, runs):
    path = next(runs.glob("*/*/checkpoints/best.ckpt"))
    checkpoint = torch.load(path, weights_only=True)
    for tensor in checkpoint["state_dict"].values():
        if tensor.is_floating_point():
            tensor.fill_(float("nan"))
    torch.save(checkpoint, path)
    code, _, err = efficacy("tiny")
    assert code == 2 and "best.ckpt has weights that are not finite in " in err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("nobody",), "nobody"),
        (("tiny", "--rounds", "2", "--questions", "3"), "--rounds and --questions are two"),
        (("tiny", "--table"), "--table is now: efficacy table"),
        (("tiny", "--split", "test"), "--split must be validation or train, got 'test'"),
        (("tiny", "--questions", "9", "--max-questions", "5"), "more than --max-questions 5"),
        (("tiny", "--until-width", "0"), "more than 0 and at most 100"),
        (("tiny", "--max-minutes", "0"), "--max-minutes must be a number above 0"),
        (("tiny", "--max-minutes", "nan"), "--max-minutes must be a number above 0, got nan"),
        (("tiny", "--all-checkpoints", "--checkpoint", "3"), "asks more than --checkpoint 3"),
        (
            ("tiny", "--data", "a.json", "--split", "train"),
            "--split train is for data with splits, and --data=a.json is a file",
        ),
        (
            ("tiny", "--checkpoint", "5"),
            "there is no checkpoint 5; this run has best, last, 3, 6",
        ),
        (("tiny", "--data", "nothing.json"), "--data=nothing.json does not exist"),
        (("tiny", "--out", "a.png"), "--out is now: efficacy plot --out DIR"),
        (("table",), "no questions have been asked yet"),
    ],
)
def test_bad_requests_are_answered_by_one_sentence(efficacy, words, sentence):
    code, out, err = efficacy(*words)
    assert code == 2 and out == "" and sentence in err and "recorded" not in err
    assert err.strip().splitlines()[-1].startswith("qa-research: ")


def test_what_was_asked_is_kept_for_the_answer_page(efficacy, runs, verb):
    assert efficacy("tiny", "--questions", "12")[0] == 0
    directory = next(runs.glob("tiny/*"))
    (before,) = (kept for kept in read_kept(directory) if kept.state.asking == "efficacy")
    found = rows(runs)
    right = [row for row in found if row["exact_match"]]
    wrong = [row for row in found if not row["exact_match"]]
    wanted = {"most confidently wrong": max(wrong, key=lambda row: row["probability"])}
    wanted |= {"last right": right[-1]} if right else {}
    assert (before.state.asked, before.state.right) == (12, len(right))
    ids = [row["id"] for row in before.recording.questions]
    assert dict(zip([one.role for one in before.answers], ids, strict=True)) == {
        role: row["id"] for role, row in wanted.items()
    }
    # Of a file it is kept nowhere: the scores of the report are those of the run's own questions.
    assert verb("evaluate", "tiny", "--split", "train", "--runs", str(runs))[0] == 0
    assert verb("evaluate", "tiny", "--checkpoint", "3", "--runs", str(runs))[0] == 0
    after = {kept.state.asking: kept.state for kept in read_kept(directory)}
    assert after["efficacy"] == before.state and after["validation"].step == 3
    assert after["validation"].asked == 16 and after["validation"].checkpoint == "step-000003"


def test_a_run_without_checkpoint_and_one_without_steps_say_so(efficacy, runs):
    directory = next(runs.glob("*/*/checkpoints"))
    for path in directory.glob("step-*.ckpt"):
        path.unlink()
    code, _, err = efficacy("tiny", "--all-checkpoints")
    assert code == 2 and "kept no steps" in err and "checkpoint.keep_every_n_steps=50" in err
    for path in directory.iterdir():
        path.unlink()
    code, _, err = efficacy("tiny")
    assert code == 2 and "there is no checkpoint best; this run has none" in err


def test_a_locked_ledger_is_an_error_before_the_first_question(efficacy, runs, monkeypatch):
    monkeypatch.setattr(opening, "SECONDS_BEFORE_A_LINE", 0.1)
    monkeypatch.setattr(opening, "SECONDS_TO_WAIT", 0.3)
    foreign = sqlite3.connect(runs / "ledger.sqlite", isolation_level=None)
    foreign.execute("BEGIN EXCLUSIVE")
    code, out, err = efficacy("tiny")
    foreign.close()
    assert code == 2 and out == "" and "another process has locked the ledger" in err


def test_a_plot_of_an_unknown_format_is_refused(efficacy):
    assert efficacy("tiny", "--questions", "2")[0] == 0
    code, _, err = efficacy("plot", "--format", "txt")
    assert code == 2 and "--format" in err and "txt" in err
    code, _, err = efficacy("table", "other")
    assert code == 2 and "other has not been asked anything yet" in err


def test_asking_again_gives_the_same_answers(efficacy, runs):
    """A question asked alone or among others, in any order, is answered alike."""
    answers = []
    for size in ("1", "16"):
        assert efficacy("tiny", "--questions", "16", "--round-size", size)[0] == 0
        answers.append({row["question_index"]: row["answer"] for row in rows(runs)})
        # Of the ledger that has them all it would not ask them again.
        (runs / "ledger.sqlite").unlink()
    assert answers[0] == answers[1] and len(answers[0]) == 16


def test_ctrl_c_ends_after_the_round_and_keeps_what_was_asked(runs, monkeypatch, verb):
    ask = TrainedAnswerer.answer
    calls = []

    def interrupted(self, questions):
        calls.append(len(questions))
        if len(calls) == 2:
            os.kill(os.getpid(), signal.SIGINT)
        return ask(self, questions)

    monkeypatch.setattr(TrainedAnswerer, "answer", interrupted)
    monkeypatch.setattr("qa_research.signals.leave", sys.exit)
    code, out, err = verb(
        "efficacy", "tiny", "--questions", "16", "--round-size", "4", "--runs", str(runs)
    )
    assert code == 130 and "Stopped by SIGINT. Resume with: qa-research efficacy tiny" in err
    assert calls == [4, 4] and "asked      8 in 1 search" in out
    assert [tuple(r) for r in rows(runs, "SELECT asked, ending FROM search_counts")] == [
        (8, "stopped")
    ]


@pytest.mark.slow
def test_a_killed_search_leaves_complete_rounds_and_asking_continues(runs):
    command = [sys.executable, "-c", "from qa_research.cli.main import main; main()"]
    words = ["efficacy", "tiny", "--split", "train", "--rounds", "100000", "--round-size", "1"]
    process = subprocess.Popen([*command, *words, "--max-questions", "48", "--runs", str(runs)])
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        if (runs / "ledger.sqlite").exists() and len(rows(runs, "SELECT 1 FROM asked")) > 30:
            break
        time.sleep(0.05)
    process.kill()
    process.wait()
    counts = rows(runs, "SELECT ending, asked FROM search_counts")
    assert sum(row["asked"] for row in counts) > 30
    assert [row["ending"] for row in counts[:-1]].count(None) == 0
    again = subprocess.run(
        [*command, "efficacy", "tiny", "--questions", "3", "--json", "--runs", str(runs)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(again.stdout)[0]["ratio"]["asked"] == 3


def test_a_run_given_by_its_path_uses_the_ledger_of_its_folder(verb, runs, tmp_path):
    directory = next(runs.glob("*/bert*"))
    words = ("efficacy", str(directory), "--questions", "2", "--runs", str(tmp_path / "none"))
    code, _, err = verb(*words)
    assert code == 0 and f"The answers are recorded in {runs / 'ledger.sqlite'}" in err
    assert len(rows(runs)) == 2


def test_an_opened_run_knows_its_step(runs):
    assert open_run("tiny", "6", runs).step == 6


def test_a_run_that_was_moved_is_recorded_where_runs_says(runs, verb, tmp_path, monkeypatch):
    (directory,) = (runs / "tiny").iterdir()
    moved = tmp_path / "elsewhere" / "deep" / "run"
    moved.parent.mkdir(parents=True)
    directory.rename(moved)
    mine = tmp_path / "mine"
    code, _, err = verb("efficacy", str(moved), "--questions", "2", "--runs", str(mine))
    assert code == 0 and f"The answers are recorded in {mine / 'ledger.sqlite'}" in err
    assert len(rows(mine)) == 2
    assert not (tmp_path / "elsewhere" / "ledger.sqlite").exists()
