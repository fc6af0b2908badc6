"""Checkpoint files: written, damaged, foreign, found by name."""

import os
import random
import re
import zipfile
from pathlib import Path

import pytest
import torch

from qa_research.runs.checkpoints import (
    DamagedCheckpointError,
    damage,
    find_checkpoint,
    find_resume_point,
    load_network_weights,
    read_checkpoint,
)
from qa_research.training.resumable import DurableCheckpointIO

SHAPES = {"a": (2, 3)}


def state(step: int, run: str = "r1", tensor: torch.Tensor | None = None) -> dict:
    tensor = torch.full((2, 3), float(step)) if tensor is None else tensor
    moments = {"step": torch.tensor(float(step)), "exp_avg": torch.zeros(2, 3)}
    return {
        "epoch": 0,
        "global_step": step,
        "pytorch-lightning_version": "2.6.6",
        "state_dict": {"network.a": tensor},
        "loops": {},
        "callbacks": {},
        "optimizer_states": [{"state": {0: moments}, "param_groups": []}],
        "lr_schedulers": [],
        "exact": {"run": run, "step": step, "epoch": 0, "batches": 1, "should_stop": False}
        | {"random": []},
    }


def without(key: str) -> dict:
    return {name: value for name, value in state(1).items() if name != key}


def saved(folder: Path, *steps: int) -> Path:
    for step in steps:
        DurableCheckpointIO().save_checkpoint(state(step), folder / "last.ckpt")
    return folder


def test_a_checkpoint_is_written_whole_or_not_at_all(tmp_path):
    io, path = DurableCheckpointIO(), tmp_path / "c" / "best.ckpt"
    io.save_checkpoint({"state_dict": {"x": torch.ones(2)}}, path)
    with pytest.raises((AttributeError, TypeError)):
        io.save_checkpoint({"x": lambda: None}, path)
    assert io.load_checkpoint(path)["state_dict"]["x"].tolist() == [1, 1]
    io.remove_checkpoint(path)
    assert not path.exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the device that is always full")
def test_on_a_full_disk_the_old_checkpoint_survives_and_the_sentence_says_so(tmp_path):
    saved(tmp_path, 1)
    os.symlink("/dev/full", tmp_path / f".last.ckpt.{os.getpid()}.tmp")
    big = {**state(2), "filling": torch.rand(300_000)}
    with pytest.raises(OSError, match=r"No space left.*the previous last.ckpt is intact"):
        DurableCheckpointIO().save_checkpoint(big, tmp_path / "last.ckpt")
    assert find_resume_point(tmp_path, "r1", SHAPES).point.step == 1
    assert [path.name for path in tmp_path.iterdir()] == ["last.ckpt"]


def test_the_last_two_states_are_kept(tmp_path):
    saved(tmp_path, 1, 2, 3)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["last.ckpt", "previous.ckpt"]
    steps = [
        torch.load(tmp_path / name, weights_only=True)["exact"]["step"]
        for name in ("previous.ckpt", "last.ckpt")
    ]
    assert steps == [2, 3]


