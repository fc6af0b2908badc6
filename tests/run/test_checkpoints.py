import pytest
import torch

from qa_research.run.checkpoints import (
    DurableCheckpointIO,
    find_checkpoint,
    load_network_weights,
)


def test_a_checkpoint_is_written_whole_or_not_at_all(tmp_path):
    io, path = DurableCheckpointIO(), tmp_path / "c" / "last.ckpt"
    io.save_checkpoint({"x": torch.ones(2)}, path)
    with pytest.raises((AttributeError, TypeError)):
        io.save_checkpoint({"x": lambda: None}, path)
    assert io.load_checkpoint(path)["x"].tolist() == [1, 1]
    io.remove_checkpoint(path)
    assert not path.exists()


def test_foreign_code_in_a_checkpoint_is_never_run(tmp_path):
    path = tmp_path / "x.ckpt"
    torch.save({"state_dict": {"a": pytest.approx(1)}}, path)
    with pytest.raises(ValueError, match="no readable checkpoint"):
        load_network_weights(path)
    path.write_bytes(b"rubbish")
    with pytest.raises(ValueError, match="no readable checkpoint"):
        load_network_weights(path)


def test_checkpoints_are_named_best_last_step_or_path(tmp_path):
    for name in ("best", "last", "step-000050"):
        (tmp_path / f"{name}.ckpt").write_bytes(b"")
    assert find_checkpoint(tmp_path, "best").name == "best.ckpt"
    assert find_checkpoint(tmp_path, "50").name == "step-000050.ckpt"
    assert find_checkpoint(tmp_path, str(tmp_path / "last.ckpt")).name == "last.ckpt"
    with pytest.raises(FileNotFoundError, match="no checkpoint 51; this run has best, last, 50"):
        find_checkpoint(tmp_path, "51")
