"""The verb attribute on a tiny trained run, from the command line to the files."""

import json
import shutil
import subprocess
import sys

import pytest

from tests.conftest import CONTEXT

ASKED = ("--question", "Who teaches chess?", "--context", CONTEXT)
QUICK = ("--samples", "10")


@pytest.fixture
def attribute(verb, trained, tmp_path):
    def ask(*words):
        return verb("attribute", "tiny", *words, "--runs", str(trained), "--out", str(tmp_path))

    return ask


@pytest.fixture
def copied(trained, tmp_path):
    """A copy that may be changed."""
    shutil.copytree(trained, tmp_path / "runs")
    return tmp_path / "runs"


def test_json_is_alone_on_stdout_and_is_what_stands_in_the_file(attribute, tmp_path):
    code, out, _ = attribute(*ASKED, *QUICK, "--json")
    assert code == 0
    found = json.loads(out)
    files = found.pop("files")
    saved = json.loads((tmp_path / "attribution.json").read_text())
    assert saved == {"format": "attribution-1", **found}
    assert set(files) == {"page", "picture", "json"}
    assert list(found["methods"]) == ["gradients", "erasure", "lime"]
    assert found["run"].startswith("tiny/bert") and found["checkpoint"] == "best"
    assert str(tmp_path) not in (tmp_path / "attribution.json").read_text()


def test_the_answer_that_is_explained_is_the_one_that_ask_gives(attribute, verb, trained):
    _, out, _ = attribute(*ASKED, "--method", "erasure", "--checkpoint", "6", "--json")
    found = json.loads(out)
    _, out, _ = verb("ask", "tiny", *ASKED, "--checkpoint", "6", "--runs", str(trained), "--json")
    answer = json.loads(out)
    assert found["answer"] == answer["text"] and found["step"] == 6
    assert found["probability"] == pytest.approx(answer["probability"], rel=1e-4)


def test_the_same_command_writes_the_same_bytes(attribute, tmp_path):
    written = []
    for _ in range(2):
        assert attribute(*ASKED, *QUICK, "--seed", "5")[0] == 0
        written.append([(tmp_path / f"attribution.{e}").read_bytes() for e in ("json", "html")])
    assert written[0] == written[1]


def test_the_terminal_shows_the_top_words_and_where_the_files_are(attribute, tmp_path):
    code, out, err = attribute(*ASKED, *QUICK, "--method", "gradients,erasure", "--top", "4")
    assert code == 0 and "a word that is off is [MASK]" in err
    assert "Integrated gradients" in out and "LIME" not in out
    assert "20 random orders" in out and "overlap of the top 4" in out
    for line, ending in (("Page", "html"), ("Picture", "png"), ("Numbers", "json")):
        assert f"{line:<9}{tmp_path / f'attribution.{ending}'}" in out


def test_without_out_the_files_lie_in_the_run(verb, copied, tmp_path):
    words = (*ASKED, "--method", "erasure", "--runs", str(copied), "--json")
    assert verb("attribute", "tiny", *words)[0] == 0
    (page,) = copied.glob("tiny/*/attributions/who_teaches_chess-best-*/attribution.html")
    assert page.is_file()


def test_a_long_context_is_explained_where_the_answer_stands(attribute, tmp_path):
    path = tmp_path / "long.txt"
    path.write_text("Judo is on Monday. " * 60 + "Ms Lund teaches chess. " + "Pay 30 crowns. " * 60)
    words = ("--question", "Who teaches chess?", "--context-file", str(path))
    code, out, _ = attribute(*words, "--method", "erasure", "--json")
    found = json.loads(out)
    assert code == 0 and found["window"]["of"] > 3
    assert found["window"]["char_start"] <= found["span"]["char_start"]
    assert found["span"]["char_end"] <= found["window"]["char_end"]
    assert "The context is longer than a window" in found["warnings"][0]


