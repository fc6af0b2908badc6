"""Bad input is refused before anything is written."""

import pytest

from tests.tiny_run import train


@pytest.mark.parametrize(
    ("override", "error", "sentence"),
    [
        (
            "data.max_tokens=600",
            ValueError,
            "data.max_tokens=600 is more than the 512 tokens that this model can read",
        ),
        ("model.hidden_size=15", ValueError, "must be a multiple of model.num_attention_heads=2"),
        ("data.train_questions=30000", ValueError, "there are only 20000"),
        ("data.stride_tokens=128", ValueError, "data.stride_tokens=128 must be less than"),
        ("paths.runs=/dev/null/runs", NotADirectoryError, "is a file"),
        (
            "model.weights=./nowhere",
            FileNotFoundError,
            "model.weights=./nowhere is not a directory",
        ),
        (
            "checkpoint.monitor=val/accuracy",
            ValueError,
            "val/accuracy is not measured; did you mean val/exact_match",
        ),
        ("trainer.max_epochs=0", ValueError, "trainer.max_epochs must be at least 1, got 0"),
        ("trainer.max_steps=0", ValueError, "trainer.max_steps must be at least 1"),
        ("trainer.precision=16-mixed", ValueError, "needs a GPU"),
        (
            "+trainer.limit_val_batches=2",
            ValueError,
            "trainer.limit_val_batches does not work here",
        ),
        ("+trainer.gradient_clip_algorithm=value", ValueError, "must be norm"),
        ("trainer.accelerator=mps", ValueError, "trainer.accelerator=mps is not available"),
        ("+trainer.max_time=00:01:00:00", ValueError, "trainer.max_time does not work here"),
        ("trainer.log_every_n_steps=0", ValueError, "trainer.log_every_n_steps must be at least 1"),
        ("trainer.val_check_interval=00:01:00:00", ValueError, "must be a fraction of an epoch"),
        ("trainer.devices=0", ValueError, "Lightning rejects the settings under trainer"),
        ("trainer.val_check_interval=500", ValueError, "val_check_interval"),
    ],
)
def test_bad_input_is_refused_before_anything_is_written(tiny, tmp_path, override, error, sentence):
    with pytest.raises(error, match=sentence):
        train(tiny(override))
    assert not list(tmp_path.rglob("run.json"))
