"""Forks: the same training if nothing is changed, bit for bit; and what may be changed."""

import json
import shutil
import signal
from typing import ClassVar

import pytest
import torch

from qa_research.config import ALLOW
from qa_research.files import ids_named
from qa_research.launch.fork import ForkEdits, Silenced, fork
from qa_research.launch.replay import replay
from qa_research.launch.resume import resume
from qa_research.runs.anchors import anchor_file
from qa_research.runs.checkpoints import load_network_weights, read_checkpoint
from qa_research.runs.directory import find_run, read_config, read_record
from qa_research.runs.store import remove
from qa_research.signals import Stopped
from tests.tiny_run import train
from tests.training.kept_whole import WHOLE, copied
from tests.training.reading import digest, directory_of, recording_of, result_of, rows_of
from tests.training.signalling import Plan, Signalling
from tests.training.test_exact_resume import SETTINGS


@pytest.fixture(autouse=True)
def _no_plan():
    yield
    Signalling.follow()


@pytest.fixture
def whole(tiny, tmp_path_factory):
    """The directory of a finished run with states of steps 3, 6, 9 and 12."""
    return copied(tiny, WHOLE, tmp_path_factory.getbasetemp())


def forked(run, step, *overrides, edits=None, silenced=None, from_start=False):
    """The directory of a fork, trained to its end."""
    before = set(run.parent.iterdir())
    fork(
        str(run),
        step,
        overrides,
        edits or ForkEdits(),
        silenced or Silenced(),
        run.parent.parent,
        from_start,
        anyway=False,
    )
    (new,) = set(run.parent.iterdir()) - before
    return new


class Grading(Signalling):
    """Notes by step the gradients of the values of layer 0 and of the feed-forward network of layer 1."""

    gradients: ClassVar[dict[int, tuple[torch.Tensor, torch.Tensor]]] = {}

    def on_before_optimizer_step(self, optimizer):
        named = dict(self.network.named_parameters())
        layers = "bert.encoder.layer"
        names = (f"{layers}.0.attention.self.value.weight", f"{layers}.1.intermediate.dense.weight")
        step = self.trainer.global_step + 1
        self.gradients[step] = tuple(named[name].grad.clone() for name in names)
        super().on_before_optimizer_step(optimizer)


def everything_of(run):
    """Weights, metrics, predictions, best score, and the recording as plain arrays."""
    record = read_record(run)
    recorded = {
        (group, name): array.values.tobytes()
        for group, data in recording_of(run).items()
        for name, array in data.items()
        if array.values.dtype != object
    }
    return (
        result_of(run),
        {path.name: digest(path) for path in sorted((run / "checkpoints").glob("*.ckpt"))},
        (run / "predictions/validation.json").read_text(),
        record["best"],
        record["best_step"],
        recorded,
    )


@pytest.mark.parametrize("step", [3, 9])
def test_a_fork_with_nothing_changed_is_the_unbroken_training(whole, step):
    assert everything_of(forked(whole, step)) == everything_of(whole)


def test_so_it_is_across_a_stop_in_its_middle(whole):
    Signalling.follow(Plan("training", 3, signal.SIGTERM))
    with pytest.raises(Stopped):
        forked(whole, 3)
    Signalling.follow()
    (run,) = set(whole.parent.iterdir()) - {whole}
    assert read_record(run)["status"] == "interrupted" and read_record(run)["steps"] == 6
    resume(str(run), [], run.parent.parent)
    assert everything_of(run) == everything_of(whole)


def test_the_same_command_goes_on_after_a_stop(whole):
    Signalling.follow(Plan("training", 3, signal.SIGTERM))
    with pytest.raises(Stopped):
        forked(whole, 3, "model.lr=2e-3")
    Signalling.follow()
    (run,) = set(whole.parent.iterdir()) - {whole}
    stopped = digest(run / "checkpoints/last.ckpt")
    runs = run.parent.parent
    fork(
        str(whole),
        3,
        ["model.lr=2e-3"],
        ForkEdits(),
        Silenced(),
        runs,
        from_start=False,
        anyway=False,
    )
    assert read_record(run)["status"] == "finished"
    assert digest(run / "checkpoints/last.ckpt") != stopped


