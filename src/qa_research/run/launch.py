"""The launcher behind `python train.py` and `qa-research train`: Hydra, and plain errors.

Exit codes: 0 done, 1 the training failed, 2 the request cannot be carried out (one sentence says why).
"""

import os
import re
import sys
from pathlib import Path
from typing import Any

# Hydra then raises instead of printing and leaving; the sentences are ours to say.
os.environ["HYDRA_FULL_ERROR"] = "1"

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from qa_research.console import start_logging
from qa_research.run.config import conf_directory, suggestion

USER_ERRORS = (ValueError, OSError)
CHILD = Path(__file__).with_name("child.py")
_failures: list[str] = []


def main() -> int:
    """Compose a config from the command line and train; the exit code."""
    debug = "--debug" in sys.argv
    sys.argv = [word for word in sys.argv if word != "--debug"]
    start_logging()
    _failures.clear()
    try:
        launch: Any = hydra.main(
            version_base="1.3", config_path=str(conf_directory()), config_name="train"
        )(_job if debug else _job_in_a_sentence)
        launch()
    except BrokenPipeError:
        # Whoever read our output has left, as `| head` does.
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
        return 1
    except KeyboardInterrupt:
        print("qa-research: stopped by Ctrl-C", file=sys.stderr)
        return 130
    except (HydraException, OmegaConfBaseException, *USER_ERRORS) as error:
        if debug:
            raise
        print(f"qa-research: {plain_sentence(error)}", file=sys.stderr)
        return 2
    return 2 if _failures else 0


def plain_sentence(error: Exception) -> str:
    """What went wrong, in one line, with the nearest known name where one was mistyped."""
    text = str(error).strip()
    if not isinstance(error, (HydraException, OmegaConfBaseException)):
        return " ".join(text.split()) or type(error).__name__
    if found := re.search(r"Could not override '([^']+)'", text):
        return _unknown_override(found.group(1))
    if found := re.search(r"Could not find '([^'/]+)/([^']+)'", text):
        options = text.partition("Available options")[2].split("\n\t")[1:]
        known = [option.split("\n")[0].strip() for option in options]
        return f"there is no {found.group(1)}={found.group(2)}{suggestion(found.group(2), known)}"
    return " ".join(text.split())


def _unknown_override(key: str) -> str:
    """Hydra says only that a key is not there; the default config knows what is."""
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    GlobalHydra.instance().clear()
    with initialize_config_dir(str(conf_directory()), version_base="1.3"):
        known: Any = compose("train")
    *sections, last = key.split(".")
    prefix = ""
    for section in sections:
        if section not in known or not isinstance(known[section], DictConfig):
            return f"there is no config key {key}" + suggestion(section, map(str, known), prefix)
        known, prefix = known[section], f"{prefix}{section}."
    return f"there is no config key {key}" + suggestion(last, map(str, known), prefix)


def _job_in_a_sentence(config: DictConfig) -> float | None:
    """A bad request is said when it is found; what remains of a sweep goes on."""
    try:
        return _job(config)
    except USER_ERRORS as error:
        _failures.append(plain_sentence(error))
        print(f"qa-research: {_failures[-1]}", file=sys.stderr)
        return None


def _job(config: DictConfig) -> float | None:
    # Each job of a sweep has a train.log of its own.
    start_logging()
    if HydraConfig.get().mode == RunMode.MULTIRUN and config.trainer.devices != 1:
        raise ValueError(
            "a sweep runs with one process a training (trainer.devices=1); start trainings of "
            "several processes one by one"
        )
    # Torch and Lightning are slow to import, and --help needs neither.
    from qa_research.run.train import train

    return train(config)
