"""A trained run that the tests of several verbs read, and none of them changes."""

import pytest

from tests.tiny_run import TINY


@pytest.fixture(scope="package")
def trained(tmp_path_factory, cache):
    """The folder of a run that watched four questions and kept the steps 3 and 6, of 7."""
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    from qa_research.launch.compose import conf_directory
    from tests.tiny_run import train

    runs = tmp_path_factory.mktemp("attributed") / "runs"
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(conf_directory()), version_base="1.3"):
        words = [*TINY, "study=tiny", "checkpoint.keep_every_n_steps=3", "capture.every_n_steps=3"]
        train(compose("train", [*words, f"paths.runs={runs}", f"paths.cache={cache}"]))
    return runs
