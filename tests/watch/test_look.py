"""One look into a network that answers a question."""

import json
import re

import numpy as np
import pytest
import torch

from qa_research.capture.recording.reader import Recording
from qa_research.runs.open import open_run
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
    assert "Asked once: nobody said what is true." in shown and "true answer" not in shown
    data = json.loads(re.findall(r'id="film">(.*?)</script>', page, re.DOTALL)[0])
    assert data["asked"] is True and data["steps"] == [0]
    look_at(opened, QUESTION, CONTEXT, 4, tmp_path / "look")
    assert (tmp_path / "look" / "unit_4_final.png").is_file(), "a second look may replace the first"


def test_the_share_of_a_unit_is_its_part_of_the_start_score(opened, tmp_path):
    found = [look_at(opened, QUESTION, CONTEXT, unit, tmp_path / str(unit)) for unit in range(16)]
    first = film_of(Recording(found[0].recording), 0).truth[0]
    logit = Recording(found[0].recording).read("logits")["logit"].to_numpy()[0, 0, 0, first]
    bias = float(opened.network.qa_outputs.bias.detach()[0])
    assert sum(look.share for look in found) + bias == pytest.approx(float(logit), abs=1e-5)
    most = look_at(opened, QUESTION, CONTEXT, None, tmp_path / "most")
    assert abs(most.share) == max(abs(look.share) for look in found)
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
    from qa_research.capture.recorders.attention import (
        AttentionRecorder,
        ReturnedAttentionRecorder,
    )
    from qa_research.watch.look import _subject, _watched

    watched = _watched(opened, QUESTION, CONTEXT, opened.ask(QUESTION, CONTEXT))
    recorders = [AttentionRecorder(None, "float16"), ReturnedAttentionRecorder()]
    for recorder in recorders:
        recorder.prepare("attention", _subject(opened, watched))
    forward = forward_watched(opened.network, watched, 0, recorders[0].sites)
    found = [recorder.record(forward)["weight"].values for recorder in recorders]
    np.testing.assert_allclose(*found, atol=1e-3)


def test_no_answer_is_looked_at_too(tokenizer, tmp_path):
    place = write_model(tmp_path / "m", tokenizer)
    network = network_of("bert", len(tokenizer))
    # [CLS] is the only token at position 0.
    network.bert.embeddings.position_embeddings.weight.data[0] = 50
    network.save_pretrained(place)
    opened = open_run(place)
    for sign in (1, -1):
        network.qa_outputs.weight.data *= sign
        network.save_pretrained(place)
        (place / "README.md").write_text("---\ndatasets: [squad_v2]\n---\n")
        opened = open_run(place)
        if opened.ask(QUESTION, CONTEXT).text == "":
            break
    seen = look_at(opened, QUESTION, CONTEXT, None, tmp_path / "look")
    if seen.answer.text == "":
        assert film_of(Recording(seen.recording), 0).truth == (0, 0)
    assert seen.page.is_file()
