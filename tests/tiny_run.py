"""A run small enough to train in seconds."""

from collections.abc import Callable

from omegaconf import DictConfig

TINY = (
    "data.train_questions=48",
    "data.validation_questions=16",
    "data.batch_size=8",
    "data.validate_every=0.5",
    "model.hidden_size=16",
    "model.num_hidden_layers=2",
    "model.num_attention_heads=2",
    "model.intermediate_size=32",
    "model.vocab_size=300",
    "trainer.max_epochs=1",
    "trainer.precision=32-true",
    "trainer.log_every_n_steps=1",
    "train.threads=1",
    "train.progress=none",
)

Compose = Callable[..., DictConfig]
