"""A finished run that several tests of a file begin with: trained once, copied for each."""

import shutil
from pathlib import Path

from tests.tiny_run import train
from tests.training.reading import directory_of
from tests.training.test_exact_resume import SETTINGS

# Two epochs of six steps with dropout, looked into at every second one; states and weights are kept.
WHOLE = (*SETTINGS, "checkpoint.anchors_every_n_steps=3", "checkpoint.keep_every_n_steps=2")
_trained: dict[tuple[str, ...], Path] = {}


def copied(tiny, words: tuple[str, ...], store: Path) -> Path:
    """The directory of a copy of the run of these settings, where `tiny` would train it.

    `store`: a folder that outlives the test, if it is the first one that asks.
    """
    config = tiny(*words)
    run = directory_of(config)
    if words not in _trained:
        train(config)
        _trained[words] = store / "whole"
        shutil.copytree(run, _trained[words])
        return run
    shutil.copytree(_trained[words], run)
    return run
