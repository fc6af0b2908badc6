"""Verbs that take a run also take a model that was trained elsewhere."""

import json
from pathlib import Path

import pytest

from qa_research.runs.open import open_run
from qa_research.tasks.answering.squad import squad_json
from tests.cli.test_squad_run import run  # noqa: F401
from tests.conftest import CONTEXT
from tests.model_folders import write_model, write_run_qa

ASKING = ("--question", "Who teaches chess?", "--context", CONTEXT)


@pytest.fixture
def out(tokenizer, tmp_path) -> Path:
    """The output folder of a run_qa training, with the steps 5, 10 and 15, of which 10 is the best."""
    return write_run_qa(tmp_path / "squad-out", tokenizer, [5, 10, 15], best=10)


@pytest.fixture
def data(questions, tmp_path) -> str:
    path = tmp_path / "dev.json"
    path.write_text(json.dumps(squad_json(questions, "1.1")))
    return str(path)


@pytest.fixture
def runs(tmp_path) -> str:
    return str(tmp_path / "runs")


def test_a_run_qa_folder_is_asked_scored_and_attributed(verb, out, data, runs):
    before = sorted(out.rglob("*"))
    code, said, err = verb("ask", str(out), *ASKING, "--runs", runs, "--json")
    assert code == 0 and json.loads(said)["text"] in CONTEXT
    assert "checkpoint-10, the best by its trainer_state.json" in err
    assert "windows of 48 tokens that share 16 (as its tokenizer was last used)" in err
    code, said, err = verb("evaluate", str(out), "--data", data, "--runs", runs, "--json")
    assert code == 0 and json.loads(said)["total"] == 8
    folder = Path(json.loads(said)["files"])
    assert folder.is_relative_to(Path(runs, "models")) and (folder / "scores.json").is_file()
    code, said, err = verb(
        "evaluate", str(out), "--data", data, "--runs", runs, "--checkpoint", "5"
    )
    assert code == 0 and f"checkpoint-5 of {out.parent.name}/squad-out, rules" in said
    code, _, err = verb("predict", str(out), "--data", data, "--runs", runs)
    assert code == 0
    words = ("--method", "erasure", "--runs", runs, "--json", "--top", "2")
    code, said, err = verb("attribute", str(out), *ASKING, *words)
    assert code == 0, err
    assert sorted(out.rglob("*")) == before, "nothing is written next to a model that is not ours"


def test_all_checkpoints_of_a_run_qa_folder_are_a_curve(verb, out, data, runs):
    words = ("--data", data, "--questions", "8", "--runs", runs)
    code, said, err = verb("efficacy", str(out), *words, "--all-checkpoints", "--json")
    assert code == 0, err
    found = json.loads(said)
    assert [row["state"]["step"] for row in found] == [5, 10, 15]
    name = f"{out.parent.name}/squad-out"
    assert {row["state"]["run"] for row in found} == {name}
    assert {row["state"]["pretrained"] for row in found} == {None}
    code, said, err = verb("efficacy", "table", name, "--runs", runs, "--json")
    assert code == 0 and len(json.loads(said)["states"]) == 3
    # A checkpoint by its own path is the same state, and has been asked all there is.
    checkpoint = str(out / "checkpoint-5")
    code, said, err = verb("efficacy", checkpoint, *words, "--json")
    assert code == 0 and json.loads(said)[0]["found"] == [] and "Nothing to ask" in err
    # As it is printed it is accepted, too.
    code, said, err = verb("ask", name, *ASKING, "--runs", runs)
    assert code == 0 and "checkpoint-10, the best" in err
    code, said, err = verb("efficacy", "table", checkpoint, "--runs", runs, "--json")
    assert code == 0 and len(json.loads(said)["states"]) == 3
    code, said, _ = verb("efficacy", "table", "--runs", runs, "--json")
    assert len(json.loads(said)["states"]) == 3
    code, said, _ = verb("efficacy", "plot", "--runs", runs)
    assert code == 0 and Path(runs, "efficacy.png").is_file()


def test_squad_shows_the_answer_of_a_model(verb, out, data, runs, tmp_path):
    words = ("--run", str(out), "--runs", runs, "--cache", str(tmp_path / "cache"), "--json")
    code, said, err = verb("squad", "0", "--data", data, *words)
    assert code == 0, err
    shown = json.loads(said)
    assert shown["run"]["checkpoint"] == "checkpoint-10" and shown["fit"]["max_tokens"] == 48
    assert shown["run"]["run"] == f"{out.parent.name}/squad-out"
    code, said, err = verb("squad", "0", *words)
    assert code == 0 and json.loads(said)["source"] == "train of builtin"


def test_a_look_is_written_among_the_runs_or_where_out_says(verb, out, runs, tmp_path):
    code, said, err = verb("ask", str(out), *ASKING, "--look", "--runs", runs)
    assert code == 0 and "Page     " in said, err
    assert len(list(Path(runs, "models").glob("*/looks/*/look.html"))) == 1
    place = tmp_path / "mine"
    words = ("--look", "--unit", "3", "--out", str(place), "--runs", runs, "--json")
    code, said, err = verb("ask", str(out), *ASKING, *words)
    assert code == 0 and json.loads(said)["look"]["unit"] == 3
    assert (place / "look.html").is_file()
    code, _, err = verb("ask", str(out), *ASKING, "--unit", "3")
    assert code == 2 and "--unit belongs to --look" in err


