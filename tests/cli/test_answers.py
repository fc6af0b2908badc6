"""evaluate, predict, score and ask on files as people have them."""

import csv
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from unittest.mock import ANY

import pytest

from qa_research.tasks.answering.squad import squad_json
from tests.cli.test_squad_run import run  # noqa: F401
from tests.tasks.answering.test_squad import columns

Verb = Callable[..., tuple[int, str, str]]


@pytest.fixture
def on_run(verb, run, tmp_path) -> Verb:  # noqa: F811
    """Run a verb on the tiny run: (exit code, stdout, stderr)."""
    return lambda name, *more: verb(name, "tiny", *more, "--runs", str(tmp_path / "runs"))


@pytest.fixture
def changed(questions, tmp_path) -> Callable[..., Path]:
    """A file of the eight questions, after a change of its first paragraph."""

    def write(change: Callable[[dict], object]) -> Path:
        value = squad_json(questions, "1.1")
        change(value["data"][0]["paragraphs"][0])
        path = tmp_path / "given.json"
        path.write_text(json.dumps(value))
        return path

    return write


def without_answers(paragraph: dict) -> None:
    for entry in paragraph["qas"]:
        del entry["answers"]


def test_unlabelled_questions_are_answered_without_a_score(on_run, questions, tmp_path):
    rows = [{"id": q.id, "context": q.context, "question": q.question} for q in questions]
    path = tmp_path / "new.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    for verb in ("evaluate", "predict"):
        out = tmp_path / verb
        code, said, err = on_run(verb, "--data", str(path), "--out", str(out), "--json")
        assert code == 0 and json.loads(said) == {"questions": 8, "files": str(out)}
        assert ("8 of 8 questions have no 'answers'" in err) == (verb == "evaluate")
        assert sorted(file.name for file in out.iterdir()) == [
            "n_best.json",
            "null_odds.json",
            "predictions.json",
        ]
        assert list(json.loads((out / "predictions.json").read_text())) == [q.id for q in questions]
    code, said, _ = on_run("predict", "--data", str(path))
    assert code == 0 and said.startswith("8 questions answered\n") and "F1" not in said


def test_questions_with_and_without_answers_are_answered_and_the_ones_with_are_scored(
    on_run, changed, tmp_path
):
    path, out = changed(without_answers), tmp_path / "out"
    unlabelled = sum(
        len(p["qas"]) for p in json.loads(path.read_text())["data"][0]["paragraphs"][:1]
    )
    code, said, err = on_run("evaluate", "--data", str(path), "--out", str(out), "--json")
    assert code == 0 and f"{unlabelled} of 8 questions have no 'answers'" in err
    assert json.loads(said)["total"] == 8 - unlabelled
    assert len(json.loads((out / "predictions.json").read_text())) == 8


