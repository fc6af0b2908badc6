"""Replays: steps trained again, compared bit for bit; and what is looked at this time."""

import json
import shutil

import pytest
import torch

from qa_research.interventions.replay.proof import TensorDifference, first_difference
from qa_research.interventions.replay.show import show_replayed
from qa_research.launch.replay import replay
from qa_research.runs.checkpoints import read_checkpoint
from qa_research.training.resumable import DurableCheckpointIO
from tests.training.kept_whole import WHOLE, copied
from tests.training.reading import recording_of


@pytest.fixture
def whole(tiny, tmp_path_factory):
    """The directory of a finished run with states of steps 3, 6, 9 and 12."""
    return copied(tiny, WHOLE, tmp_path_factory.getbasetemp())


def replayed(run, first=None, until=None, watched=(), recorders=(), every=None, from_start=False):
    return replay(
        str(run),
        first,
        until,
        watched,
        recorders,
        every,
        run.parent.parent,
        from_start,
        anyway=False,
    )


@pytest.mark.parametrize(
    ("first", "until", "kept"),
    [
        (None, None, [4, 6, 8, 9, 10, 12]),
        (6, None, [8, 9, 10, 12]),
        (9, 10, [10]),
        # From the nearest state before it.
        (7, 12, [8, 9, 10, 12]),
    ],
)
def test_a_stretch_repeats_itself(whole, first, until, kept):
    before = sorted(path for path in whole.rglob("*") if "/replays" not in str(path))
    found = replayed(whole, first, until)
    assert found.is_exact and found.folder is None
    assert [proof.step for proof in found.weights] == kept
    assert found.metrics.values > 0
    # Nothing is left of it but an empty folder.
    after = sorted(path for path in whole.rglob("*") if "/replays" not in str(path))
    assert [path for path in after if ".locks" not in str(path)] == before
    assert list((whole / "replays").iterdir()) == []


def test_from_the_very_start(whole):
    found = replayed(whole, until=4, from_start=True)
    assert found.is_exact and [proof.step for proof in found.weights] == [2, 3, 4]


def test_a_difference_is_named_by_its_first_step_and_tensor(whole, capsys):
    path = whole / "checkpoints/step-000008.ckpt"
    content = read_checkpoint(path, mmap=False)
    changed = content["state_dict"]["network.qa_outputs.bias"]
    changed[1] += 0.5
    DurableCheckpointIO().save_checkpoint(content, path)
    table = (whole / "metrics.csv").read_text().splitlines()
    row = next(n for n, line in enumerate(table) if line.split(",")[1] == "7")
    cells = table[row].split(",")
    cells[2] = "1.25"
    (whole / "metrics.csv").write_text(
        "\n".join([*table[:row], ",".join(cells), *table[row + 1 :]]) + "\n"
    )
    found = replayed(whole, 6)
    assert not found.is_exact
    (difference,) = [proof.difference for proof in found.weights if proof.difference]
    assert (difference.name, difference.numbers, difference.of) == ("qa_outputs.bias", 1, 2)
    assert difference.largest == pytest.approx(0.5)
    assert found.metrics.first_difference == (7, "train/loss")
    show_replayed(found)
    said = capsys.readouterr().out
    assert "1 of 2 numbers differ in qa_outputs.bias, by 0.5 at most" in said
    assert said.rstrip().endswith("Not exact: the first difference is at step 7")
    assert found.as_json()["exact"] is False
    json.dumps(found.as_json())


def test_what_nobody_watched_is_looked_at_afterwards(whole):
    from qa_research.runs.open import open_run

    other = open_run(whole).own("train").rows[5].id
    assert other not in recording_of(whole)["logits"].id.values
    found = replayed(whole, 3, 9, watched=[other], recorders=["logits", "attention"], every=2)
    assert found.is_exact
    again = recording_of(type(whole)(found.folder))
    assert sorted(again) == ["attention", "logits"]
    assert again["logits"].id.values.tolist() == [other]
    assert again["logits"].step.values.tolist() == [3, 4, 6, 8, 9]


def test_the_same_examples_and_recorders_see_the_same(whole):
    found = replayed(whole, 6, recorders=["logits"], every=2)
    before, again = recording_of(whole)["logits"], recording_of(type(whole)(found.folder))["logits"]
    steps = [8, 10, 12]
    assert again.sel(step=steps).equals(before.sel(step=steps))


@pytest.mark.parametrize(
    ("wanted", "sentence"),
    [
        ({"first": 13}, "--from 13 is not one of this run's steps, 0 to 12"),
        ({"until": 13}, "--to 13 is not one of this run's steps"),
        ({"first": 6, "until": 6}, "--from 6 must be before --to 6"),
        ({"first": 2}, r"no state of step 2 or before \(kept: 3, 6, 9, 12\); --from-start"),
        ({"recorders": ["logit"]}, r"--record logit is not a recorder; did you mean logits\?"),
        ({"watched": ["nobody"]}, "nobody"),
        ({"every": 2}, "--every says how often to record"),
    ],
)
def test_what_cannot_be_replayed_is_one_sentence(whole, wanted, sentence):
    with pytest.raises(ValueError, match=sentence):
        replayed(whole, **wanted)


def test_states_that_are_gone_are_asked_for(whole):
    shutil.rmtree(whole / "anchors")
    with pytest.raises(ValueError, match="--from-start trains its first 12 steps again"):
        replayed(whole)


def test_tensors_of_another_architecture_are_not_compared():
    with pytest.raises(ValueError, match="another architecture"):
        first_difference({"a": torch.zeros(2)}, {"a": torch.zeros(3)})
    # A zero and a negative zero are the same number, and one not a number is never equal to itself.
    assert (
        first_difference({"a": torch.tensor([torch.nan])}, {"a": torch.tensor([torch.nan])}) is None
    )
    zeros = first_difference({"a": torch.tensor([0.0, 1.0])}, {"a": torch.tensor([-0.0, 1.0])})
    assert zeros == TensorDifference("a", 1, 2, 0.0)
    assert first_difference({"a": torch.tensor(1.0)}, {"a": torch.tensor(1.0)}) is None
