"""conf/ as Hydra composes it: its groups, which of them a config has from the start, and their options."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import hydra
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.initialize import get_gh_backup, restore_gh_from_backup
from hydra.types import RunMode
from omegaconf import OmegaConf

from qa_research.config import conf_directory

# Groups that no config has from the start: a command adds them with a +.
ADDED = ("experiment", "launcher", "search", "stacks")
# What each verb is called, by the config that it composes.
VERBS = {"train": "qa-research train", "explain": "qa-research explain"}


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


def composed(config_name: str, overrides: Sequence[str]) -> dict[str, Any]:
    """A config as plain values, not resolved, with the section `hydra`; within `hydra_initialized`."""
    config = hydra.compose(config_name, list(overrides), return_hydra_config=True)
    plain: Any = OmegaConf.to_container(config, resolve=False)
    return dict(plain)


def groups_at_start(config_name: str, loader: ConfigLoader) -> set[str]:
    """The groups that a config has without any override, such as `model` and `capture/recorders`."""
    found = loader.compute_defaults_list(config_name, [], RunMode.RUN).defaults
    paths = (default.config_path or "" for default in found)
    return {path.rpartition("/")[0] for path in paths} - {""}


def spelled(group: str, option: str) -> str:
    """How a command chooses an option.

    >>> spelled("model", "minilm"), spelled("experiment", "overfit")
    ('model=minilm', '+experiment=overfit')
    """
    return f"{'+' if group in ADDED else ''}{group}={option}"


def choices_named(option: str, config_name: str, loader: ConfigLoader) -> list[str]:
    """The choices of a verb that have an option of this name: `smoke` is +experiment=smoke, trainer=smoke."""
    groups = {group for group in groups_at_start(config_name, loader) if "/" not in group}
    if config_name == "train":
        groups |= set(ADDED)
    return [
        spelled(group, option)
        for group in sorted(groups - {"hydra"})
        if option in loader.get_group_options(group)
    ]