def test_wrong_answers_are_listed_the_most_confident_first(on_run, tmp_path):
    code, said, _ = on_run("evaluate", "--json", "--wrong", "3", "--out", str(tmp_path / "out"))
    found = json.loads(said)
    with (tmp_path / "out" / "mistakes.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert code == 0 and len(rows) == found["mistakes"] > 0
    wrong = found["total"] - round(found["exact_match"] * found["total"] / 100)
    assert len(rows) == wrong and len(found["wrong"]) == min(3, wrong)
    odds = [float(row["probability"]) for row in rows]
    assert odds == sorted(odds, reverse=True)
    predictions = json.loads((tmp_path / "out" / "predictions.json").read_text())
    assert all(predictions[row["id"]] == row["given"] != row["expected"] for row in rows)
    code, said, _ = on_run("evaluate", "--wrong", "1")
    assert code == 0 and f"\n1. {odds[0]:.3f}" in said and "\n2. " not in said
    assert f"question    {rows[0]['question']}"[:60] in said
    assert f"mistakes.csv ({wrong} wrong answer" in said


def test_predict_asks_labelled_questions_too(on_run, run):  # noqa: F811
    code, said, _ = on_run("predict", "--split", "train")
    assert code == 0 and said.startswith("8 questions answered")
    assert (run / "predictions" / "train-best" / "predictions.json").is_file()


def test_efficacy_needs_answers_and_says_which_verb_does_not(on_run, changed):
    code, _, err = on_run("efficacy", "--data", str(changed(without_answers)))
    assert code == 2 and "have no 'answers' (first: q0)" in err and "predict answers them" in err
    words = ("--on-bad-rows", "drop", "--questions", "2")
    code, _, err = on_run("efficacy", "--data", str(changed(without_answers)), *words)
    assert code == 0 and "q0: it has no 'answers'" in err


def shifted(paragraph: dict) -> None:
    for entry in paragraph["qas"]:
        entry["answers"][0]["answer_start"] += 1


def test_a_score_needs_no_offsets(on_run, verb, changed, questions, tmp_path):
    path = changed(shifted)
    wanted = on_run("evaluate", "--split", "train", "--json")[1]
    code, said, err = on_run("evaluate", "--data", str(path), "--json")
    assert code == 0 and "have an answer that is not at its offset; neither" in err
    assert json.loads(said)["f1"] == json.loads(wanted)["f1"]
    code, said, err = on_run("evaluate", "--data", str(path), "--on-bad-rows", "move", "--json")
    assert code == 0 and "moved" in err and "(1 to the left)" in err
    given = tmp_path / "p.json"
    given.write_text(json.dumps({q.id: q.answers[0].text for q in questions}))
    assert json.loads(verb("score", str(given), str(path), "--json")[1])["exact_match"] == 100


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda p: p["qas"][0].update(question=" "), "q0: empty question"),
        (lambda p: p["qas"][0].update(id="q7"), "q7: duplicate id"),
        (lambda p: p["qas"][0].update(is_impossible=True), "q0: is_impossible is true, but"),
        (lambda p: p["qas"][0].update(question="\ud83d?"), "q0: its question has half a character"),
        (lambda p: p["qas"][0].update(question="who " * 500), "q0: has 500 tokens, but data.max"),
        (lambda p: p["qas"][0].update(question=None), "q0: has no text 'question' but null"),
    ],
)
def test_a_bad_row_of_a_file_is_refused_or_dropped(on_run, changed, change, said, tmp_path):
    path, out = changed(change), tmp_path / "out"
    for verb in ("evaluate", "predict"):
        words = (verb, "--data", str(path), "--out", str(out))
        code, _, err = on_run(*words)
        assert code == 2 and f"--data={path} has 1 unusable question:" in err
        assert (
            said in err
            and "; --on-bad-rows drop leaves them out" in err
            and err.count("\n") == 1
            and not out.exists()
        )
        code, _, err = on_run(*words, "--on-bad-rows", "drop")
        assert code == 0 and f"skipped 1 of 8 questions ({said}" in err
        assert len(json.loads((out / "predictions.json").read_text())) == 7
        for file in out.iterdir():
            file.unlink()
        out.rmdir()
    words = ("efficacy", "--data", str(path), "--questions", "2", "--on-bad-rows")
    code, _, err = on_run(*words, "drop")
    assert code == 0 and f"skipped 1 of 8 questions ({said}" in err
    code, _, err = on_run("evaluate", "--data", str(path), "--on-bad-rows", "ignore")
    assert (
        code == 2 and "--on-bad-rows must be error, drop, move or move_or_drop, got 'ignore'" in err
    )


def test_score_says_what_it_counts_and_refuses_what_it_cannot_count(verb, changed, tmp_path):
    given = tmp_path / "p.json"
    given.write_text(json.dumps({"q0": "Ms Lund"}))
    _, _, err = verb("score", str(given), str(changed(lambda p: p["qas"][1].pop("answers"))))
    assert "1 of 8 questions have no 'answers' and are not scored (first: q1)" in err
    code, _, err = verb("score", str(given), str(changed(lambda p: p["qas"][1].update(id="q0"))))
    assert (
        code == 0 and "1 of 8 questions have the id of an earlier one, and each counts again" in err
    )
    path = changed(lambda p: p["qas"][1].update(is_impossible=True))
    code, out, err = verb("score", str(given), str(path))
    assert (code, out) == (2, "")
    assert "1 of 8 questions cannot be scored (first: q1: is_impossible is true" in err
    code, out, err = verb("score", str(given), str(path), "--on-bad-rows", "drop", "--json")
    assert (code, json.loads(out)["total"]) == (0, 7) and "they are left out" in err
    code, _, err = verb("score", str(given), str(path), "--on-bad-rows", "move")
    assert code == 2 and "--on-bad-rows must be error or drop, got 'move'" in err
    path = changed(lambda p: p["qas"][1].update(answers=["Monday"]))
    code, _, err = verb("score", str(given), str(path))
    assert code == 0 and "answer_start" not in err
    path.write_text(json.dumps([{"id": "q0", "context": "c", "question": "q"}]))
    code, out, err = verb("score", str(given), str(path))
    assert (code, out) == (2, "") and "has no 'answers' to any question" in err


def test_an_empty_gold_answer_is_no_answer_for_score(verb, changed, tmp_path):
    given = tmp_path / "p.json"
    given.write_text(json.dumps({f"q{i}": "" for i in range(8)}))
    path = changed(lambda p: p["qas"][0].update(answers=[{"text": "", "answer_start": -1}]))
    found = json.loads(verb("score", str(given), str(path), "--json")[1])
    assert (found["NoAns_total"], found["NoAns_f1"], found["exact_match"]) == (1, 100, 12.5)


