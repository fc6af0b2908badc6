"""What a run says of its windows before it trains, and what it compares when it is resumed."""

import json
import signal

import pytest

from qa_research.runs.directory import read_record
from qa_research.runs.open import open_run
from qa_research.signals import Stopped
from qa_research.tasks.answering.question import Gold, Question
from qa_research.tasks.answering.score import exact_match
from qa_research.tasks.answering.squad import squad_json
from qa_research.tasks.answering.trained import questions_of
from tests.tiny_run import train
from tests.training.reading import directory_of
from tests.training.signalling import Plan, Signalling

TEXT = "It is kept by Ana Torres since May. The fee is 12 crowns."


def files_of(rows, folder) -> list[str]:
    path = folder / "rows.json"
    path.write_text(json.dumps(squad_json(rows, "1.1")))
    return [
        *("data=squad_file", f"data.train_path={path}", f"data.validation_path={path}"),
        *("data.train_questions=null", "data.validation_questions=null", "data.batch_size=2"),
        *("data.max_tokens=64", "data.stride_tokens=8", "trainer.val_check_interval=1.0"),
    ]


def rows_of(*golds: str) -> list[Question]:
    return [
        Question(f"r{i}", "", TEXT, "Who keeps it?", (Gold(gold, TEXT.index(gold)),), "who")
        for i, gold in enumerate(golds)
    ]


def test_answers_that_cannot_be_given_are_said_before_training_and_in_the_record(
    tiny, tmp_path, caplog
):
    rows = rows_of("Ana Torres", " Ana Torres ", "na Torres", "by Ana Torres since May. The")
    config = tiny(*files_of(rows, tmp_path), "answer.max_answer_tokens=5")
    caplog.set_level("INFO", logger="qa_research")
    train(config)
    run = directory_of(config)
    said = "2 of 4 training answers cannot be given exactly: 1 with other ends than their tokens have, "
    log = (run / "train.log").read_text()
    assert said in log and log.index(said) < log.index("First step starts")
    exact = read_record(run)["exactness"]
    assert exact["train"]["not_exact"] == exact["validation"]["not_exact"] == 2
    assert exact["train"]["first"] == "r2" and exact["train"]["unknown_share"] == 0.0


def test_a_run_that_dropped_a_long_question_is_evaluated_without_it(tiny, tmp_path):
    rows = rows_of("Ana Torres", "12 crowns", "May")
    rows.append(Question("long", "", TEXT, "who " * 90 + "?", rows[0].answers, "who"))
    config = tiny(*files_of(rows, tmp_path), "data.on_bad_rows=drop")
    train(config)
    run = open_run(directory_of(config))
    assert run.record["too_long"] == ["long", "long"]
    questions = questions_of(run.config, run.record, "validation")
    assert [row.id for row in questions] == ["r0", "r1", "r2"]
    assert len(run.answer(questions)) == 3


def test_an_interrupted_run_goes_on_only_with_its_own_windows(tiny, tmp_path):
    overrides = files_of(rows_of("Ana Torres", "12 crowns", " Ana Torres", "May"), tmp_path)
    signalling = "model._target_=tests.training.signalling.Signalling"
    config = tiny(*overrides, "trainer.max_epochs=3", signalling)
    Signalling.follow(Plan("training", 3, signal.SIGTERM))
    with pytest.raises(Stopped):
        train(config)
    Signalling.follow()
    path = directory_of(config) / "run.json"
    record = json.loads(path.read_text())
    for fingerprints, sentence in (
        (
            record["fingerprints"] | {"windows": "0" * 64},
            "the windows of tokens are no longer those",
        ),
        (
            record["fingerprints"] | {"tokenizer": "0" * 64},
            "the pieces and rules of the tokenizer are no",
        ),
        (
            {k: v for k, v in record["fingerprints"].items() if k not in ("windows", "tokenizer")},
            r"made other windows of 1 of 4 training questions \(first: r2\)",
        ),
    ):
        path.write_text(json.dumps(record | {"fingerprints": fingerprints}))
        with pytest.raises(ValueError, match=sentence):
            train(config)
    path.write_text(json.dumps(record))
    train(config)
    assert read_record(directory_of(config))["status"] == "finished"


def test_modernbert_trains_is_watched_and_answers(tiny):
    config = tiny("model=modernbert_tiny", "capture=default", "capture.questions=2")
    train(config)
    run = open_run(directory_of(config))
    assert run.network.config.model_type == "modernbert"
    assert run.record["capture"]["captures"] >= 2
    assert run.ask("Who leads it?", TEXT).text in TEXT


def test_a_run_of_one_file_says_so_and_asks_training_questions_again(
    tiny, questions, tmp_path, caplog
):
    caplog.set_level("INFO", logger="qa_research")
    path = tmp_path / "all.json"
    path.write_text(json.dumps(squad_json(questions, "1.1")))
    config = tiny(
        *("data=squad_file", f"data.train_path={path}", "data.validation_share=0.5"),
        *("data.train_questions=null", "data.validation_questions=null", "data.batch_size=2"),
        *("data.max_tokens=64", "data.stride_tokens=8", "trainer.val_check_interval=1.0"),
    )
    train(config)
    run = directory_of(config)
    record = read_record(run)
    assert record["questions"] == {"train": 4, "validation": 4, "choosing": 4}
    assert record["config"]["data"]["validation_share"] == 0.5
    assert "in whole contexts, drawn by data.seed=0" in (run / "train.log").read_text()
    opened = open_run(run)
    asked = opened.answer(questions_of(opened.config, opened.record, "train"))
    golds = {row.id: row.answers[0].text for row in questions}
    right = sum(exact_match(a.text, golds[a.question_id]) for a in asked)
    found = record["on_training"]
    assert (found["questions"], found["exact_match"]) == (4, 25.0 * right)
