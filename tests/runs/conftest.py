"""A finished run, of which tests get copies to damage."""

import shutil
from pathlib import Path

import pytest

from qa_research.ledger.runs import LEDGER
from qa_research.runs.bundle import write_bundle
from tests.runs.bundles import a_run, ask, sample


@pytest.fixture(scope="package")
def finished(tmp_path_factory):
    """A finished run, which tests copy before they damage it."""
    from hydra import compose, initialize_config_dir

    from qa_research.config import conf_directory
    from tests.tiny_run import TINY, train

    place = tmp_path_factory.mktemp("trained")
    with initialize_config_dir(str(conf_directory()), version_base="1.3"):
        places = [f"paths.runs={place / 'runs'}", f"paths.cache={place / 'cache'}"]
        train(compose("train", [*TINY, *places, "capture=none"]))
    (run,) = (place / "runs/nopretrain").iterdir()
    return run


@pytest.fixture
def run(finished, tmp_path) -> Path:
    copy = tmp_path / "runs" / "theirs" / finished.name
    shutil.copytree(finished, copy)
    return copy


@pytest.fixture
def original(tmp_path) -> Path:
    return a_run(tmp_path / "lab" / "runs")


@pytest.fixture
def bundle(original, tmp_path) -> Path:
    ask(original, original.parents[1] / LEDGER)
    sample(original, original.parents[1] / LEDGER)
    out = tmp_path / "given.zip"
    write_bundle(original, out, original.parents[1] / LEDGER)
    return out