def test_leaving_nothing_out_is_the_unbroken_training(whole, tmp_path):
    (tmp_path / "none.txt").write_text("")
    nothing = ForkEdits(without=[str(tmp_path / "none.txt")])
    assert everything_of(forked(whole, 3, edits=nothing)) == everything_of(whole)


def test_a_record_names_its_run_its_step_and_what_was_changed(whole):
    run = forked(whole, 6, "model.lr=0.002", "finetuning=frozen")
    assert read_record(run)["fork"] == {
        "run": f"{whole.parent.name}/{whole.name}",
        "id": read_record(whole)["id"],
        "step": 6,
        "changes": {
            "model.lr": [read_config(whole)["model"]["lr"], 0.002],
            "finetuning": [None, "Frozen"],
        },
    }
    # Until then they are one training, and then they are not.
    assert [row for row in rows_of(run) if int(row["step"]) < 6] == [
        row for row in rows_of(whole) if int(row["step"]) < 6
    ]
    assert digest(run / "checkpoints/step-000006.ckpt") == digest(
        whole / "checkpoints/step-000006.ckpt"
    )
    assert digest(run / "checkpoints/step-000008.ckpt") != digest(
        whole / "checkpoints/step-000008.ckpt"
    )


def test_another_learning_rate_has_its_own_schedule_from_the_fork_on(whole):
    run = forked(whole, 6, "model.lr=0.002")
    rates = [
        {int(row["step"]): float(row["train/lr"]) for row in rows_of(one) if row["train/lr"]}
        for one in (whole, run)
    ]
    before = read_config(whole)["model"]["lr"]
    for step in range(1, 13):
        expected = rates[0][step] * (0.002 / before if step > 6 else 1)
        assert rates[1][step] == pytest.approx(expected)


def test_frozen_parts_stay_as_they_are_from_the_fork_on(whole):
    run = forked(whole, 6, "finetuning=frozen")
    then = load_network_weights(whole / "checkpoints/step-000006.ckpt")
    now = load_network_weights(run / "checkpoints/last.ckpt")
    changed = {name for name in then if not torch.equal(then[name], now[name])}
    assert changed == {"qa_outputs.weight", "qa_outputs.bias"}
    # And the head goes on with its own moments.
    state = read_checkpoint(anchor_file(run, 12))["optimizer_states"][0]["state"]
    assert {int(moments["step"]) for moments in state.values()} == {12}


def test_a_state_that_was_not_kept_is_made_from_the_one_before(whole):
    run = forked(whole, 5)
    assert everything_of(run) == everything_of(whole)
    # It stays, for the next fork.
    assert anchor_file(whole, 5).is_file() and not list((whole / "replays").glob("*"))


def test_a_state_that_differs_from_what_was_kept_is_not_made(whole):
    begun = anchor_file(whole, 3)
    content = read_checkpoint(begun, mmap=False)
    first = next(name for name in content["state_dict"] if name.endswith("query.weight"))
    content["state_dict"][first][0, 0] += 1e-3
    torch.save(content, begun)
    with pytest.raises(
        ValueError,
        match=r"has other weights at step 4 than it kept, so its state of step 5 cannot be made here; "
        r"name a step whose state was kept: 3, 6, 9, 12",
    ):
        forked(whole, 5)
    assert not anchor_file(whole, 5).exists() and not list((whole / "replays").glob("*"))


def test_without_any_state_it_begins_at_the_start_if_asked(tiny):
    config = tiny(*SETTINGS, "checkpoint.anchors_mb=null")
    train(config)
    run = directory_of(config)
    with pytest.raises(
        ValueError, match=r"kept: none\); --from-start trains its first 5 steps again, about"
    ):
        forked(run, 5)
    assert result_of(forked(run, 5, from_start=True)) == result_of(run)


