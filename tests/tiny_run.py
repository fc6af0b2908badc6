"""A run small enough to train in seconds."""

from collections.abc import Callable

from omegaconf import DictConfig

TINY = (
    "data.train_questions=48",
    "data.validation_questions=16",
    "data.batch_size=8",
    "trainer.val_check_interval=0.5",
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


def train(config: DictConfig) -> float:
    """Train a composed config, as the launcher does."""
    from qa_research.launch.compose import checked
    from qa_research.training.story import train as train_checked

    return train_checked(checked(config))


Compose = Callable[..., DictConfig]
