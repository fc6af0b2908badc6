"""A trained run read back from its directory."""

import json
import subprocess
import sys

import pytest
import torch
from transformers import AutoModelForQuestionAnswering, AutoTokenizer

from qa_research.runs.directory import read_record
from qa_research.runs.open import open_run
from qa_research.tasks.answering.data import BuiltinData
from qa_research.tasks.answering.evaluation import evaluate, write_evaluation
from tests.tiny_run import train


@pytest.fixture
def run(tiny, tmp_path):
    train(tiny("checkpoint.keep_every_n_steps=4"))
    (directory,) = (tmp_path / "runs/nopretrain").iterdir()
    return directory


def test_a_run_asked_again_gives_the_scores_it_was_recorded_with(run):
    opened = open_run(run)
    settings = {k: v for k, v in opened.config["data"].items() if k != "_target_"}
    data = BuiltinData(**settings)
    data.load()
    answers = opened.answer(data.validation)
    recorded = json.loads((run / "predictions/validation.json").read_text())
    assert [a.text for a in answers] == [row["prediction"] for row in recorded]
    result = evaluate(data.validation, answers)
    best = read_record(run)["best"]
    assert result.official["f1"] == pytest.approx(best["val/f1"], abs=1e-4)
    assert result.overall.f1.low <= result.overall.f1.value <= result.overall.f1.high
    write_evaluation(run / "out", answers, result)
    written = json.loads((run / "out/predictions.json").read_text())
    assert written == {a.question_id: a.text for a in answers}
    assert {p.name for p in (run / "out").iterdir()} == {
        *("predictions.json", "n_best.json", "null_odds.json", "scores.json", "mistakes.csv")
    }


def test_an_answer_is_at_its_own_offsets(run):
    context = "Group B meets in the barn. Ms Lund teaches group K."
    answer = open_run(run).ask("Who teaches group K?", context)
    assert context[answer.char_start : answer.char_end] == answer.text != ""
    assert 0 < answer.probability <= 1
    probabilities = [c.probability for c in answer.candidates]
    assert probabilities == sorted(probabilities, reverse=True)


def test_an_empty_question_or_context_is_refused(run):
    opened = open_run(run)
    with pytest.raises(ValueError, match="the question is empty"):
        opened.ask(" ", "text")
    with pytest.raises(ValueError, match="the context is empty"):
        opened.ask("Who?", "")


def test_an_export_gives_equal_logits(run, tmp_path):
    opened = open_run(run, "last")
    opened.export(tmp_path / "exported")
    network = AutoModelForQuestionAnswering.from_pretrained(tmp_path / "exported").eval()
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "exported")
    batch = tokenizer("Who teaches group K?", "Ms Lund teaches group K.", return_tensors="pt")
    with torch.inference_mode():
        mine, theirs = opened.network(**batch), network(**batch)
    assert torch.equal(mine.start_logits, theirs.start_logits)
    assert torch.equal(mine.end_logits, theirs.end_logits)
    modes = {file.stat().st_mode for file in (tmp_path / "exported").iterdir()}
    assert len(modes) == 1, "all files may be read by the same people"
    assert tokenizer.model_max_length == network.config.max_position_embeddings
    assert not list(tmp_path.glob(".exported*"))
    with pytest.raises(FileExistsError, match="not empty"):
        opened.export(tmp_path / "exported")


def test_steps_can_be_opened_and_unknown_ones_are_named(run):
    assert open_run(run, "4").checkpoint.name == "step-000004.ckpt"
    with pytest.raises(FileNotFoundError, match="no checkpoint 5; this run has best, last, 4"):
        open_run(run, "5")


def test_a_checkpoint_of_another_network_is_refused(run, tmp_path):
    other = tmp_path / "other.ckpt"
    torch.save({"state_dict": {"network.x": torch.ones(1)}}, other)
    with pytest.raises(ValueError, match="does not fit the network"):
        open_run(run, str(other))


def test_a_run_and_a_model_are_asked_without_what_only_a_training_needs(run, tmp_path):
    """Importing Lightning takes longer than an answer does."""
    open_run(run).export(tmp_path / "exported")
    script = (
        "import sys; from qa_research.runs.open import open_run\n"
        "for place in sys.argv[1:]: open_run(place).ask('Who?', 'Ms Lund teaches chess.')\n"
        "print(sorted({'lightning', 'torchmetrics'} & sys.modules.keys()))"
    )
    words = [sys.executable, "-c", script, str(run), str(tmp_path / "exported")]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_windows_that_a_config_cannot_have_are_refused(run):
    path = run / "config.yaml"
    path.write_text(path.read_text().replace("max_tokens: 128", "max_tokens: many"))
    with pytest.raises(ValueError, match=r"data.max_tokens must be a valid integer, got .*many"):
        open_run(run)
