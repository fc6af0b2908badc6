"""Configs composed as the launcher composes them, small enough to train in seconds."""

from collections.abc import Callable, Iterator

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig

from qa_research.launch.compose import conf_directory

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


@pytest.fixture
def composed() -> Iterator[Compose]:
    """Compose conf/train.yaml with overrides."""
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(conf_directory()), version_base="1.3"):
        yield lambda *overrides: compose("train", list(overrides))


@pytest.fixture
def tiny(composed: Compose, tmp_path, cache) -> Compose:
    """A config of a tiny run on the built-in questions, under a directory of the test's own."""

    def make(*overrides: str) -> DictConfig:
        looks = any(word.startswith("capture=") for word in overrides)
        return composed(
            *TINY,
            *(() if looks else ("capture=none",)),
            f"paths.runs={tmp_path / 'runs'}",
            f"paths.cache={cache}",
            *overrides,
        )

    return make
