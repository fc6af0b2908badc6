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
            "val/accuracy is not measured; known: choosing/exact_match",
        ),
        ("trainer.max_epochs=0", ValueError, "trainer.max_epochs must be at least 1, got 0"),
        ("trainer.max_steps=-2", ValueError, "trainer.max_steps must be"),
        ("trainer.precision=16-mixed", ValueError, "needs a GPU"),
        (
            "+trainer.limit_val_batches=2",
            ValueError,
            "trainer.limit_val_batches does not work here",
        ),
        ("+trainer.gradient_clip_algorithm=value", ValueError, "must be 'norm'"),
        ("trainer.accelerator=mps", ValueError, "trainer.accelerator=mps is not available"),
        ("+trainer.max_time=00:01:00:00", ValueError, "trainer.max_time does not work here"),
        ("trainer.log_every_n_steps=0", ValueError, "trainer.log_every_n_steps must be at least 1"),
        ("trainer.val_check_interval=00:01:00:00", ValueError, "must be a valid number"),
        ("trainer.val_check_interval=0.0", ValueError, "must be greater than 0, got 0.0"),
        ("trainer.val_check_interval=500", ValueError, "for every 500 steps add trainer.check_val"),
        ("trainer.check_val_every_n_epoch=0", ValueError, "must be at least 1, got 0"),
        ("trainer.accumulate_grad_batches=0", ValueError, "must be at least 1, got 0"),
        ("trainer.gradient_clip_val=-1", ValueError, "must be at least 0, got -1"),
        ("trainer.gradient_clip_val=nan", ValueError, "a finite number.*, got nan"),
        ("model.lr=inf", ValueError, "model.lr must be a finite number, got inf"),
        ("answer.null_threshold=nan", ValueError, "must be a finite number, got nan"),
        ("train.stop_at={choosing/exact_match: nan}", ValueError, "a finite number"),
        ("trainer.devices=0", ValueError, "trainer.devices must be at least 1"),
        (
            "trainer.devices=100000",
            ValueError,
            "is more than the .* processors that this machine has",
        ),
        ("trainer.devices=[0,0]", ValueError, "must be different numbers from 0 to"),
        ("trainer.devices=[0]", ValueError, "names GPUs by their numbers; on a CPU it is how many"),
        (
            "checkpoint.monitor=choosing/loss",
            ValueError,
            "the worst choosing/loss, .* checkpoint.mode=min",
        ),
        ("checkpoint.mode=min", ValueError, "the worst .*f1, .* add checkpoint.mode=max"),
        ("trainer.accelerator=tpu", ValueError, "trainer.accelerator must be 'cpu'"),
        ("+trainer.num_nodes=2", ValueError, "trainer.num_nodes must be 1, got 2"),
        ("+trainer.callbacks=[]", ValueError, "trainer.callbacks is set by qa_research"),
        ("+trainer.limit_val_batches=0", ValueError, "limit_val_batches does not work here"),
        ("+trainer.limit_train_batches=0.01", ValueError, "of the 7 batches of an epoch is less"),
        ("+trainer.limit_train_batches=2.5", ValueError, "must be a whole number of batches"),
        (
            "train.threads=1000000000",
            ValueError,
            "train.threads must be less than or equal to 1024",
        ),
        ("model.hidden_size=100000", ValueError, "and this machine has .* of memory"),
        ("model.hidden_size=1000000000", ValueError, "model.hidden_size must be"),
        ("model.num_hidden_layers=null", ValueError, "must be given with model.weights=random"),
        ("data.num_workers=100000", ValueError, "data.num_workers must be"),
        ("seed=9223372036854775808", ValueError, "seed must be"),
        ("~trainer.max_steps", ValueError, "trainer.max_steps must be given"),
        ("~trainer.accumulate_grad_batches", ValueError, "must be given"),
        (f"study={'x' * 240}", OSError, "File name too long"),
    ],
)
def test_bad_input_is_refused_before_anything_is_written(tiny, tmp_path, override, error, sentence):
    with pytest.raises(error, match=sentence) as refusal:
        train(tiny(override))
    assert "\n" not in str(refusal.value)
    # No run, no folder, no lock.
    assert not list(tmp_path.iterdir())


def test_more_processes_than_windows_are_refused_before_any_is_started(tiny, tmp_path):
    with pytest.raises(ValueError, match="trainer.devices=2 is more than the 1 validation windows"):
        train(tiny("trainer=ddp", "data.validation_questions=1"))
    assert not list(tmp_path.rglob("run.json"))
