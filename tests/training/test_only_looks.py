"""trainer.max_steps=0: a run that trains nothing and only looks."""

import json
from pathlib import Path

import pytest
import torch

from qa_research.capture.recording.files import RECORDING
from qa_research.capture.recording.reader import Recording
from qa_research.runs.directory import read_record, run_directory
from qa_research.runs.metrics import read_metrics
from qa_research.runs.open import open_run
from qa_research.watch.story import film_of
from tests.conftest import CONTEXT
from tests.model_folders import network_of, write_model
from tests.tiny_run import train


@pytest.fixture
def looked(composed, tokenizer, tmp_path, cache):
    """The directory of a run that looked at a model."""
    from qa_research.launch.compose import checked

    model = write_model(tmp_path / "m", tokenizer)
    config = composed(
        *("model=as_weights", f"model.weights={model}", "trainer.max_steps=0", "study=looks"),
        *("data.train_questions=16", "data.validation_questions=16", "trainer.precision=32-true"),
        *("train.threads=1", "train.progress=none"),
        *(f"paths.runs={tmp_path / 'runs'}", f"paths.cache={cache}"),
    )
    score = train(config)
    assert train(config) == score, "it is finished, and reported when it is asked for again"
    return run_directory(checked(config))


def test_a_run_that_only_looks_is_finished_at_step_0(looked, verb, tmp_path):
    run = looked
    record = read_record(run)
    assert (record["status"], record["steps"], record["best_step"]) == ("finished", 0, 0)
    (row,) = read_metrics(run / "metrics.csv")
    assert row["step"] == "0" and row["val/f1"] and not row["train/loss"]
    assert record["capture"]["captures"] == 1
    recording = Recording(run / RECORDING)
    assert recording.step == 0 and not recording.damage()
    assert film_of(recording, 0).steps.tolist() == [0]
    for checkpoint in ("best", "last"):
        opened = open_run(run, checkpoint)
        assert opened.step == 0
        wanted = network_of("bert", len(opened.tokenizer)).state_dict()
        found = opened.network.state_dict()
        assert all(torch.equal(found[name], tensor) for name, tensor in wanted.items())
    assert opened.ask("Who teaches chess?", CONTEXT).text in CONTEXT
    runs = str(tmp_path / "runs")
    for words in (
        ("evaluate", str(run)),
        ("watch", str(run)),
        ("efficacy", str(run), "--questions", "3"),
        ("runs", "show", str(run)),
        ("runs", "list"),
        ("resume", str(run)),
    ):
        code, _, err = verb(*words, "--runs", runs)
        assert code == 0, (words, err)
    assert "(not trained; 0 s training" in err and "(captured once: " in err
    shown = json.loads(verb("watch", str(run), "--json")[1])["page"]
    page = Path(shown).read_text()
    assert 'aria-labelledby="curves-heading" hidden>' in page, "one capture is no curve"
