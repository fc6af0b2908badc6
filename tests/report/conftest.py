"""A run that was really trained, for reports to be made of."""

import shutil

import pytest

from tests.tiny_run import TINY

LOOKS = (
    "capture=default",
    "capture/recorders=[logits,head_weights,attention,heads,attribution,unit_traces]",
    "capture.unit_traces.units=[3]",
    "capture.every_n_steps=2",
    "capture.max_step_fraction=null",
    "capture.tensorboard=false",
    "logger.graph=false",
)


@pytest.fixture(scope="session")
def trained(tmp_path_factory, cache):
    """The folder of two tiny finished runs, the first with a report; not to be changed."""
    from qa_research.launch.compose import default_config
    from qa_research.report.story import write_report
    from qa_research.training.story import train

    folder = tmp_path_factory.mktemp("reported") / "runs"
    for seed in (1, 2):
        words = [*TINY, *LOOKS, f"paths.runs={folder}", f"paths.cache={cache}", f"seed={seed}"]
        train(default_config("train", [*words, "study=pair"]))
    write_report([str(next((folder / "pair").glob("*-s1-*")))], folder, None, default_config())
    return folder


@pytest.fixture
def runs(trained, tmp_path):
    """A copy of them."""
    return shutil.copytree(trained, tmp_path / "runs")


@pytest.fixture
def run(runs):
    """The first run."""
    return next((runs / "pair").glob("*-s1-*"))