def test_a_fork_of_a_fork_whose_run_is_gone_is_refused(whole, tmp_path):
    first = forked(whole, 3, "model.lr=0.002")
    second = forked(first, 6)
    assert result_of(second) == result_of(first)
    remove(whole)
    # What has begun needs its origin no more.
    assert result_of(forked(second, 9)) == result_of(first)
    third = read_config(forked(first, 9))
    remove(first)
    third["fork"] |= {"step": 3}
    from qa_research.training.story import train as train_checked

    with pytest.raises(FileNotFoundError, match="and that run is not under .* so it cannot begin"):
        train_checked(third)


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (["model.lrr=1"], r"no config key model.lrr; did you mean model.lr\?"),
        (["model.lr"], "not of the form KEY=VALUE"),
        (["model.lr=[1"], "model.lr=.1 cannot be read"),
        (["model.lr=fast"], "model.lr must be a valid number"),
        (["model=minilm2"], "there is no model=minilm2"),
        (["paths.runs=x"], "paths.runs cannot be changed in a fork"),
        (["trainer.max_steps=3"], "ends this fork before it begins, at step 6"),
        (["train.until_step=6"], "ends this fork before it begins, at step 6"),
        (["model.num_hidden_layers=1"], "is from another architecture"),
        (["finetuning=lora"], "from another architecture|adds to the network"),
        (["data.without=[nobody]"], "nobody is not the id of a training example; one of the 44 is"),
        (["data.holes=next"], "says what becomes of the places"),
    ],
)
def test_what_cannot_be_changed_is_one_sentence_and_leaves_nothing(whole, overrides, sentence):
    before = set(whole.parent.iterdir())
    with pytest.raises(ValueError, match=sentence):
        fork(
            str(whole),
            6,
            overrides,
            ForkEdits(),
            Silenced(),
            whole.parent.parent,
            from_start=False,
            anyway=False,
        )
    assert set(whole.parent.iterdir()) == before


def test_a_step_beyond_the_end_and_another_version_are_refused(whole):
    with pytest.raises(ValueError, match="--at 13 is not one of this run's steps, 0 to 12"):
        forked(whole, 13)
    record = read_record(whole)
    record["versions"]["torch"] = "1.0"
    (whole / "run.json").write_text(json.dumps(record))
    with pytest.raises(ValueError, match=r"need not be exact: torch 1.0 -> .*; --anyway"):
        forked(whole, 6)
    fork(
        str(whole),
        6,
        [],
        ForkEdits(),
        Silenced(),
        whole.parent.parent,
        from_start=False,
        anyway=True,
    )


def test_a_fork_repeats_itself_from_its_own_first_state(whole):
    run = forked(whole, 6, "model.lr=0.002")
    for first in (None, 6):
        found = replay(str(run), first, None, (), (), None, run.parent.parent, False, False)
        assert found.is_exact and found.first == 6 and found.weights
    # At the same step a fork of it changes something else.
    assert result_of(forked(run, 6)) == result_of(run)
    with pytest.raises(
        ValueError, match=r"--from 3 is not one of .* 6 to 12 .until then it is nopretrain/"
    ):
        replay(str(run), 3, None, (), (), None, run.parent.parent, True, False)
    shutil.rmtree(run / "anchors")
    with pytest.raises(
        ValueError, match="is a fork, and the state that it begins with is not in its folder"
    ):
        replay(str(run), None, None, (), (), None, run.parent.parent, True, False)


def test_more_than_half_is_another_training(whole):
    everyone = [row["id"] for row in _training_rows(whole)]
    with pytest.raises(ValueError, match=r"leaves out 23 of 44 training examples, more than half"):
        forked(whole, 6, edits=ForkEdits(without=everyone[:23]))
    assert read_record(forked(whole, 6, edits=ForkEdits(only=everyone[:3])))["status"] == "finished"