def test_no_answer_probabilities_of_the_predictions_are_used(verb, changed, tmp_path):
    given = tmp_path / "p.json"
    row = {"prediction_text": "x", "no_answer_probability": 0.9}
    given.write_text(json.dumps([row | {"id": f"q{i}"} for i in range(8)]))
    path = changed(lambda p: p["qas"][0].update(answers=[]))
    words = ("score", str(given), str(path), "--json")
    found = json.loads(verb(*words, "--null-threshold", "0.5")[1])
    assert found["NoAns_exact_match"] == 100 and "best_f1" in found
    assert json.loads(verb(*words)[1])["NoAns_exact_match"] == 0


NOTICE = "Café K meets in the barn.\r\nMs Lund teaches chess.\r\nMr Ode teaches judo."


@pytest.mark.parametrize(
    ("encoding", "option", "named"),
    [
        ("utf-8", (), None),
        ("utf-8-sig", (), None),
        ("latin-1", ("--encoding", "latin-1"), r"is not UTF-8 text (byte 3 is 0xE9); if it is Latin-1"),
        ("utf-16", ("--encoding", "utf-16"), "is UTF-16 text, not UTF-8; --encoding=utf-16 reads it"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("source", ["file", "stdin"])
def test_places_of_an_answer_are_those_of_the_context_file_itself(
    on_run, tmp_path, monkeypatch, encoding, option, named, source
):
    path = tmp_path / "notice.txt"
    path.write_bytes(NOTICE.encode(encoding))

    def ask(*more: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(path.read_bytes())))
        name = str(path) if source == "file" else "-"
        words = ("--question", "Who teaches chess?", "--context-file", name, "--json")
        return on_run("ask", *words, *more)

    if named:
        code, _, err = ask()
        assert code == 2 and "--context-file=" in err and named in err
    code, out, _ = ask(*option)
    assert code == 0
    for candidate in json.loads(out)["candidates"]:
        assert NOTICE[candidate["char_start"] : candidate["char_end"]] == candidate["text"]


def test_a_context_file_that_is_not_there_is_named(on_run, tmp_path):
    for path, said in ((tmp_path / "none", "does not exist"), (tmp_path, "is a directory")):
        code, _, err = on_run("ask", "--question", "Who?", "--context-file", str(path))
        assert code == 2 and f"--context-file={path} {said}" in err


def test_options_of_files_are_refused_without_a_file(on_run):
    words = ("ask", "--question", "Who?", "--context", "x", "--encoding", "utf-16")
    code, _, err = on_run(*words)
    assert code == 2 and "--encoding=utf-16 is that of a file; it belongs to --context-file" in err
    for verb in ("evaluate", "predict", "efficacy"):
        code, _, err = on_run(verb, "--encoding", "utf-16")
        assert code == 2 and "--encoding=utf-16 is that of a file; it belongs to --data FILE" in err
    code, _, err = on_run("evaluate", "--on-bad-rows", "drop")
    assert code == 2 and "--on-bad-rows=drop belongs to --data FILE" in err


def test_a_question_is_a_text_or_the_id_of_one_of_the_runs_own(on_run, questions):
    # q5 is one of the training questions only.
    for row in (questions[1], questions[5]):
        words = ("--question", row.question, "--context", row.context, "--json")
        code, out, err = on_run("ask", "--question", row.id, "--json")
        assert code == 0, err
        assert json.loads(out) == json.loads(on_run("ask", *words)[1]) | {"question_id": ANY}
    code, out, err = on_run("ask", "--question", "nobody")
    assert (code, out) == (2, "") and "--question nobody is the id of none of the run's" in err
    code, out, err = on_run("ask", "--question", "Who is it?")
    assert code == 2 and "either --context or --context-file" in err


def test_a_source_with_splits_is_named_as_for_browsing(on_run, questions, tmp_path):
    (tmp_path / "mine").mkdir()
    for split in ("train", "validation"):
        rows = columns(questions[:3] if split == "train" else questions)
        text = "\n".join(json.dumps(row) for row in rows)
        (tmp_path / "mine" / f"{split}.jsonl").write_text(text)
    for more, number in (((), 8), (("--split", "train"), 3)):
        code, out, err = on_run("evaluate", "--data", str(tmp_path / "mine"), *more, "--json")
        assert code == 0, err
        assert json.loads(out)["total"] == number
    code, _, err = on_run("evaluate", "--data", "builtin", "--split", "test")
    assert code == 2 and "--split must be validation or train" in err