def test_an_export_is_asked_as_its_run_is(verb, run, tmp_path, runs):  # noqa: F811
    exported = tmp_path / "exported"
    assert verb("export", "tiny", str(exported), "--runs", runs)[0] == 0
    before = json.loads(verb("ask", "tiny", *ASKING, "--runs", runs, "--json")[1])
    code, said, err = verb("ask", str(exported), *ASKING, "--runs", runs, "--json")
    assert code == 0 and json.loads(said) == before
    assert "windows of 48 tokens that share 8 (by its answering.json), answers of at most 8" in err
    mine, theirs = open_run(run, runs=runs), open_run(exported, runs=runs)
    assert theirs.answering == mine.answering and theirs.step == mine.step == 7
    code, _, err = verb("export", str(exported), str(tmp_path / "again"), "--runs", runs)
    assert code == 2 and "is a Hugging Face model already; export makes one of a run" in err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("evaluate", "{m}"), "{m} is a model without questions of its own; name some with --data"),
        (("predict", "{m}", "--split", "train"), "is a model without questions of its own"),
        (("efficacy", "{m}"), "is a model without questions of its own"),
        (
            ("watch", "{m}"),
            "trained; for the film of one look add --question TEXT with --context-file FILE, or",
        ),
        (
            ("watch", "{m}", "--question", "Who?"),
            "{m} is a Hugging Face model, and nothing was recorded",
        ),
        (
            ("watch", "{m}", "--context", "a"),
            "what to look at is missing: --question TEXT with --cont",
        ),
        (
            ("watch", "{m}", "--data", "x"),
            "what to look at is missing: --question TEXT with --cont",
        ),
        (
            ("watch", "{m}", *ASKING, "--data", "x"),
            "--data has the text of its question; remove --data,",
        ),
        (
            ("watch", "{m}", *ASKING, "--all"),
            "--all is for the recording of a run, and --context for one",
        ),
        (
            ("watch", "{m}", "--question", "q", "--split", "train"),
            "--split=train belongs to --data SOURCE",
        ),
        (
            ("watch", "{m}", "--question", "q", "--checkpoint", "5"),
            "give the text with either --context",
        ),
        (("resume", "{m}"), "{m} is a Hugging Face model, not a run"),
        (("runs", "show", "{m}"), "{m} is a Hugging Face model, not a run"),
        (("attribute", "{m}", "--watched"), "{m} is a Hugging Face model, not a run"),
        (("ask", "{m}", *ASKING, "--checkpoint", "7"), "no checkpoint 7; {m} has best and last"),
        (("efficacy", "{m}", "--data", "{d}", "--all-checkpoints"), "{m} has no checkpoint-500/"),
        (("ask", "{e}", *ASKING), "{e} is an empty directory"),
    ],
)
def test_what_a_model_has_not_is_said_in_one_sentence(
    verb, tokenizer, data, runs, tmp_path, words, said
):
    (tmp_path / "empty").mkdir()
    places = {"m": write_model(tmp_path / "m", tokenizer), "d": data, "e": tmp_path / "empty"}
    code, out, err = verb(*(word.format(**places) for word in words), "--runs", runs)
    assert (code, out) == (2, "") and said.format(**places) in err and err.count("\n") == 1
    assert not Path(runs).exists()


def test_watch_of_a_model_is_the_film_of_one_look(verb, out, data, runs, tmp_path):
    code, said, err = verb("watch", str(out), *ASKING, "--runs", runs, "--format", "svg")
    assert code == 0, err
    (page,) = Path(runs, "models").glob("*/looks/*/look.html")
    assert f"Page     {page}" in said and page.with_name("attention.svg").is_file()
    assert not list(page.parent.glob("*.png"))
    # The same as `ask --look`, also of a question that a file has.
    words = ("--question", "q0", "--data", data, "--runs", runs, "--out", str(tmp_path / "look"))
    code, said, err = verb("watch", str(out), *words, "--checkpoint", "5", "--json")
    assert code == 0, err
    found = json.loads(said)
    asked = verb("ask", str(out), *ASKING, "--runs", runs, "--checkpoint", "5", "--json")
    assert found.pop("look")["page"] == str(tmp_path / "look" / "look.html")
    assert found == json.loads(asked[1])
    code, _, err = verb("watch", str(out), "--question", "nobody", *words[2:])
    assert code == 2 and "--question nobody is neither the id nor the text of one of the 8" in err


def test_watch_of_a_run_looks_at_what_was_recorded(verb, run, runs):  # noqa: F811
    code, _, err = verb("watch", str(run), *ASKING)
    assert code == 2 and f"qa-research ask {run} --look looks at any question" in err


def test_a_format_belongs_to_a_look(verb, out, runs):
    code, _, err = verb("ask", str(out), *ASKING, "--runs", runs, "--format", "pdf")
    assert code == 2 and "--format belongs to --look, which draws what it names" in err
    code, _, err = verb("ask", str(out), *ASKING, "--runs", runs, "--look", "--format", "gif")
    assert code == 2 and "--format must be png, svg or pdf, got 'gif'" in err
