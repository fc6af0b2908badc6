import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from qa_research.tasks.answering.squad import squad_json


@pytest.fixture
def data(questions, tmp_path) -> Path:
    path = tmp_path / "dev.json"
    path.write_text(json.dumps(squad_json(questions, "1.1")))
    return path


def predictions(tmp_path: Path, value: object) -> Path:
    path = tmp_path / "predictions.json"
    path.write_text(json.dumps(value))
    return path


def test_score_gives_the_official_keys(verb, data, questions, tmp_path):
    path = predictions(tmp_path, {q.id: q.answers[0].text for q in questions})
    code, out, err = verb("score", str(path), str(data), "--json")
    assert (code, err) == (0, "")
    scores = json.loads(out)
    assert {key: scores[key] for key in ("exact_match", "f1", "total")} == {
        "exact_match": 100.0,
        "f1": 100.0,
        "total": 8,
    }
    # Eight questions about two contexts say little.
    assert scores["paragraphs"] == 2
    assert scores["exact_match_95"][0] < 50


def test_score_of_v2_tells_answerable_from_unanswerable(verb, questions, tmp_path):
    from tests.conftest import make_question

    rows = [questions[0], make_question(9, "Why?", None)]
    path = tmp_path / "v2.json"
    path.write_text(json.dumps(squad_json(rows, "v2.0")))
    given = predictions(tmp_path, {"q0": "Ms Lund", "q9": "chess"})
    _, out, _ = verb("score", str(given), str(path), "--json")
    found = json.loads(out)
    assert (found["HasAns_exact_match"], found["NoAns_exact_match"]) == (100, 0)
    assert (found["exact_match"], found["total"]) == (50, 2)


def test_score_says_what_is_missing(verb, data, tmp_path):
    path = predictions(tmp_path, {"q0": "Ms Lund"})
    code, out, err = verb("score", str(path), str(data))
    assert code == 0 and "7 of 8 questions have no prediction and count 0" in err
    assert "12.500" in out


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ([1, 2], "row 0 is the number 1; expected one JSON object"),
        ({"q0": 3}, "the answer to 'q0' is the number 3; expected"),
        ({"other": "x"}, "no prediction belongs to a question of DATA"),
    ],
)
def test_bad_predictions_are_refused(verb, data, tmp_path, value, sentence):
    code, out, err = verb("score", str(predictions(tmp_path, value)), str(data))
    assert code == 2 and out == ""
    assert sentence in err and err.count("\n") == 1


def test_missing_files_are_named(verb, data, tmp_path):
    code, _, err = verb("score", str(tmp_path / "none.json"), str(data))
    assert code == 2 and "PREDICTIONS=" in err and "does not exist" in err


def test_a_run_that_is_not_there_is_named(verb, tmp_path):
    code, _, err = verb(
        "ask", "nothing", "--question", "q", "--context", "c", "--runs", str(tmp_path)
    )
    assert code == 2 and "no run 'nothing'" in err


def test_ask_needs_one_text(verb):
    code, _, err = verb("ask", "run", "--question", "Who?")
    assert code == 2 and "either --context or --context-file" in err


def test_doctor_names_no_user_or_host(verb):
    code, out, _ = verb("doctor", "--json")
    found = json.loads(out)
    assert code == 0 and found["versions"]["torch"] and found["cores"] >= 1
    code, out, _ = verb("doctor")
    assert code == 0 and "trainer=" in out


def test_help_imports_nothing_heavy():
    code = (
        "import sys; sys.argv = ['qa-research', '--help']\n"
        "from qa_research.cli.main import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'lightning', 'transformers', 'hydra', 'numpy'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    for name in (
        "train",
        "evaluate",
        "efficacy",
        "score",
        "ask",
        "squad",
        "export",
        "ledger",
        "doctor",
    ):
        assert name in done.stdout


@pytest.mark.slow
def test_the_verbs_work_on_a_trained_run(verb, tmp_path, data):
    runs = ["--runs", str(tmp_path / "runs")]
    overrides = ["+experiment=smoke", f"paths.runs={tmp_path / 'runs'}"]
    command = [str(Path(sys.executable).with_name("qa-research")), "train", *overrides]
    command += [f"paths.cache={tmp_path / 'cache'}"]
    subprocess.run(command, check=True, capture_output=True, cwd=tmp_path)
    code, out, _ = verb("evaluate", "smoke", *runs, "--json")
    found = json.loads(out)
    assert code == 0 and found["total"] == 32
    assert set(found["by_kind"]) == {"lookup", "match"}
    assert (Path(found["files"]) / "predictions.json").is_file()
    code, out, _ = verb("evaluate", "smoke", *runs, "--data", str(data), "--checkpoint", "last")
    assert code == 0 and "exact match [95 %]" in out
    text = tmp_path / "notice.txt"
    text.write_text("Group B meets in the barn.")
    question = ["--question", "Where does group B meet?"]
    code, out, _ = verb("ask", "smoke", *question, "--context-file", str(text), *runs, "--json")
    answer = json.loads(out)
    assert code == 0
    assert text.read_text()[answer["char_start"] : answer["char_end"]] == answer["text"]
    code, out, _ = verb("ask", "smoke", *question, "--context", text.read_text(), *runs)
    assert code == 0 and "probability" in out
    code, out, _ = verb("export", "smoke", str(tmp_path / "exported"), *runs)
    assert code == 0 and "BertForQuestionAnswering.from_pretrained" in out


@pytest.mark.parametrize(
    "words",
    [
        ["runs", "remove", "", "--yes"],
        ["runs", "show", " "],
        ["runs", "scan", "--runs", ""],
        ["runs", "list", "--study="],
        ["efficacy", "table", ""],
        ["squad", "show", "0", "--run", ""],
        ["watch", "run", "--question", ""],
    ],
)
def test_an_empty_argument_fits_nothing(verb, words):
    code, out, err = verb(*words)
    assert (code, out) == (2, "") and "an argument is empty" in err and err.count("\n") == 1


@pytest.mark.parametrize("name", ["train", "explain"])
def test_the_help_of_what_hydra_composes_imports_no_more_than_hydra(name):
    code = (
        f"import sys; sys.argv = ['qa-research', {name!r}, '--help']\n"
        "from qa_research.cli.main import main\n"
        "try: main()\n"
        "except SystemExit as done: assert done.code == 0\n"
        "heavy = {'torch', 'lightning', 'transformers', 'typer', 'numpy'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "seed=1" in done.stdout


def test_the_version_names_what_decides_a_result_and_imports_nothing_heavy(verb):
    import torch

    from qa_research.runs.versions import installed_versions

    code, out, err = verb("--version")
    assert (code, err) == (0, "") and out.count("\n") == 1
    found = installed_versions()
    assert out.startswith(f"qa_research {found['qa-research']}")
    assert out.endswith(
        f", Python {found['python']}, torch {torch.__version__.partition('+')[0]}\n"
    )
    assert verb("train", "--version")[:2] == (0, out)
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "qa_research.cli.main", "--version"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert not re.search(r"\| +(torch|hydra|numpy)$", done.stderr, re.MULTILINE)