def test_another_answer_is_trained_on(whole):
    first = _training_rows(whole)[0]
    word = next(w for w in first["context"].split() if first["context"].count(w) == 1)
    run = forked(whole, 6, edits=ForkEdits(relabel=[f"{first['id']}={word}"]))
    assert read_config(run)["data"]["relabel"] == {first["id"]: word}
    assert digest(run / "checkpoints/last.ckpt") != digest(whole / "checkpoints/last.ckpt")
    with pytest.raises(ValueError, match="stands 0 times in its context"):
        forked(whole, 6, edits=ForkEdits(relabel=[f"{first['id']}=nowhere to be found"]))
    with pytest.raises(ValueError, match="not of the form ID=ANSWER"):
        forked(whole, 6, edits=ForkEdits(relabel=["x"]))


def test_ids_are_typed_or_in_a_file(tmp_path):
    (tmp_path / "ids.txt").write_text("c\n\nd, with a comma\nc\n")
    words = ["a,b", str(tmp_path / "ids.txt")]
    assert ids_named(words, "--without") == ["a", "b", "c", "d, with a comma"]


def _training_rows(run):
    """The training questions of a run, as dictionaries."""
    from qa_research.runs.open import open_run

    rows = open_run(run).own("train").rows
    return [{"id": row.id, "context": row.context} for row in rows]


def test_a_fork_is_found_by_its_name(whole):
    run = forked(whole, 9)
    assert find_run(run.name, run.parent.parent) == run


def test_silence_of_no_length_and_of_nothing_is_the_unbroken_training(whole):
    empty = Silenced(parts=["heads.0.1"], until=6)
    assert everything_of(forked(whole, 6, silenced=empty)) == everything_of(whole)
    assert result_of(forked(whole, 6, "train.silence=[]")) == result_of(whole)


@pytest.mark.parametrize("how", ["zero", "mean"])
def test_parts_are_silent_in_a_window_and_trained_again_after_it(whole, how, monkeypatch):
    monkeypatch.setenv(ALLOW, __name__)
    Grading.gradients = {}
    grading = f"model._target_={__name__}.{Grading.__name__}"
    silenced = Silenced(["heads.0.1", "feed_forward.1"], 9, how)
    run = forked(whole, 3, grading, silenced=silenced)
    assert sorted(Grading.gradients) == [*range(4, 13)]
    for step, (values, inner) in Grading.gradients.items():
        # Of 16 units head 1 has the last 8.
        assert values[:8].any()
        assert values[8:].any() == inner.any() == (step > 9)
    assert result_of(run) != result_of(whole)


def test_a_stop_in_the_window_changes_nothing(whole):
    silenced = Silenced(["layers.1"], 9)
    unbroken = result_of(forked(whole, 3, silenced=silenced))
    (run,) = set(whole.parent.iterdir()) - {whole}
    remove(run)
    Signalling.follow(Plan("validation", 2, signal.SIGTERM))
    with pytest.raises(Stopped):
        forked(whole, 3, silenced=silenced)
    Signalling.follow()
    resume(str(run), [], run.parent.parent)
    assert result_of(run) == unbroken


@pytest.mark.parametrize(
    ("silenced", "sentence"),
    [
        (Silenced(["heads.0.7"]), r"heads.0.7 is no part of this network; did you mean heads"),
        (
            Silenced(["everything"]),
            "it has heads.0.0 to heads.1.1, feed_forward.0 to feed_forward.1, layers.0",
        ),
        (Silenced(["feed_forward.0.99"]), "feed_forward.0.99 is no part"),
        (Silenced(["heads.0.1"], 2), "train.silence_until=2 is before train.silence_since=6"),
        (Silenced(until=9), "--until and --with say when and how"),
        (Silenced(["heads.0.1"], how="half"), "silence_with"),
    ],
)
def test_silence_that_cannot_be_is_one_sentence(whole, silenced, sentence):
    with pytest.raises(ValueError, match=sentence):
        forked(whole, 6, silenced=silenced)
