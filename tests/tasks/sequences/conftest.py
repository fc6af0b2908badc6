"""A tiny run of sequence regression."""

import pytest

from qa_research.launch.compose import checked

TINY = (
    "+experiment=sequence_transformer",
    "data.made_train=44",
    "data.made_validation=40",
    "data.batch_size=8",
    "data.eval_batch_size=16",
    "model.width=8",
    "model.heads=2",
    "model.mlp_width=8",
    "model.layers=1",
    "trainer.max_epochs=2",
    "trainer.log_every_n_steps=1",
    "train.threads=1",
    "train.progress=none",
    "logger.graph=false",
)


@pytest.fixture
def small(composed, tmp_path, cache):
    """A checked config of a tiny run; not looked into unless asked to."""

    def make(*overrides: str, runs: str = "runs") -> dict:
        places = [f"paths.runs={tmp_path / runs}", f"paths.cache={cache}"]
        looks = any(word.startswith("capture") for word in overrides)
        return checked(composed(*TINY, *places, *(() if looks else ("capture=none",)), *overrides))

    return make
