"""What is kept of the last right and the most confidently wrong answer."""

import dataclasses
import json

import numpy as np
import pytest
import torch
import xarray as xr

from qa_research.capture.answers import (
    Candidate,
    candidates_of,
    keep_answers,
    telling,
)
from qa_research.capture.forward import forward_watched
from qa_research.capture.kept import ANSWERS, read_kept
from qa_research.capture.looking import record_look, windows_of_answers
from qa_research.capture.recorders.head_weights import HeadWeightsRecorder
from qa_research.capture.recording.files import RECORDING
from qa_research.capture.sites import Site
from qa_research.model.bert import head_of
from qa_research.runs.open import open_run
from tests.conftest import full_disk
from tests.model_folders import write_model


@pytest.fixture
def opened(tokenizer, tmp_path):
    """A network that is opened as that of a run is, in a folder of its own."""
    found = open_run(write_model(tmp_path / "m", tokenizer), runs=tmp_path / "runs")
    directory = tmp_path / "runs" / "study" / "run"
    directory.mkdir(parents=True)
    return dataclasses.replace(found, is_run=True, directory=directory, step=7)


def asked(questions, right: str = "0110", probabilities=(0.9, 0.5, 0.4, 0.7)) -> list[Candidate]:
    return [
        Candidate(row, mark == "1", probability)
        for row, mark, probability in zip(questions, right, probabilities, strict=False)
    ]


def test_the_last_right_and_the_surest_of_the_wrong_are_told(questions):
    found = telling(asked(questions))
    assert {role: one.question.id for role, one in found.items()} == {
        "last right": "q2",
        "most confidently wrong": "q0",
    }
    assert list(telling(asked(questions, "1111"))) == ["last right"]
    assert list(telling(asked(questions, "0000"))) == ["most confidently wrong"]
    assert telling([]) == {}


def test_those_that_chose_the_weights_are_left_out_unless_all_did(opened, questions):
    answers = opened.answer(questions)
    chose = frozenset(row.id for row in questions[:3])
    found = candidates_of(questions, answers, chose)
    assert [one.question.id for one in found] == ["q3", "q4", "q5", "q6", "q7"]
    everyone = frozenset(row.id for row in questions)
    assert len(candidates_of(questions, answers, everyone)) == 8
    assert [one.probability for one in found] == [a.probability for a in answers[3:]]


def test_what_passed_the_network_is_kept_with_named_axes(opened, questions):
    keep_answers(opened, "validation", "builtin", asked(questions))
    (kept,) = read_kept(opened.directory)
    state = kept.state
    assert (state.step, state.asked, state.right, state.data) == (7, 4, 2, "builtin")
    rows = [questions[2], questions[0]]
    answers = opened.answer(rows)
    assert [one.answer for one in kept.answers] == [one.text for one in answers]
    assert [row["id"] for row in kept.recording.questions] == ["q2", "q0"]
    assert [one.golds for one in kept.answers] == [[("12 crowns", 65)], [("Ms Lund", 0)]]
    watched = windows_of_answers(opened, [("validation", row) for row in rows], answers)
    sites = [Site("context", 0), Site("context", 1), Site("layer_output", 1)]
    forward = forward_watched(opened.network, watched, 7, sites)
    logits = kept.recording.read("logits")["logit"].isel(step=0).to_numpy()
    mask = watched.mask.numpy()
    np.testing.assert_array_equal(
        logits.swapaxes(1, 2)[mask], forward.scores.numpy().swapaxes(1, 2)[mask]
    )
    inside = kept.recording.read("activations").isel(step=0).sel(unit=state.tracked.unit)
    for site in sites:
        found = inside[site.name].sel(layer=site.layer).to_numpy()
        wanted = forward.values[site][:, :, state.tracked.unit].numpy()
        np.testing.assert_array_equal(found[mask], wanted[mask])
    tree = xr.open_zarr(
        opened.directory / ANSWERS, group="validation/logits", consolidated=False, chunks=None
    )
    assert tree["logit"].dims == ("step", "question", "row", "token")


