"""One look into a network that answers a question."""

import json
import re

import numpy as np
import pytest
import torch

from qa_research.capture.looking import shares
from qa_research.capture.recording.reader import Recording
from qa_research.runs.open import open_run
from qa_research.tasks.answering.question import asked_question
from qa_research.watch.look import look_at
from qa_research.watch.story import film_of
from tests.conftest import CONTEXT
from tests.model_folders import network_of, write_model

QUESTION = "Who teaches chess?"


@pytest.fixture
def opened(tokenizer, tmp_path):
    return open_run(write_model(tmp_path / "m", tokenizer), runs=tmp_path / "runs")


def test_a_look_is_a_recording_of_one_step_with_the_answer_that_is_given(opened, tmp_path):
    seen = look_at(opened, QUESTION, CONTEXT, None, tmp_path / "look")
    assert seen.answer == opened.ask(QUESTION, CONTEXT)
    recording = Recording(seen.recording)
    assert not recording.damage() and recording.step == 0
    logits = recording.read("logits")
    batch = opened.tokenizer(QUESTION, CONTEXT, return_tensors="pt")
    with torch.inference_mode():
        wanted = opened.network(**batch)
    found = logits["logit"].to_numpy()[0, 0]
    np.testing.assert_allclose(found[0], wanted.start_logits[0], atol=1e-5)
    np.testing.assert_allclose(found[1], wanted.end_logits[0], atol=1e-5)
    film = film_of(recording, 0)
    assert film.is_asked and film.answer_text(0) == seen.answer.text == film.text.text(*film.truth)
    assert film.attention is not None and film.attention.weights.shape[:3] == (1, 2, 2)


def test_a_look_writes_a_page_and_pictures_that_say_nothing_of_right_and_wrong(opened, tmp_path):
    seen = look_at(opened, QUESTION, CONTEXT, 5, tmp_path / "look")
    assert {path.name for path in (tmp_path / "look").iterdir()} == {
        *("look.html", "look.png", "logits.png", "attention.png", "recording.zarr"),
        *("unit_5_final.png", "unit_5_context.png", "unit_5_layer_output.png"),
    }
    assert all(path.is_file() for path in (seen.page, *seen.figures))
    page = seen.page.read_text()
    shown = re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)
    assert (
        "Asked once; whether the answer is right is not known." in shown
        and "true answer" not in shown
    )
    data = json.loads(re.findall(r'id="film">(.*?)</script>', page, re.DOTALL)[0])
    assert data["asked"] is True and data["steps"] == [0]
    look_at(opened, QUESTION, CONTEXT, 4, tmp_path / "look")
    assert (tmp_path / "look" / "unit_4_final.png").is_file(), "a second look may replace the first"


def test_the_shares_of_all_units_sum_to_the_start_score(opened, tmp_path):
    seen = look_at(opened, QUESTION, CONTEXT, None, tmp_path / "look")
    first = film_of(Recording(seen.recording), 0).truth[0]
    logit = float(Recording(seen.recording).read("logits")["logit"][0, 0, 0, first])
    batch = opened.tokenizer(QUESTION, CONTEXT, return_tensors="pt")
    with torch.inference_mode():
        values = opened.network.bert(**batch).last_hidden_state[0, first]
    found = shares(opened, values)
    assert float(found.sum() + opened.network.qa_outputs.bias[0].detach()) == pytest.approx(
        logit, abs=1e-5
    )
    assert seen.unit == int(found.abs().argmax())
    assert seen.share == pytest.approx(float(found[seen.unit]), abs=1e-5)
    with pytest.raises(ValueError, match="--unit 16: the units of this network are 0 to 15"):
        look_at(opened, QUESTION, CONTEXT, 16, tmp_path / "none")
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("kind", ["albert", "deberta-v2"])
def test_a_network_whose_layers_are_not_known_shows_what_it_returns(kind, tokenizer, tmp_path):
    opened = open_run(write_model(tmp_path / "m", tokenizer, kind), runs=tmp_path / "runs")
    before = opened.network.config._attn_implementation
    seen = look_at(opened, QUESTION, CONTEXT, 2, tmp_path / "look")
    assert f"a network of the type {kind} are not shown" in seen.notes[0]
    names = ["look.png", "logits.png", "unit_2_final.png", "attention.png"]
    assert [path.name for path in seen.figures] == names
    weight = Recording(seen.recording).read("attention")["weight"]
    np.testing.assert_allclose(weight.sum("key"), 1, atol=2e-3)
    assert opened.network.config._attn_implementation == before


def test_returned_attention_is_the_recomputed_one(opened, tmp_path):
    from qa_research.capture.forward import forward_watched
    from qa_research.capture.looking import subject_of, windows_of_answers
    from qa_research.capture.recorders.attention import (
        AttentionRecorder,
        ReturnedAttentionRecorder,
    )

    row = asked_question(QUESTION, CONTEXT)
    watched = windows_of_answers(opened, [("asked", row)], opened.answer([row]))
    recorders = [AttentionRecorder(None, "float16"), ReturnedAttentionRecorder()]
    for recorder in recorders:
        recorder.prepare("attention", subject_of(opened, watched))
    forward = forward_watched(opened.network, watched, 0, recorders[0].sites)
    found = [recorder.record(forward)["weight"].values for recorder in recorders]
    np.testing.assert_allclose(*found, atol=1e-3)


def test_no_answer_is_looked_at_too(tokenizer, tmp_path):
    place = write_model(tmp_path / "m", tokenizer)
    network = network_of("bert", len(tokenizer))
    # Only [CLS] stands at position 0: there both scores are high, and elsewhere about 0.
    first = torch.ones(16)
    first[::2] = -1
    network.bert.embeddings.position_embeddings.weight.data[0] = 100 * first
    with torch.inference_mode():
        network.qa_outputs.weight.copy_(torch.stack([first, first]))
    network.save_pretrained(place)
    (place / "README.md").write_text("---\ndatasets: [squad_v2]\n---\n")
    seen = look_at(open_run(place), QUESTION, CONTEXT, None, tmp_path / "look")
    assert seen.answer.text == "" and film_of(Recording(seen.recording), 0).truth == (0, 0)
    assert "no answer" in seen.page.read_text()
