"""Composed configs: where conf/ is, and which keys and values are allowed.

The constructors' signatures are the schema: names, types and ranges are stated there and nowhere else.
"""

import typing
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hydra
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.initialize import get_gh_backup, restore_gh_from_backup
from omegaconf import DictConfig, OmegaConf

from qa_research.config import check_section, check_value, unknown_key
from qa_research.tasks.task import sections_of_task
from qa_research.training.settings import Settings


def conf_directory() -> Path:
    """The folder of configs: in the installed package, or next to src/ in a checkout."""
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "conf", package.parents[1] / "conf"):
        if (folder / "train.yaml").is_file():
            return folder
    raise FileNotFoundError(f"conf/ is neither in {package} nor in {package.parents[1]}")


def checked(config: DictConfig, settings: type = Settings) -> dict[str, Any]:
    """The config as plain values, resolved, once every key and value has been found fit.

    `settings`: the dataclass of the keys at the top and their types.

    Raises:
        ValueError: a key that nobody knows (the nearest known one is offered), a missing value, or
            one of the wrong type or out of range.
    """
    missing = sorted(OmegaConf.missing_keys(config))
    if missing:
        raise ValueError(f"{missing[0]} must be given: {missing[0]}=...")
    plain: Any = OmegaConf.to_container(config, resolve=True)
    top = typing.get_type_hints(settings, include_extras=True)
    if "task" in plain and "task" in top:
        top |= dict.fromkeys(sections_of_task(plain["task"]), dict[str, Any])
    for key, value in plain.items():
        if key not in top:
            raise ValueError(unknown_key(str(key), "", top))
        if not isinstance(value, dict):
            check_value(str(key), value, top[key])
        elif "_target_" in value:
            check_section(str(key), value)
    return typing.cast(dict[str, Any], plain)


def default_config(name: str = "train") -> dict[str, Any]:
    """The config of `qa-research train`, or another launcher, without any override, as plain values."""
    with hydra_initialized():
        plain: Any = OmegaConf.to_container(hydra.compose(name), resolve=True)
    return typing.cast(dict[str, Any], plain)


@contextmanager
def hydra_initialized() -> Iterator[ConfigLoader]:
    """Compose from conf/ inside, also while Hydra runs a job; yields what lists its groups and options."""
    before = get_gh_backup()
    GlobalHydra.instance().clear()
    try:
        with hydra.initialize_config_dir(str(conf_directory()), version_base="1.3"):
            yield GlobalHydra.instance().config_loader()
    finally:
        restore_gh_from_backup(before)