def test_the_unit_is_that_of_the_head_weight_that_moved_most_since_step_0(opened, questions):
    answers = opened.answer(questions[:1])
    watched = windows_of_answers(opened, [("train", questions[0])], answers)
    first = dataclasses.replace(opened, step=0)
    path = opened.directory / RECORDING
    record_look(first, watched, {"head_weights": HeadWeightsRecorder()}, path)
    with torch.no_grad():
        head_of(opened.network).weight[1, 5] += 0.75
        # The largest change in percent is of a weight near zero.
        head_of(opened.network).weight[0, 3] += 0.01
    keep_answers(opened, "validation", "builtin", asked(questions))
    tracked = read_kept(opened.directory)[0].state.tracked
    assert (tracked.unit, tracked.row, tracked.measure) == (5, "end", "absolute")
    assert tracked.amount == pytest.approx(0.75, abs=1e-6)


def test_without_step_0_it_is_the_unit_that_adds_most_to_the_start_logit(opened, questions):
    keep_answers(opened, "efficacy", "builtin", asked(questions))
    kept = read_kept(opened.directory)[0]
    assert kept.state.tracked.measure == "share" and kept.state.tracked.row == "start"
    first = int(kept.recording.read("logits")["true_first"][0])
    weight = head_of(opened.network).weight[0].detach().numpy()
    inside = kept.recording.read("activations")["layer_output"].isel(step=0, question=0)
    value = float(inside.sel(layer=1).isel(token=first, unit=0))
    assert kept.state.tracked.amount == pytest.approx(
        weight[kept.state.tracked.unit] * value, rel=1e-4
    )


def test_each_asking_replaces_its_own(opened, questions):
    keep_answers(opened, "validation", "builtin", asked(questions))
    keep_answers(opened, "efficacy", "file.json", asked(questions, "1111"), "file")
    keep_answers(opened, "validation", "builtin", asked(questions, "0001"))
    first, second = read_kept(opened.directory)
    assert [one["id"] for one in first.recording.questions] == ["q3", "q0"]
    assert [one["id"] for one in second.recording.questions] == ["q3"]
    assert second.recording.questions[0]["split"] == "file"
    names = {path.name for path in (opened.directory / ANSWERS).iterdir()}
    assert names == {"validation", "efficacy", "zarr.json"}
    keep_answers(opened, "validation", "builtin", [])
    assert read_kept(opened.directory)[0].state.asked == 4


def test_a_model_that_is_not_a_run_is_not_written_into(opened, questions):
    foreign = dataclasses.replace(opened, is_run=False)
    keep_answers(foreign, "validation", "x", asked(questions))
    assert not list(opened.directory.iterdir()) and read_kept(opened.directory) == []


def test_on_a_full_disk_the_earlier_answers_stay_with_a_warning(opened, questions, caplog):
    keep_answers(opened, "validation", "builtin", asked(questions))
    with full_disk(300):
        keep_answers(opened, "validation", "builtin", asked(questions, "0001"))
    assert "answer page could not be kept" in caplog.text
    assert [one["id"] for one in read_kept(opened.directory)[0].recording.questions] == ["q2", "q0"]
    names = {path.name for path in (opened.directory / ANSWERS).iterdir()}
    assert names == {"validation", "zarr.json"}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [('"right": 2', '"right": 3', "checksum"), ('"kept": [', '"kept": [[], ', "checksum")],
)
def test_a_root_that_was_edited_is_one_sentence(opened, questions, old, new, said):
    keep_answers(opened, "validation", "builtin", asked(questions))
    root = opened.directory / ANSWERS / "validation" / "zarr.json"
    assert old in root.read_text()
    root.write_text(root.read_text().replace(old, new))
    with pytest.raises(ValueError, match=said) as caught:
        read_kept(opened.directory)
    assert str(root.parent) in str(caught.value) and "\n" not in str(caught.value)


def test_a_root_of_other_values_is_one_sentence(opened, questions, monkeypatch):
    from qa_research.capture import kept as answers

    keep_answers(opened, "validation", "builtin", asked(questions))
    real = answers.read_root(opened.directory / ANSWERS / "validation")
    for change in ({"asked": None}, {"asked": {**real["asked"], "asked": "4"}}, {"kept": []}):
        monkeypatch.setattr(answers, "read_root", lambda path, c=change: {**real, **c})
        with pytest.raises(ValueError, match="is damaged: "):
            read_kept(opened.directory)
    assert json.dumps(real)