def test_the_watched_questions_are_explained_at_each_kept_step(attribute, tmp_path, trained):
    code, out, err = attribute("--watched", "--json")
    assert code == 0 and "Checkpoint last (3 of 3)" in err
    found = json.loads(out)["questions"]
    assert len(found) == 4
    for document in found:
        assert document["steps"] == [3, 6, 7]
        assert document["checkpoints"] == ["3", "6", "last"]
        assert list(document["methods"]) == ["gradients", "erasure"]
        for method in document["methods"].values():
            assert [len(row) for row in method["span"]] == [len(document["words"])] * 3
        assert document["span"]["text"] == document["answers"][0]
    assert len(list(tmp_path.glob("*-watched-*/attribution.png"))) == 4
    assert _recorded(trained, 7) == pytest.approx([d["probability"][2] for d in found], rel=1e-3)


def _recorded(runs, step):
    """What the recording has of the true spans' probabilities."""
    from qa_research.capture.recording.reader import Recording

    recording = Recording(next(runs.glob("*/*/recording.zarr")))
    return recording.read("logits")["probability"].sel(step=step).values.tolist()


def test_one_watched_question_is_chosen_by_its_id(attribute, tmp_path):
    _, out, _ = attribute("--watched", "--method", "erasure", "--json")
    name = json.loads(out)["questions"][2]["question_id"]
    code, out, _ = attribute("--watched", "--question", name, "--method", "lime", *QUICK)
    assert code == 0 and f"({name})" in out and "LIME" in out and "true span, %" in out
    code, _, err = attribute("--watched", "--question", "nobody")
    assert code == 2 and "--question nobody was not watched; these were" in err


def test_a_run_that_kept_no_steps_or_watched_nothing_says_so(verb, copied):
    words = ("attribute", "tiny", "--watched", "--runs", str(copied))
    recording = next(copied.glob("*/*/recording.zarr"))
    shutil.rmtree(recording)
    code, _, err = verb(*words)
    assert code == 2 and "has no recording.zarr" in err and "capture=none" in err
    for path in copied.glob("*/*/checkpoints/step-*.ckpt"):
        path.unlink()
    code, _, err = verb(*words)
    assert code == 2 and "checkpoint.keep_every_n_steps=50" in err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ((), "say what to ask with --question"),
        (("--question", "Who?"), "give the text with either --context or --context-file"),
        ((*ASKED, "--context-file", "a.txt"), "give the text with either"),
        (("--question", " ", "--context", CONTEXT), "an argument is empty after --question"),
        (("--question", "Who?", "--context", " "), "an argument is empty after --context"),
        (("--question", "Who?", "--context-file", "none.txt"), "none.txt"),
        ((*ASKED, "--method", "shap"), "--method shap is unknown; these are known: gradients"),
        (("--watched", "--context", "a"), "remove --context"),
        (("--watched", "--keep-answer"), "remove --keep-answer"),
        (("--watched", "--checkpoint", "3"), "remove --checkpoint"),
        ((*ASKED, "--checkpoint", "5"), "there is no checkpoint 5"),
        (("--question", "Who is it? " * 200, "--context", CONTEXT), "leaves room for"),
    ],
)
def test_what_makes_no_sense_is_one_sentence(attribute, words, sentence):
    code, out, err = attribute(*words)
    assert code == 2 and out == "" and sentence in err
    assert err.strip().splitlines()[-1].startswith("qa-research: ")


def test_help_imports_nothing_heavy():
    program = (
        "import sys; import qa_research.cli.attribute, qa_research.explain.words.result; "
        "print([m for m in ('torch', 'captum', 'matplotlib', 'transformers') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("ending", ["svg", "pdf"])
def test_a_picture_is_of_the_format_that_is_asked_for(attribute, verb, trained, tmp_path, ending):
    assert attribute(*ASKED, "--method", "erasure", "--format", ending)[0] == 0
    assert (tmp_path / f"attribution.{ending}").stat().st_size > 1000
    words = ("--out", str(tmp_path / "films"), "--runs", str(trained), "--figures")
    code, _, err = verb("watch", "tiny", *words, "--format", ending)
    assert code == 0, err
    drawn = [path.suffix for path in (tmp_path / "films").rglob("*.*")]
    assert drawn.count(f".{ending}") > 4 and set(drawn) == {".html", f".{ending}"}


@pytest.mark.parametrize("name", ["attribute", "watch"])
def test_another_format_is_refused(verb, trained, name):
    words = ASKED if name == "attribute" else ()
    code, out, err = verb(name, "tiny", *words, "--format", "gif", "--runs", str(trained))
    assert (code, out) == (2, "") and "--format must be png, svg or pdf, got 'gif'" in err