def test_a_file_system_without_links_keeps_them_too(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError("no links here")

    monkeypatch.setattr(os, "link", refuse)
    saved(tmp_path, 1, 2)
    assert find_resume_point(tmp_path, "r1", SHAPES).point.step == 2
    (tmp_path / "last.ckpt").unlink()
    assert find_resume_point(tmp_path, "r1", SHAPES).point.step == 1


def flipped(content: bytes, draw: random.Random) -> bytes:
    changed = bytearray(content)
    changed[draw.randrange(len(changed))] ^= 1 << draw.randrange(8)
    return bytes(changed)


@pytest.mark.parametrize("name", ["best.ckpt", "last.ckpt", "step-000002.ckpt"])
def test_no_flipped_bit_is_silent(tmp_path, name):
    path = tmp_path / name
    DurableCheckpointIO().save_checkpoint(state(2), path)
    whole, draw = path.read_bytes(), random.Random(2)
    assert damage(path) is None
    for _ in range(200):
        path.write_bytes(flipped(whole, draw))
        with pytest.raises(DamagedCheckpointError, match=f"{name} is damaged"):
            read_checkpoint(path)
    for _ in range(50):
        path.write_bytes(whole[: draw.randrange(len(whole))])
        assert damage(path)


def test_a_checkpoint_is_a_zip_file_that_torch_reads(tmp_path):
    saved(tmp_path, 1)
    with zipfile.ZipFile(tmp_path / "last.ckpt") as file:
        assert file.testzip() is None
        assert re.fullmatch(rb"crc32c:[0-9a-f]{8}", file.comment)
    for mmap in (False, True):
        found = torch.load(tmp_path / "last.ckpt", weights_only=True, mmap=mmap)
        assert found["state_dict"]["network.a"].unique().tolist() == [1]


def test_a_checkpoint_without_a_checksum_of_its_own_is_checked_by_those_of_its_records(tmp_path):
    path = tmp_path / "last.ckpt"
    torch.save(state(1), path)
    whole = path.read_bytes()
    assert damage(path) is None
    at = whole.index(torch.full((2, 3), 1.0).numpy().tobytes())
    for offset in range(24):
        changed = bytearray(whole)
        changed[at + offset] ^= 1
        path.write_bytes(changed)
        assert "checksum" in str(damage(path))
    draw, silent = random.Random(2), 0
    for _ in range(200):
        path.write_bytes(flipped(whole, draw))
        try:
            # Padding, or a field that is not read: the tensors are intact.
            assert load_network_weights(path)["a"].unique().tolist() == [1]
            silent += 1
        except DamagedCheckpointError:
            pass
    assert 0 < silent < 100


def test_whatever_bit_is_flipped_the_state_before_it_is_used(tmp_path):
    saved(tmp_path, 1, 2)
    path = tmp_path / "last.ckpt"
    whole, draw = path.read_bytes(), random.Random(1)
    for _ in range(200):
        path.write_bytes(flipped(whole, draw))
        found = find_resume_point(tmp_path, "r1", SHAPES)
        assert found.point.step == 1 and len(found.damaged) == 1


def test_a_checkpoint_that_says_another_step_than_its_name_is_refused(tmp_path):
    path = tmp_path / "step-000050.ckpt"
    torch.save({"state_dict": {}, "global_step": 40}, path)
    with pytest.raises(ValueError, match="says that it is of step 40, but its name of step 50"):
        load_network_weights(path)


def test_a_damaged_checkpoint_is_named_and_the_one_before_it_used(tmp_path):
    saved(tmp_path, 1, 2)
    path = tmp_path / "last.ckpt"
    path.write_bytes(path.read_bytes()[:-100])
    found = find_resume_point(tmp_path, "r1", SHAPES)
    assert (found.point.path.name, found.point.step) == ("previous.ckpt", 1)
    (sentence,) = found.damaged
    assert str(path) in sentence and "is damaged" in sentence


def test_where_nothing_was_saved_there_is_nothing_to_resume_from(tmp_path):
    found = find_resume_point(tmp_path, "r1", SHAPES)
    assert found.point is None and found.damaged == ()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (state(1, run="r2"), "belongs to another run"),
        (
            state(1, tensor=torch.ones(4, 3)),
            r"from another architecture: a is \(4, 3\) there and \(2, 3\)",
        ),
        (state(1) | {"state_dict": {}}, "a is missing there"),
        ({"exact": {}}, "is not a readable checkpoint of qa_research: it has no state_dict"),
        (without("optimizer_states"), "cannot be resumed from: it has no optimizer_states"),
        (without("loops"), "cannot be resumed from: it has no loops"),
        (state(1) | {"exact": {"step": 1}}, "it has no exact.run"),
        (state(1) | {"exact": []}, "its exact is of the wrong type"),
        (state(1) | {"global_step": "1"}, "its global_step is of the wrong type"),
        (
            state(1) | {"global_step": 2},
            "says that it is of step 2, but its state to resume from of",
        ),
        (
            state(1) | {"optimizer_states": state(3)["optimizer_states"]},
            "says that it is of step 1, but its optimizer of step 3",
        ),
        (state(1, tensor=torch.tensor([[0.0, float("nan"), 0.0]])), "not finite in network.a"),
        ({"state_dict": {"a": pytest.approx(1)}}, "is not a readable checkpoint"),
        ([1, 2], "is not a readable checkpoint"),
    ],
)
def test_a_foreign_checkpoint_is_refused_by_name(tmp_path, content, sentence):
    torch.save(content, tmp_path / "last.ckpt")
    with pytest.raises(ValueError, match=sentence) as refused:
        find_resume_point(tmp_path, "r1", SHAPES)
    assert "last.ckpt" in str(refused.value)


def test_foreign_code_in_a_checkpoint_is_never_run(tmp_path):
    class Evil:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "run"),))

    path = tmp_path / "x.ckpt"
    torch.save({"state_dict": {"a": Evil()}}, path)
    with pytest.raises(ValueError, match="is not a readable checkpoint"):
        load_network_weights(path)
    assert not (tmp_path / "run").exists()
    path.write_bytes(b"rubbish")
    with pytest.raises(ValueError, match="is damaged, or no checkpoint"):
        load_network_weights(path)


@pytest.mark.parametrize(
    "make",
    [
        lambda: torch.zeros(1).expand(10**9, 10**3),
        lambda: torch.zeros(2, 3, device="meta"),
        lambda: torch.zeros(2, 3).to_sparse(),
        lambda: torch.zeros(2, 3, dtype=torch.complex64),
    ],
    ids=["expanded", "meta", "sparse", "complex"],
)
@pytest.mark.filterwarnings("ignore:Validating sparse")
@pytest.mark.parametrize("where", ["state_dict", "optimizer_states"])
def test_a_tensor_that_is_more_than_its_bytes_is_refused(tmp_path, make, where):
    content = state(1)
    if where == "state_dict":
        content["state_dict"]["network.a"] = make()
    else:
        content["optimizer_states"][0]["state"][0]["exp_avg"] = make()
    torch.save(content, tmp_path / "last.ckpt")
    with pytest.raises(ValueError, match=f"its {where}.* is not a plain array of real"):
        read_checkpoint(tmp_path / "last.ckpt")


def test_a_tensor_that_was_transposed_is_read(tmp_path):
    DurableCheckpointIO().save_checkpoint(
        state(1, tensor=torch.ones(3, 2).T), tmp_path / "last.ckpt"
    )
    assert load_network_weights(tmp_path / "last.ckpt")["a"].shape == (2, 3)


def test_checkpoints_are_named_best_last_step_or_path(tmp_path):
    for name in ("best", "last", "step-000050"):
        (tmp_path / f"{name}.ckpt").write_bytes(b"")
    assert find_checkpoint(tmp_path, "best").name == "best.ckpt"
    assert find_checkpoint(tmp_path, "50").name == "step-000050.ckpt"
    assert find_checkpoint(tmp_path, str(tmp_path / "last.ckpt")).name == "last.ckpt"
    with pytest.raises(FileNotFoundError, match="no checkpoint 51; this run has best, last, 50"):
        find_checkpoint(tmp_path, "51")
