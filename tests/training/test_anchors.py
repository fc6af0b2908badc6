"""The saved states that a training keeps."""

import pytest
from lightning.pytorch import LightningModule
from torch import nn

from qa_research.runs.anchors import anchor_file, anchors_of, nearest_anchor
from qa_research.runs.checkpoints import read_checkpoint
from qa_research.runs.directory import read_record
from qa_research.training.anchors import anchors_within, state_bytes
from qa_research.training.kept import kept_until
from tests.tiny_run import train
from tests.training.reading import directory_of

# A tenth of a million parameters; what a state adds to three tensors of each is names and numbers.
SLACK = 1.5


def steps_of(run):
    return [anchor.step for anchor in anchors_of(run)]


def test_every_second_step_is_kept_whole(tiny):
    config = tiny("checkpoint.anchors_every_n_steps=2", "train.stop_at=null")
    train(config)
    run = directory_of(config)
    assert steps_of(run) == [2, 4, 6]
    state = read_checkpoint(anchor_file(run, 4))
    assert state["exact"]["step"] == state["global_step"] == 4
    assert {"optimizer_states", "lr_schedulers", "loops", "callbacks"} <= state.keys()
    assert nearest_anchor(run, 5).step == 4 and nearest_anchor(run, 1) is None


def test_a_budget_keeps_as_many_as_it_has_room_for(tiny):
    first = tiny("checkpoint.anchors_mb=1000", "train.stop_at=null", "trainer.max_epochs=4")
    train(first)
    run = directory_of(first)
    assert steps_of(run) == kept_until(read_record(run)["steps"], read_record(run)["steps"], 10)
    assert len(steps_of(run)) >= 5
    size = anchor_file(run, 3).stat().st_size
    small = tiny(f"checkpoint.anchors_mb={size * 2 / 1e6}", "train.stop_at=null", "study=small")
    train(small)
    assert len(steps_of(directory_of(small))) == 2
    none = tiny("checkpoint.anchors_mb=null", "train.stop_at=null", "study=none")
    train(none)
    assert steps_of(directory_of(none)) == []


def test_the_size_of_a_state_is_known_beforehand(tiny):
    config = tiny("checkpoint.anchors_every_n_steps=2", "train.stop_at=null")
    train(config)
    state = read_checkpoint(anchor_file(directory_of(config), 2))
    weights = sum(t.numel() * t.element_size() for t in state["state_dict"].values())
    actual = anchor_file(directory_of(config), 2).stat().st_size
    assert 3 * weights <= actual <= SLACK * 3 * weights


def test_what_does_not_train_has_no_moments():
    class Module(LightningModule):
        def __init__(self):
            super().__init__()
            self.network = nn.Linear(9, 1)
            self.network.bias.requires_grad_(False)

    # Ten weights of four bytes, and two moments of nine of them.
    assert state_bytes(Module()) == 40 + 72


@pytest.mark.parametrize(
    ("parameters", "count"), [(110e6, 0), (22.6e6, 1), (4.4e6, 5), (0.1e6, 10)]
)
def test_the_default_budget_by_the_size_of_the_network(parameters, count):
    assert anchors_within(int(12 * parameters), 300.0) == count


def test_a_disk_too_small_for_the_anchors_is_said_before_the_training(tiny, monkeypatch):
    from qa_research.training import disk

    class Usage:
        free = 2_000_000

    monkeypatch.setattr(disk.shutil, "disk_usage", lambda place: Usage)
    config = tiny("checkpoint.anchors_mb=1000")
    with pytest.raises(OSError, match=r"anchors_mb=null, which saves \d+"):
        train(config)
    assert not directory_of(config).exists()
